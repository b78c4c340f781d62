//! How a recipe ends a token: by a call, or by its successor.

use std::collections::BTreeMap;

use kube::KubeSchema;
use serde::{Deserialize, Serialize};

use super::{
    http::HttpRequest,
    http_answer::{HttpAnswer, HttpTime, is_default},
};

/// Rotation in place.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, Default, PartialEq)]
#[serde(rename_all = "camelCase")]
pub struct HttpInPlace {
    /// For an API that makes a new token of the old one: `create.request` shows it as `${replaced.NAME}`, and here is for each such
    /// value the key of the credential's Secret with which the first token is made. A token is shown for its successor only while `verify`
    /// accepts it, because one that was used up may end all its successors; so `verify` must not use it up.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(extend("maxProperties" = 16))]
    pub initial: BTreeMap<String, String>,

    /// For an API that shows the token that it has now. It is read before a create: if it is another one than the one to be replaced, a create whose answer was lost, or
    /// an administrator, made it, and it is used instead of making one more.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub present: Option<HttpPresent>,
}

/// How the token is read that the API has now.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, PartialEq)]
#[serde(rename_all = "camelCase")]
pub struct HttpPresent {
    /// What is sent, with the credential. It has to change nothing.
    pub request: HttpRequest,

    /// What answers mean.
    #[serde(default, skip_serializing_if = "is_default")]
    pub answer: HttpAnswer,

    /// The same values as in `create.values`, and where they are in this answer (JSONPath, RFC 9535).
    #[schemars(extend("minProperties" = 1, "maxProperties" = 16))]
    pub values: BTreeMap<String, String>,
}

/// How a token is revoked.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, PartialEq)]
#[serde(rename_all = "camelCase")]
pub struct HttpRevoke {
    /// For an API whose calls do not say which token they end, as "the former secret": what is read before. The token is revoked only if
    /// its values are those that the answer shows; otherwise it counts as gone, and `verify` has to confirm that.
    #[serde(alias = "onlyIf", default, skip_serializing_if = "Option::is_none")]
    pub precondition: Option<HttpPrecondition>,

    /// Calls that have to come before, in this order, as to switch a token off that can be deleted only then. Each may be made several
    /// times; one that says `Gone` counts as done.
    #[serde(alias = "first", default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 4))]
    pub before: Vec<HttpStep>,

    /// What is sent.
    pub request: HttpRequest,

    /// What answers mean. `Gone` counts as success; `verify` then confirms that the token is rejected.
    #[serde(default, skip_serializing_if = "is_default")]
    pub answer: HttpAnswer,
}

/// How the operator finds out whether a token may be revoked.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, PartialEq)]
#[serde(rename_all = "camelCase")]
pub struct HttpPrecondition {
    /// What is sent, with the credential. It has to change nothing.
    pub request: HttpRequest,

    /// What answers mean. `Gone` says that there is no such token.
    #[serde(default, skip_serializing_if = "is_default")]
    pub answer: HttpAnswer,

    /// Values of the token that would be ended, and where they are in the answer (JSONPath, RFC 9535).
    #[schemars(extend("minProperties" = 1, "maxProperties" = 16))]
    pub values: BTreeMap<String, String>,
}

/// When a token was used last.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, PartialEq)]
#[serde(rename_all = "camelCase")]
pub struct HttpLastUsed {
    /// What is sent, with the credential: showing the token would use it.
    pub request: HttpRequest,

    /// What answers mean.
    #[serde(default, skip_serializing_if = "is_default")]
    pub answer: HttpAnswer,

    /// The time in the answer. Absent, null or empty: it was never used.
    pub time: HttpTime,
}

/// One of several calls.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, PartialEq)]
#[serde(rename_all = "camelCase")]
pub struct HttpStep {
    /// What is sent.
    pub request: HttpRequest,

    /// What answers mean.
    #[serde(default, skip_serializing_if = "is_default")]
    pub answer: HttpAnswer,
}
