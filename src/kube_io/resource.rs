//! The `RotatedToken`: read, finalizer, status. And the provider objects.

use k8s_openapi::{api::core::v1::Namespace, apimachinery::pkg::apis::meta::v1::ObjectMeta};
use kube::{
    Client, ResourceExt,
    api::{Patch, PatchParams, PostParams},
};
use serde_json::json;

use super::{
    Reader, Swap, Version,
    error::{Error, swapped},
};
use crate::{
    api::{
        ClusterTokenProvider, ProviderKind, ProviderRef, RotatedToken, RotatedTokenStatus, TokenProvider,
        TokenProviderSpec,
        names::{FIELD_MANAGER, FINALIZER, INSTALL_ANNOTATION},
    },
    connect::objects::Api,
    core::token::Owner,
};

/// Reads the object; `None` if there is none with this UID.
///
/// # Errors
/// Everything but the object and the API server's word that exactly this object does not exist: tokens are revoked because of that.
pub async fn read(cluster: &Reader, owner: &Owner) -> Result<Option<RotatedToken>, Error> {
    let api: Api<RotatedToken> = Api::namespaced(cluster.client().clone(), &owner.namespace);
    match api.get(&owner.name).await {
        Ok(object) => Ok(Some(object).filter(|object| object.metadata.uid.as_deref() == Some(owner.uid.as_str()))),
        Err(error) if is_absent(&error, &owner.name) => Ok(None),
        Err(source) => {
            Err(Error::Api { doing: format!("reading RotatedToken {}/{}", owner.namespace, owner.name), source })
        }
    }
}

/// Whether an answer says that the object of this name does not exist. A 404 that names no object says that its kind is not served: the CRD
/// is missing, or a proxy answers.
fn is_absent(error: &kube::Error, name: &str) -> bool {
    let kube::Error::Api(status) = error else { return false };
    let named = status.details.as_ref().is_some_and(|details| details.name == name);
    status.code == 404 && status.reason == "NotFound" && named
}

/// Reads the spec of a provider object; `None` if there is no such object.
pub async fn provider(
    cluster: &Reader,
    namespace: &str,
    reference: &ProviderRef,
) -> Result<Option<TokenProviderSpec>, Error> {
    let doing = format!("reading {} {}", reference.kind.as_str(), reference.name);
    match reference.kind {
        ProviderKind::TokenProvider => {
            let api: Api<TokenProvider> = Api::namespaced(cluster.client().clone(), namespace);
            Ok(api.get_opt(&reference.name).await.map_err(Error::api(doing))?.map(|object| object.spec))
        }
        ProviderKind::ClusterTokenProvider => {
            let api: Api<ClusterTokenProvider> = Api::all(cluster.client().clone());
            Ok(api.get_opt(&reference.name).await.map_err(Error::api(doing))?.map(|object| object.spec.into()))
        }
    }
}

/// Whether a namespace is being deleted, or is gone.
pub async fn namespace_ends(cluster: &Reader, name: &str) -> Result<bool, Error> {
    let api: Api<Namespace> = Api::all(cluster.client().clone());
    let found = api.get_opt(name).await.map_err(Error::api(format!("reading namespace {name}")))?;
    Ok(found.is_none_or(|namespace| namespace.metadata.deletion_timestamp.is_some()))
}

/// Puts our finalizer on the object as it was read, and notes which installation holds its record. The object as it is then; `None` if somebody
/// else has changed it.
pub async fn claim(client: &Client, object: &RotatedToken, install: &str) -> Result<Option<RotatedToken>, Error> {
    let mut finalizers = object.finalizers().to_vec();
    if !finalizers.iter().any(|name| name == FINALIZER) {
        finalizers.push(FINALIZER.to_owned());
    }
    set_finalizers(client, object, &finalizers, json!({INSTALL_ANNOTATION: install})).await
}

/// Takes our finalizer off the object as it was read.
pub async fn remove_finalizer(client: &Client, object: &RotatedToken) -> Result<Swap, Error> {
    let others: Vec<String> = object.finalizers().iter().filter(|name| *name != FINALIZER).cloned().collect();
    let released = set_finalizers(client, object, &others, json!({})).await?;
    Ok(released.map_or(Swap::Conflict, |_| Swap::Done))
}

async fn set_finalizers(
    client: &Client,
    object: &RotatedToken,
    finalizers: &[String],
    annotations: serde_json::Value,
) -> Result<Option<RotatedToken>, Error> {
    let (namespace, name) = (object.namespace().unwrap_or_default(), object.name_any());
    let api: Api<RotatedToken> = Api::namespaced(client.clone(), &namespace);
    let Some(Version { uid, resource_version }) = Version::of(&object.metadata) else { return Ok(None) };
    let patch = json!({"metadata": {"uid": uid, "resourceVersion": resource_version, "finalizers": finalizers, "annotations": annotations}});
    let params = PatchParams { field_manager: Some(FIELD_MANAGER.to_owned()), ..PatchParams::default() };
    match api.patch(&name, &params, &Patch::Merge(&patch)).await {
        Ok(changed) => Ok(Some(changed)),
        Err(error) => {
            let doing = format!("changing the finalizers of RotatedToken {namespace}/{name}");
            swapped(Err::<(), _>(error), doing).map(|_| None)
        }
    }
}

/// Writes the status of the object as it was read: a replica that was away for a while leaves no old one behind. All of it, in place of what
/// stood there: nobody else has a part in it, and the API server merges nothing.
pub async fn write_status(client: &Client, object: &RotatedToken, status: &RotatedTokenStatus) -> Result<Swap, Error> {
    let (namespace, name) = (object.namespace().unwrap_or_default(), object.name_any());
    let api: Api<RotatedToken> = Api::namespaced(client.clone(), &namespace);
    let Some(Version { uid, resource_version }) = Version::of(&object.metadata) else { return Ok(Swap::Conflict) };
    let written = RotatedToken {
        metadata: ObjectMeta {
            name: Some(name.clone()),
            namespace: Some(namespace.clone()),
            uid: Some(uid),
            resource_version: Some(resource_version),
            ..ObjectMeta::default()
        },
        // Of this request the API server takes the status only.
        spec: object.spec.clone(),
        status: Some(status.clone()),
    };
    let params = PostParams { field_manager: Some(FIELD_MANAGER.to_owned()), ..PostParams::default() };
    let result = api.replace_status(&name, &params, &written).await;
    swapped(result, format!("writing the status of RotatedToken {namespace}/{name}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// An answer of a proxy, or of an API server that does not serve the kind, counted as "the object is gone", and its tokens were revoked.
    #[test]
    fn only_a_404_that_names_the_object_says_that_it_is_gone() {
        let answer = |code: u16, reason: &str, name: Option<&str>| {
            let status = json!({"code": code, "reason": reason, "details": name.map(|name| json!({"name": name}))});
            kube::Error::Api(Box::new(serde_json::from_value(status).unwrap()))
        };
        assert!(is_absent(&answer(404, "NotFound", Some("api")), "api"));
        for other in [
            answer(404, "NotFound", None),
            answer(404, "NotFound", Some("")),
            answer(404, "NotFound", Some("rotatedtokens")),
            answer(404, "Failed to parse error data", None),
            answer(403, "Forbidden", Some("api")),
            answer(410, "Gone", Some("api")),
            answer(503, "ServiceUnavailable", Some("api")),
        ] {
            assert!(!is_absent(&other, "api"), "{other:?}");
        }
    }
}
