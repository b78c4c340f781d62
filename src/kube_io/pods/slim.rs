//! A pod, reduced while it is being read: some hundred bytes, whatever its author put into it.

use std::{collections::BTreeMap, fmt};

use kube::core::{Selector, SelectorExt};
use serde::{
    Deserialize, Deserializer,
    de::{IgnoredAny, MapAccess, Visitor},
};

use crate::{
    api::{WorkloadKind, WorkloadRef},
    core::pods::{consumers::Unreported, usage::PodSpec},
};

/// Labels that are kept of a pod, in bytes. One with more counts as having every label.
const MAX_LABEL_BYTES: usize = 4096;

/// What rules use of a pod.
#[derive(Clone, Debug, Deserialize)]
#[serde(from = "Raw")]
pub struct Pod {
    pub uid: String,
    pub name: String,
    pub resource_version: String,
    pub terminating: bool,
    pub owners: Owners,
    pub labels: Labels,
    pub spec: PodSpec,
    /// Phase Succeeded or Failed, and the kubelet reported every container as terminated.
    pub finished: bool,
    /// Phase Succeeded or Failed, and it did not.
    pub unreported: Option<Unreported>,
    /// Why it is not ready, as far as its statuses say.
    pub trouble: Option<Box<str>>,
    /// The kubelet could not pull an image of it, and tries again.
    pub pull_fails: bool,
}

/// Characters of a trouble that are kept.
const MAX_TROUBLE: usize = 160;

/// What made a pod.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct Owner {
    pub kind: String,
    pub name: String,
    #[serde(default)]
    pub controller: bool,
}

/// What made a pod, as far as it is kept.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Owners {
    kept: Vec<Owner>,
    /// It has more than are kept.
    any: bool,
}

/// Owners that are kept of a pod, and how long the names of one may be. No controller makes more.
const MAX_OWNERS: usize = 8;
const MAX_OWNER_BYTES: usize = 512;

impl Owners {
    fn of(owners: Vec<Owner>) -> Self {
        let all = owners.len();
        let short = owners.into_iter().filter(|owner| owner.kind.len() + owner.name.len() <= MAX_OWNER_BYTES);
        let kept: Vec<Owner> = short.take(MAX_OWNERS).collect();
        Self { any: kept.len() < all, kept }
    }

    /// What makes a successor when the pod goes.
    #[must_use]
    pub fn controller(&self) -> Option<&Owner> {
        self.kept.iter().find(|owner| owner.controller)
    }
}

/// The labels of a pod.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Labels {
    kept: Vec<(Box<str>, Box<str>)>,
    /// It has more than are kept.
    any: bool,
}

impl Labels {
    /// Whether one of these selectors selects a pod with these labels; of labels that are not all known it does.
    #[must_use]
    pub fn match_one(&self, selectors: &[Selector]) -> bool {
        if selectors.is_empty() || self.any {
            return !selectors.is_empty();
        }
        let labels = self.to_map();
        selectors.iter().any(|selector| selector.matches(&labels))
    }

    /// The labels that are known, as selectors ask for them.
    #[must_use]
    pub fn to_map(&self) -> BTreeMap<String, String> {
        self.kept.iter().map(|(key, value)| (key.to_string(), value.to_string())).collect()
    }
}

impl<'de> Deserialize<'de> for Labels {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Kept;
        impl<'de> Visitor<'de> for Kept {
            type Value = Labels;

            fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
                f.write_str("labels")
            }

            fn visit_unit<E>(self) -> Result<Labels, E> {
                Ok(Labels::default())
            }

            fn visit_map<A: MapAccess<'de>>(self, mut fields: A) -> Result<Labels, A::Error> {
                let (mut labels, mut bytes) = (Labels::default(), 0);
                while let Some((key, value)) = fields.next_entry::<Box<str>, Box<str>>()? {
                    bytes += key.len() + value.len();
                    if bytes > MAX_LABEL_BYTES {
                        labels.any = true;
                    } else {
                        labels.kept.push((key, value));
                    }
                }
                Ok(labels)
            }
        }
        deserializer.deserialize_any(Kept)
    }
}

impl Pod {
    /// Whether the pod was made by a workload, judged by the name of its controller: also when the workload is gone already.
    #[must_use]
    pub fn is_made_by(&self, workload: &WorkloadRef) -> bool {
        self.owners.any
            || self.owners.kept.iter().any(|owner| match workload.kind {
                WorkloadKind::Deployment => {
                    let hash = owner.name.strip_prefix(workload.name.as_str()).and_then(|rest| rest.strip_prefix('-'));
                    owner.kind == "ReplicaSet" && hash.is_some_and(|hash| !hash.contains('-'))
                }
                WorkloadKind::StatefulSet | WorkloadKind::DaemonSet => {
                    owner.kind == workload.kind.as_str() && owner.name == workload.name
                }
            })
    }

