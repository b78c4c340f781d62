//! When is no container left that can hold the old token?
//!
//! A wrong *yes* is an outage, a wrong *no* only delays a revoke, so everything that is not known counts as *no*. The pod
//! is the unit, by UID. "Not in the list" alone is not gone: a force-deleted pod of a node that is out of contact goes on
//! running. Only [`judge`] makes a [`PickupProof`], and without one no superseded token is revoked.

use std::{collections::BTreeSet, time::Duration};

use serde::{Deserialize, Serialize};

use crate::{
    api::{Blocker, WorkloadRef},
    core::{
        pods::consumers::{ANY_NODE, CROWD, Consumers, NodeView, PodRef, PodView, Unreported},
        pods::usage::Usage,
    },
};

/// Seconds that a kubelet may let containers of a crowd run on; their own grace periods are not noted.
const CROWD_GRACE: i64 = 3600;

/// Why nobody can hold the old token any more: how the pods of the snapshot were found to be gone.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Evidence {
    /// Pods of the snapshot.
    pub pods: i64,
    /// Every container was reported as terminated.
    pub finished: i64,
    /// Bound to no node when they were noted after the settle time, or when they ended.
    pub never_started: i64,
    /// Removed, or ended without a whole report, and the kubelet of the node was in contact for long enough since.
    pub kubelet_in_contact: i64,
    /// The Node object is gone or marked out of service.
    pub node_gone: i64,
    /// Seconds of grace that were served after the proof.
    pub grace_served: i64,
}

/// Proof that no container can hold the old token, and since when (monotonic time of this process).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PickupProof {
    evidence: Evidence,
}

impl PickupProof {
    /// The proof, if the grace period has been served since it held.
    ///
    /// # Errors
    /// The time that is still to be waited.
    pub fn after_grace(mut self, served: Duration, grace: Duration) -> Result<Self, Duration> {
        match grace.checked_sub(served) {
            Some(left) if !left.is_zero() => Err(left),
            _ => {
                self.evidence.grace_served = i64::try_from(served.as_secs()).unwrap_or(i64::MAX);
                Ok(self)
            }
        }
    }

    pub(in crate::core) fn into_evidence(self) -> Evidence {
        self.evidence
    }
}

/// The answer to the question of this module.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Judgement {
    /// These may hold the old token.
    Held {
        remaining: i64,
        blockers: Vec<Blocker>,
    },
    Clear(PickupProof),
}

/// How one pod of the snapshot was found to be gone.
enum Gone {
    Finished,
    NeverStarted,
    KubeletInContact,
    NoNode,
}

/// Judges whether every pod of two sets is gone. Those of `settled` were noted after the settle time: one that had no node
/// then started later, with the new value. Of those of `early` nothing of the kind is known. `contact` is how long a
/// kubelet must have been in contact to believe that it noticed that a pod is gone. Of a `crowd`, known by digests of UIDs,
/// nothing else is known: no listed pod may be of it, and every node must have been in contact since.
#[must_use]
pub fn judge(
    settled: &BTreeSet<PodRef>,
    crowd: &BTreeSet<String>,
    early: &BTreeSet<PodRef>,
    consumers: &Consumers,
    contact: Duration,
) -> Judgement {
    let mut evidence = Evidence { pods: count(settled.union(early).count() + crowd.len()), ..Evidence::default() };
    let mut blockers = Vec::new();
    match judge_crowd(crowd, consumers, contact) {
        Ok(()) => evidence.kubelet_in_contact += count(crowd.len()),
        Err(held) => blockers.extend(held),
    }
    let early = early.difference(settled).map(|pod| (pod, false));
    for (pod, is_settled) in settled.iter().map(|pod| (pod, true)).chain(early) {
        match judge_pod(pod, is_settled, consumers, contact) {
            Ok(Gone::Finished) => evidence.finished += 1,
            Ok(Gone::NeverStarted) => evidence.never_started += 1,
            Ok(Gone::KubeletInContact) => evidence.kubelet_in_contact += 1,
            Ok(Gone::NoNode) => evidence.node_gone += 1,
            Err(blocker) => blockers.push(blocker),
        }
    }
    if blockers.is_empty() {
        Judgement::Clear(PickupProof { evidence })
    } else {
        blockers.sort();
        Judgement::Held { remaining: count(blockers.len()), blockers }
    }
}

