//! Spreads rotations, so that what was applied together is not due together.

use std::time::Duration;

/// Rotations are spread where their interval is longer than this. A shorter one is for tests, or for short lives where each minute counts.
const SPREAD_FROM: Duration = Duration::from_secs(3600);

/// A rotation is due sooner than its interval by less than this, and by less than a tenth of the interval.
const SPREAD: Duration = Duration::from_secs(3600);

/// How much sooner than its interval a rotation of an object is due: always the same share for the same object, so that what is shown does not
/// change, and a longer interval is never over sooner than a shorter one. Never later, so that no token becomes older than the interval, and
/// never sooner than after `least`: the provider's shortest interval, or the grace period of the rotation before.
#[must_use]
pub fn early(uid: &str, interval: Duration, least: Duration) -> Duration {
    let room = interval.saturating_sub(SPREAD_FROM.max(least));
    let most = room.min(interval / 10).min(SPREAD);
    let share = u128::from(stable_hash(uid) >> 32);
    u64::try_from((most.as_millis() * share) >> 32).map_or(Duration::ZERO, Duration::from_millis)
}

/// FNV-1a, which is the same in every release, or all rotations would move; mixed, because its high bits hardly depend on the last letters.
fn stable_hash(text: &str) -> u64 {
    let hash = text
        .bytes()
        .fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3));
    let mixed = (hash ^ (hash >> 33)).wrapping_mul(0xff51_afd7_ed55_8ccd);
    (mixed ^ (mixed >> 33)).wrapping_mul(0xc4ce_b9fe_1a85_ec53)
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: Duration = Duration::from_secs(3600);

    fn uid(number: u32) -> String {
        format!("00000000-0000-4000-8000-{number:012}")
    }

    /// A thousand objects that were applied by one command were due in the same second for ever.
    #[test]
    fn what_was_applied_together_is_not_due_together() {
        let mut minutes = [0_u32; 60];
        for number in 0..6000 {
            let early = early(&uid(number), 30 * 24 * HOUR, Duration::ZERO);
            minutes[usize::try_from(early.as_secs() / 60).unwrap()] += 1;
        }
        assert!(minutes.iter().all(|due| (50..200).contains(due)), "{minutes:?}");
        // By a stable rule: another one would move every rotation at an upgrade.
        assert_eq!(early(&uid(1), 1000 * HOUR, Duration::ZERO).as_millis(), 3_197_457);
    }

    #[test]
    fn nothing_is_due_sooner_than_it_may_be() {
        for number in 0..500 {
            let uid = uid(number);
            assert_eq!(early(&uid, HOUR, Duration::ZERO), Duration::ZERO, "short intervals are kept exactly");
            assert_eq!(early(&uid, 48 * HOUR, 48 * HOUR), Duration::ZERO, "the policy's shortest interval is kept");
            assert!(early(&uid, 48 * HOUR, 48 * HOUR - HOUR / 2) < HOUR / 2);
            assert!(early(&uid, 3 * HOUR, Duration::ZERO) < 3 * HOUR / 10);
        }
    }

    /// An edit that made an interval longer by a minute rotated half of the objects at once.
    #[test]
    fn a_longer_interval_is_never_over_sooner() {
        let due = |number: u32, minutes: u64| {
            let interval = Duration::from_secs(minutes * 60);
            interval - early(&uid(number), interval, 2 * HOUR)
        };
        for number in 0..200 {
            assert!((59..1200).all(|minutes| due(number, minutes) <= due(number, minutes + 1)), "{number}");
        }
    }
}
