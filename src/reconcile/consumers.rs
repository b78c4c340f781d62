//! Who uses a Secret: what a shared read of the namespace shows one object, with the nodes of pods that are not listed.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    time::Duration,
};

use kube::core::Selector;

use super::{
    lists::{ALL, Namespace},
    observe::Handles,
    reads::Reads,
    remembered::Looked,
};
use crate::{
    api::{RolloutMode, WorkloadRef},
    core::{
        pods::{
            consumers::{ANY_NODE, CROWD, Consumers, NodeView, PodRef, PodView, Unreported, WorkloadView},
            pickup::members,
            usage::Usage,
        },
        seen::{answers::Fault, observed::Observed},
    },
    kube_io::{
        pods::{self, Pod, Wanted},
        volumes::Volume,
    },
};

/// The consumers of an object's Secret: from a read that begins now, and the nodes of snapshot pods that are no longer
/// listed.
pub async fn consumers(
    reads: &Reads,
    observed: &Observed,
    handles: &Handles,
    looked: &mut Looked,
) -> Result<Consumers, Fault> {
    let namespace = &observed.owner.namespace;
    let secret = handles.target_name.as_deref().unwrap_or_default();
    let look = reads.lists.fresh(namespace).await?;
    let listed = listed_targets(observed);
    let declared: Vec<Selector> = look
        .workloads
        .iter()
        .filter(|workload| listed.contains(&workload.reference))
        .filter_map(|workload| workload.selector.clone())
        .collect();
    let ledger = observed.record.as_ref().map(|record| &record.ledger);
    let snapshot: BTreeSet<PodRef> = ledger.iter().flat_map(|ledger| ledger.snapshot_pods()).cloned().collect();
    let known = snapshot.iter().map(|pod| pod.uid.clone()).collect();
    let volumes = reads.volumes.fresh(ALL).await?;
    let claims = claims_of(&volumes, namespace, secret);
    let none = BTreeSet::new();
    let own = claims.get(namespace.as_str()).unwrap_or(&none);
    let wanted = Wanted { secret: Some(secret), claims: own, declared: &declared, listed: &listed, known: &known };
    let mut views = wanted.views(&look.pods);
    let vanished = reads.pods.vanished(namespace);
    let vanished = Wanted { known: &none, ..wanted.clone() }.views(vanished.iter().map(|pod| &**pod));
    let rolled = rolled(&look, own, secret, &observed.owner.name);
    for pod in look.pods.iter().filter(|pod| {
        rolled.iter().any(|view| (view.holds() || listed.contains(&view.workload)) && pod.is_made_by(&view.workload))
    }) {
        if let Some(view) = views.get_mut(&pod.uid) {
            view.rolled = true;
        }
    }
    let workloads = rolled.into_iter().map(|view| with_culprit(view, &look.pods, &known)).collect();
    // Others share it, but for this object it is over.
    drop(look);
    for (elsewhere, claims) in claims.iter().filter(|(elsewhere, _)| **elsewhere != namespace.as_str()) {
        views.extend(users_elsewhere(reads, elsewhere, claims, &known).await?);
    }
    let ended = reads.pods.ended(namespace);
    // Pods of which only their node can tell that they are gone.
    let silent = snapshot.iter().filter(|pod| !ended.contains(&pod.uid)).filter_map(|pod| match views.get(&pod.uid) {
        None => Some((pod.uid.clone(), pod.node.clone())),
        Some(view) => (view.unreported == Some(Unreported::Quiet)).then(|| (pod.uid.clone(), view.pod.node.clone())),
    });
    let silent: Vec<(String, Option<String>)> = silent.collect();
    let names = silent.iter().filter_map(|(_, node)| node.clone()).collect();
    let mut nodes = pods::nodes(&reads.cluster, names).await?;
    let crowd = crowd(observed);
    if silent.iter().any(|(_, node)| node.is_none()) || crowd.is_some() {
        nodes.insert(ANY_NODE.to_owned(), pods::all_nodes(&reads.cluster).await?);
    }
    let mut consumers = Consumers { pods: views, vanished, workloads, ended, ..Consumers::default() };
    // Of a crowd it is only known that none of it is listed any more.
    let gone = crowd.is_some_and(|crowd| members(crowd, &consumers).next().is_none());
    let silent = silent.iter().map(|(uid, node)| (uid.as_str(), node.as_deref()));
    let silent = silent.chain(gone.then_some((CROWD, None)));
    consumers.in_contact = in_contact(reads.uptime(), looked, silent, &nodes);
    consumers.nodes = nodes.into_iter().map(|(name, state)| (name, state.view)).collect();
    Ok(consumers)
}

