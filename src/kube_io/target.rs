//! The Secret that workloads read.
//!
//! Written by a merge patch that carries UID and version as read and names only what is ours: keys, labels and annotations
//! that others added stay. Created by POST, so that a Secret made by somebody else meanwhile is an answer, not a loss.

use std::collections::{BTreeMap, BTreeSet};

use k8s_openapi::{api::core::v1::Secret, apimachinery::pkg::apis::meta::v1::ManagedFieldsEntry};
use kube::{
    Client,
    api::{DeleteParams, Patch, PatchParams, PostParams, Preconditions},
};
use serde_json::{Map, Value, json};

use super::{
    Reader, Swap, Version,
    error::{Error, swapped},
};
use crate::{
    api::names::{
        ADOPT_ANNOTATION, CONTROLLER, EARLIER_ORPHANED_ANNOTATION, FENCE_ANNOTATION, FIELD_MANAGER, INSTALL_ANNOTATION,
        MANAGED_BY_LABEL, ORPHANED_ANNOTATION, OWNER_NAME_ANNOTATION, OWNER_UID_LABEL, ROLE_LABEL, ROLE_TARGET,
        SERIAL_ANNOTATION,
    },
    connect::objects::Api,
    core::{
        plan::TargetPlan,
        seen::views::{Foreign, Target, TargetView},
        token::{Owner, Serial},
    },
    secret_value::{SecretValue, TokenSet},
};

/// A target as it was read, with the version to write it by.
#[derive(Debug)]
pub struct Read {
    pub target: Target,
    pub version: Option<Version>,
    /// Tokens that it says are alive and rotated by nobody, from owners before.
    pub orphans: Option<String>,
    /// The installation that it says it belongs to.
    pub install: Option<String>,
}

/// Who wrote which label and annotation, as far as the API server says: a webhook writes under the name of whoever made the request.
fn managers(entries: &[ManagedFieldsEntry]) -> BTreeMap<String, String> {
    let mut managers = BTreeMap::new();
    for entry in entries {
        let (Some(manager), Some(fields)) = (&entry.manager, &entry.fields_v1) else { continue };
        for kind in ["labels", "annotations"] {
            let keys = fields.0["f:metadata"][format!("f:{kind}")].as_object();
            for key in keys.into_iter().flat_map(|keys| keys.keys()).filter_map(|key| key.strip_prefix("f:")) {
                managers.insert(format!("{kind}/{key}"), manager.clone());
            }
        }
    }
    managers
}

/// Reads the target.
pub async fn read(cluster: &Reader, owner: &Owner, name: &str) -> Result<Read, Error> {
    let api: Api<Secret> = Api::namespaced(cluster.client().clone(), &owner.namespace);
    let doing = format!("reading Secret {}/{name}", owner.namespace);
    let Some(secret) = api.get_opt(name).await.map_err(Error::api(doing))? else {
        return Ok(Read::absent());
    };
    let version = Version::of(&secret.metadata);
    let orphans = orphans(&secret);
    let install = install(&secret).filter(|_| is_of(owner, &secret));
    Ok(Read { target: classify(owner, secret), version, orphans, install })
}

impl Read {
    /// No Secret.
    #[must_use]
    pub fn absent() -> Self {
        Self { target: Target::Absent, version: None, orphans: None, install: None }
    }
}

fn install(secret: &Secret) -> Option<String> {
    secret.metadata.annotations.as_ref()?.get(INSTALL_ANNOTATION).cloned()
}

/// Whether its label names this owner.
fn is_of(owner: &Owner, secret: &Secret) -> bool {
    secret.metadata.labels.as_ref().and_then(|labels| labels.get(OWNER_UID_LABEL)) == Some(&owner.uid)
}

/// Longest list of orphaned tokens that is carried on: some hundred names.
const MOST_ORPHANS: usize = 16 << 10;

