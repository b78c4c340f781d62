//! Applies YAML to the control plane: the CRDs, the rendered chart, the examples.

use std::{fs, path::Path, time::Duration};

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::{
    Api, Client, ResourceExt,
    api::{DynamicObject, Patch, PatchParams},
    discovery::{Discovery, Scope},
};
use serde::Deserialize;

use super::{Error, wait};

const MANAGER: &str = "testkit";

/// The account `api-client` that tokens of tests speak for, with the rights that they ask for, and the provider `cluster`.
pub const API_CLIENT: &str = r#"
apiVersion: v1
kind: ServiceAccount
metadata: {name: api-client}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: Role
metadata: {name: api-client}
rules: [{apiGroups: [""], resources: [configmaps], verbs: [get, list]}]
---
apiVersion: rbac.authorization.k8s.io/v1
kind: RoleBinding
metadata: {name: api-client}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: Role, name: api-client}
subjects: [{kind: ServiceAccount, name: api-client}]
---
apiVersion: tokenturn.dev/v1alpha1
kind: TokenProvider
metadata: {name: cluster}
spec: {kubernetes: {}}
"#;

/// Applies every YAML file of a folder and waits until all CRDs in it are served.
pub async fn install_crds(client: &Client, folder: &Path) -> Result<(), Error> {
    let entries = fs::read_dir(folder).map_err(Error::io(format!("list {}", folder.display())))?;
    let mut files: Vec<_> = entries.filter_map(|entry| Some(entry.ok()?.path())).collect();
    files.retain(|path| path.extension().is_some_and(|extension| extension == "yaml" || extension == "yml"));
    files.sort();
    for file in files {
        let text = fs::read_to_string(&file).map_err(Error::io(format!("read {}", file.display())))?;
        apply_yaml(client, &text, "default").await?;
    }
    Ok(())
}

/// Applies all documents of a text by server-side apply, in their order.
///
/// Objects of namespaced kinds without a namespace go to `namespace`. CRDs are waited for, so that
/// the documents after them can use their kinds.
pub async fn apply_yaml(client: &Client, text: &str, namespace: &str) -> Result<Vec<DynamicObject>, Error> {
    let mut known = discover(client).await?;
    let mut applied = Vec::new();
    for object in documents(text)? {
        let object = apply(client, &known, &object, namespace).await?;
        if object.types.as_ref().is_some_and(|types| types.kind == "CustomResourceDefinition") {
            established(client, &object.name_any()).await?;
            known = discover(client).await?;
        }
        applied.push(object);
    }
    Ok(applied)
}

/// The documents of a text; empty ones, which templates leave behind, are skipped.
pub fn documents(text: &str) -> Result<Vec<DynamicObject>, Error> {
    let values = serde_norway::Deserializer::from_str(text).map(serde_json::Value::deserialize);
    let values = values.collect::<Result<Vec<_>, _>>().map_err(|problem| Error::invalid("read YAML", problem))?;
    let objects = values.into_iter().filter(|value| !value.is_null()).map(serde_json::from_value);
    objects.collect::<Result<_, _>>().map_err(|problem| Error::invalid("read a Kubernetes object", problem))
}

async fn discover(client: &Client) -> Result<Discovery, Error> {
    Discovery::new(client.clone()).run_aggregated().await.map_err(Error::kube("ask the API server for its kinds"))
}

async fn apply(
    client: &Client,
    known: &Discovery,
    object: &DynamicObject,
    namespace: &str,
) -> Result<DynamicObject, Error> {
    let kind = object.types.as_ref().map(|types| format!("{} {}", types.api_version, types.kind)).unwrap_or_default();
    let what = format!("apply {kind} {}", object.name_any());
    let (resource, capabilities) =
        known.resolve_object(object).ok_or_else(|| Error::invalid(&what, "the API server does not know this kind"))?;
    let api: Api<DynamicObject> = match capabilities.scope {
        Scope::Cluster => Api::all_with(client.clone(), &resource),
        Scope::Namespaced => {
            let namespace = object.namespace().unwrap_or_else(|| namespace.to_owned());
            Api::namespaced_with(client.clone(), &namespace, &resource)
        }
    };
    let params = PatchParams::apply(MANAGER).force().validation_strict();
    api.patch(&object.name_any(), &params, &Patch::Apply(object)).await.map_err(Error::kube(what))
}

async fn established(client: &Client, name: &str) -> Result<(), Error> {
    let crds: Api<CustomResourceDefinition> = Api::all(client.clone());
    wait::until(&format!("CRD {name} to be served"), Duration::from_secs(30), async || {
        let status = crds.get(name).await.ok()?.status?;
        let mut conditions = status.conditions.into_iter().flatten();
        conditions.any(|condition| condition.type_ == "Established" && condition.status == "True").then_some(())
    })
    .await
}
