//! The target carries the new token: wait until no pod can start with the old value, then promote with the snapshot.

use std::{collections::BTreeSet, time::Duration};

use super::{
    consumers::Consumers,
    guards::Guard,
    life::{self, Life},
    observed::{Drift, Observed, Record, Resource, Target},
    pickup::missing_pods,
    record::Snapshot,
    ruling::{Ruling, STALLED_WAKE, Stop},
    schedule, stamp,
    step::{Change, Decision, Step},
    superseded::doubted,
    token::{Issued, Verification},
    transition,
    verifying::insufficient,
};
use crate::api::{RolloutMode, WorkloadRef, conditions::Reason};

/// Pods are not watched for this; how long until they are counted again.
const FROZEN_WAKE: Duration = Duration::from_secs(10);

/// Steps 7 and 8: the target carries the new token. After the settle time, every pod that exists may hold the old one and no
/// later pod can. Only a token that works now is promoted, because promotion rolls the workloads onto it.
pub fn settle(observed: &Observed, resource: &Resource, record: &Record, pending: &Issued) -> Ruling {
    let generation = pending.generation;
    let Some(values) = record.values.get(&generation) else {
        let message = "the value of the new token is missing in the record; restore the record from a backup, or delete \
                       this object with spec.deletionPolicy: Orphan and create it again";
        return Ok(Some(Decision::stall(STALLED_WAKE, Reason::ValueLost, message)));
    };
    let drift = match &observed.target {
        Target::Ours(view) => view.drift(&resource.target, generation, values),
        Target::Absent | Target::Adoptable | Target::Foreign(_) => Some(Drift::Values),
    };
    if matches!(drift, Some(Drift::Values | Drift::Missing)) {
        let step = Step::Publish { generation, repair: true };
        return Ok(Some(Decision::act(step, Reason::DriftRepaired, "the Secret was changed by somebody else")));
    }
    let surplus = match observed.verification(generation)? {
        Verification::Works { surplus, .. } => surplus.clone(),
        verification => return no_longer_works(observed, record, pending, verification),
    };
    let snapshot = match record.ledger.current {
        None => None,
        Some(_) => Some(settled_snapshot(observed, resource, generation.sequence)?),
    };
    let is_first = snapshot.is_none();
    let next = transition::promote(&record.ledger, surplus, snapshot, observed.now);
    let mut next = transition::note_unshown(next, &observed.answers.unshown);
    if !observed.guarded(Guard::KeepPresumedDead) {
        next.presumed_dead.clear();
    }
    let next = if is_first { next } else { stamp::renew(observed, next)? };
    let step = Step::Save { ledger: Box::new(next), change: Change::Promoted(generation) };
    Ok(Some(Decision::act(step, Reason::Published, format!("rotation {} is published", generation.sequence))))
}

/// A published token that does not work is not promoted. If it is dead, the next sequence replaces it at once; if it lives
/// but may do too little, a person has to look, because pods may hold it.
fn no_longer_works(observed: &Observed, record: &Record, pending: &Issued, found: &Verification) -> Ruling {
    let why = match found {
        Verification::Insufficient { missing } => insufficient(missing),
        Verification::NotYet { why } | Verification::Dead { why } | Verification::Misread { why, .. } => why.clone(),
        Verification::Works { .. } => return Ok(None),
    };
    let message = format!("the token that was just published no longer works: {why}");
    Ok(Some(match life::life(observed, pending.generation)? {
        Life::Doubted(refusals) => doubted(observed, pending, refusals),
        Life::Dead => {
            let next = transition::replace_dead(&record.ledger, message.clone());
            let change = Change::Died(pending.generation);
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

/// The snapshot of who may hold the old token, from a fresh list, no earlier than the settle time after the write.
///
/// # Errors
/// What is waited for, or asked, before it can be taken.
pub(super) fn settled_snapshot(observed: &Observed, resource: &Resource, sequence: i64) -> Result<Snapshot, Stop> {
    if let Some(left) = observed.unsettled() {
        let message = format!("rotation {sequence} is published; waiting until no pod can start with the old value");
        return Err(Decision::wait(left, Reason::Settling, message).into());
    }
    let consumers = observed.consumers()?;
    if let Some(workload) = missing_pods(consumers) {
        let message = format!("{workload} has pods and the API server lists none of them; waiting for a whole list");
        return Err(Decision::wait(Duration::from_secs(5), Reason::AwaitingPickup, message).into());
    }
    if let Some(decision) = frozen(observed, consumers) {
        return Err(decision.into());
    }
    let vanished = consumers.vanished().filter(|_| observed.guarded(Guard::SnapshotVanished));
    let holders = consumers.holders().chain(vanished).filter(|_| observed.guarded(Guard::Snapshot));
    Ok(Snapshot::of(holders, workloads(resource, consumers)))
}

/// A target that was immutable is in the caches of kubelets for as long as their pods use it, settle time or not: only when
/// nobody uses it does a pod that starts get the new value.
fn frozen(observed: &Observed, consumers: &Consumers) -> Option<Decision> {
    let (resource, record) = (observed.resource.as_ref()?, observed.record.as_ref()?);
    let pods = consumers.users().count();
    (record.ledger.frozen && pods > 0 && observed.guarded(Guard::Frozen)).then(|| {
        let message = format!(
            "Secret {} was immutable, so nodes go on handing out its old value while one of their pods uses it; scale every \
             workload that uses it to 0 and up again when this condition is gone ({pods} pods left)",
            resource.target.name
        );
        Decision::stall(FROZEN_WAKE, Reason::CannotPublish, message)
    })
}

/// Writes down that the target is immutable: whoever deletes it to mend that also deletes the only sign of it.
pub fn note_immutable(observed: &Observed) -> Ruling {
    let (Some(record), Some(view)) = (&observed.record, observed.ours()) else { return Ok(None) };
    if !view.immutable || record.ledger.frozen {
        return Ok(None);
    }
    let step = Step::Save { ledger: Box::new(transition::freeze(&record.ledger)), change: Change::Noted };
    Ok(Some(Decision::act(step, Reason::CannotPublish, "the Secret is immutable, noted that nodes keep its value")))
}

/// The workloads to restart.
fn workloads(resource: &Resource, consumers: &Consumers) -> BTreeSet<WorkloadRef> {
    match resource.rollout.mode {
        RolloutMode::None => BTreeSet::new(),
        RolloutMode::Listed => resource.rollout.targets.iter().cloned().collect(),
        RolloutMode::Auto => {
            consumers.workloads.iter().filter(|view| view.holds()).map(|view| view.workload.clone()).collect()
        }
    }
}
