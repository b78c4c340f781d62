//! A Deployment, StatefulSet or DaemonSet, reduced while it is being read to what rules use.

use std::{collections::BTreeMap, fmt};

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{LabelSelector, LabelSelectorRequirement};
use kube::core::Selector;
use serde::{
    Deserialize, Deserializer,
    de::{MapAccess, Visitor},
};

use super::stamp_key;
use crate::{
    api::{WorkloadKind, WorkloadRef, names::STAMP_PREFIX},
    core::pods::{
        consumers::WorkloadView,
        usage::{Claims, PodSpec, References},
    },
};

/// Stamps that are kept of one workload, and how long one may be; a stamp of ours is two or three numbers.
const MAX_STAMPS: usize = 256;
const MAX_STAMP_BYTES: usize = 512;
/// What a selector may weigh that is looked at; about the pods of one with more nothing is claimed.
const MAX_REQUIREMENTS: usize = 64;
/// Characters of what a controller says that are kept.
const MAX_MESSAGE: usize = 400;

/// What rules use of a workload.
#[derive(Clone, Debug)]
pub struct Workload {
    pub reference: WorkloadRef,
    /// The Secrets that its pod template names.
    pub secrets: References,
    /// The claims that its pod template mounts.
    pub claims: Claims,
    /// Selects its pods; `None` if it cannot be read.
    pub selector: Option<Selector>,
    wanted: i64,
    pub running: i64,
    /// A pod of its selector is in the list of pods; to be found out.
    pub has_pods: bool,
    stamps: BTreeMap<Box<str>, Box<str>>,
    obstacle: Option<String>,
}

impl Workload {
    /// What a decision needs to know. `owner` is the name of the RotatedToken, for its stamp.
    #[must_use]
    pub fn view(&self, secret: &str, owner: &str) -> WorkloadView {
        WorkloadView {
            workload: self.reference.clone(),
            uses: self.secrets.usage(secret),
            wanted: self.wanted,
            running: self.running,
            has_pods: self.has_pods,
            stamp: self.stamps.get(stamp_key(owner).as_str()).map(ToString::to_string),
            obstacle: self.obstacle.clone(),
        }
    }
}

/// A workload as it stands in a list of its kind.
#[derive(Deserialize)]
pub(super) struct Raw {
    metadata: Meta,
    #[serde(default)]
    spec: Spec,
    #[serde(default)]
    status: Status,
}

