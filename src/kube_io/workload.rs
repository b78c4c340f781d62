//! Deployments, StatefulSets and DaemonSets: which use the Secret, and the stamp that rolls them.

use std::collections::BTreeMap;

use k8s_openapi::api::apps::v1::{DaemonSet, Deployment, StatefulSet};
use kube::{
    Client, ResourceExt,
    api::{ApiResource, DynamicObject, ListParams, Patch, PatchParams},
    core::{Selector, SelectorExt},
};
use serde_json::{Value, json};

use super::{
    Swap, Version,
    error::{Error, swapped},
    pods::selector,
};
use crate::{
    api::{
        WorkloadKind, WorkloadRef,
        names::{STAMP_FIELD_MANAGER, STAMP_PREFIX},
    },
    connect::objects::Api,
    core::{consumers::WorkloadView, usage},
};

fn resource(kind: WorkloadKind) -> ApiResource {
    match kind {
        WorkloadKind::Deployment => ApiResource::erase::<Deployment>(&()),
        WorkloadKind::StatefulSet => ApiResource::erase::<StatefulSet>(&()),
        WorkloadKind::DaemonSet => ApiResource::erase::<DaemonSet>(&()),
    }
}

fn api(client: &Client, namespace: &str, kind: WorkloadKind) -> Api<DynamicObject> {
    Api::namespaced_with(client.clone(), namespace, &resource(kind))
}

/// Lists every workload of a namespace, most recent.
pub async fn list(client: &Client, namespace: &str) -> Result<Vec<(WorkloadRef, DynamicObject)>, Error> {
    let lists = WorkloadKind::ALL.map(|kind| async move {
        let doing = format!("listing {}s of {namespace}", kind.as_str());
        let items = api(client, namespace, kind).list(&ListParams::default()).await.map_err(Error::api(doing))?.items;
        Ok::<_, Error>(items.into_iter().map(move |object| (WorkloadRef { kind, name: object.name_any() }, object)))
    });
    Ok(futures::future::try_join_all(lists).await?.into_iter().flatten().collect())
}

/// The selector of a workload's pods.
#[must_use]
pub fn pod_selector(object: &DynamicObject) -> Option<Selector> {
    selector(&object.data["spec"]["selector"])
}

/// What a decision needs to know of a workload. `owner` is the name of the RotatedToken, for its stamp.
#[must_use]
pub fn view(
    workload: &WorkloadRef,
    object: &DynamicObject,
    secret: &str,
    owner: &str,
    pods: &[DynamicObject],
) -> WorkloadView {
    let template = &object.data["spec"]["template"];
    let stamp = template["metadata"]["annotations"][stamp_key(owner).as_str()].as_str();
    let selector = pod_selector(object);
    WorkloadView {
        workload: workload.clone(),
        uses: usage::usage(&template["spec"], secret).is_some(),
        wanted: wanted(workload.kind, object),
        running: running(workload.kind, object),
        has_pods: selector.is_none_or(|selector| pods.iter().any(|pod| selector.matches(pod.labels()))),
        stamp: stamp.map(Into::into),
        obstacle: obstacle(workload.kind, object),
    }
}

fn wanted(kind: WorkloadKind, object: &DynamicObject) -> i64 {
    match kind {
        WorkloadKind::Deployment | WorkloadKind::StatefulSet => object.data["spec"]["replicas"].as_i64().unwrap_or(1),
        WorkloadKind::DaemonSet => object.data["status"]["desiredNumberScheduled"].as_i64().unwrap_or(0),
    }
}

fn running(kind: WorkloadKind, object: &DynamicObject) -> i64 {
    let count = match kind {
        WorkloadKind::Deployment | WorkloadKind::StatefulSet => "replicas",
        WorkloadKind::DaemonSet => "currentNumberScheduled",
    };
    object.data["status"][count].as_i64().unwrap_or(0)
}

