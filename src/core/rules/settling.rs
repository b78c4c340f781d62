//! The target carries the new token: wait until no pod can start with the old value, then promote with the snapshot.

use crate::{
    api::conditions::Reason,
    core::{
        guards::Guard,
        rules::{
            life::{self, Life, doubted},
            snapshot::settled_snapshot,
            verifying::insufficient,
        },
        ruling::Ruling,
        schedule,
        seen::{
            observed::Observed,
            views::{Drift, Record, Resource, Target},
        },
        stamp,
        step::{Change, Decision, Step},
        timing::STALLED_WAKE,
        token::{Issued, Verification},
        transition,
    },
};

/// Steps 7 and 8: the target carries the new token. After the settle time, every pod that exists may hold the old one and no
/// later pod can. Only a token that works now is promoted, because promotion rolls the workloads onto it.
pub fn settle(observed: &Observed, resource: &Resource, record: &Record, pending: &Issued) -> Ruling {
    let serial = pending.serial;
    let Some(values) = record.values.get(&serial) else {
        let message = "the value of the new token is missing in the record; restore the record from a backup, or delete \
                       this object with spec.deletionPolicy: Orphan and create it again";
        return Ok(Some(Decision::stall(STALLED_WAKE, Reason::ValueLost, message)));
    };
    let drift = match &observed.target {
        Target::Ours(view) => view.drift(&resource.target, serial, values),
        Target::Absent | Target::Adoptable | Target::Foreign(_) => Some(Drift::Values),
    };
    if matches!(drift, Some(Drift::Values | Drift::Missing)) {
        let step = Step::Publish { serial, repair: true };
        return Ok(Some(Decision::act(step, Reason::DriftRepaired, "another client changed the Secret")));
    }
    let surplus = match observed.verification(serial)? {
        Verification::Works { surplus, .. } => surplus.clone(),
        verification => return no_longer_works(observed, record, pending, verification),
    };
    let snapshot = match record.ledger.current {
        None => None,
        Some(_) => Some(settled_snapshot(observed, resource, serial.sequence)?),
    };
    let is_first = snapshot.is_none();
    let next = transition::promote(&record.ledger, surplus, snapshot, observed.now);
    let mut next = transition::note_unshown(next, &observed.answers.unshown);
    if !observed.guarded(Guard::KeepPresumedDead) {
        next.presumed_dead.clear();
    }
    let next = if is_first { next } else { stamp::renew(observed, next)? };
    let step = Step::Save { ledger: Box::new(next), change: Change::Promoted(serial) };
    Ok(Some(Decision::act(step, Reason::Published, format!("rotation {} is published", serial.sequence))))
}

/// A published token that does not work is not promoted. If it is dead, the next sequence replaces it at once; if it lives
/// but may do too little, a user has to act, because pods may hold it.
fn no_longer_works(observed: &Observed, record: &Record, pending: &Issued, found: &Verification) -> Ruling {
    let why = match found {
        Verification::Insufficient { missing } => insufficient(missing),
        Verification::NotYet { why } | Verification::Dead { why } | Verification::Misread { why, .. } => why.clone(),
        Verification::Works { .. } => return Ok(None),
    };
    let message = format!("the token that was just published no longer works: {why}");
    Ok(Some(match life::life(observed, pending.serial)? {
        Life::Doubted(refusals) => doubted(observed, pending, refusals),
        Life::Dead => {
            let next = transition::replace_dead(&record.ledger, message.clone());
            let change = Change::Died(pending.serial);
            Decision::act(Step::Save { ledger: Box::new(next), change }, Reason::ValueLost, message)
        }
        Life::Alive => {
            let wake = schedule::backoff(observed.memory.failures);
            Decision {
                step: Step::Wait { wake: Some(wake), failed: true },
                ..Decision::stall(wake, Reason::PermissionsMissing, message)
            }
        }
    }))
}

/// Writes down that the target is immutable: whoever deletes it to mend that also deletes the only sign of it.
pub fn note_immutable(observed: &Observed) -> Ruling {
    let (Some(record), Some(view)) = (&observed.record, observed.ours()) else { return Ok(None) };
    if !view.immutable || record.ledger.was_immutable {
        return Ok(None);
    }
    let step = Step::Save { ledger: Box::new(transition::freeze(&record.ledger)), change: Change::Noted };
    Ok(Some(Decision::act(step, Reason::CannotPublish, "the Secret is immutable; recorded that nodes keep its value")))
}