/// What a Secret says of tokens that were left alive: those of the last owner, and those of the ones before.
fn orphans(secret: &Secret) -> Option<String> {
    let annotations = secret.metadata.annotations.as_ref()?;
    let said = [EARLIER_ORPHANED_ANNOTATION, ORPHANED_ANNOTATION].into_iter().filter_map(|key| annotations.get(key));
    let ids: BTreeSet<&str> = said.flat_map(|ids| ids.split(',')).map(str::trim).filter(|id| !id.is_empty()).collect();
    let listed = ids.into_iter().collect::<Vec<_>>().join(",");
    (!listed.is_empty() && listed.len() <= MOST_ORPHANS).then_some(listed)
}

/// Whose the Secret is.
fn classify(owner: &Owner, secret: Secret) -> Target {
    let labels = secret.metadata.labels.unwrap_or_default();
    let annotations = secret.metadata.annotations.unwrap_or_default();
    if labels.get(ROLE_LABEL).map(String::as_str) == Some(ROLE_TARGET) {
        let name = annotations.get(OWNER_NAME_ANNOTATION);
        return match labels.get(OWNER_UID_LABEL) {
            // A name that is another's was put there with a copied label.
            Some(uid) if *uid == owner.uid && name.is_none_or(|name| *name == owner.name) => {
                let data = secret.data.unwrap_or_default();
                let managers = managers(secret.metadata.managed_fields.as_deref().unwrap_or_default());
                Target::Ours(TargetView {
                    uid: secret.metadata.uid.unwrap_or_default(),
                    serial: annotations.get(SERIAL_ANNOTATION).and_then(|text| text.parse().ok()),
                    fence: annotations.get(FENCE_ANNOTATION).and_then(|text| text.parse().ok()),
                    immutable: secret.immutable == Some(true),
                    orphaned: annotations.contains_key(ORPHANED_ANNOTATION),
                    type_: secret.type_.unwrap_or_default(),
                    data: data.into_iter().map(|(key, value)| (key, SecretValue::new(value.0))).collect(),
                    labels,
                    annotations,
                    managers,
                })
            }
            _ if annotations.contains_key(ORPHANED_ANNOTATION) => adoptable(owner, &annotations, Foreign::Leftover),
            _ => {
                // An object of our own name with another UID is our predecessor.
                let other = name.filter(|other| **other != owner.name).cloned();
                let whose = other.map_or(Foreign::Leftover, Foreign::Token);
                adoptable(owner, &annotations, whose)
            }
        };
    }
    adoptable(owner, &annotations, Foreign::Unmanaged)
}

fn adoptable(owner: &Owner, annotations: &BTreeMap<String, String>, whose: Foreign) -> Target {
    if annotations.get(ADOPT_ANNOTATION) == Some(&owner.name) { Target::Adoptable } else { Target::Foreign(whose) }
}

/// What a target is written by: its version as read, and what is said in it besides the token.
#[derive(Clone, Copy, Debug)]
pub struct Base<'a> {
    /// The id of this installation.
    pub install: &'a str,
    pub version: Option<&'a Version>,
    pub orphans: Option<&'a str>,
}

/// Writes a token into the target as it was read.
pub async fn publish(
    client: &Client,
    owner: &Owner,
    plan: &TargetPlan,
    base: Base<'_>,
    serial: Serial,
    values: &TokenSet,
) -> Result<Swap, Error> {
    let data = content(plan, |field| values.get(field).map(SecretValue::expose));
    write(client, owner, plan, base, &serial.to_string(), data, false).await
}

/// Whether the target could be written, by a dry run with a placeholder.
///
/// # Errors
/// The API server's own words: a missing right, a quota, a policy, an immutable Secret.
pub async fn dry_run(
    cluster: &Reader,
    owner: &Owner,
    plan: &TargetPlan,
    base: Option<&Version>,
) -> Result<Swap, Error> {
    let data = content(plan, |_| Some(b"placeholder".as_slice()));
    write(cluster.client(), owner, plan, Base { install: "", version: base, orphans: None }, "0.0", data, true).await
}

