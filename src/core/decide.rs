//! What to do next: rules in order, each a function of what was observed. The first that applies decides.
//!
//! | rule | applies when |
//! | --- | --- |
//! | [`retire::leave`] | the object is being deleted or is gone |
//! | [`claim`] | the object does not carry our finalizer |
//! | [`foreign_target`] | the Secret belongs to somebody else |
//! | [`readopt::lost_record`] | there is no record, but a target of ours |
//! | [`superseded::finish`] | an old token is not yet dead |
//! | [`rotation::resume`] | a rotation has begun and is not promoted |
//! | [`repair_drift`] | the target is not what the record says |
//! | [`begin`] | a rotation is due |
//! | [`renew_record`] | somebody marked the record for deletion |
//! | [`rest`] | otherwise |
//!
//! Everything irreversible is guarded by live reads of this pass, and the record is written (compare-and-swap) before the
//! act that it announces.

use std::time::Duration;

use super::observed::{Drift, Fault, Observed, Question, Target};
use super::step::{Change, Decision, Phase, Ruling, Step};
use super::{readopt, retire, rotation, schedule, superseded, transition};
use crate::api::conditions::Reason;

/// How long an object that waits for a person sleeps before it looks again by itself.
pub(super) const STALLED_WAKE: Duration = Duration::from_secs(300);

type Rule = fn(&Observed) -> Ruling;

const RULES: [Rule; 10] = [
    retire::leave,
    claim,
    foreign_target,
    readopt::lost_record,
    superseded::finish,
    rotation::resume,
    repair_drift,
    begin,
    renew_record,
    rest,
];

/// Decides one step, or asks what has to be looked up before it can.
///
/// # Errors
/// The question; answer it in [`Observed::answers`] and decide again.
pub fn decide(observed: &Observed) -> Result<Decision, Question> {
    for rule in RULES {
        if let Some(decision) = rule(observed)? {
            return Ok(decision);
        }
    }
    Ok(Decision::wait(STALLED_WAKE, Reason::InternalError, "no rule applies"))
}

/// The object must not vanish while a token of it is alive.
fn claim(observed: &Observed) -> Ruling {
    let missing = observed.resource.as_ref().is_some_and(|resource| !resource.finalizer);
    Ok(missing.then(|| Decision::act(Step::AddFinalizer, Reason::Minting, "claiming the object")))
}

/// A Secret that somebody else made is never written, and nothing is minted or revoked while it is in the way.
fn foreign_target(observed: &Observed) -> Ruling {
    let (Some(resource), Target::Foreign(whose)) = (&observed.resource, &observed.target) else { return Ok(None) };
    let Observed { owner, .. } = observed;
    let message = format!(
        "Secret {}/{} exists and {whose}; delete it, choose another spec.secret.name, or hand it over with the annotation \
         tokenturn.dev/adopt={}",
        owner.namespace, resource.target.name, owner.name
    );
    Ok(Some(Decision::stall(STALLED_WAKE, Reason::ForeignSecret, message)))
}

/// At rest the target is what the record says; drift is repaired from the record and never mints.
fn repair_drift(observed: &Observed) -> Ruling {
    let (Some(resource), Some(record)) = (&observed.resource, &observed.record) else { return Ok(None) };
    let Some(current) = &record.ledger.current else { return Ok(None) };
    let generation = current.token.generation;
    let Some(values) = record.values.get(&generation) else { return Ok(None) };
    let drifted = match &observed.target {
        Target::Ours(view) => view.drift(&resource.target, generation, values),
        Target::Absent | Target::Adoptable => Some(Drift::Values),
        Target::Foreign(_) => None,
    };
    Ok(drifted.map(|_| {
        let message = format!(
            "Secret {} was changed or deleted by somebody else; restored from the record",
            resource.target.name
        );
        Decision::act(Step::Publish { generation, repair: true }, Reason::DriftRepaired, message)
    }))
}

/// A rotation begins only when nothing of the last one is left, when it is due, and when it could be published.
fn begin(observed: &Observed) -> Ruling {
    let Some(resource) = &observed.resource else { return Ok(None) };
    let ledger = observed.record.as_ref().map(|record| &record.ledger);
    let plan = match &resource.plan {
        Ok(plan) => plan,
        Err(trouble) => return Ok(Some(Decision::stall(STALLED_WAKE, trouble.reason, trouble.message.clone()))),
    };
    let Some(reason) = schedule::due(observed, resource, plan, ledger) else { return Ok(None) };
    if resource.suspend {
        let message = format!("a rotation is due ({reason}) but spec.suspend is set");
        return Ok(Some(Decision { phase: Phase::AtRest, ..Decision::wait(STALLED_WAKE, Reason::Suspended, message) }));
    }
    if let Err(fault) = observed.preflight()? {
        return Ok(Some(on_fault(observed, fault)));
    }
    let fresh = transition::empty(&observed.owner, &resource.target.name, resource.deletion_policy);
    let next = transition::intend(ledger.unwrap_or(&fresh), resource, plan, reason, None, observed.now);
    Ok(Some(intended(next, reason)))
}

/// The decision to write an intent.
pub(super) fn intended(next: super::record::Ledger, reason: Reason) -> Decision {
    let Some(generation) = next.intent.as_ref().map(|intent| intent.generation) else {
        return Decision::wait(STALLED_WAKE, Reason::InternalError, "an intent without a generation");
    };
    let message = format!("rotation {} begins ({reason})", generation.sequence);
    let step = Step::Save { ledger: Box::new(next), change: Change::Intended(generation) };
    Decision::act(step, Reason::Minting, message)
}

/// A deletion mark cannot be taken off. At rest the target holds the one live token, so the record is let go and made anew
/// from the target and the provider.
fn renew_record(observed: &Observed) -> Ruling {
    let marked = observed.record.as_ref().is_some_and(|record| record.deleting);
    let message = "somebody deleted the record of this object; making it anew from the Secret";
    Ok(marked.then(|| Decision::act(Step::DropRecord, Reason::RecordDeleted, message)))
}

/// Nothing to do until the next rotation.
fn rest(observed: &Observed) -> Ruling {
    let (Some(resource), Some(record)) = (&observed.resource, &observed.record) else { return Ok(None) };
    let (Ok(plan), Some(current)) = (&resource.plan, &record.ledger.current) else { return Ok(None) };
    let (at, _) = schedule::next(plan, current);
    let sequence = record.ledger.sequence;
    let (reason, message) = if resource.suspend {
        (Reason::Suspended, format!("rotation {sequence} is published; spec.suspend holds back the next one"))
    } else {
        (Reason::Rotated, format!("rotation {sequence} is published and no older token is alive"))
    };
    let step = Step::Wait { wake: Some(schedule::until(observed.now, at)), failed: false };
    Ok(Some(Decision { phase: Phase::AtRest, ..Decision::act(step, reason, message) }))
}

/// Waiting after a look that failed: longer each time, and at once long if a person has to act.
#[must_use]
pub fn on_fault(observed: &Observed, fault: &Fault) -> Decision {
    let backoff = schedule::backoff(observed.memory.failures);
    let wake = if fault.needs_person { backoff.max(Duration::from_secs(10)) } else { backoff };
    Decision {
        step: Step::Wait { wake: Some(fault.retry_after.unwrap_or(wake)), failed: true },
        phase: if fault.needs_person { Phase::Stalled } else { Phase::Progressing },
        reason: fault.reason,
        message: fault.message.clone(),
        pickup: None,
    }
}
