//! The old token stands in the way of the next rotation.

use std::time::Duration;

use crate::{
    api::conditions::Reason,
    core::{
        ledger::{record::Current, trigger::Trigger},
        schedule,
        seen::{
            observed::Observed,
            views::{Record, Resource},
        },
        step::{Decision, Step},
    },
};

/// The old token stands in the way of the next rotation. When that is due it is said, and when the current token runs out
/// meanwhile a person has to act; `Err` gives back how long to wait and what to say.
///
/// The grace period is not cut short: by a clock that jumps ahead it would be cut for every token at once.
pub(in crate::core) fn in_the_way(
    observed: &Observed,
    resource: &Resource,
    record: &Record,
    current: &Current,
    wake: Duration,
    message: String,
) -> Result<Decision, (Duration, String)> {
    let Ok(plan) = &resource.plan else { return Err((wake, message)) };
    let until = |at| schedule::until(observed.now, at);
    let (next, _) = schedule::next(plan, current);
    // Looks again when something changes by itself: the next rotation is due, one of the tokens expires.
    let expiries = record.ledger.tokens().filter_map(|token| token.expires_at);
    let wake = expiries.chain([next]).map(until).filter(|left| !left.is_zero()).fold(wake, Duration::min);
    let Some(trigger) = schedule::due(observed, resource, plan, Some(&record.ledger)) else {
        return Err((wake, message));
    };
    let sequence = record.ledger.sequence + 1;
    let message =
        format!("{message}; rotation {sequence} ({trigger}) is due and begins after the old token is revoked");
    match current.token.expires_at {
        Some(expires) if trigger == Trigger::ExpiresSoon => {
            let message = format!(
                "the current token expires at {expires}. {message}: end those pods or shorten spec.gracePeriod"
            );
            Ok(Decision::stall(wake, Reason::ExpiresSoon, message))
        }
        _ => Err((wake, message)),
    }
}

/// Waiting for a person, looking again by itself.
pub(in crate::core) fn retry_stalled(observed: &Observed, reason: Reason, message: String) -> Decision {
    let wake = schedule::backoff(observed.memory.failures);
    Decision { step: Step::Wait { wake: Some(wake), failed: true }, ..Decision::stall(wake, reason, message) }
}
