//! The pending token is tried until it works, then published; one that does not pass is fenced off and revoked.

use std::time::Duration;

use super::{
    census,
    decide::{STALLED_WAKE, on_fault},
    guards::Guard,
    life::{self, Life},
    observed::{Fault, Observed, Question, Record, Resource},
    record::{Failure, Ledger},
    revocable::Revocable,
    revoking::{ends, liveness_or_revoke},
    rotation::FOREIGN_INTENT,
    schedule,
    step::{Change, Decision, Ruling, Step},
    superseded::doubted,
    token::{Generation, Handle, Issued, Liveness, Verification},
    transition,
};
use crate::api::conditions::Reason;

/// How often a token that is not usable yet is tried.
const ACTIVATION_POLL: Duration = Duration::from_secs(2);

/// 5. and 6.: the pending token is tried until it works, then published.
///
/// It is published also when the spec has changed meanwhile: it may have been in the target already, so that a pod holds
/// it, and the change causes the next rotation anyway.
pub fn verify(observed: &Observed, resource: &Resource, record: &Record, pending: &Issued) -> Ruling {
    let generation = pending.generation;
    if !record.values.contains_key(&generation) {
        let message = "the value of the new token is missing in the record".to_owned();
        return refuse(observed, record, pending, Reason::ValueLost, message).map(Some);
    }
    let verification = match observed.verification(generation)? {
        Ok(verification) => verification,
        Err(fault) => return Ok(Some(on_fault(observed, fault))),
    };
    // It has ended the one before it: there is no better one until a person has looked.
    let only = pending.handle.is_in_place() && !is_asked(resource, record);
    Ok(Some(match verification {
        _ if !observed.guarded(Guard::VerifyFirst) => publish(resource, generation),
        Verification::Works { .. } => publish(resource, generation),
        Verification::Insufficient { missing } if only => {
            keep(observed, pending, Reason::PermissionsMissing, &insufficient(missing))
        }
        Verification::Dead { why } if only => keep(observed, pending, Reason::ProviderRefused, why),
        Verification::Misread { why, .. } if only => keep(observed, pending, Reason::RecipeWrong, why),
        Verification::NotYet { why } if only => keep(observed, pending, Reason::ProviderRefused, why),
        Verification::Insufficient { missing } => {
            refuse(observed, record, pending, Reason::PermissionsMissing, insufficient(missing))?
        }
        Verification::Dead { why } => {
            let message = format!("the new token is refused: {why}");
            refuse(observed, record, pending, Reason::ProviderRefused, message)?
        }
        Verification::NotYet { why } => not_yet(observed, record, pending, why)?,
        Verification::Misread { why, may_pass } => misread(observed, record, pending, why, *may_pass)?,
    }))
}

fn publish(resource: &Resource, generation: Generation) -> Decision {
    let message = format!("publishing the token of rotation {} in {}", generation.sequence, resource.target.name);
    Decision::act(Step::Publish { generation, repair: false }, Reason::Verifying, message)
}

/// Somebody asks for another token.
fn is_asked(resource: &Resource, record: &Record) -> bool {
    resource.rotate_now.is_some() && resource.rotate_now != record.ledger.rotate_now_seen
}

/// A token that has replaced the one before it is tried on and on.
fn keep(observed: &Observed, pending: &Issued, reason: Reason, why: &str) -> Decision {
    // What has the place is taken by the next attempt, so another one has to be there first.
    let first = if pending.handle == (Handle::Displaced {}) { "another one is made at the provider and " } else { "" };
    let message = format!(
        "the new token has replaced the old one at the provider and does not pass: {why}; it is tried again until it does, or until \
         {first}tokenturn.dev/rotate-now gets a new value"
    );
    let wake = schedule::backoff(observed.memory.failures);
    Decision { step: Step::Wait { wake: Some(wake), failed: true }, ..Decision::stall(wake, reason, message) }
}

/// What to do about a token that may do too little.
pub(super) fn insufficient(missing: &[String]) -> String {
    format!(
        "the token may not {}; grant it at the provider, or ask for less in spec.permissions",
        missing.join(", nor ")
    )
}

