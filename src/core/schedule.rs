//! When the next rotation is due, and how long to wait after failures.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

use crate::core::{
    ledger::{
        record::{Current, Ledger},
        trigger::Trigger,
    },
    plan::Plan,
    seen::{observed::Observed, views::Resource},
    timing::EXHAUSTED_WAIT,
};

/// Attempts per sequence before the long wait.
pub const MAX_ATTEMPTS: i64 = 5;

/// Where a new token ends the old one, an attempt whose answer was lost may still be carried out for a while.
const IN_PLACE_WAIT: Duration = Duration::from_secs(60);

/// Longest wait after failed reconciles.
const MAX_BACKOFF: Duration = Duration::from_secs(300);

/// Why a rotation has to begin now.
#[must_use]
pub fn due(observed: &Observed, resource: &Resource, plan: &Plan, ledger: Option<&Ledger>) -> Option<Trigger> {
    let Some(current) = ledger.and_then(|ledger| ledger.current.as_ref()) else { return Some(Trigger::FirstIssue) };
    if current.restored_from_backup {
        return Some(Trigger::Restored);
    }
    let seen = ledger.and_then(|ledger| ledger.rotate_now_seen.as_ref());
    if observed.values(current.token.serial).is_none() {
        return Some(Trigger::ValueLost);
    }
    let is_asked = resource.rotate_now.is_some() && resource.rotate_now.as_ref() != seen;
    if is_asked && ledger.and_then(|ledger| postponed(resource, plan, ledger, observed.now)).is_none() {
        return Some(Trigger::RotateNow);
    }
    if current.token.source.specification != plan.source.specification {
        return Some(Trigger::SpecChanged);
    }
    let (at, trigger) = next(plan, current);
    (at <= observed.now).then_some(trigger)
}

/// Until when a request for a rotation has to wait, because the provider's policy allows none so soon after the last one.
#[must_use]
pub fn postponed(resource: &Resource, plan: &Plan, ledger: &Ledger, now: Timestamp) -> Option<Timestamp> {
    let is_asked = resource.rotate_now.is_some() && resource.rotate_now != ledger.rotate_now_seen;
    let until = after(ledger.current.as_ref()?.promoted_at, plan.min_interval.filter(|_| is_asked)?);
    // A clock that was set back must not lengthen the wait beyond what it is.
    (until > now && until <= after(now, plan.min_interval?)).then_some(until)
}

/// When the next rotation is due, and why then.
#[must_use]
pub fn next(plan: &Plan, current: &Current) -> (Timestamp, Trigger) {
    // By our own clock: that of the provider may differ by more than a short interval.
    let by_age = after(current.promoted_at, plan.interval.saturating_sub(plan.early));
    match current.token.expires_at.map(|expires| renewal(plan, current, expires)) {
        Some(renewal) if renewal < by_age => (renewal, Trigger::ExpiresSoon),
        _ => (by_age, Trigger::IntervalElapsed),
    }
}

/// When a token that expires has to be renewed: before a third of its life is left, or as declared; never sooner than a
/// minute after its issue, so that a provider which grants very short lives causes no storm.
fn renewal(plan: &Plan, current: &Current, expires: Timestamp) -> Timestamp {
    let issued = current.token.issued_at;
    let life = Duration::try_from(expires.duration_since(issued)).unwrap_or_default();
    let before = plan.renew_before.filter(|before| *before < life).unwrap_or(life / 3);
    after(issued, life - before).max(after(current.promoted_at, super::plan::MIN_INTERVAL))
}

/// How long to wait before the next attempt after `attempts` that failed, the last one begun at `begun`.
#[must_use]
pub fn attempt_wait(attempts: i64, begun: Timestamp, now: Timestamp, in_place: bool) -> Option<Duration> {
    let wait = match attempts {
        ..=4 if in_place => IN_PLACE_WAIT,
        ..=1 => return None,
        2 => Duration::from_secs(2),
        3 => Duration::from_secs(10),
        4 => Duration::from_secs(30),
        _ => EXHAUSTED_WAIT,
    };
    // A clock that was set back must not lengthen the wait: it counts as waited.
    let waited = Duration::try_from(now.duration_since(begun)).unwrap_or(Duration::MAX);
    wait.checked_sub(waited).filter(|left| !left.is_zero())
}

