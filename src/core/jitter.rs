//! Spreads rotations, so that what was applied together is not due together.

use std::time::Duration;

/// From this interval on, rotations are spread. A shorter one is for tests, or for short lives where each minute counts.
const SPREAD_FROM: Duration = Duration::from_secs(3600);

/// A rotation is due sooner than its interval by less than this, and by less than a tenth of the interval.
const SPREAD: Duration = Duration::from_secs(3600);

/// How much sooner than its interval a rotation of an object is due: always the same for the same object, so that what is shown does not
/// change. Never later, so that no token becomes older than the interval, and not sooner than the provider's policy allows.
#[must_use]
pub fn early(uid: &str, interval: Duration, min_interval: Option<Duration>) -> Duration {
    if interval < SPREAD_FROM {
        return Duration::ZERO;
    }
    let most = (interval / 10).min(SPREAD).min(interval.saturating_sub(min_interval.unwrap_or_default()));
    let milliseconds = u64::try_from(most.as_millis()).unwrap_or(u64::MAX);
    stable_hash(uid).checked_rem(milliseconds).map_or(Duration::ZERO, Duration::from_millis)
}

/// FNV-1a, which is the same in every release: with another one all rotations would move.
fn stable_hash(text: &str) -> u64 {
    text.bytes().fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A thousand objects that were applied by one command were due in the same second for ever.
    #[test]
    fn what_was_applied_together_is_not_due_together() {
        let early = |number: u32, days: u64, min_interval| {
            let uid = format!("00000000-0000-4000-8000-{number:012}");
            early(&uid, Duration::from_secs(days * 86_400), min_interval)
        };
        let mut minutes = [0_u32; 60];
        for number in 0..6000 {
            minutes[usize::try_from(early(number, 30, None).as_secs() / 60).unwrap()] += 1;
        }
        assert!(minutes.iter().all(|due| (50..200).contains(due)), "{minutes:?}");
        // By a stable rule: another one would move every rotation at an upgrade.
        assert_eq!(stable_hash("foobar"), 0x8594_4171_f739_67e8);
        let shortest = |days: u64| Some(Duration::from_secs(days * 86_400));
        assert_eq!(early(1, 30, shortest(30)), Duration::ZERO, "the policy's shortest interval is kept");
        let short = |seconds| super::early("uid-1", Duration::from_secs(seconds), None);
        assert_eq!([short(60), short(3599)], [Duration::ZERO; 2]);
        assert!(short(3600) < Duration::from_secs(360));
    }
}