#[derive(Deserialize)]
struct Meta {
    name: String,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Spec {
    replicas: Option<i64>,
    paused: Option<bool>,
    selector: LabelSelector,
    template: Template,
    update_strategy: Strategy,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Template {
    metadata: TemplateMeta,
    spec: PodSpec,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct TemplateMeta {
    annotations: Stamps,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Strategy {
    #[serde(rename = "type")]
    type_: Option<String>,
    rolling_update: Option<RollingUpdate>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct RollingUpdate {
    partition: Option<i64>,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Status {
    replicas: i64,
    desired_number_scheduled: i64,
    current_number_scheduled: i64,
    conditions: Vec<Condition>,
}

#[derive(Deserialize)]
struct Condition {
    #[serde(rename = "type")]
    type_: String,
    status: String,
    #[serde(default)]
    message: String,
}

/// The annotations that are stamps.
#[derive(Default)]
struct Stamps(BTreeMap<Box<str>, Box<str>>);

impl<'de> Deserialize<'de> for Stamps {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Kept;
        impl<'de> Visitor<'de> for Kept {
            type Value = Stamps;

            fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
                f.write_str("annotations")
            }

            fn visit_unit<E>(self) -> Result<Stamps, E> {
                Ok(Stamps::default())
            }

            fn visit_map<A: MapAccess<'de>>(self, mut fields: A) -> Result<Stamps, A::Error> {
                let mut stamps = BTreeMap::new();
                while let Some((key, value)) = fields.next_entry::<Box<str>, Box<str>>()? {
                    let is_short = key.len() + value.len() <= MAX_STAMP_BYTES;
                    if key.starts_with(STAMP_PREFIX) && is_short && stamps.len() < MAX_STAMPS {
                        stamps.insert(key, value);
                    }
                }
                Ok(Stamps(stamps))
            }
        }
        deserializer.deserialize_any(Kept)
    }
}

impl Raw {
    pub(super) fn reduce(self, kind: WorkloadKind) -> Workload {
        let Self { metadata, spec, status } = self;
        let (wanted, running) = match kind {
            WorkloadKind::Deployment | WorkloadKind::StatefulSet => (spec.replicas.unwrap_or(1), status.replicas),
            WorkloadKind::DaemonSet => (status.desired_number_scheduled, status.current_number_scheduled),
        };
        let obstacle = obstacle(kind, &spec, &status).map(|message| message.chars().take(MAX_MESSAGE).collect());
        Workload {
            reference: WorkloadRef { kind, name: metadata.name },
            secrets: spec.template.spec.secrets,
            claims: spec.template.spec.claims,
            selector: selector(spec.selector),
            wanted,
            running,
            has_pods: false,
            stamps: spec.template.metadata.annotations.0,
            obstacle,
        }
    }
}

fn selector(selector: LabelSelector) -> Option<Selector> {
    let labels = selector.match_labels.as_ref().map_or(0, BTreeMap::len);
    let values = |requirement: &LabelSelectorRequirement| requirement.values.as_ref().map_or(0, Vec::len) + 1;
    let expressions: usize = selector.match_expressions.iter().flatten().map(values).sum();
    if labels + expressions > MAX_REQUIREMENTS {
        return None;
    }
    Selector::try_from(selector).ok()
}

/// Why a changed template does not replace the pods, in words for the owner of the workload.
fn obstacle(kind: WorkloadKind, spec: &Spec, status: &Status) -> Option<String> {
    match kind {
        WorkloadKind::Deployment if spec.paused == Some(true) => {
            Some("is paused, so its pods are not replaced; resume it".to_owned())
        }
        WorkloadKind::Deployment => {
            let condition = |type_: &str, holds: &str| {
                status.conditions.iter().find(|condition| condition.type_ == type_ && condition.status == holds)
            };
            let stuck = condition("ReplicaFailure", "True").or_else(|| condition("Progressing", "False"));
            stuck.map(|condition| format!("its rollout is stuck: {}", condition.message))
        }
        WorkloadKind::StatefulSet | WorkloadKind::DaemonSet => {
            let strategy = &spec.update_strategy;
            if strategy.type_.as_deref() == Some("OnDelete") {
                return Some("has update strategy OnDelete; delete its pods when they can be replaced".to_owned());
            }
            let partition = strategy.rolling_update.as_ref().and_then(|update| update.partition);
            partition
                .filter(|ordinal| *ordinal > 0)
                .map(|ordinal| format!("has partition {ordinal}; delete its pods below that ordinal, or lower it"))
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn read(kind: WorkloadKind, spec: &Value, status: &Value) -> Workload {
        let object = json!({"metadata": {"name": "w"}, "spec": spec, "status": status});
        serde_json::from_str::<Raw>(&object.to_string()).unwrap().reduce(kind)
    }

    #[test]
    fn what_holds_a_rollout_up_is_named() {
        use WorkloadKind::{DaemonSet, Deployment, StatefulSet};
        let progress = json!({"conditions": [{"type": "Progressing", "status": "False", "message": "too slow"}]});
        for (kind, spec, status, expected) in [
            (Deployment, json!({"paused": true}), json!({}), Some("paused")),
            (Deployment, json!({}), progress, Some("too slow")),
            (Deployment, json!({}), json!({}), None),
            (StatefulSet, json!({"updateStrategy": {"type": "OnDelete"}}), json!({}), Some("OnDelete")),
            (
                StatefulSet,
                json!({"updateStrategy": {"rollingUpdate": {"partition": 2}}}),
                json!({}),
                Some("partition 2"),
            ),
            (StatefulSet, json!({"updateStrategy": {"rollingUpdate": {"partition": 0}}}), json!({}), None),
            (DaemonSet, json!({"updateStrategy": {"type": "OnDelete"}}), json!({}), Some("OnDelete")),
        ] {
            let found = read(kind, &spec, &status).obstacle;
            assert_eq!(found.is_some(), expected.is_some(), "{spec}");
            assert!(found.unwrap_or_default().contains(expected.unwrap_or_default()), "{spec}");
        }
    }

    #[test]
    fn what_a_decision_looks_at_is_read_and_the_rest_is_not_kept() {
        let long = "x".repeat(200_000);
        let spec = json!({
            "replicas": 3, "selector": {"matchLabels": {"app": "w"}},
            "strategy": {"rollingUpdate": {"maxSurge": "25%"}},
            "template": {
                "metadata": {"annotations": {"note": long, "rotation.tokenturn.dev/t": "2.2"}, "labels": {"app": "w"}},
                "spec": {"containers": [{"name": "c", "args": [long], "envFrom": [{"secretRef": {"name": "s"}}]}]},
            },
        });
        let status =
            json!({"replicas": 2, "conditions": [{"type": "Progressing", "status": "False", "message": long}]});
        let workload = read(WorkloadKind::Deployment, &spec, &status);
        assert!(format!("{workload:?}").len() < 2_000);
        let view = workload.view("s", "t");
        assert!(view.holds());
        assert_eq!((view.wanted, view.running, view.stamp.as_deref()), (3, 2, Some("2.2")));
        assert!(workload.view("of nobody", "t").uses.is_none() && workload.selector.is_some());
    }
}