fn judge_crowd(crowd: &BTreeSet<String>, consumers: &Consumers, contact: Duration) -> Result<(), Vec<Blocker>> {
    if crowd.is_empty() {
        return Ok(());
    }
    let listed: Vec<Blocker> = members(crowd, consumers).map(blocker_of).collect();
    if !listed.is_empty() {
        return Err(listed);
    }
    let name = format!("{} further pods", crowd.len());
    let nobody = PodRef { uid: CROWD.to_owned(), name, node: None, grace_seconds: CROWD_GRACE };
    judge_silent(&nobody, false, "deleted without a last report", consumers, contact)
        .map(drop)
        .map_err(|blocker| vec![blocker])
}

/// Listed pods that may hold the old token by their digest.
pub fn members<'a>(crowd: &'a BTreeSet<String>, consumers: &'a Consumers) -> impl Iterator<Item = &'a PodView> {
    let running = consumers.pods.values().filter(|view| !view.finished && !consumers.ended.contains(&view.pod.uid));
    running.filter(|view| crowd.contains(&view.digest))
}

/// | noted | now | gone |
/// | --- | --- | --- |
/// | any | every container was reported as terminated | yes |
/// | after the settle time, without a node | any | yes: a kubelet that starts it learned of it later, so it reads the new value |
/// | any | listed, ended without a node | yes: no kubelet was ever given it |
/// | any | listed, ended, no container reported as running | as one that is not listed: its kubelet, once in contact, ends it |
/// | any | listed, ended, a container reported as running | no: the control plane gave it up, nobody saw it end |
/// | any | listed, anything else | no |
/// | any | not listed | [`judge_silent`] |
fn judge_pod(pod: &PodRef, is_settled: bool, consumers: &Consumers, contact: Duration) -> Result<Gone, Blocker> {
    if consumers.ended.contains(&pod.uid) {
        return Ok(Gone::Finished);
    }
    match consumers.pods.get(&pod.uid) {
        Some(view) if view.finished => Ok(Gone::Finished),
        _ if is_settled && pod.node.is_none() => Ok(Gone::NeverStarted),
        Some(view) if view.unreported.is_some() && view.pod.node.is_none() => Ok(Gone::NeverStarted),
        Some(view) if view.unreported == Some(Unreported::Quiet) => {
            judge_silent(&view.pod, is_settled, "ended without a report of all its containers", consumers, contact)
        }
        Some(view) => Err(blocker_of(view)),
        None => judge_silent(pod, is_settled, "deleted without a last report", consumers, contact),
    }
}

/// A pod that ended, or that the API server no longer has, and whose kubelet did not say how its containers ended: they may
/// run on if the kubelet does not know.
///
/// A kubelet that finds a pod gone, or marked as ended by somebody else, ends its containers with the pod's whole grace
/// period, also after a forced deletion.
fn judge_silent(
    pod: &PodRef,
    is_settled: bool,
    how: &str,
    consumers: &Consumers,
    contact: Duration,
) -> Result<Gone, Blocker> {
    let blocker =
        |why: String, action_needed: bool| Err(Blocker { pod: pod.name.clone(), container: None, why, action_needed });
    let node = match &pod.node {
        // It started, if ever, after the settle time: with the new value.
        None if is_settled => return Ok(Gone::NeverStarted),
        None => ANY_NODE,
        Some(node) => node,
    };
    let contact = contact.saturating_add(Duration::from_secs(u64::try_from(pod.grace_seconds).unwrap_or(0)));
    match consumers.nodes.get(node) {
        Some(NodeView::Absent | NodeView::OutOfService) => Ok(Gone::NoNode),
        Some(NodeView::Ready) => {
            if consumers.in_contact.get(&pod.uid).is_some_and(|since| *since >= contact) {
                return Ok(Gone::KubeletInContact);
            }
            blocker(format!("{how}; waiting until node {node} has been in contact for {} s", contact.as_secs()), false)
        }
        Some(NodeView::NotReady) | None => {
            let why = format!(
                "{how} while node {node} is out of contact, so its containers may still run; bring the node back, delete the \
                 Node object, or taint it node.kubernetes.io/out-of-service"
            );
            blocker(why, true)
        }
    }
}

