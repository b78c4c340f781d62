//! Percentiles of times.

use std::time::Duration;

/// The time in milliseconds that the given part of all times does not exceed: the smallest such.
pub fn percentile(times: &[Duration], part: f64) -> f64 {
    let mut sorted = times.to_vec();
    sorted.sort_unstable();
    let rank = (part * sorted.len() as f64).ceil() as usize;
    let time = sorted.get(rank.clamp(1, sorted.len().max(1)) - 1).copied().unwrap_or_default();
    1_000.0 * time.as_secs_f64()
}