/// The workloads as one object sees them.
fn rolled(look: &Namespace, claims: &BTreeSet<String>, secret: &str, owner: &str) -> Vec<WorkloadView> {
    let views = look.workloads.iter().map(|workload| {
        let view = workload.view(secret, owner);
        // Claims of a StatefulSet's templates have the names of its pods.
        let mounts = || look.pods.iter().any(|pod| is_mounted_by(pod, claims) && pod.is_made_by(&workload.reference));
        let uses = match view.uses {
            Some(Usage::Held { .. }) => view.uses,
            named => (!claims.is_empty() && mounts()).then_some(Usage::SOMEWHERE).or(named),
        };
        WorkloadView { uses, ..view }
    });
    views.collect()
}

/// Names the new pod of a workload that is not ready, where the workload itself says nothing: only Deployments do, late.
fn with_culprit(view: WorkloadView, pods: &[Pod], old: &BTreeSet<String>) -> WorkloadView {
    if view.obstacle.is_some() || !view.holds() {
        return view;
    }
    let new = pods.iter().filter(|pod| !pod.terminating && !old.contains(&pod.uid));
    let culprit =
        new.filter_map(|pod| Some((pod, pod.trouble.as_deref()?))).find(|(pod, _)| pod.is_made_by(&view.workload));
    let obstacle = culprit.map(|(pod, why)| format!("its new pod {} does not become ready: {why}", pod.name));
    WorkloadView { obstacle, ..view }
}

/// The claims, by namespace, whose volumes name a Secret.
fn claims_of<'a>(volumes: &'a [Volume], namespace: &str, secret: &str) -> BTreeMap<&'a str, BTreeSet<String>> {
    let mut claims: BTreeMap<&str, BTreeSet<String>> = BTreeMap::new();
    let naming = |volume: &&Volume| volume.secrets.iter().any(|(within, name)| within == namespace && name == secret);
    for volume in volumes.iter().filter(naming) {
        let (namespace, claim) = &volume.claim;
        claims.entry(namespace).or_default().insert(claim.clone());
    }
    claims
}

fn is_mounted_by(pod: &Pod, claims: &BTreeSet<String>) -> bool {
    claims.iter().any(|claim| pod.spec.claims.mounts(&pod.name, claim))
}

/// Pods of another namespace that get the Secret by a volume. Where they cannot be listed nothing is claimed about them.
async fn users_elsewhere(
    reads: &Reads,
    namespace: &str,
    claims: &BTreeSet<String>,
    known: &BTreeSet<String>,
) -> Result<BTreeMap<String, PodView>, Fault> {
    let look = reads.lists.fresh(namespace).await.map_err(|fault| {
        let claims: Vec<&str> = claims.iter().map(String::as_str).take(3).collect();
        let message = format!(
            "volumes give the Secret to pods of namespace {namespace} (claims {}), which cannot be listed: {}",
            claims.join(", "),
            fault.message
        );
        Fault { message, ..fault }
    })?;
    let wanted = Wanted { secret: None, claims, declared: &[], listed: &BTreeSet::new(), known };
    let mut views = wanted.views(&look.pods);
    for view in views.values_mut() {
        view.pod.name = format!("{namespace}/{}", view.pod.name);
    }
    Ok(views)
}

/// Pods of a snapshot that are known by digest only.
fn crowd(observed: &Observed) -> Option<&BTreeSet<String>> {
    let ledger = &observed.record.as_ref()?.ledger;
    // That of a deletion holds the other one.
    if let Some(retirement) = &ledger.retirement {
        return Some(&retirement.crowd).filter(|crowd| !crowd.is_empty());
    }
    let snapshot = ledger.previous.as_ref()?.snapshot.as_ref()?;
    Some(&snapshot.crowd).filter(|crowd| !crowd.is_empty())
}

/// Mode Listed: consumers that need not name the Secret. Of an object that is gone, the record knows them.
fn listed_targets(observed: &Observed) -> BTreeSet<WorkloadRef> {
    let recorded = observed.record.as_ref().map(|record| &record.ledger.rollout);
    let rollout = observed.resource.as_ref().map(|resource| &resource.rollout).or(recorded);
    let listed = rollout.filter(|rollout| rollout.mode == RolloutMode::Listed);
    listed.map(|rollout| rollout.targets.iter().cloned().collect()).unwrap_or_default()
}

/// How long each silent pod has been silent with its node in contact all the time, as far as this process saw.
fn in_contact<'a>(
    uptime: Duration,
    looked: &mut Looked,
    silent: impl Iterator<Item = (&'a str, Option<&'a str>)>,
    nodes: &BTreeMap<String, pods::NodeState>,
) -> BTreeMap<String, Duration> {
    let mut contact = BTreeMap::new();
    let mut still = HashMap::new();
    for (uid, node) in silent {
        let Some(node) = nodes.get(node.unwrap_or(ANY_NODE)).filter(|node| node.view == NodeView::Ready) else {
            continue;
        };
        let since = match looked.absent.get(uid) {
            Some((since, change)) if *change == node.since => *since,
            _ => uptime,
        };
        still.insert(uid.to_owned(), (since, node.since));
        contact.insert(uid.to_owned(), uptime.saturating_sub(since));
    }
    looked.absent = still;
    contact
}