fn not_yet(observed: &Observed, record: &Record, pending: &Issued, why: &str) -> Result<Decision, Question> {
    let waited = known_for(observed, observed.memory.pending_since.filter(|(known, _)| *known == pending.generation));
    if waited < observed.delays.activation {
        let message = format!("the new token is not usable yet: {why}");
        return Ok(Decision::wait(ACTIVATION_POLL, Reason::Verifying, message));
    }
    let message = format!("the new token was still not usable after {} s: {why}", waited.as_secs());
    refuse(observed, record, pending, Reason::ProviderRefused, message)
}

/// What shows that the recipe is wrong, and not only that the provider takes its time, ends what was minted with it.
fn misread(
    observed: &Observed,
    record: &Record,
    pending: &Issued,
    why: &str,
    may_pass: bool,
) -> Result<Decision, Question> {
    // One that pods may hold has nothing to prove any more; see `has_to_prove`.
    if observed.memory.published == Some(pending.generation) {
        return Ok(Decision::stall(STALLED_WAKE, Reason::RecipeWrong, why));
    }
    let waited = known_for(observed, observed.memory.pending_since.filter(|(known, _)| *known == pending.generation));
    if may_pass && waited < observed.delays.activation {
        let message = format!("the new token works, and is not published yet: {why}");
        return Ok(Decision::wait(ACTIVATION_POLL, Reason::Verifying, message));
    }
    let message = format!("the new token is not published, because the recipe is wrong: {why}");
    // A list that does not find this one finds nothing of the attempts before it.
    let (reason, message) = match census::left_unfound(&record.ledger).filter(|_| may_pass) {
        Some(left) => (Reason::LeftBehind, format!("{message}; {left}")),
        None => (Reason::RecipeWrong, message),
    };
    let next = transition::misread(&record.ledger, Failure { reason, message: message.clone() });
    let step = Step::Save { ledger: Box::new(next), change: Change::Refused(pending.generation) };
    Ok(Decision::act(step, reason, message))
}

/// Whether a recipe has to show that it does what it says before this token is used: it is not known to be published,
/// so that it can still be refused, and it has ended no other.
#[must_use]
pub fn has_to_prove(observed: &Observed, generation: Generation) -> bool {
    let pending = observed.record.as_ref().and_then(|record| record.ledger.pending.as_ref());
    let is_pending = pending.is_some_and(|token| token.generation == generation && !token.handle.is_in_place());
    is_pending && observed.target_generation() != Some(generation) && observed.memory.published != Some(generation)
}

/// How long this process has known something.
fn known_for<T>(observed: &Observed, since: Option<(T, Duration)>) -> Duration {
    since.map_or(Duration::ZERO, |(_, since)| observed.uptime.saturating_sub(since))
}

/// The pending token does not pass. One that was in the target may be held by pods: it is not revoked, but waited for, unless
/// it is dead already; then the next sequence replaces it.
fn refuse(
    observed: &Observed,
    record: &Record,
    pending: &Issued,
    reason: Reason,
    message: String,
) -> Result<Decision, Question> {
    let generation = pending.generation;
    if observed.memory.published == Some(generation) && observed.guarded(Guard::KeepPublished) {
        let message = format!("the token that was published no longer passes: {message}");
        return Ok(match life::life(observed, generation)? {
            Ok(Life::Dead) => {
                let next = transition::replace_dead(&record.ledger, message.clone());
                let step = Step::Save { ledger: Box::new(next), change: Change::Died(generation) };
                Decision::act(step, Reason::ValueLost, message)
            }
            Ok(Life::Alive) => Decision::stall(STALLED_WAKE, reason, message),
            Ok(Life::Doubted(refusals)) => doubted(observed, pending, refusals),
            Err(fault) => on_fault(observed, fault),
        });
    }
    let next = transition::refuse(&record.ledger, reason, message.clone());
    let step = Step::Save { ledger: Box::new(next), change: Change::Refused(generation) };
    Ok(Decision::act(step, reason, message))
}