/// Why a changed template does not replace the pods, in words for the owner of the workload.
fn obstacle(kind: WorkloadKind, object: &DynamicObject) -> Option<String> {
    let (spec, status) = (&object.data["spec"], &object.data["status"]);
    match kind {
        WorkloadKind::Deployment if spec["paused"] == json!(true) => {
            Some("is paused, so its pods are not replaced; resume it".to_owned())
        }
        WorkloadKind::Deployment => {
            let condition = |type_: &str, status_: &str| {
                let conditions = status["conditions"].as_array()?;
                let found = conditions.iter().find(|c| c["type"] == json!(type_) && c["status"] == json!(status_))?;
                found["message"].as_str().map(str::to_owned)
            };
            let stuck = condition("ReplicaFailure", "True").or_else(|| condition("Progressing", "False"));
            stuck.map(|message| format!("its rollout is stuck: {message}"))
        }
        WorkloadKind::StatefulSet | WorkloadKind::DaemonSet => {
            let strategy = &spec["updateStrategy"];
            if strategy["type"] == json!("OnDelete") {
                return Some("has update strategy OnDelete; delete its pods when they can be replaced".to_owned());
            }
            let partition = strategy["rollingUpdate"]["partition"].as_i64().filter(|partition| *partition > 0);
            partition.map(|ordinal| format!("has partition {ordinal}; delete its pods below that ordinal, or lower it"))
        }
    }
}

/// Key of the annotation that rolls a workload for one RotatedToken.
#[must_use]
pub fn stamp_key(owner: &str) -> String {
    format!("{STAMP_PREFIX}{owner}")
}

/// Stamps a workload's pod template with the given annotations, in one write.
///
/// Stamps of other RotatedTokens are written again as they are, because what a field manager leaves out of an apply is
/// removed. The write carries the version that was read, so that two replicas cannot take each other's stamps away.
pub async fn stamp(
    client: &Client,
    namespace: &str,
    workload: &WorkloadRef,
    stamps: &BTreeMap<String, String>,
) -> Result<Swap, Error> {
    let api = api(client, namespace, workload.kind);
    let doing = format!("restarting {namespace}/{workload}");
    let Some(object) = api.get_opt(&workload.name).await.map_err(Error::api(doing.clone()))? else {
        return Ok(Swap::Conflict);
    };
    let present = object.data["spec"]["template"]["metadata"]["annotations"].as_object();
    let present = present.into_iter().flatten().filter(|(key, _)| key.starts_with(STAMP_PREFIX));
    let present: BTreeMap<String, Value> = present.map(|(key, value)| (key.clone(), value.clone())).collect();
    let mut wanted = present.clone();
    wanted.extend(stamps.iter().map(|(key, value)| (key.clone(), json!(value))));
    if wanted == present {
        return Ok(Swap::Done);
    }
    let Some(Version { uid, resource_version }) = Version::of(&object.metadata) else { return Ok(Swap::Conflict) };
    let patch = json!({
        "apiVersion": "apps/v1",
        "kind": workload.kind.as_str(),
        "metadata": {"name": workload.name, "uid": uid, "resourceVersion": resource_version},
        "spec": {"template": {"metadata": {"annotations": wanted}}},
    });
    let params = PatchParams::apply(STAMP_FIELD_MANAGER);
    match api.patch(&workload.name, &params, &Patch::Apply(&patch)).await {
        Err(error) if is_owned_by_other(&error) => Ok(Swap::Done),
        result => swapped(result, doing),
    }
}

/// Another field manager holds the annotation with another value. The stamp was tried; that it is not there shows when the
/// workload is read again.
fn is_owned_by_other(error: &kube::Error) -> bool {
    let kube::Error::Api(status) = error else { return false };
    let causes = status.details.iter().flat_map(|details| &details.causes);
    status.code == 409 && causes.into_iter().any(|cause| cause.reason == "FieldManagerConflict")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn object(kind: &str, spec: Value, status: Value) -> DynamicObject {
        let value =
            json!({"apiVersion": "apps/v1", "kind": kind, "metadata": {"name": "w"}, "spec": spec, "status": status});
        serde_json::from_value(value).unwrap()
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
            let found = obstacle(kind, &object(kind.as_str(), spec.clone(), status));
            assert_eq!(found.is_some(), expected.is_some(), "{spec}");
            assert!(found.unwrap_or_default().contains(expected.unwrap_or_default()), "{spec}");
        }
    }
}