/// Why a listed pod may still hold the old token, and what would change that.
fn blocker_of(view: &PodView) -> Blocker {
    let (why, action_needed) = why_held(view);
    let container = match &view.uses {
        Some(Usage::Held { container }) => container.clone(),
        Some(Usage::Pull) | None => None,
    };
    Blocker { pod: view.pod.name.clone(), container, why, action_needed }
}

/// The same in words, and whether it lasts until someone acts.
fn why_held(view: &PodView) -> (String, bool) {
    if view.terminating {
        return ("terminating; its containers can use the old token until they end".to_owned(), false);
    }
    if view.unreported.is_some() {
        let why = "ended, but a container of it is still reported as running, so nobody saw it end; delete the pod when its \
                   node is known to be in order";
        return (why.to_owned(), true);
    }
    match view.controller.as_deref() {
        _ if view.uses == Some(Usage::Pull) => ("its node pulls its images with the Secret".to_owned(), false),
        _ if view.pod.node.is_none() => ("not started yet; it counts until it has been replaced".to_owned(), false),
        None => ("bare pod; no controller recreates it, so delete it when it can be replaced".to_owned(), true),
        Some(controller) if controller.starts_with("Job ") => {
            (format!("run by {controller}; held until it ends"), false)
        }
        Some(controller) if view.rolled || view.uses.is_none() => {
            (format!("may hold the old token until it ends; it is run by {controller}"), false)
        }
        Some(controller) => {
            let why = format!(
                "may hold the old token until it ends, and is not restarted by tokenturn: it is run by {controller}, and no \
                 Deployment, StatefulSet or DaemonSet above it names the Secret in its pod template; restart it, or name \
                 the workload in spec.rollout.targets"
            );
            (why, true)
        }
    }
}

/// A workload whose controller says that it has pods, of which the list shows none: a list that is not whole.
#[must_use]
pub fn missing_pods(consumers: &Consumers) -> Option<&WorkloadRef> {
    consumers
        .workloads
        .iter()
        .find(|view| view.uses.is_some() && view.running > 0 && !view.has_pods)
        .map(|view| &view.workload)
}