/// How long to wait before another token is minted with a recipe that was shown to be wrong by an attempt that was
/// begun at `begun`.
#[must_use]
pub fn misread_wait(begun: Timestamp, now: Timestamp) -> Option<Duration> {
    let waited = Duration::try_from(now.duration_since(begun)).unwrap_or(Duration::MAX);
    EXHAUSTED_WAIT.checked_sub(waited).filter(|left| !left.is_zero())
}

/// How long to wait after `failures` reconciles in a row that failed.
#[must_use]
pub fn backoff(failures: u32) -> Duration {
    Duration::from_secs(2).saturating_mul(1 << failures.min(8)).min(MAX_BACKOFF)
}

/// How often the grace that was served is written down, so that a change of leader loses little of a long one.
#[must_use]
pub fn grace_checkpoint(grace: Duration) -> Duration {
    (grace / 4).max(Duration::from_secs(300))
}

/// `start` plus `span`, at most the end of time.
#[must_use]
pub fn after(start: Timestamp, span: Duration) -> Timestamp {
    SignedDuration::try_from(span).ok().and_then(|span| start.checked_add(span).ok()).unwrap_or(Timestamp::MAX)
}

/// The first full minute after a span, for people: it does not change from reconcile to reconcile. For what happens then or may last until then;
/// what is promised until then is said by [`promised_until`].
#[must_use]
pub fn minute_after(now: Timestamp, span: Duration) -> Timestamp {
    let at = after(now, span).as_second();
    Timestamp::from_second(at.saturating_sub(at.rem_euclid(60)).saturating_add(60)).unwrap_or(Timestamp::MAX)
}

/// Until when something is promised that lasts `left` more of `whole`, for people: never later than it ends. To the second where the
/// whole is short, or the full minute has passed; else to the minute, so that it does not change from look to look.
#[must_use]
pub fn promised_until(now: Timestamp, left: Duration, whole: Duration) -> Timestamp {
    const SHORT: Duration = Duration::from_secs(600);
    let end = after(now, left).as_second();
    let floor = |second: i64| Timestamp::from_second(second).unwrap_or(Timestamp::MAX);
    let minute = floor(end.saturating_sub(end.rem_euclid(60)));
    if whole < SHORT || minute <= now { floor(end) } else { minute }
}

/// The full minute before a span ago, for people, as [`minute_after`].
#[must_use]
pub fn minute_before(now: Timestamp, span: Duration) -> Timestamp {
    let ago = SignedDuration::try_from(span).ok().and_then(|span| now.checked_sub(span).ok()).unwrap_or(Timestamp::MIN);
    let at = ago.as_second();
    Timestamp::from_second(at.saturating_sub(at.rem_euclid(60))).unwrap_or(Timestamp::MIN)
}

/// How long from `now` until `at`; zero if it has passed.
#[must_use]
pub fn until(now: Timestamp, at: Timestamp) -> Duration {
    Duration::try_from(at.duration_since(now)).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_grow_and_end() {
        let waits: Vec<u64> = (0..10).map(|failures| backoff(failures).as_secs()).collect();
        assert_eq!(waits, [2, 4, 8, 16, 32, 64, 128, 256, 300, 300]);
        let begun = Timestamp::UNIX_EPOCH;
        assert_eq!(attempt_wait(1, begun, begun, false), None);
        assert_eq!(attempt_wait(1, begun, begun, true), Some(Duration::from_secs(60)));
        assert_eq!(
            attempt_wait(5, begun, after(begun, Duration::from_secs(1700)), false),
            Some(Duration::from_secs(100))
        );
        assert_eq!(attempt_wait(5, begun, after(begun, Duration::from_secs(1800)), false), None);
    }

    #[test]
    fn clock_set_back_does_not_lengthen_the_wait() {
        let begun = after(Timestamp::UNIX_EPOCH, Duration::from_secs(86_400 * 60));
        assert_eq!(attempt_wait(3, begun, Timestamp::UNIX_EPOCH, false), None);
    }

    #[test]
    fn no_sum_of_times_overflows() {
        assert_eq!(after(Timestamp::MAX, Duration::MAX), Timestamp::MAX);
        assert_eq!(until(Timestamp::MAX, Timestamp::MIN), Duration::ZERO);
    }
}