async fn write(
    client: &Client,
    owner: &Owner,
    plan: &TargetPlan,
    base: Base<'_>,
    serial: &str,
    data: Map<String, Value>,
    dry_run: bool,
) -> Result<Swap, Error> {
    let api: Api<Secret> = Api::namespaced(client.clone(), &owner.namespace);
    let mut labels: BTreeMap<&str, &str> =
        plan.labels.iter().map(|(key, value)| (key.as_str(), value.as_str())).collect();
    labels.extend([(MANAGED_BY_LABEL, CONTROLLER), (ROLE_LABEL, ROLE_TARGET), (OWNER_UID_LABEL, &owner.uid)]);
    let mut annotations: BTreeMap<&str, &str> =
        plan.annotations.iter().map(|(key, value)| (key.as_str(), value.as_str())).collect();
    annotations.extend([
        (SERIAL_ANNOTATION, serial),
        (OWNER_NAME_ANNOTATION, &owner.name),
        (INSTALL_ANNOTATION, base.install),
    ]);
    let mut object = json!({
        "metadata": {"name": plan.name, "labels": labels, "annotations": annotations},
        "data": data,
    });
    let doing = format!("writing Secret {}/{}", owner.namespace, plan.name);
    let Some(Version { uid, resource_version }) = base.version else {
        object["type"] = json!(plan.type_);
        let secret: Secret = serde_json::from_value(object)
            .map_err(|error| Error::Malformed { what: doing.clone(), why: error.to_string() })?;
        let params = PostParams { dry_run, field_manager: Some(FIELD_MANAGER.to_owned()) };
        return match api.create(&params, &secret).await {
            // A missing namespace is not "somebody was faster".
            Err(source @ kube::Error::Api(_)) if is_not_found(&source) => Err(Error::Api { doing, source }),
            result => swapped(result, doing),
        };
    };
    // What was said about an earlier state of it no longer holds.
    for said in [FENCE_ANNOTATION, ORPHANED_ANNOTATION, ADOPT_ANNOTATION] {
        object["metadata"]["annotations"][said] = Value::Null;
    }
    // But tokens of owners before are alive, and this is the only place that names them.
    if let Some(orphans) = base.orphans {
        object["metadata"]["annotations"][EARLIER_ORPHANED_ANNOTATION] = json!(orphans);
    }
    object["metadata"]["uid"] = json!(uid);
    object["metadata"]["resourceVersion"] = json!(resource_version);
    let params = PatchParams { dry_run, field_manager: Some(FIELD_MANAGER.to_owned()), ..PatchParams::default() };
    swapped(api.patch(&plan.name, &params, &Patch::Merge(&object)).await, doing)
}

fn is_not_found(error: &kube::Error) -> bool {
    matches!(error, kube::Error::Api(status) if status.code == 404)
}

/// The `data` of the Secret: planned keys, never an empty value.
fn content<'a>(plan: &TargetPlan, value: impl Fn(&str) -> Option<&'a [u8]>) -> Map<String, Value> {
    let encoded = plan.data.iter().filter_map(|(key, field)| {
        let bytes = value(field).filter(|bytes| !bytes.is_empty())?;
        let encoded = serde_json::to_value(k8s_openapi::ByteString(bytes.to_vec())).ok()?;
        Some((key.clone(), encoded))
    });
    encoded.collect()
}

/// Changes one annotation of the target as it was read, and with it its version.
async fn annotate(
    client: &Client,
    owner: &Owner,
    name: &str,
    base: &Version,
    annotation: &str,
    value: &str,
) -> Result<Swap, Error> {
    let api: Api<Secret> = Api::namespaced(client.clone(), &owner.namespace);
    let Version { uid, resource_version } = base;
    let patch = json!({"metadata": {
        "uid": uid, "resourceVersion": resource_version, "annotations": {annotation: value},
    }});
    let params = PatchParams { field_manager: Some(FIELD_MANAGER.to_owned()), ..PatchParams::default() };
    let result = api.patch(name, &params, &Patch::Merge(&patch)).await;
    swapped(result, format!("annotating Secret {}/{name}", owner.namespace))
}

