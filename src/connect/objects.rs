//! The API server, asked by names that were checked: the one way in which a name gets into the path of a request.
//!
//! The client puts names into paths as they are. What is not a name would be another request: `?limit=500` in the place of a
//! Secret's name lists all of them. So nothing but this file asks by name with the client's own `Api`; a test reads that.

use std::fmt::Debug;

use k8s_openapi::{
    NamespaceResourceScope,
    api::{authentication::v1::TokenRequest, core::v1::ServiceAccount},
};
use kube::{
    Client, Resource,
    api::{DeleteParams, ListParams, ObjectList, PartialObjectMeta, Patch, PatchParams, PostParams},
    core::{DynamicResourceScope, request},
};
use serde::{Serialize, de::DeserializeOwned};

use crate::api::object_name::{self, BadName};

/// Objects of a kind, of one namespace or of the cluster.
#[derive(Clone)]
pub struct Api<K> {
    inner: kube::Api<K>,
    kind: String,
    /// The namespace cannot be one: then nothing is asked.
    misplaced: Option<BadName>,
}

/// The error of a name that cannot be one. The request was not sent.
fn refused(bad: &BadName) -> kube::Error {
    kube::Error::BuildRequest(request::Error::Validation(bad.to_string()))
}

/// Why a request was not sent, where the names in it cannot be names.
#[must_use]
pub fn bad_name(error: &kube::Error) -> Option<&str> {
    match error {
        kube::Error::BuildRequest(request::Error::Validation(why)) => Some(why),
        _ => None,
    }
}

impl<K: Resource> Api<K> {
    /// Objects of the cluster.
    #[must_use]
    pub fn all(client: Client) -> Self
    where
        K::DynamicType: Default,
    {
        let kind = K::kind(&K::DynamicType::default()).into_owned();
        Self { inner: kube::Api::all(client), kind, misplaced: None }
    }

    /// Objects of a namespace.
    #[must_use]
    pub fn namespaced(client: Client, namespace: &str) -> Self
    where
        K: Resource<Scope = NamespaceResourceScope>,
        K::DynamicType: Default,
    {
        let kind = K::kind(&K::DynamicType::default()).into_owned();
        let misplaced = object_name::check_namespace(namespace).err();
        Self { inner: kube::Api::namespaced(client, namespace), kind, misplaced }
    }

    /// Objects of a namespace, of a kind that is named.
    #[must_use]
    pub fn namespaced_with(client: Client, namespace: &str, kind: &K::DynamicType) -> Self
    where
        K: Resource<Scope = DynamicResourceScope>,
    {
        let misplaced = object_name::check_namespace(namespace).err();
        let inner = kube::Api::namespaced_with(client, namespace, kind);
        Self { inner, kind: K::kind(kind).into_owned(), misplaced }
    }
}

impl<K> Api<K> {
    /// For a watch, or a list.
    ///
    /// # Errors
    /// The namespace cannot be one.
    pub fn unnamed(&self) -> kube::Result<&kube::Api<K>> {
        self.misplaced.as_ref().map_or(Ok(&self.inner), |bad| Err(refused(bad)))
    }

    /// For a request about one object.
    fn named(&self, name: &str) -> kube::Result<&kube::Api<K>> {
        object_name::check(&self.kind, name).map_err(|bad| refused(&bad))?;
        self.unnamed()
    }
}

/// The methods of the client's own type, word by word.
#[allow(clippy::missing_errors_doc, reason = "those of the client, and a name that cannot be one")]
impl<K: Clone + Debug + DeserializeOwned> Api<K> {
    pub async fn get(&self, name: &str) -> kube::Result<K> {
        self.named(name)?.get(name).await
    }

    pub async fn get_opt(&self, name: &str) -> kube::Result<Option<K>> {
        self.named(name)?.get_opt(name).await
    }

    pub async fn get_metadata_opt(&self, name: &str) -> kube::Result<Option<PartialObjectMeta<K>>> {
        self.named(name)?.get_metadata_opt(name).await
    }

    pub async fn list(&self, params: &ListParams) -> kube::Result<ObjectList<K>> {
        self.unnamed()?.list(params).await
    }

    pub async fn list_metadata(&self, params: &ListParams) -> kube::Result<ObjectList<PartialObjectMeta<K>>> {
        self.unnamed()?.list_metadata(params).await
    }

    pub async fn create(&self, params: &PostParams, object: &K) -> kube::Result<K>
    where
        K: Serialize,
    {
        self.unnamed()?.create(params, object).await
    }

    pub async fn replace(&self, name: &str, params: &PostParams, object: &K) -> kube::Result<K>
    where
        K: Serialize,
    {
        self.named(name)?.replace(name, params, object).await
    }

    pub async fn patch<P: Serialize + Debug>(
        &self,
        name: &str,
        params: &PatchParams,
        patch: &Patch<P>,
    ) -> kube::Result<K> {
        self.named(name)?.patch(name, params, patch).await
    }

    pub async fn patch_status<P: Serialize + Debug>(
        &self,
        name: &str,
        params: &PatchParams,
        patch: &Patch<P>,
    ) -> kube::Result<K> {
        self.named(name)?.patch_status(name, params, patch).await
    }

    pub async fn replace_status(&self, name: &str, params: &PostParams, object: &K) -> kube::Result<K>
    where
        K: Serialize,
    {
        self.named(name)?.replace_status(name, params, object).await
    }

    /// Answered alike whether the object is gone already or waits for finalizers.
    pub async fn delete(&self, name: &str, params: &DeleteParams) -> kube::Result<()> {
        self.named(name)?.delete(name, params).await.map(drop)
    }
}

impl Api<ServiceAccount> {
    /// # Errors
    /// Those of the client, and a name that cannot be one.
    pub async fn create_token_request(
        &self,
        name: &str,
        params: &PostParams,
        wanted: &TokenRequest,
    ) -> kube::Result<TokenRequest> {
        self.named(name)?.create_token_request(name, params, wanted).await
    }
}

/// Where the objects of a namespace are listed and watched: `group` as in `api/v1`, `plural` as in `pods`.
///
/// # Errors
/// The namespace cannot be one.
pub fn list_path(group: &str, namespace: &str, plural: &str) -> kube::Result<String> {
    object_name::check_namespace(namespace).map_err(|bad| refused(&bad))?;
    Ok(format!("/{group}/namespaces/{namespace}/{plural}"))
}

/// Where tokens of a ServiceAccount are asked for.
///
/// # Errors
/// A name cannot be one.
pub fn token_path(namespace: &str, account: &str) -> kube::Result<String> {
    object_name::check_namespace(namespace).map_err(|bad| refused(&bad))?;
    object_name::check("ServiceAccount", account).map_err(|bad| refused(&bad))?;
    Ok(format!("/api/v1/namespaces/{namespace}/serviceaccounts/{account}/token"))
}
