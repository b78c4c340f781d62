//! Who may hold the old token: taken no earlier than the settle time after the write.

use std::{collections::BTreeSet, time::Duration};

use crate::{
    api::{RolloutMode, WorkloadRef, conditions::Reason},
    core::{
        guards::Guard,
        ledger::record::Snapshot,
        pods::{consumers::Consumers, pickup::missing_pods},
        ruling::Stop,
        seen::{observed::Observed, views::Resource},
        step::Decision,
    },
};

/// Pods are not watched for this; how long until they are counted again.
const FROZEN_WAKE: Duration = Duration::from_secs(10);

/// The snapshot of who may hold the old token, from a fresh list, no earlier than the settle time after the write.
///
/// # Errors
/// What is waited for, or asked, before it can be taken.
pub(in crate::core) fn settled_snapshot(
    observed: &Observed,
    resource: &Resource,
    sequence: i64,
) -> Result<Snapshot, Stop> {
    if let Some(left) = observed.unsettled() {
        let message = format!("rotation {sequence} is published; waiting until no pod can start with the old value");
        return Err(Decision::wait(left, Reason::Settling, message).into());
    }
    let consumers = observed.consumers()?;
    if let Some(workload) = missing_pods(consumers) {
        let message = format!("{workload} has pods and the API server lists none of them; waiting for a whole list");
        return Err(Decision::wait(Duration::from_secs(5), Reason::AwaitingPickup, message).into());
    }
    if let Some(decision) = was_immutable(observed, consumers) {
        return Err(decision.into());
    }
    let vanished = consumers.vanished().filter(|_| observed.guarded(Guard::SnapshotVanished));
    let holders = consumers.holders().chain(vanished).filter(|_| observed.guarded(Guard::Snapshot));
    Ok(Snapshot::of(holders, workloads(resource, consumers)))
}

/// A target that was immutable is in the caches of kubelets for as long as their pods use it, settle time or not: only when
/// nobody uses it does a pod that starts get the new value.
fn was_immutable(observed: &Observed, consumers: &Consumers) -> Option<Decision> {
    let (resource, record) = (observed.resource.as_ref()?, observed.record.as_ref()?);
    let pods = consumers.users().count();
    (record.ledger.was_immutable && pods > 0 && observed.guarded(Guard::Frozen)).then(|| {
        let message = format!(
            "Secret {} was immutable, so nodes go on handing out its old value while one of their pods uses it; scale every \
             workload that uses it to 0 and up again when this condition is gone ({pods} pods left)",
            resource.target.name
        );
        Decision::stall(FROZEN_WAKE, Reason::CannotPublish, message)
    })
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