fn count(length: usize) -> i64 {
    i64::try_from(length).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::core::ledger::record::Snapshot;

    const CONTACT: Duration = Duration::from_secs(90);

    fn pod(uid: &str, node: Option<&str>) -> PodRef {
        PodRef { uid: uid.into(), name: format!("pod-{uid}"), node: node.map(Into::into), grace_seconds: 30 }
    }

    fn listed(pod: PodRef) -> PodView {
        PodView {
            digest: format!("digest-{}", pod.uid),
            pod,
            finished: false,
            unreported: None,
            terminating: false,
            controller: Some("ReplicaSet app-1".into()),
            rolled: true,
            uses: Some(Usage::Held { container: Some("app".into()) }),
            pull_fails: false,
        }
    }

    fn judged(pod: PodRef, consumers: &Consumers) -> Result<Evidence, String> {
        match judge(&BTreeSet::from([pod]), &BTreeSet::new(), &BTreeSet::new(), consumers, CONTACT) {
            Judgement::Clear(proof) => Ok(proof.into_evidence()),
            Judgement::Held { blockers, .. } => Err(blockers[0].why.clone()),
        }
    }

    fn with(view: PodView) -> Consumers {
        Consumers { pods: BTreeMap::from([(view.pod.uid.clone(), view)]), ..Consumers::default() }
    }

    fn on(node: NodeView, contact: u64) -> Consumers {
        Consumers {
            nodes: BTreeMap::from([("n".into(), node)]),
            in_contact: BTreeMap::from([("a".into(), Duration::from_secs(contact))]),
            ..Consumers::default()
        }
    }

    #[test]
    fn running_pod_counts_as_old() {
        assert!(judged(pod("a", Some("n")), &with(listed(pod("a", Some("n"))))).unwrap_err().contains("ReplicaSet"));
    }

    /// 0 of 2 for ever, and the same text as for pods that are being replaced.
    #[test]
    fn a_pod_that_nobody_restarts_is_told_with_its_owner_and_what_to_do() {
        let made_by = |controller: &str, rolled| {
            let view = PodView { controller: Some(controller.into()), rolled, ..listed(pod("a", Some("n"))) };
            judged(pod("a", Some("n")), &with(view)).unwrap_err()
        };
        assert!(!made_by("ReplicaSet app-1", true).contains("not restarted"));
        for owner in ["Rollout canary", "ReplicaSet app-1", "CloneSet c"] {
            let why = made_by(owner, false);
            assert!(why.contains(owner) && why.contains("restart it, or name the workload"), "{why}");
        }
        assert!(made_by("Job nightly", false).contains("held until it ends"));
    }

    #[test]
    fn terminating_pod_still_counts_as_old() {
        let view = PodView { terminating: true, ..listed(pod("a", Some("n"))) };
        assert!(judged(pod("a", Some("n")), &with(view)).unwrap_err().starts_with("terminating"));
    }

    #[test]
    fn bare_pod_is_named_with_what_to_do() {
        let view = PodView { controller: None, ..listed(pod("a", Some("n"))) };
        assert!(judged(pod("a", Some("n")), &with(view)).unwrap_err().contains("bare pod"));
    }

    #[test]
    fn finished_pod_is_gone_listed_or_deleted() {
        let view = PodView { finished: true, ..listed(pod("a", Some("n"))) };
        assert_eq!(judged(pod("a", Some("n")), &with(view)).unwrap().finished, 1);
        let ended = Consumers { ended: BTreeSet::from(["a".into()]), ..Consumers::default() };
        assert_eq!(judged(pod("a", Some("n")), &ended).unwrap().finished, 1);
    }

    #[test]
    fn absence_alone_is_not_gone() {
        assert!(judged(pod("a", Some("n")), &Consumers::default()).is_err(), "node unknown");
        assert!(judged(pod("a", Some("n")), &on(NodeView::NotReady, 1000)).is_err(), "suspect");
        assert!(judged(pod("a", Some("n")), &on(NodeView::Ready, 119)).is_err(), "its grace period is not over");
        assert_eq!(judged(pod("a", Some("n")), &on(NodeView::Ready, 120)).unwrap().kubelet_in_contact, 1);
        assert_eq!(judged(pod("a", Some("n")), &on(NodeView::Absent, 0)).unwrap().node_gone, 1);
        assert_eq!(judged(pod("a", Some("n")), &on(NodeView::OutOfService, 0)).unwrap().node_gone, 1);
        assert_eq!(judged(pod("a", None), &Consumers::default()).unwrap().never_started, 1);
    }

    /// Pods like these held the old token until somebody deleted them: refused by the kubelet (OutOfcpu), or of a Job whose
    /// init container failed. The control plane marks orphans as Failed too, and theirs may run on.
    #[test]
    fn a_pod_that_ended_without_a_whole_report_is_gone_when_its_kubelet_was_in_contact() {
        use crate::core::pods::consumers::Unreported::{Quiet, Running};
        let held = |unreported, node, contact| {
            let view = PodView { unreported: Some(unreported), ..listed(pod("a", Some("n"))) };
            let seen = Consumers { pods: with(view).pods, ..on(node, contact) };
            judged(pod("a", Some("n")), &seen).map(|evidence| (evidence.kubelet_in_contact, evidence.node_gone))
        };
        assert_eq!(held(Quiet, NodeView::Ready, 120), Ok((1, 0)));
        assert_eq!(held(Quiet, NodeView::Absent, 0), Ok((0, 1)));
        assert!(held(Quiet, NodeView::Ready, 119).unwrap_err().contains("in contact for 120 s"));
        assert!(held(Quiet, NodeView::NotReady, 1000).unwrap_err().contains("out of contact"));
        for (node, contact) in [(NodeView::Ready, 1000), (NodeView::NotReady, 1000)] {
            assert!(held(Running, node, contact).unwrap_err().contains("still reported as running"));
        }
    }

    /// A pod that fits no node held the old token for as long as it was there, though nothing of it had ever run.
    #[test]
    fn a_pod_without_a_node_at_the_snapshot_reads_the_new_value() {
        let unbound = || pod("a", None);
        let bound = PodView { pod: pod("a", Some("n")), ..listed(pod("a", Some("n"))) };
        let failed = PodView { unreported: Some(Unreported::Quiet), ..listed(unbound()) };
        let rows: [(&str, Option<PodView>); 5] = [
            ("is still without a node", Some(listed(unbound()))),
            ("was scheduled since", Some(bound.clone())),
            ("was scheduled since and terminates", Some(PodView { terminating: true, ..bound })),
            ("was given up", Some(failed.clone())),
            ("is not listed any more", None),
        ];
        for (what, view) in rows {
            let seen = view.map_or_else(Consumers::default, with);
            assert_eq!(judged(unbound(), &seen).map(|evidence| evidence.never_started), Ok(1), "settled: {what}");
            let early = judge(&BTreeSet::new(), &BTreeSet::new(), &BTreeSet::from([unbound()]), &seen, CONTACT);
            let is_held = matches!(early, Judgement::Held { .. });
            assert_eq!(is_held, what != "was given up", "noted before the settle time: {what}");
        }
        let bound_at_the_snapshot = judged(pod("a", Some("n")), &with(listed(pod("a", Some("n")))));
        assert!(bound_at_the_snapshot.is_err(), "one that had a node may have started before");
    }

    #[test]
    fn a_pod_noted_early_without_a_node_may_have_started_anywhere() {
        let early = BTreeSet::from([pod("a", None)]);
        let on_any =
            |view: NodeView| Consumers { nodes: BTreeMap::from([(ANY_NODE.to_owned(), view)]), ..on(view, 120) };
        let judged = |consumers: &Consumers| judge(&BTreeSet::new(), &BTreeSet::new(), &early, consumers, CONTACT);
        assert!(matches!(judged(&Consumers::default()), Judgement::Held { .. }));
        assert!(matches!(judged(&on_any(NodeView::NotReady)), Judgement::Held { .. }));
        assert!(matches!(judged(&on_any(NodeView::Ready)), Judgement::Clear(_)));
    }

    #[test]
    fn of_more_pods_than_can_be_noted_every_one_still_counts() {
        let views: Vec<PodView> =
            (0..Snapshot::MAX_PODS + 2).map(|n| listed(pod(&format!("{n:05}"), Some("n")))).collect();
        let snapshot = Snapshot::of(&views, BTreeSet::new());
        assert_eq!((snapshot.pods.len(), snapshot.crowd.len()), (Snapshot::MAX_PODS, 2));
        let last = with(views[Snapshot::MAX_PODS + 1].clone());
        let judged =
            |consumers: &Consumers| judge(&BTreeSet::new(), &snapshot.crowd, &BTreeSet::new(), consumers, CONTACT);
        assert!(matches!(judged(&last), Judgement::Held { remaining: 1, .. }), "listed");
        assert!(matches!(judged(&Consumers::default()), Judgement::Held { .. }), "absent without contact");
        let contact = Consumers {
            nodes: BTreeMap::from([(ANY_NODE.to_owned(), NodeView::Ready)]),
            in_contact: BTreeMap::from([(CROWD.to_owned(), Duration::from_secs(3690))]),
            ..Consumers::default()
        };
        assert!(matches!(judged(&contact), Judgement::Clear(_)));
    }

    #[test]
    fn one_holder_blocks_all() {
        let consumers = with(listed(pod("b", Some("n"))));
        let snapshot = BTreeSet::from([pod("a", None), pod("b", Some("n"))]);
        assert!(matches!(
            judge(&snapshot, &BTreeSet::new(), &BTreeSet::new(), &consumers, CONTACT),
            Judgement::Held { remaining: 1, .. }
        ));
    }

    #[test]
    fn grace_runs_after_the_proof() {
        let proof = PickupProof { evidence: Evidence::default() };
        let (served, grace) = (Duration::from_secs(59), Duration::from_secs(60));
        assert_eq!(proof.clone().after_grace(served, grace), Err(Duration::from_secs(1)));
        assert_eq!(proof.after_grace(grace, grace).unwrap().into_evidence().grace_served, 60);
    }
}
