//! The API that users write and read: custom resources, conditions, reasons, names.
//!
//! The Rust types are the source. `tokenturn crds` prints the YAML under `crds/`, and a test compares the two.
//! Doc comments on the fields become `kubectl explain`, so they speak to users: meaning, unit, default, effect.
//! Nothing here decides anything or touches a cluster.

pub mod conditions;
pub mod duration;
pub mod names;
pub mod object_name;
pub mod provider;
pub mod rotated_token;
pub mod schema;
pub mod status;
pub mod text;

pub use duration::GoDuration;
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::CustomResourceExt;
pub use provider::{
    Backend, ClusterTokenProvider, ClusterTokenProviderSpec, HttpProvider, KubernetesProvider, OAuth2Provider,
    ProviderPolicy, TokenProvider, TokenProviderSpec, TokenProviderStatus,
};
pub use rotated_token::{
    DeletionPolicy, ProviderKind, ProviderRef, RolloutMode, RolloutSpec, RotatedToken, RotatedTokenSpec, SecretSpec,
    WorkloadKind, WorkloadRef,
};
pub use status::{Blocker, HistoryEntry, PickupStatus, RotatedTokenStatus, TokenStatus};

/// The custom resource definitions with the file name each has under `crds/`.
#[must_use]
pub fn definitions() -> Vec<(&'static str, CustomResourceDefinition)> {
    vec![
        ("rotatedtokens.yaml", schema::finished(RotatedToken::crd())),
        ("tokenproviders.yaml", schema::finished(TokenProvider::crd())),
        ("clustertokenproviders.yaml", schema::finished(ClusterTokenProvider::crd())),
    ]
}

/// All definitions as one YAML stream.
///
/// # Errors
/// A definition cannot be written as YAML, which would be a bug.
pub fn definitions_yaml() -> Result<String, serde_norway::Error> {
    let documents: Result<Vec<String>, _> =
        definitions().iter().map(|(_, definition)| definition_yaml(definition)).collect();
    Ok(documents?.join("---\n"))
}

/// One definition as it stands under `crds/`.
///
/// # Errors
/// It cannot be written as YAML, which would be a bug.
pub fn definition_yaml(definition: &CustomResourceDefinition) -> Result<String, serde_norway::Error> {
    serde_norway::to_string(definition)
}
