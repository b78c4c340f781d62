//! Restart the workloads, and wait until every pod that may hold the old token is gone.

use std::{collections::BTreeSet, time::Duration};

use crate::{
    api::{Blocker, WorkloadRef, conditions::Reason},
    core::{
        guards::Guard,
        ledger::record::{Current, Snapshot, Superseded},
        pods::pickup::{Judgement, judge},
        rules::{
            old_token::{
                grace::serve_grace,
                image_pull,
                overdue::{in_the_way, retry_stalled},
                rollout,
            },
            verifying::insufficient,
        },
        ruling::{Ruling, on_fault},
        seen::{
            observed::Observed,
            views::{Record, Resource},
        },
        stamp,
        step::{Decision, Pickup, Step},
        token::{Serial, Verification},
    },
};

/// A wait for pods is woken by a watch; this is how long it lasts if the watch says nothing.
pub(in crate::core) const PICKUP_WAKE: Duration = Duration::from_secs(30);

/// 9. and 10.: roll, wait until every pod of the snapshot is gone, then for the grace period.
pub(in crate::core) fn await_pickup(
    observed: &Observed,
    resource: &Resource,
    record: &Record,
    current: &Current,
    previous: &Superseded,
    snapshot: &Snapshot,
) -> Ruling {
    let consumers = observed.consumers()?;
    let serial = current.token.serial;
    let stamp = stamp::value(serial, previous.round);
    let nobody = Snapshot::default();
    let (counted, carried) = match observed.guarded(Guard::Pickup) {
        true => (snapshot, &previous.earlier_pods),
        false => (&nobody, &nobody.pods),
    };
    match judge(&counted.pods, &counted.crowd, carried, consumers, observed.settings.contact) {
        Judgement::Clear(proof) => {
            let missing = rollout::missing(resource, consumers);
            if !missing.is_empty() {
                return Ok(Some(unlisted(observed, resource, record, current, missing)));
            }
            match image_pull::under_way(observed, consumers, PICKUP_WAKE) {
                Some((wake, message, pickup)) => {
                    Ok(Some(awaiting(observed, resource, record, current, wake, message).with_pickup(pickup)))
                }
                None => serve_grace(observed, resource, record, current, previous, proof),
            }
        }
        Judgement::Held { remaining, mut blockers } => {
            let workloads = rollout::unstamped(observed, consumers, snapshot, &stamp);
            if !workloads.is_empty() {
                return roll(observed, serial, stamp, workloads, Pickup { remaining, blockers });
            }
            blockers.splice(0..0, rollout::obstacles(observed, resource, consumers, snapshot, &stamp));
            Ok(Some(
                held(observed, resource, record, current, previous, snapshot)
                    .with_pickup(Pickup { remaining, blockers }),
            ))
        }
    }
}

/// 9.: workloads are only rolled onto a token that works now.
fn roll(
    observed: &Observed,
    serial: Serial,
    stamp: String,
    workloads: BTreeSet<WorkloadRef>,
    pickup: Pickup,
) -> Ruling {
    let why = match observed.try_verification(serial)? {
        Ok(Verification::Works { .. }) => {
            let names: Vec<String> = workloads.iter().map(WorkloadRef::to_string).collect();
            let message = format!("restarting {}", names.join(", "));
            let step = Step::Stamp { workloads, serial, stamp };
            return Ok(Some(Decision::act(step, Reason::RollingOut, message).with_pickup(pickup)));
        }
        Err(fault) => return Ok(Some(on_fault(observed, fault).with_pickup(pickup))),
        Ok(Verification::Insufficient { missing }) => insufficient(missing),
        Ok(Verification::NotYet { why } | Verification::Dead { why } | Verification::Misread { why, .. }) => {
            why.clone()
        }
    };
    let message = format!("no workload is restarted because the new token does not work at the provider: {why}");
    Ok(Some(retry_stalled(observed, Reason::ProviderRefused, message).with_pickup(pickup)))
}

/// Waiting for pods.
fn held(
    observed: &Observed,
    resource: &Resource,
    record: &Record,
    current: &Current,
    previous: &Superseded,
    snapshot: &Snapshot,
) -> Decision {
    let total = snapshot.pods.union(&previous.earlier_pods).count() + snapshot.crowd.len();
    let message = format!("of {total} pods some may still hold the old token; see status.pickup.blockers");
    awaiting(observed, resource, record, current, PICKUP_WAKE, message)
}

fn awaiting(
    observed: &Observed,
    resource: &Resource,
    record: &Record,
    current: &Current,
    wake: Duration,
    message: String,
) -> Decision {
    let wait = in_the_way(observed, resource, record, current, wake, message);
    wait.unwrap_or_else(|(wake, message)| Decision::wait(wake, Reason::AwaitingPickup, message))
}

/// A listed workload that does not exist: its pods are counted by nobody, and a name that was misspelt is one of another
/// workload. So the old token is kept until the list is put right.
fn unlisted(
    observed: &Observed,
    resource: &Resource,
    record: &Record,
    current: &Current,
    missing: Vec<Blocker>,
) -> Decision {
    let names: Vec<&str> = missing.iter().map(|blocker| blocker.pod.as_str()).collect();
    let message = format!(
        "the old token is kept because spec.rollout.targets names {}, which does not exist; correct the name, create the \
         workload, or take it off the list",
        names.join(", ")
    );
    awaiting(observed, resource, record, current, PICKUP_WAKE, message).with_pickup(Pickup::held(missing))
}
