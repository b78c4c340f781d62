//! The pending token is verified until it works, then published; one that does not pass is refused.

use std::time::Duration;

use crate::{
    api::conditions::Reason,
    core::{
        guards::Guard,
        ledger::{census, failure::Failure},
        rules::life::{self, Life, doubted},
        ruling::{Ruling, Stop},
        schedule,
        seen::{
            observed::Observed,
            views::{Record, Resource},
        },
        step::{Change, Decision, Step},
        timing::STALLED_WAKE,
        token::{Handle, Issued, Serial, Verification},
        transition,
    },
};

/// How often a token that is not usable yet is tried.
const ACTIVATION_POLL: Duration = Duration::from_secs(2);

/// 5. and 6.: the pending token is tried until it works, then published.
///
/// It is published also when the spec has changed meanwhile: it may have been in the target already, so that a pod holds
/// it, and the change causes the next rotation anyway.
pub fn verify(observed: &Observed, resource: &Resource, record: &Record, pending: &Issued) -> Ruling {
    let serial = pending.serial;
    if !record.values.contains_key(&serial) {
        let message = "the value of the new token is missing in the record".to_owned();
        return refuse(observed, record, pending, Reason::ValueLost, message).map(Some);
    }
    let verification = observed.verification(serial)?;
    // It has ended the one before it: there is no better one until a person has looked.
    let only = pending.handle.is_in_place() && !is_asked(resource, record);
    Ok(Some(match verification {
        _ if !observed.guarded(Guard::VerifyFirst) => publish(resource, serial),
        Verification::Works { .. } => publish(resource, serial),
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

fn publish(resource: &Resource, serial: Serial) -> Decision {
    let message = format!("publishing the token of rotation {} in {}", serial.sequence, resource.target.name);
    Decision::act(Step::Publish { serial, repair: false }, Reason::Verifying, message)
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
        "the new token has replaced the old one at the provider and does not pass: {why}; it is verified again until it does, or until \
         {first}tokenturn.dev/rotate-now gets a new value"
    );
    let wake = schedule::backoff(observed.memory.failures);
    Decision { step: Step::Wait { wake: Some(wake), failed: true }, ..Decision::stall(wake, reason, message) }
}

/// What to do about a token that may do too little.
pub(in crate::core) fn insufficient(missing: &[String]) -> String {
    format!(
        "the token may not {}; grant it at the provider, or remove it from spec.permissions",
        missing.join(", nor ")
    )
}

fn not_yet(observed: &Observed, record: &Record, pending: &Issued, why: &str) -> Result<Decision, Stop> {
    let waited = known_for(observed, observed.memory.pending_since.filter(|(known, _)| *known == pending.serial));
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
) -> Result<Decision, Stop> {
    // One that pods may hold has nothing to prove any more; see `has_to_prove`.
    if observed.memory.published == Some(pending.serial) {
        return Ok(Decision::stall(STALLED_WAKE, Reason::RecipeWrong, why));
    }
    let waited = known_for(observed, observed.memory.pending_since.filter(|(known, _)| *known == pending.serial));
    if may_pass && waited < observed.delays.activation {
        let message = format!("the new token works, and is not published yet: {why}");
        return Ok(Decision::wait(ACTIVATION_POLL, Reason::Verifying, message));
    }
    let message = format!("the new token is not published, because the recipe is wrong: {why}");
    // A list that does not find this one finds nothing of the attempts before it.
    let failure = match census::left_unfound(&record.ledger).filter(|_| may_pass) {
        Some(left) => Failure::reported(format!("{message}; {left}")),
        None => Failure::nothing_open(Reason::RecipeWrong, message),
    };
    let Failure { reason, message, .. } = failure.clone();
    let next = transition::misread(&record.ledger, failure);
    let step = Step::Save { ledger: Box::new(next), change: Change::Refused(pending.serial) };
    Ok(Decision::act(step, reason, message))
}

/// Whether a recipe has to show that it does what it says before this token is used: it is not known to be published,
/// so that it can still be refused, and it has ended no other.
#[must_use]
pub fn has_to_prove(observed: &Observed, serial: Serial) -> bool {
    let pending = observed.record.as_ref().and_then(|record| record.ledger.pending.as_ref());
    let is_pending = pending.is_some_and(|token| token.serial == serial && !token.handle.is_in_place());
    is_pending && observed.target_serial() != Some(serial) && observed.memory.published != Some(serial)
}

/// How long this process has known something.
pub(in crate::core) fn known_for<T>(observed: &Observed, since: Option<(T, Duration)>) -> Duration {
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
) -> Result<Decision, Stop> {
    let serial = pending.serial;
    if observed.memory.published == Some(serial) && observed.guarded(Guard::KeepPublished) {
        let message = format!("the published token fails verification: {message}");
        return Ok(match life::life(observed, serial)? {
            Life::Dead => {
                let next = transition::replace_dead(&record.ledger, message.clone());
                let step = Step::Save { ledger: Box::new(next), change: Change::Died(serial) };
                Decision::act(step, Reason::ValueLost, message)
            }
            Life::Alive => Decision::stall(STALLED_WAKE, reason, message),
            Life::Doubted(refusals) => doubted(observed, pending, refusals),
        });
    }
    let next = transition::refuse(&record.ledger, Failure::nothing_made(reason, message.clone()));
    let step = Step::Save { ledger: Box::new(next), change: Change::Refused(serial) };
    Ok(Decision::act(step, reason, message))
}