    /// Whether the last version of a deleted pod says that no container of it runs: all were reported as terminated, or it
    /// never had a node.
    #[must_use]
    pub fn has_ended(&self) -> bool {
        self.finished || self.spec.node.is_none()
    }
}

#[derive(Deserialize)]
struct Raw {
    metadata: RawMeta,
    #[serde(default)]
    spec: PodSpec,
    #[serde(default)]
    status: RawStatus,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct RawMeta {
    uid: String,
    name: String,
    resource_version: String,
    labels: Labels,
    deletion_timestamp: Option<IgnoredAny>,
    owner_references: Vec<Owner>,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct RawStatus {
    phase: Option<String>,
    conditions: Vec<RawCondition>,
    container_statuses: Vec<RawContainer>,
    init_container_statuses: Vec<RawContainer>,
    ephemeral_container_statuses: Vec<RawContainer>,
}

#[derive(Deserialize)]
struct RawCondition {
    #[serde(rename = "type")]
    type_: String,
    status: String,
    #[serde(default)]
    message: String,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct RawContainer {
    name: String,
    ready: bool,
    state: RawState,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct RawWaiting {
    reason: String,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct RawState {
    waiting: Option<RawWaiting>,
    running: Option<IgnoredAny>,
    terminated: Option<IgnoredAny>,
}

impl From<Raw> for Pod {
    fn from(Raw { metadata, spec, status }: Raw) -> Self {
        let (finished, unreported) = end(&spec, &status);
        let RawMeta { uid, name, resource_version, labels, deletion_timestamp, owner_references } = metadata;
        Self {
            uid,
            name,
            resource_version,
            terminating: deletion_timestamp.is_some(),
            owners: Owners::of(owner_references),
            labels,
            spec,
            finished,
            unreported,
            pull_fails: pull_fails(&status),
            trouble: trouble(&status).map(|why| why.chars().take(MAX_TROUBLE).collect::<String>().into()),
        }
    }
}

/// Why a pod that has not ended is not ready: the container that cannot start, the scheduler's reason, or the container that
/// runs and is not ready. What every pod goes through is no trouble.
fn trouble(status: &RawStatus) -> Option<String> {
    const ORDINARY: [&str; 3] = ["", "ContainerCreating", "PodInitializing"];
    if matches!(status.phase.as_deref(), Some("Succeeded" | "Failed")) {
        return None;
    }
    let containers = || status.init_container_statuses.iter().chain(&status.container_statuses);
    let waits = containers().find_map(|container| {
        let RawWaiting { reason } = container.state.waiting.as_ref()?;
        let is_trouble = !ORDINARY.contains(&reason.as_str());
        is_trouble.then(|| format!("container {} is waiting: {reason}", container.name))
    });
    let scheduled = || status.conditions.iter().find(|c| c.type_ == "PodScheduled" && c.status == "False");
    let unscheduled = || scheduled().map(|condition| format!("it is not scheduled: {}", condition.message));
    let mut running = status.container_statuses.iter().filter(|container| container.state.running.is_some());
    let mut unready = || running.find(|container| !container.ready);
    waits.or_else(unscheduled).or_else(|| Some(format!("container {} runs and is not ready", unready()?.name)))
}

/// Whether a container waits for an image that could not be pulled.
fn pull_fails(status: &RawStatus) -> bool {
    let lists = [&status.container_statuses, &status.init_container_statuses, &status.ephemeral_container_statuses];
    let mut waiting = lists.into_iter().flatten().filter_map(|container| container.state.waiting.as_ref());
    waiting.any(|waiting| matches!(waiting.reason.as_str(), "ErrImagePull" | "ImagePullBackOff"))
}

/// Whether a pod is finished, that is, its phase is Succeeded or Failed and the kubelet reported every container as terminated;
/// and, where only the phase says so, what its containers say.
///
/// The phase alone is not enough: the control plane sets `Failed` on orphans without asking the kubelet.
fn end(spec: &PodSpec, status: &RawStatus) -> (bool, Option<Unreported>) {
    if !matches!(status.phase.as_deref(), Some("Succeeded" | "Failed")) {
        return (false, None);
    }
    let lists = [&status.container_statuses, &status.init_container_statuses, &status.ephemeral_container_statuses];
    let containers = || lists.into_iter().flatten().map(|container| &container.state);
    if status.container_statuses.len() >= spec.containers && containers().all(|state| state.terminated.is_some()) {
        return (true, None);
    }
    let is_running = containers().any(|state| state.running.is_some());
    (false, Some(if is_running { Unreported::Running } else { Unreported::Quiet }))
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn pod(status: &Value) -> Pod {
        let object = json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "p", "uid": "u"},
            "spec": {"containers": [{"name": "a"}]}, "status": status});
        serde_json::from_str(&object.to_string()).unwrap()
    }

    #[test]
    fn a_pod_is_finished_only_when_the_kubelet_reported_every_container() {
        use Unreported::{Quiet, Running};
        let ended = json!([{"name": "a", "state": {"terminated": {"exitCode": 0}}}]);
        let running = json!([{"name": "a", "state": {"running": {}}}]);
        let waiting = json!([{"name": "a", "state": {"waiting": {"reason": "PodInitializing"}}}]);
        for (status, expected) in [
            (json!({"phase": "Succeeded", "containerStatuses": ended}), (true, None)),
            (json!({"phase": "Failed", "containerStatuses": ended}), (true, None)),
            (json!({"phase": "Failed", "containerStatuses": running}), (false, Some(Running))),
            (json!({"phase": "Failed"}), (false, Some(Quiet))),
            (
                json!({"phase": "Failed", "reason": "OutOfcpu", "startTime": "2024-01-01T00:00:00Z"}),
                (false, Some(Quiet)),
            ),
            (json!({"phase": "Failed", "containerStatuses": waiting}), (false, Some(Quiet))),
            (
                json!({"phase": "Failed", "containerStatuses": waiting, "initContainerStatuses": ended}),
                (false, Some(Quiet)),
            ),
            (
                json!({"phase": "Failed", "containerStatuses": waiting, "initContainerStatuses": running}),
                (false, Some(Running)),
            ),
            (json!({"phase": "Running", "containerStatuses": ended}), (false, None)),
            (
                json!({"phase": "Failed", "containerStatuses": ended, "initContainerStatuses": running}),
                (false, Some(Running)),
            ),
            (
                json!({"phase": "Failed", "containerStatuses": ended, "ephemeralContainerStatuses": running}),
                (false, Some(Running)),
            ),
        ] {
            let read = pod(&status);
            assert_eq!((read.finished, read.unreported), expected, "{status}");
        }
    }

    #[test]
    fn the_container_that_keeps_a_pod_from_being_ready_is_named() {
        let waiting = |reason: &str| json!([{"name": "a", "ready": false, "state": {"waiting": {"reason": reason}}}]);
        for (status, expected) in [
            (json!({"phase": "Pending", "containerStatuses": waiting("ContainerCreating")}), None),
            (
                json!({"phase": "Running", "containerStatuses": waiting("CrashLoopBackOff")}),
                Some("a is waiting: CrashLoopBackOff"),
            ),
            (
                json!({"phase": "Pending", "initContainerStatuses": waiting("ImagePullBackOff")}),
                Some("ImagePullBackOff"),
            ),
            (
                json!({"phase": "Pending", "conditions": [{"type": "PodScheduled", "status": "False", "message": "0/3 nodes"}]}),
                Some("not scheduled: 0/3 nodes"),
            ),
            (
                json!({"phase": "Running", "containerStatuses": [{"name": "a", "ready": false, "state": {"running": {}}}]}),
                Some("a runs and is not ready"),
            ),
            (
                json!({"phase": "Running", "containerStatuses": [{"name": "a", "ready": true, "state": {"running": {}}}]}),
                None,
            ),
            (json!({"phase": "Failed", "containerStatuses": waiting("CrashLoopBackOff")}), None),
        ] {
            let read = pod(&status).trouble;
            assert_eq!(read.is_some(), expected.is_some(), "{status}");
            assert!(read.unwrap_or_default().contains(expected.unwrap_or_default()), "{status}");
        }
    }

    /// A pod is at most this large, whatever its author writes: annotations, managed fields, labels, owners, containers.
    #[test]
    fn what_no_rule_reads_of_a_pod_is_not_kept() {
        let long = "x".repeat(200_000);
        let many =
            |name: &str| (0..20_000).map(|n| (format!("{name}{n}"), json!("v"))).collect::<serde_json::Map<_, _>>();
        let containers: Vec<Value> = (0..10_000).map(|n| json!({"name": format!("c{n}"), "image": "i"})).collect();
        let object = json!({
            "metadata": {"name": "p", "uid": "u", "annotations": {"a": long, "b": long}, "labels": many("l"),
                "managedFields": [{"fieldsV1": many("f:")}],
                "ownerReferences": [{"kind": "Job", "name": "j", "uid": "1", "apiVersion": "batch/v1", "controller": true}]},
            "spec": {"containers": containers, "imagePullSecrets": [{"name": "s"}]},
            "status": {"phase": "Running", "message": long},
        });
        let pod: Pod = serde_json::from_str(&object.to_string()).unwrap();
        assert!(format!("{pod:?}").len() < 12_000, "{}", format!("{pod:?}").len());
        assert!(pod.spec.secrets.usage("s").is_some() && pod.owners.controller().is_some());
        let selector: Selector =
            serde_json::from_value::<k8s_openapi::apimachinery::pkg::apis::meta::v1::LabelSelector>(
                json!({"matchLabels": {"of": "nobody"}}),
            )
            .unwrap()
            .try_into()
            .unwrap();
        assert!(pod.labels.match_one(&[selector]), "labels that are not kept may be the ones that are looked for");
    }
}
