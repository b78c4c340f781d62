//! Credentials that are obtained by a call: a token of a ServiceAccount, a session.

use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{
    http::HttpRequest,
    http_answer::{HttpAnswer, HttpTime, is_default},
};
use crate::api::object_name;

/// A ServiceAccount, and for whom its tokens are. They live for ten minutes, are kept nowhere, and the API server is none that they are for
/// unless `audience` says so. The operator needs the right to create `serviceaccounts/token` there, as for the provider `kubernetes` (for a
/// ClusterTokenProvider its own namespace has to be one that it watches).
#[derive(Serialize, Deserialize, JsonSchema, Clone, Debug, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct HttpServiceAccount {
    /// Name of the ServiceAccount: of the namespace of a TokenProvider; for a ClusterTokenProvider, of the operator's own namespace.
    #[schemars(length(min = 1, max = 253), pattern(object_name::SUBDOMAIN))]
    pub name: String,

    /// Who the token is for (`aud`): what the API expects.
    #[schemars(length(min = 1, max = 2048))]
    pub audience: String,
}

/// A call that gives a session. What it gives is kept in memory until it expires, where the answer says when, else for one call only; and never
/// longer than the Secret that it was obtained with is the same. A 401 drops it.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, PartialEq)]
#[serde(rename_all = "camelCase")]
pub struct HttpLogin {
    /// What is sent. It knows `${credential.KEY}` of the Secret.
    pub request: HttpRequest,

    /// What answers mean.
    #[serde(default, skip_serializing_if = "is_default")]
    pub answer: HttpAnswer,

    /// Where the session is in the answer (JSONPath, RFC 9535).
    #[schemars(length(min = 1, max = 1024))]
    pub value: String,

    /// When it expires.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires: Option<HttpTime>,
}
