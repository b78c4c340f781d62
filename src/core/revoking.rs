//! Revoke and confirm: ask the provider to end a token, and try it until it is refused.

use std::time::Duration;

use super::{
    decide::on_fault,
    guards::Guard,
    observed::{Observed, Record},
    record::Ledger,
    report,
    revocable::Revocable,
    schedule,
    step::{Decision, Ruling, Step},
    token::{Handle, Issued, Liveness},
};
use crate::api::conditions::Reason;

/// How often a revoked token is tried until it is refused.
const CONFIRM_POLL: Duration = Duration::from_secs(2);

/// Revokes a token and tries it until it is refused; `None` when it is dead.
pub fn liveness_or_revoke(
    observed: &Observed,
    token: &Issued,
    published: bool,
    revocable: impl FnOnce() -> Option<Revocable>,
) -> Ruling {
    let generation = token.generation;
    if !is_revocable(observed, token) {
        return await_expiry(observed, token);
    }
    let sent = observed.memory.revoke_sent.filter(|(sent, _)| *sent == generation).map(|(_, at)| at);
    if sent.is_some() && !observed.guarded(Guard::ConfirmDead) {
        return Ok(None);
    }
    let waited = sent.map(|at| observed.uptime.saturating_sub(at));
    let propagation = observed.delays.propagation;
    if let Some(left) = waited.and_then(|waited| propagation.checked_sub(waited)).filter(|left| !left.is_zero()) {
        let message = format!("{} was revoked; waiting until the provider refuses it", token.id);
        return Ok(Some(Decision::wait(left, Reason::Revoking, message)));
    }
    match observed.liveness(generation)? {
        // What cannot be judged is revoked all the same, once; then it can be.
        Err(fault) if sent.is_some() => Ok(Some(on_fault(observed, fault))),
        Ok(Liveness::Dead) => Ok(None),
        Err(_) | Ok(Liveness::Alive | Liveness::Ending) => {
            // Asked before and still accepted: look again for a while, then ask again.
            let patience = propagation.saturating_mul(3).max(Duration::from_secs(30));
            if waited.is_some_and(|waited| waited < patience) {
                let message = format!("{} was revoked and is still accepted", token.id);
                return Ok(Some(Decision::wait(CONFIRM_POLL, Reason::Revoking, message)));
            }
            let Some(revocable) = revocable() else {
                return Ok(Some(Decision::wait(CONFIRM_POLL, Reason::Revoking, "the token is in use again")));
            };
            let step = Step::Revoke {
                token: revocable,
                source: Box::new(token.source.clone()),
                values: Some(generation),
                published,
            };
            Ok(Some(Decision::act(step, Reason::Revoking, format!("revoking {}", token.id))))
        }
    }
}

/// Whether a call can revoke a token now.
pub fn is_revocable(observed: &Observed, token: &Issued) -> bool {
    token.handle.is_revocable() || (token.handle == (Handle::Displaced {}) && is_displaced(observed, token))
}

/// Whether the current token has taken the place of this one: one that was made elsewhere has displaced nothing here.
fn is_displaced(observed: &Observed, token: &Issued) -> bool {
    let Some(Record { ledger: Ledger { previous: Some(previous), current: Some(current), .. }, .. }) = &observed.record
    else {
        return false;
    };
    previous.token.generation == token.generation && current.token.source.is_of_the_same_place(&token.source)
}

/// How often a token is tried that cannot be revoked, when its expiry is not known or has passed.
const EXPIRY_POLL: Duration = Duration::from_secs(600);

/// A token that nothing revokes is waited for; `None` when it is dead.
fn await_expiry(observed: &Observed, token: &Issued) -> Ruling {
    if matches!(observed.liveness(token.generation)?, Ok(Liveness::Dead)) {
        return Ok(None);
    }
    let left = token.expires_at.map(|at| schedule::until(observed.now, at)).filter(|left| !left.is_zero());
    let left = left.unwrap_or(EXPIRY_POLL);
    // A provider that did not answer is asked again soon: nobody else would see before the expiry that it answers again.
    let unanswered = matches!(report::provider_health(observed), Some(Err(_)));
    let wake = if unanswered { left.min(schedule::backoff(observed.memory.failures)) } else { left };
    let message = format!("{} cannot be revoked at its provider; {}", token.id, ends(token));
    let step = Step::Wait { wake: Some(wake), failed: unanswered };
    Ok(Some(Decision::act(step, Reason::AwaitingExpiry, message)))
}

/// What is said of a token that went with its record.
#[must_use]
pub fn may_be_alive(token: &Issued) -> String {
    format!(
        "{} is known by nobody: no record and no list of the provider names it. No pod can hold it any more; if it is alive, revoke it at the \
         provider by hand",
        token.id
    )
}

/// When a token ends that nothing revokes.
pub fn ends(token: &Issued) -> String {
    match token.expires_at {
        None if token.handle.is_in_place() => {
            "only a token that replaces it ends it: end it at the provider by hand, or set spec.deletionPolicy: Orphan"
                .to_owned()
        }
        Some(at) => format!("it ends by itself when it expires, at {at}"),
        None => "it ends by itself when it expires".to_owned(),
    }
}