/// Makes every write that is based on an older read fail.
pub async fn fence(client: &Client, owner: &Owner, name: &str, base: &Version, attempt: i64) -> Result<Swap, Error> {
    annotate(client, owner, name, base, FENCE_ANNOTATION, &attempt.to_string()).await
}

/// Says on the Secret which live token nobody rotates now.
pub async fn mark_orphaned(
    client: &Client,
    owner: &Owner,
    name: &str,
    base: &Version,
    id: &str,
) -> Result<Swap, Error> {
    annotate(client, owner, name, base, ORPHANED_ANNOTATION, id).await
}

/// Deletes the target as it was read.
pub async fn delete(client: &Client, owner: &Owner, name: &str, base: &Version) -> Result<Swap, Error> {
    let api: Api<Secret> = Api::namespaced(client.clone(), &owner.namespace);
    let preconditions =
        Preconditions { uid: Some(base.uid.clone()), resource_version: Some(base.resource_version.clone()) };
    let params = DeleteParams { preconditions: Some(preconditions), ..DeleteParams::default() };
    swapped(api.delete(name, &params).await, format!("deleting Secret {}/{name}", owner.namespace))
}

#[cfg(test)]
mod tests {
    use kube::api::ObjectMeta;

    use super::*;

    fn owner() -> Owner {
        Owner { namespace: "shop".to_owned(), name: "api".to_owned(), uid: "uid-1".to_owned() }
    }

    fn labelled(uid: &str, annotations: &[(&str, &str)]) -> Secret {
        let pairs = |pairs: &[(&str, &str)]| {
            Some(pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect())
        };
        Secret {
            metadata: ObjectMeta {
                labels: pairs(&[(ROLE_LABEL, ROLE_TARGET), (OWNER_UID_LABEL, uid)]),
                annotations: pairs(annotations),
                ..ObjectMeta::default()
            },
            ..Secret::default()
        }
    }

    /// A Secret that `deletionPolicy: Orphan` left was adopted: the annotation went, and with it the only name of a live token.
    #[test]
    fn names_of_orphaned_tokens_are_carried_on() {
        let orphans = |annotations: &[(&str, &str)]| super::orphans(&labelled("uid-1", annotations));
        assert_eq!(orphans(&[]), None);
        assert_eq!(orphans(&[(ORPHANED_ANNOTATION, "b,a")]).as_deref(), Some("a,b"));
        let both = [(ORPHANED_ANNOTATION, "c"), (EARLIER_ORPHANED_ANNOTATION, "a,b")];
        assert_eq!(orphans(&both).as_deref(), Some("a,b,c"));
        assert_eq!(orphans(&[(EARLIER_ORPHANED_ANNOTATION, "a")]).as_deref(), Some("a"));
        let long = "x".repeat(MOST_ORPHANS + 1);
        assert_eq!(orphans(&[(ORPHANED_ANNOTATION, &long)]), None, "nobody's list of tokens is that long");
    }

    #[test]
    fn a_secret_is_ours_only_by_uid_and_name() {
        let classified = |uid, annotations: &[(&str, &str)]| classify(&owner(), labelled(uid, annotations));
        let named = |name| [(OWNER_NAME_ANNOTATION, name)];
        assert!(matches!(classified("uid-1", &named("api")), Target::Ours(_)));
        assert!(matches!(classified("uid-1", &[]), Target::Ours(_)), "an annotation that was taken off is drift");
        assert_eq!(classified("uid-1", &named("web")), Target::Foreign(Foreign::Token("web".to_owned())));
        assert_eq!(classified("uid-2", &named("api")), Target::Foreign(Foreign::Leftover));
        assert_eq!(classified("uid-2", &named("web")), Target::Foreign(Foreign::Token("web".to_owned())));
    }
}
