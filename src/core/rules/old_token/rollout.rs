//! How the workloads that are to be restarted are doing: which still lack the stamp, and what holds the others up.

use std::{collections::BTreeSet, time::Duration};

use crate::{
    api::{Blocker, RolloutMode, WorkloadRef},
    core::{
        ledger::record::Snapshot,
        pods::consumers::{Consumers, WorkloadView},
        seen::{observed::Observed, views::Resource},
    },
};

/// How often a workload is stamped with one serial before somebody else is believed to take the stamp away.
const MAX_STAMPS: u32 = 2;

/// Listed workloads that do not exist.
pub(in crate::core) fn missing(resource: &Resource, consumers: &Consumers) -> Vec<Blocker> {
    if resource.rollout.mode != RolloutMode::Listed {
        return Vec::new();
    }
    let is_there = |workload: &&WorkloadRef| consumers.workloads.iter().any(|view| view.workload == **workload);
    let missing = resource.rollout.targets.iter().filter(|workload| !is_there(workload)).map(|workload| Blocker {
        pod: workload.to_string(),
        container: None,
        why: "does not exist; correct spec.rollout.targets if it names it".to_owned(),
        action_needed: true,
    });
    missing.collect()
}

/// Workloads of the snapshot whose template does not carry this serial and that may be stamped.
pub(in crate::core) fn unstamped(
    observed: &Observed,
    consumers: &Consumers,
    snapshot: &Snapshot,
    stamp: &str,
) -> BTreeSet<WorkloadRef> {
    let wanted = consumers.workloads.iter().filter(|_| !rests_from_rolling(observed, stamp)).filter(|view| {
        snapshot.workloads.contains(&view.workload)
            && view.stamp.as_deref() != Some(stamp)
            && stamps(observed, &view.workload, stamp) < MAX_STAMPS
    });
    wanted.map(|view| view.workload.clone()).collect()
}

/// After so many changes of the Secret by somebody else workloads are restarted only once in [`ROLL_PAUSE`].
const MANY_CHANGES: u32 = 3;

/// Time between two restarts of all workloads for drift that comes again.
const ROLL_PAUSE: Duration = Duration::from_secs(3600);

/// Whether workloads were restarted so often for this old token that they are left alone for a while. Its holders are waited for
/// all the same. What has begun with this stamp is ended.
fn rests_from_rolling(observed: &Observed, stamp: &str) -> bool {
    let memory = &observed.memory;
    let has_begun = memory.stamps.values().any(|(given, _)| given == stamp);
    let is_recent = memory.rolled.is_some_and(|at| observed.uptime.saturating_sub(at) < ROLL_PAUSE);
    memory.reopened >= MANY_CHANGES && is_recent && !has_begun
}

/// How often this process gave a workload a stamp.
fn stamps(observed: &Observed, workload: &WorkloadRef, stamp: &str) -> u32 {
    let stamps = observed.memory.stamps.get(workload);
    stamps.filter(|(given, _)| given == stamp).map_or(0, |(_, times)| *times)
}

/// Why workloads of the snapshot do not replace their pods.
pub(in crate::core) fn obstacles(
    observed: &Observed,
    resource: &Resource,
    consumers: &Consumers,
    snapshot: &Snapshot,
    stamp: &str,
) -> Vec<Blocker> {
    let missing = missing(resource, consumers);
    let rolled = consumers.workloads.iter().filter(|view| snapshot.workloads.contains(&view.workload));
    let held_up = |view: &WorkloadView, why: String| Blocker {
        pod: view.workload.to_string(),
        container: None,
        why,
        action_needed: true,
    };
    let stuck = rolled.filter_map(|view| {
        if view.stamp.as_deref() != Some(stamp) && rests_from_rolling(observed, stamp) {
            let why = "is not restarted again before an hour has passed: the value in the Secret was changed several times while the old \
                       token was waited for; find who writes the Secret, or restart it yourself";
            return Some(held_up(view, why.to_owned()));
        }
        let reverted = view.stamp.as_deref() != Some(stamp) && stamps(observed, &view.workload, stamp) >= MAX_STAMPS;
        let why = if reverted {
            "another client removes the operator's annotation from its pod template, so it is not restarted; let the tool that owns it \
                 ignore annotations under rotation.tokenturn.dev/, or restart it yourself"
                .to_owned()
        } else {
            view.obstacle.clone()?
        };
        Some(held_up(view, why))
    });
    missing.into_iter().chain(stuck).collect()
}
