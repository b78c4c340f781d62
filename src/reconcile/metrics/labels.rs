//! The labels. Each is a closed set, or the name of an object that exists: its series go when it goes, or when this
//! replica stops leading.

use prometheus_client::encoding::EncodeLabelSet;

use crate::{
    api::{ProviderKind, ProviderRef},
    core::token::Owner,
};

/// A RotatedToken.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct Object {
    pub namespace: String,
    pub rotatedtoken: String,
}

impl From<&Owner> for Object {
    fn from(owner: &Owner) -> Self {
        Self { namespace: owner.namespace.clone(), rotatedtoken: owner.name.clone() }
    }
}

/// A provider object; all are empty for one that is not known to exist.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct Provider {
    /// Empty for a ClusterTokenProvider.
    pub namespace: String,
    pub provider_kind: &'static str,
    pub provider: String,
}

impl Provider {
    /// The labels of a provider object that an object of a namespace names.
    pub fn new(namespace: Option<&str>, reference: &ProviderRef) -> Self {
        let namespace = match reference.kind {
            ProviderKind::TokenProvider => namespace.unwrap_or_default().to_owned(),
            ProviderKind::ClusterTokenProvider => String::new(),
        };
        Self { namespace, provider_kind: reference.kind.as_str(), provider: reference.name.clone() }
    }
}

/// How a call to a provider ended.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct Called {
    pub namespace: String,
    pub provider_kind: &'static str,
    pub provider: String,
    pub provider_type: &'static str,
    pub operation: &'static str,
    pub class: &'static str,
}

impl Called {
    pub fn new(provider: Provider, operation: &Operation, class: &'static str) -> Self {
        let Provider { namespace, provider_kind, provider } = provider;
        let Operation { provider_type, operation } = *operation;
        Self { namespace, provider_kind, provider, provider_type, operation, class }
    }
}

/// What is called.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct Operation {
    /// The driver: `kubernetes`, `http`, `oauth2` or a built-in one.
    pub provider_type: &'static str,
    pub operation: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct Outcome {
    pub outcome: &'static str,
}

/// A watch of the operator.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct Watch {
    /// Empty for the whole cluster.
    pub namespace: String,
    pub watch: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct Remembered {
    pub kind: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct Build {
    pub version: &'static str,
}
