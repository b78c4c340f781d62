//! What a fresh read showed of those who use the Secret: pods, their nodes, and the workloads that make them.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use serde::{Deserialize, Serialize};

use crate::{api::WorkloadRef, core::pods::usage::Usage};

/// A pod in the fresh list of the namespace.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PodView {
    pub pod: PodRef,
    /// Digest of the UID, for snapshots of very many pods.
    pub digest: String,
    /// Phase Succeeded or Failed, and the kubelet reported every container as terminated.
    pub finished: bool,
    /// Phase Succeeded or Failed, but containers were not all reported as terminated: the control plane gave the pod up, or
    /// its kubelet refused it or ended it before every container had started.
    pub unreported: Option<Unreported>,
    /// It has a deletion timestamp. Its process may run on for its whole grace period and use the token.
    pub terminating: bool,
    /// What starts a successor, kind and name, for example `ReplicaSet app-5d8f`; `None` for a bare pod.
    pub controller: Option<String>,
    /// It was made by a workload that can be restarted and whose template uses the Secret.
    pub rolled: bool,
    /// It names the Secret.
    pub uses: Option<Usage>,
    /// Its kubelet could not pull an image, and tries again.
    pub pull_fails: bool,
}

/// What the statuses of the containers say of a pod that ended without a whole report.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unreported {
    /// A container is still reported as running.
    Running,
    /// None is: they are missing, waiting, or terminated.
    Quiet,
}

/// The node of a pod.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NodeView {
    Ready,
    NotReady,
    /// An administrator asserts by taint that it is down.
    OutOfService,
    /// The Node object does not exist.
    Absent,
}

/// A workload of the namespace that can be restarted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WorkloadView {
    pub workload: WorkloadRef,
    /// How its pod template names the Secret.
    pub uses: Option<Usage>,
    /// Pods that it wants.
    pub wanted: i64,
    /// Pods that its controller says exist.
    pub running: i64,
    /// A fresh pod list showed pods of its selector.
    pub has_pods: bool,
    /// Value of our stamp on the pod template.
    pub stamp: Option<String>,
    /// Why a stamp would not replace its pods, for the user.
    pub obstacle: Option<String>,
}

/// What a fresh read of the namespace showed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Consumers {
    /// Every pod of the namespace that names the Secret, or is in a snapshot, or belongs to a listed workload.
    pub pods: BTreeMap<String, PodView>,
    /// Pods that were seen to vanish without a last report: deleted by force, they may run until their kubelet hears of it.
    pub vanished: BTreeMap<String, PodView>,
    /// The nodes of snapshot pods that are no longer listed, or ended without a whole report; [`ANY_NODE`] stands for all nodes of the cluster together.
    pub nodes: BTreeMap<String, NodeView>,
    pub workloads: Vec<WorkloadView>,
    /// UIDs whose deletion was seen with a last version in which every container was terminated.
    pub ended: BTreeSet<String>,
    /// For UIDs that are not listed, or ended without a whole report: how long their node has been in contact since.
    pub in_contact: BTreeMap<String, Duration>,
}

impl WorkloadView {
    /// A process of its pods gets the value of the Secret.
    #[must_use]
    pub fn holds(&self) -> bool {
        matches!(self.uses, Some(Usage::Held { .. }))
    }
}

impl Consumers {
    /// Pods that use the Secret in any way and are not finished.
    pub fn users(&self) -> impl Iterator<Item = &PodView> {
        self.pods.values().filter(|view| view.uses.is_some() && !view.finished)
    }

    /// Who may hold what the Secret contained so far.
    pub fn holders(&self) -> impl Iterator<Item = &PodView> {
        self.users().filter(|view| view.uses != Some(Usage::Pull))
    }

    /// Pods whose images are pulled with the Secret, and which do not hold it.
    pub fn pulling(&self) -> impl Iterator<Item = &PodView> {
        self.users().filter(|view| view.uses == Some(Usage::Pull))
    }

    /// Pods that use the Secret and are not listed any more, but may still run.
    pub fn vanished(&self) -> impl Iterator<Item = &PodView> {
        self.vanished.values().filter(|view| matches!(view.uses, Some(Usage::Held { .. })))
    }
}

/// Where a pod may have run of which only is known that it had no node when it was noted.
pub const ANY_NODE: &str = "*";

/// Stands for all pods of a crowd in [`Consumers::in_contact`].
pub const CROWD: &str = "crowd";

/// One pod of a snapshot.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PodRef {
    pub uid: String,
    pub name: String,
    /// The node it was bound to; absent if it had none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub node: Option<String>,
    /// Its terminationGracePeriodSeconds: how long a kubelet that finds it gone lets its containers run on.
    #[serde(default)]
    pub grace_seconds: i64,
}
