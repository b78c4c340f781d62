//! The Node object, its status and its lease.

use std::sync::Arc;

use k8s_openapi::api::{coordination::v1::Lease, core::v1::Node};
use kube::{
    Api,
    api::{Patch, PatchParams, PostParams},
};
use serde_json::{Value, json};
use tokio::time::interval;

use super::Shared;
use crate::testkit::{Error, wait};

const LEASE_NAMESPACE: &str = "kube-node-lease";
/// Every so many leases the status is written too; the controller needs only one of them.
const STATUS_EVERY: u32 = 10;

/// Creates the Node and waits until pods can be scheduled to it.
pub(super) async fn register(shared: &Shared) -> Result<(), Error> {
    let name = &shared.options.name;
    let nodes: Api<Node> = Api::all(shared.client.clone());
    let mut labels = shared.options.labels.clone();
    labels.insert("kubernetes.io/hostname".to_owned(), name.clone());
    labels.insert("kubernetes.io/os".to_owned(), "linux".to_owned());
    let node = json!({"apiVersion": "v1", "kind": "Node", "metadata": {"name": name, "labels": labels}, "status": status(name, true, None)});
    let node: Node = serde_json::from_value(node).map_err(|problem| Error::invalid("make a Node", problem))?;
    match nodes.create(&PostParams::default(), &node).await {
        // A node that comes back finds its object.
        Err(kube::Error::Api(answer)) if answer.code == 409 => {}
        created => drop(created.map_err(Error::kube("create the Node"))?),
    }
    renew(shared).await.map_err(Error::kube("create the node's lease"))?;
    report(shared, true).await?;
    wait::until("the node to lose its taints", std::time::Duration::from_secs(60), async || {
        let spec = nodes.get(name).await.ok()?.spec.unwrap_or_default();
        spec.taints.unwrap_or_default().is_empty().then_some(())
    })
    .await
}

/// Renews lease and status while the node is in contact.
pub(super) async fn run(shared: Arc<Shared>) {
    let mut clock = interval(shared.options.heartbeat);
    let mut beats = 0;
    loop {
        clock.tick().await;
        shared.knobs.in_contact().await;
        let _beat = shared.beat.lock().await;
        if !shared.knobs.has_contact() {
            continue;
        }
        beats += 1;
        // A lost beat is made good by the next one.
        let _ = renew(&shared).await;
        if beats % STATUS_EVERY == 0 {
            let _ = report(&shared, true).await;
        }
    }
}

/// Writes the node status now.
pub(super) async fn report(shared: &Shared, ready: bool) -> Result<(), Error> {
    let nodes: Api<Node> = Api::all(shared.client.clone());
    let name = &shared.options.name;
    let before = nodes.get(name).await.map_err(Error::kube("read the node status"))?;
    let patch = Patch::Strategic(json!({"status": status(name, ready, Some(&before))}));
    nodes.patch_status(name, &PatchParams::default(), &patch).await.map_err(Error::kube("write the node status"))?;
    Ok(())
}

async fn renew(shared: &Shared) -> Result<(), kube::Error> {
    let name = &shared.options.name;
    let leases: Api<Lease> = Api::namespaced(shared.client.clone(), LEASE_NAMESPACE);
    let lease = json!({
        "apiVersion": "coordination.k8s.io/v1", "kind": "Lease", "metadata": {"name": name},
        "spec": {"holderIdentity": name, "leaseDurationSeconds": 40, "renewTime": micro_time()},
    });
    leases.patch(name, &PatchParams::apply("kubelet").force(), &Patch::Apply(lease)).await.map(drop)
}

/// The API wants exactly six digits after the point.
fn micro_time() -> String {
    jiff::Timestamp::now().strftime("%Y-%m-%dT%H:%M:%S.%6fZ").to_string()
}

/// The time of the last transition stays when nothing has changed: it says since when a node is Ready.
fn status(name: &str, ready: bool, before: Option<&Node>) -> Value {
    let now = jiff::Timestamp::now().strftime("%Y-%m-%dT%H:%M:%SZ").to_string();
    let known = before.and_then(|node| node.status.as_ref()?.conditions.as_ref());
    let since = |kind: &str, status: &str| {
        let same = known.into_iter().flatten().find(|condition| condition.type_ == kind && condition.status == status);
        same.and_then(|condition| condition.last_transition_time.as_ref()).map_or(json!(now), |time| json!(time))
    };
    let room = json!({"cpu": "1000", "memory": "1000Gi", "pods": "5000", "ephemeral-storage": "1000Gi"});
    let condition = |kind: &str, holds: bool| {
        let status = if holds { "True" } else { "False" };
        json!({"type": kind, "status": status, "reason": "Simulated", "message": "", "lastHeartbeatTime": now, "lastTransitionTime": since(kind, status)})
    };
    json!({
        "capacity": room, "allocatable": room,
        "conditions": [
            condition("Ready", ready), condition("MemoryPressure", false),
            condition("DiskPressure", false), condition("PIDPressure", false),
        ],
        "addresses": [{"type": "InternalIP", "address": "127.0.0.1"}, {"type": "Hostname", "address": name}],
        "nodeInfo": {
            "machineID": name, "systemUUID": name, "bootID": name, "kernelVersion": "simulated", "osImage": "simulated",
            "containerRuntimeVersion": "simulated://1", "kubeletVersion": "v1.36.3", "kubeProxyVersion": "",
            "operatingSystem": "linux", "architecture": "amd64",
        },
    })
}
