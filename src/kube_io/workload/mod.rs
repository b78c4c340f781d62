//! Deployments, StatefulSets and DaemonSets: which use the Secret, and the stamp that rolls them.

mod slim;

use std::collections::BTreeMap;

use k8s_openapi::api::apps::v1::{DaemonSet, Deployment, StatefulSet};
use kube::{
    Client,
    api::{ApiResource, DynamicObject, Patch, PatchParams},
};
use serde_json::{Value, json};

use slim::Raw;
pub use slim::Workload;

use super::{
    Reader, Swap, Version,
    error::{Error, swapped},
    pages,
};
use crate::{
    api::{
        WorkloadKind, WorkloadRef,
        names::{STAMP_FIELD_MANAGER, STAMP_PREFIX},
    },
    connect::objects::{Api, list_path},
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
///
/// # Errors
/// The API server did not show all of them.
pub async fn list(cluster: &Reader, namespace: &str) -> Result<Vec<Workload>, Error> {
    let lists = WorkloadKind::ALL.map(|kind| async move {
        let doing = format!("listing {}s of {namespace}", kind.as_str());
        let path = list_path("apis/apps/v1", namespace, &resource(kind).plural).map_err(Error::api(&doing))?;
        let mut workloads = Vec::new();
        let take = |page: Vec<Raw>| workloads.extend(page.into_iter().map(|raw| raw.reduce(kind)));
        pages::each(cluster, &path, &doing, take).await?;
        Ok::<_, Error>(workloads)
    });
    Ok(futures::future::try_join_all(lists).await?.into_iter().flatten().collect())
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
