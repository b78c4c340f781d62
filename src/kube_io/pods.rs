//! Pods and nodes, as JSON, so that a reference to the Secret is found in fields that this version does not know.

use std::collections::{BTreeMap, BTreeSet};

use futures::{StreamExt, TryStreamExt, stream};
use k8s_openapi::{
    api::core::v1::{Node, Pod},
    apimachinery::pkg::apis::meta::v1::LabelSelector,
};
use kube::{
    Client, ResourceExt,
    api::{ApiResource, DynamicObject, ListParams},
    core::{Selector, SelectorExt},
};
use serde_json::Value;
use sha2::{Digest, Sha256};

use super::error::Error;
use crate::{
    api::{WorkloadKind, WorkloadRef},
    connect::objects::Api,
    core::{
        consumers::{NodeView, PodView},
        record::PodRef,
        usage::{self, Usage},
    },
};

/// The taint by which an administrator asserts that a node is down.
const OUT_OF_SERVICE: &str = "node.kubernetes.io/out-of-service";

/// Pods per page of a list.
const PAGE: u32 = 500;

/// Pods by name of their type, without a schema.
#[must_use]
pub fn api(client: &Client, namespace: &str) -> Api<DynamicObject> {
    Api::namespaced_with(client.clone(), namespace, &ApiResource::erase::<Pod>(&()))
}

/// Lists every pod of a namespace, most recent: no resource version, no cache.
pub async fn list(client: &Client, namespace: &str) -> Result<Vec<DynamicObject>, Error> {
    let api = api(client, namespace);
    let mut pods = Vec::new();
    let mut params = ListParams::default().limit(PAGE);
    loop {
        let page = api.list(&params).await.map_err(Error::api(format!("listing pods of {namespace}")))?;
        let next = page.metadata.continue_.clone().filter(|token| !token.is_empty());
        pods.extend(page.items);
        match next {
            Some(token) => params = ListParams::default().limit(PAGE).continue_token(&token),
            None => return Ok(pods),
        }
    }
}

/// The pods that matter: those that name the Secret, belong to a declared workload, or are in a snapshot.
#[must_use]
pub fn views(
    pods: &[DynamicObject],
    secret: &str,
    declared: &[Selector],
    listed: &BTreeSet<WorkloadRef>,
    known: &BTreeSet<String>,
) -> BTreeMap<String, PodView> {
    let views = pods.iter().filter_map(|pod| {
        let belongs =
            declared.iter().any(|selector| selector.matches(pod.labels())) || listed.iter().any(|one| owns(one, pod));
        let declared = || belongs.then_some(Usage { container: None });
        let uses = usage::usage(&pod.data["spec"], secret).or_else(declared);
        let uid = pod.uid()?;
        (uses.is_some() || known.contains(&uid)).then(|| (uid, view(pod, uses)))
    });
    views.collect()
}

/// Whether a pod was made by a workload, judged by the name of its controller: also when the workload is gone already.
fn owns(workload: &WorkloadRef, pod: &DynamicObject) -> bool {
    pod.owner_references().iter().any(|owner| match workload.kind {
        WorkloadKind::Deployment => {
            let hash = owner.name.strip_prefix(workload.name.as_str()).and_then(|rest| rest.strip_prefix('-'));
            owner.kind == "ReplicaSet" && hash.is_some_and(|hash| !hash.contains('-'))
        }
        WorkloadKind::StatefulSet | WorkloadKind::DaemonSet => {
            owner.kind == workload.kind.as_str() && owner.name == workload.name
        }
    })
}

fn view(pod: &DynamicObject, uses: Option<Usage>) -> PodView {
    let finished = is_finished(pod);
    let terminal = matches!(pod.data["status"]["phase"].as_str(), Some("Succeeded" | "Failed"));
    PodView {
        pod: PodRef {
            uid: pod.uid().unwrap_or_default(),
            name: pod.name_any(),
            node: pod.data["spec"]["nodeName"].as_str().map(Into::into),
            grace_seconds: pod.data["spec"]["terminationGracePeriodSeconds"].as_i64().unwrap_or(30),
        },
        digest: digest(&pod.uid().unwrap_or_default()),
        finished,
        unreported: terminal && !finished,
        terminating: pod.metadata.deletion_timestamp.is_some(),
        controller: pod
            .owner_references()
            .iter()
            .find(|owner| owner.controller == Some(true))
            .map(|owner| owner.kind.clone()),
        uses,
    }
}

/// The first 16 hexadecimal digits of a SHA-256.
fn digest(uid: &str) -> String {
    Sha256::digest(uid.as_bytes()).iter().take(8).map(|byte| format!("{byte:02x}")).collect()
}

/// Phase Succeeded or Failed, and the kubelet reported every container as terminated.
///
/// The phase alone is not enough: the control plane sets `Failed` on orphans without asking the kubelet.
#[must_use]
pub fn is_finished(pod: &DynamicObject) -> bool {
    let (spec, status) = (&pod.data["spec"], &pod.data["status"]);
    if !matches!(status["phase"].as_str(), Some("Succeeded" | "Failed")) {
        return false;
    }
    let statuses = |list: &str| status[list].as_array().map(Vec::as_slice).unwrap_or_default();
    let terminated = |list: &str| statuses(list).iter().all(|container| container["state"]["terminated"].is_object());
    let containers = spec["containers"].as_array().map_or(0, Vec::len);
    statuses("containerStatuses").len() >= containers
        && ["containerStatuses", "initContainerStatuses", "ephemeralContainerStatuses"].into_iter().all(terminated)
}

/// A node, and when its readiness last changed: a change says that contact was not unbroken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NodeState {
    pub view: NodeView,
    pub since: Option<jiff::Timestamp>,
}

/// Reads nodes by name.
pub async fn nodes(client: &Client, names: BTreeSet<String>) -> Result<BTreeMap<String, NodeState>, Error> {
    let api: Api<Node> = Api::all(client.clone());
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
pub async fn all_nodes(client: &Client) -> Result<NodeState, Error> {
    let api: Api<Node> = Api::all(client.clone());
    let nodes = api.list(&ListParams::default()).await.map_err(Error::api("listing nodes"))?;
    let states: Vec<NodeState> = nodes.iter().map(state).collect();
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

/// The selector of a workload, as far as it can be read.
#[must_use]
pub fn selector(value: &Value) -> Option<Selector> {
    let selector: LabelSelector = serde_json::from_value(value.clone()).ok()?;
    Selector::try_from(selector).ok()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn pod(status: Value) -> DynamicObject {
        let object = json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "p", "uid": "u"},
            "spec": {"containers": [{"name": "a"}]}, "status": status});
        serde_json::from_value(object).unwrap()
    }

    #[test]
    fn a_pod_is_finished_only_when_the_kubelet_reported_every_container() {
        let ended = json!([{"name": "a", "state": {"terminated": {"exitCode": 0}}}]);
        let running = json!([{"name": "a", "state": {"running": {}}}]);
        for (status, finished) in [
            (json!({"phase": "Succeeded", "containerStatuses": ended}), true),
            (json!({"phase": "Failed", "containerStatuses": ended}), true),
            (json!({"phase": "Failed", "containerStatuses": running}), false),
            (json!({"phase": "Failed"}), false),
            (json!({"phase": "Running", "containerStatuses": ended}), false),
            (json!({"phase": "Failed", "containerStatuses": ended, "initContainerStatuses": running}), false),
            (json!({"phase": "Failed", "containerStatuses": ended, "ephemeralContainerStatuses": running}), false),
        ] {
            assert_eq!(is_finished(&pod(status.clone())), finished, "{status}");
        }
    }
}