/// A refused token is revoked only after no replica can publish it any more: the fence changes the target's version, so
/// that a write which is based on an older read fails. Without a target there is nothing to fence, only time.
pub fn clear_refused(observed: &Observed, record: &Record, refused: &Issued) -> Ruling {
    let generation = refused.generation;
    let save = |ledger: Ledger, change: Change, message: &str| {
        Ok(Some(Decision::act(Step::Save { ledger: Box::new(ledger), change }, Reason::Verifying, message)))
    };
    match observed.ours() {
        // Nobody can publish what was never pending.
        _ if refused.flawed => {}
        Some(view) if view.generation == Some(generation) => {
            let message = "another replica had verified and published the token before it was refused";
            return save(transition::reinstate(&record.ledger), Change::Reinstated(generation), message);
        }
        Some(view) if view.fence != Some(generation.attempt) && observed.guarded(Guard::Fence) => {
            let message = "fencing off the refused token";
            return Ok(Some(Decision::act(Step::Fence { attempt: generation.attempt }, Reason::Verifying, message)));
        }
        Some(_) => {}
        None => {
            let known = known_for(observed, observed.memory.refused_since.filter(|(known, _)| *known == generation));
            let left = FOREIGN_INTENT.checked_sub(known);
            let left = left.filter(|left| !left.is_zero() && observed.guarded(Guard::Fence));
            if let Some(left) = left {
                let message = "waiting until no other replica can publish the refused token";
                return Ok(Some(Decision::wait(left, Reason::Verifying, message)));
            }
        }
    }
    if let Some(told) = unrevoked(observed, record, refused)? {
        return save(transition::leave_refused(&record.ledger, told.clone()), Change::RefusedLeft(generation), &told);
    }
    if !refused.handle.is_revocable() {
        let message = format!("the refused token {} cannot be revoked at its provider; {}", refused.id, ends(refused));
        return save(transition::drop_refused(&record.ledger), Change::LetGo(generation), &message);
    }
    let revocable = || Revocable::refused(&record.ledger, observed.target_generation());
    match liveness_or_revoke(observed, refused, false, revocable)? {
        // Why it was refused is what the user has to know meanwhile.
        Some(decision) => Ok(Some(match record.ledger.intent.as_ref().and_then(|intent| intent.failure.clone()) {
            Some(Failure { reason, message }) => Decision { reason, message, ..decision },
            None => decision,
        })),
        None => {
            save(transition::drop_refused(&record.ledger), Change::RefusedGone(generation), "the refused token is dead")
        }
    }
}

/// What is said of a token that showed that its recipe is wrong, where that recipe cannot revoke it either, or cannot
/// tell whether it did.
fn unrevoked(observed: &Observed, record: &Record, refused: &Issued) -> Result<Option<String>, Question> {
    let Some(intent) = record.ledger.intent.as_ref().filter(|intent| intent.misread.is_some()) else { return Ok(None) };
    let sent = observed.memory.revokes.get(&refused.generation).map(|taken| taken.first);
    let has_value = record.values.contains_key(&refused.generation);
    // A verify that accepts everything says so of a dead token too.
    let patience = observed.delays.propagation.saturating_mul(3).max(Duration::from_secs(30));
    let is_late = sent.is_some_and(|at| observed.uptime.saturating_sub(at) >= patience);
    let is_blind = || {
        let is_wrong = |fault: &Fault| !has_value || (is_late && fault.reason == Reason::InvalidSpec);
        Ok(observed.liveness(refused.generation)?.err().is_some_and(is_wrong))
    };
    let what = if !refused.handle.is_revocable() {
        "cannot be revoked by it"
    } else if sent.is_some() && is_blind()? {
        "was revoked, and nothing tells whether it is dead"
    } else if is_late && matches!(observed.liveness(refused.generation)?, Ok(Liveness::Alive)) {
        "was revoked, and verify accepts it still, which says nothing with this recipe"
    } else {
        return Ok(None);
    };
    let why = intent.failure.as_ref().map(|failure| failure.message.as_str()).unwrap_or_default();
    let id = match &refused.handle {
        Handle::Id { id } => format!(" (id {id})"),
        _ => String::new(),
    };
    let end = refused.expires_at.map(|at| format!(" and expires at {at}")).unwrap_or_default();
    let name = &refused.id;
    Ok(Some(format!("{why}; the token {name}{id} {what}{end}: look for it at the provider, and end it by hand")))
}
