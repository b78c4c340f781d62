//! `ClusterTokenProvider`: a provider for several namespaces.

use kube::{CustomResource, KubeSchema};
use serde::{Deserialize, Serialize};

use super::{Backend, ProviderPolicy, TokenProviderSpec, TokenProviderStatus};

/// Where tokens come from, for RotatedTokens of the namespaces that it lists.
#[derive(CustomResource, KubeSchema, Serialize, Deserialize, Clone, Debug, PartialEq)]
#[kube(
    group = "tokenturn.dev",
    version = "v1alpha1",
    kind = "ClusterTokenProvider",
    plural = "clustertokenproviders",
    shortname = "ctp",
    category = "tokenturn",
    status = "TokenProviderStatus",
    doc = "Where tokens come from, for RotatedTokens of the namespaces that it lists.",
    printcolumn(name = "READY", type_ = "string", json_path = ".status.conditions[?(@.type==\"Ready\")].status"),
    printcolumn(name = "STATUS", type_ = "string", json_path = ".status.conditions[?(@.type==\"Ready\")].reason"),
    printcolumn(name = "AGE", type_ = "date", json_path = ".metadata.creationTimestamp"),
    printcolumn(
        name = "STALLED",
        type_ = "string",
        json_path = ".status.conditions[?(@.type==\"Stalled\")].status",
        priority = 1
    )
)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("[has(self.kubernetes), has(self.http), has(self.fossa), has(self.licensing), has(self.synoptic), has(self.oauth2)].filter(x, x).size() == 1").message("name exactly one provider: kubernetes, http, fossa, licensing, synoptic or oauth2"), validation = Rule::new("has(self.policy.allowedNamespaces) && self.policy.allowedNamespaces.size() > 0").message("policy.allowedNamespaces must list the namespaces that may use this provider; \"*\" stands for all"))]
pub struct ClusterTokenProviderSpec {
    /// The provider. Its Secrets are those of the operator's namespace.
    #[serde(flatten)]
    pub backend: Backend,

    /// Limits for the RotatedTokens that use this provider, and the namespaces that may.
    pub policy: ProviderPolicy,
}

impl From<ClusterTokenProviderSpec> for TokenProviderSpec {
    fn from(ClusterTokenProviderSpec { backend, policy }: ClusterTokenProviderSpec) -> Self {
        Self { backend, policy: Some(policy) }
    }
}
