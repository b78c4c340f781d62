//! Pods and nodes, as far as rules use them: lists page by page, and the watch that goes on from a list.

mod slim;

use std::collections::{BTreeMap, BTreeSet};

use futures::{Stream, StreamExt, TryStreamExt, stream};
use k8s_openapi::api::core::v1::Node;
use kube::{
    api::{Request, WatchEvent, WatchParams},
    core::Selector,
};

pub use slim::Pod;

use super::{Reader, error::Error, pages};
use crate::{
    api::WorkloadRef,
    connect::objects::{Api, list_path},
    core::pods::{
        consumers::{NodeView, PodRef, PodView},
        usage::Usage,
    },
    secret_value::digest_of,
};

/// The taint by which an administrator asserts that a node is down.
const OUT_OF_SERVICE: &str = "node.kubernetes.io/out-of-service";

/// Lists every pod of a namespace, most recent: no resource version, no cache.
///
/// # Errors
/// The API server did not show all of them.
pub async fn list(cluster: &Reader, namespace: &str) -> Result<Vec<Pod>, Error> {
    let mut pods = Vec::new();
    list_into(cluster, namespace, |page| pods.extend(page)).await?;
    pods.shrink_to_fit();
    Ok(pods)
}

/// Lists every pod of a namespace and hands each page on; says of which resource version the list is.
///
/// # Errors
/// As [`list`].
pub async fn list_into(cluster: &Reader, namespace: &str, take: impl FnMut(Vec<Pod>)) -> Result<String, Error> {
    let doing = format!("listing pods of {namespace}");
    let path = list_path("api/v1", namespace, "pods").map_err(Error::api(&doing))?;
    pages::each(cluster, &path, &doing, take).await
}

/// Watches the pods of a namespace from a resource version on.
///
/// # Errors
/// The watch could not be begun.
pub async fn watch(
    cluster: &Reader,
    namespace: &str,
    version: &str,
) -> Result<impl Stream<Item = Result<WatchEvent<Pod>, kube::Error>> + use<>, kube::Error> {
    let request = Request::new(list_path("api/v1", namespace, "pods")?).watch(&WatchParams::default(), version);
    cluster.client().request_events::<Pod>(request.map_err(kube::Error::BuildRequest)?).await
}

/// Which pods matter to one object.
#[derive(Clone, Debug)]
pub struct Wanted<'a> {
    /// They name the Secret; `None` where they are in another namespace than it is.
    pub secret: Option<&'a str>,
    /// They mount one of these claims, whose volume names the Secret.
    pub claims: &'a BTreeSet<String>,
    /// They belong to a declared workload.
    pub declared: &'a [Selector],
    pub listed: &'a BTreeSet<WorkloadRef>,
    /// They are in a snapshot.
    pub known: &'a BTreeSet<String>,
}

impl Wanted<'_> {
    /// Whether, and how, a pod uses the Secret.
    #[must_use]
    pub fn usage(&self, pod: &Pod) -> Option<Usage> {
        let mounts = || self.claims.iter().any(|claim| pod.spec.claims.mounts(&pod.name, claim));
        let belongs = || pod.labels.match_one(self.declared) || self.listed.iter().any(|one| pod.is_made_by(one));
        let named = self.secret.and_then(|secret| pod.spec.secrets.usage(secret));
        match named {
            Some(Usage::Held { .. }) => named,
            Some(Usage::Pull) | None => (mounts() || belongs()).then_some(Usage::SOMEWHERE).or(named),
        }
    }

    /// The pods that matter.
    #[must_use]
    pub fn views<'a>(&self, pods: impl IntoIterator<Item = &'a Pod>) -> BTreeMap<String, PodView> {
        let views = pods.into_iter().filter_map(|pod| {
            let uses = self.usage(pod);
            (uses.is_some() || self.known.contains(&pod.uid)).then(|| (pod.uid.clone(), view(pod, uses)))
        });
        views.collect()
    }
}

fn view(pod: &Pod, uses: Option<Usage>) -> PodView {
    PodView {
        pod: PodRef {
            uid: pod.uid.clone(),
            name: pod.name.clone(),
            node: pod.spec.node.clone(),
            grace_seconds: pod.spec.grace_seconds,
        },
        digest: digest_of(&pod.uid),
        finished: pod.finished,
        unreported: pod.unreported,
        terminating: pod.terminating,
        controller: pod.owners.controller().map(|owner| format!("{} {}", owner.kind, owner.name)),
        rolled: false,
        uses,
        pull_fails: pod.pull_fails,
    }
}

/// A node, and when its readiness last changed: a change says that contact was not unbroken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NodeState {
    pub view: NodeView,
    pub since: Option<jiff::Timestamp>,
}

/// Reads nodes by name.
pub async fn nodes(cluster: &Reader, names: BTreeSet<String>) -> Result<BTreeMap<String, NodeState>, Error> {
    let api: Api<Node> = Api::all(cluster.client().clone());
    let reads = stream::iter(names).map(|name| {
        let api = api.clone();
        async move {
            let node = api.get_opt(&name).await.map_err(Error::api(format!("reading Node {name}")))?;
            Ok::<_, Error>((name, node.map_or(NodeState { view: NodeView::Absent, since: None }, |node| state(&node))))
        }
    });
    reads.buffer_unordered(8).try_collect().await
}

/// All nodes of the cluster as one: ready only if every node is ready or known to be down, since the latest change of any.
pub async fn all_nodes(cluster: &Reader) -> Result<NodeState, Error> {
    let mut states: Vec<NodeState> = Vec::new();
    pages::each(cluster, "/api/v1/nodes", "listing nodes", |page: Vec<Node>| states.extend(page.iter().map(state)))
        .await?;
    let silent = states.iter().any(|state| state.view == NodeView::NotReady);
    let view = if silent { NodeView::NotReady } else { NodeView::Ready };
    Ok(NodeState { view, since: states.iter().filter_map(|state| state.since).max() })
}

fn state(node: &Node) -> NodeState {
    let taints = node.spec.as_ref().and_then(|spec| spec.taints.as_deref()).unwrap_or_default();
    if taints.iter().any(|taint| taint.key == OUT_OF_SERVICE) {
        return NodeState { view: NodeView::OutOfService, since: None };
    }
    let conditions = node.status.as_ref().and_then(|status| status.conditions.as_deref()).unwrap_or_default();
    let ready = conditions.iter().find(|condition| condition.type_ == "Ready");
    let is_ready = ready.is_some_and(|condition| condition.status == "True");
    NodeState {
        view: if is_ready { NodeView::Ready } else { NodeView::NotReady },
        since: ready.and_then(|condition| condition.last_transition_time.as_ref()).map(|time| time.0),
    }
}
