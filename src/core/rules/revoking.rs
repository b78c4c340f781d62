//! Revoke and confirm: ask the provider to end a token, and verify it until it is refused.

use std::time::Duration;

use crate::{
    api::conditions::Reason,
    core::{
        guards::Guard,
        ledger::{record::Ledger, revocable::Revocable},
        report,
        rules::life::{self, Life},
        ruling::{Ruling, on_fault},
        schedule,
        seen::{answers::Question, memory::Revokes, observed::Observed, views::Record},
        step::{Decision, Step},
        timing::STALLED_WAKE,
        token::{Handle, Issued, Liveness},
    },
};

/// How soon a revoked token is looked at again at first.
const CONFIRM_POLL: Duration = Duration::from_secs(2);

/// After so long a revoke that was answered with success and changes nothing is for a person.
const INEFFECTIVE: Duration = Duration::from_secs(180);

/// Longest time between two revokes of a token that each change nothing.
const MOST_BETWEEN: Duration = Duration::from_secs(3600);

/// Revokes a token and verifies that it is refused; `None` when it is dead.
///
/// A token that a call can revoke is over only after that call: a provider that refuses it before may be wrong for a moment.
pub fn liveness_or_revoke(
    observed: &Observed,
    token: &Issued,
    published: bool,
    revocable: impl FnOnce() -> Option<Revocable>,
) -> Ruling {
    let serial = token.serial;
    if !is_revocable(observed, token) {
        return await_expiry(observed, token);
    }
    let taken = observed.memory.revokes.get(&serial).copied();
    if taken.is_some() && !observed.guarded(Guard::ConfirmDead) {
        return Ok(None);
    }
    let waited = taken.map(|taken| observed.uptime.saturating_sub(taken.last));
    let propagation = observed.delays.propagation;
    if let Some(left) = waited.and_then(|waited| propagation.checked_sub(waited)).filter(|left| !left.is_zero()) {
        let message = format!("{} was revoked; waiting until the provider refuses it", token.id);
        return Ok(Some(Decision::wait(left, Reason::Revoking, message)));
    }
    match observed.try_liveness(serial)? {
        // What cannot be judged is revoked all the same, once; then it can be.
        Err(fault) if taken.is_some() => return Ok(Some(on_fault(observed, fault))),
        Ok(Liveness::Gone) => return Ok(None),
        Ok(Liveness::Dead) if is_over(observed, token, taken)? => return Ok(None),
        Ok(liveness) => {
            if let Some(decision) = taken.and_then(|taken| still_there(observed, token, taken, liveness)) {
                return Ok(Some(decision));
            }
        }
        Err(_) => {}
    }
    let Some(revocable) = revocable() else {
        return Ok(Some(Decision::wait(CONFIRM_POLL, Reason::Revoking, "the token is in use again")));
    };
    let source = Box::new(token.source.clone());
    let step = Step::Revoke { token: revocable, source, values: Some(serial), published };
    Ok(Some(Decision::act(step, Reason::Revoking, format!("revoking {}", token.id))))
}

/// Whether a token that is refused is over: its revoke was taken, or it has expired, or the provider refuses the revoke and for
/// some minutes the token too.
fn is_over(observed: &Observed, token: &Issued, taken: Option<Revokes>) -> Result<bool, Question> {
    if taken.is_some() || has_expired(observed, token) || !observed.guarded(Guard::RevokeFirst) {
        return Ok(true);
    }
    let failed = observed.memory.revoke_failed == Some(token.serial);
    Ok(failed && life::try_life(observed, token.serial)? == Ok(Life::Dead))
}

fn has_expired(observed: &Observed, token: &Issued) -> bool {
    token.expires_at.is_some_and(|at| at <= observed.now)
}

/// The provider has taken the revoke of a token that is there still: it is looked at again, later each time; then it is revoked
/// again, later each time; and what lasts for minutes is for a person. `None` when it is time for the next revoke.
fn still_there(observed: &Observed, token: &Issued, taken: Revokes, liveness: Liveness) -> Option<Decision> {
    let (since_first, since_last) =
        (observed.uptime.saturating_sub(taken.first), observed.uptime.saturating_sub(taken.last));
    let patience = observed.delays.propagation.saturating_mul(3).max(Duration::from_secs(30));
    let pause = patience.saturating_mul(1 << taken.times.saturating_sub(1).min(8)).min(MOST_BETWEEN.max(patience));
    let left = pause.checked_sub(since_last).filter(|left| !left.is_zero())?;
    let poll = (since_first / 8).clamp(CONFIRM_POLL, STALLED_WAKE).min(left);
    let id = &token.id;
    let shown = match liveness {
        Liveness::StillListed => "the provider refuses it, but still lists it",
        Liveness::Ending => "it is gone from the list, but the provider still accepts it",
        Liveness::Alive | Liveness::Dead | Liveness::Gone => "the provider still accepts it",
    };
    if since_first < INEFFECTIVE.max(patience.saturating_mul(2)) {
        let message = format!("{id} was revoked; {shown}");
        return Some(Decision::wait(poll, Reason::Revoking, message));
    }
    let (times, since) = (taken.times, schedule::minute_before(observed.now, since_first));
    let message = format!(
        "{id} was revoked {times} times since about {since}, which the provider answered with success, and nothing has changed: {shown}; \
         look at revoke and verify in the provider object, and at create.id, or revoke the token at the provider by hand"
    );
    Some(Decision::stall(poll, Reason::RevokeWithoutEffect, message))
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
    previous.token.serial == token.serial && current.token.source.is_of_the_same_place(&token.source)
}

/// How often a token is tried that cannot be revoked, when its expiry is not known or has passed.
const EXPIRY_POLL: Duration = Duration::from_secs(600);

/// A token that nothing revokes is waited for; `None` when it is dead.
fn await_expiry(observed: &Observed, token: &Issued) -> Ruling {
    let doubt = match observed.try_liveness(token.serial)? {
        Ok(Liveness::Gone) => return Ok(None),
        Ok(Liveness::Dead) if has_expired(observed, token) || was_replaced(observed, token) => return Ok(None),
        _ => match life::try_life(observed, token.serial)? {
            Ok(Life::Dead) => return Ok(None),
            Ok(Life::Doubted(refusals)) if !refusals.is_listed => Some(refusals),
            Ok(Life::Doubted(_) | Life::Alive) | Err(_) => None,
        },
    };
    if let Some(refusals) = doubt {
        let message = life::describe(&token.id, refusals, observed);
        return Ok(Some(Decision::wait(life::LOOK_AGAIN, Reason::AwaitingExpiry, message)));
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

/// Whether the current token has ended this one at the provider, where there is one at a time.
fn was_replaced(observed: &Observed, token: &Issued) -> bool {
    token.handle == (Handle::Replaced {}) && is_displaced(observed, token)
}

/// When a token ends that nothing revokes.
pub fn ends(token: &Issued) -> String {
    match token.expires_at {
        None if token.handle.is_in_place() => {
            "only a new token ends it; revoke it at the provider by hand, or set spec.deletionPolicy: Orphan".to_owned()
        }
        Some(at) => format!("it ends by itself when it expires, at {at}"),
        None => "it ends by itself when it expires".to_owned(),
    }
}
