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
    /// The first token, for an API that makes a new token from the old one. `create.request` sends the old one as `${replaced.NAME}`; for
    /// each such value this names the key of the credential's Secret with the first one, at most 16. The operator sends a token only while
    /// `verify` accepts it, because one that was used up may end all its successors (RFC 9700, section 4.14.2); so `verify` must not use it
    /// up.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(extend("maxProperties" = 16))]
    pub initial: BTreeMap<String, String>,

    /// For an API that shows its present token. The operator reads it before a create. If it is not the token that is to be replaced, it
    /// comes from a create whose answer was lost, or from an administrator: the operator uses it and makes no other one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub present: Option<HttpPresent>,
}

/// How the token is read that the API has now.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, PartialEq)]
#[serde(rename_all = "camelCase")]
pub struct HttpPresent {
    /// What the operator sends, with the credential. It can use `${parameters.NAME}` and `${credential.KEY}`. It has to change nothing.
    pub request: HttpRequest,

    /// What answers mean. `Gone` means that there is no token.
    #[serde(default, skip_serializing_if = "is_default")]
    pub answer: HttpAnswer,

    /// Where the values of the present token are in the answer (JSONPath, RFC 9535). The names are exactly those of `create.values`. An
    /// answer that lacks one gives reason `InvalidSpec`.
    #[schemars(extend("minProperties" = 1, "maxProperties" = 16))]
    pub values: BTreeMap<String, String>,
}

/// How a token is revoked.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, PartialEq)]
#[serde(rename_all = "camelCase")]
pub struct HttpRevoke {
    /// What the operator reads before it revokes, for an API whose calls do not say which token they end, as "the former secret". It
    /// revokes only if the answer shows the values of the token; otherwise the token counts as gone, and `verify` has to confirm that.
    #[serde(alias = "onlyIf", default, skip_serializing_if = "Option::is_none")]
    pub precondition: Option<HttpPrecondition>,

    /// Calls that the operator makes before the revoke, in this order, at most 4. An example is a call that deactivates a token, if the API
    /// deletes only inactive ones. The operator may make each several times; one that says `Gone` counts as done.
    #[serde(alias = "first", default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 4))]
    pub before: Vec<HttpStep>,

    /// What the operator sends, with the credential. It has to name the token by `${token.id}`, `${token.name}` or `${token.values.NAME}`,
    /// unless `precondition` is set; else the reason is `InvalidSpec`.
    pub request: HttpRequest,

    /// What answers mean. `Gone` counts as success. After a success `verify` has to show that the token is rejected.
    #[serde(default, skip_serializing_if = "is_default")]
    pub answer: HttpAnswer,
}

/// How the operator finds out whether a token may be revoked.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, PartialEq)]
#[serde(rename_all = "camelCase")]
pub struct HttpPrecondition {
    /// What the operator sends, with the credential. It can use `${parameters.NAME}` and `${credential.KEY}`. It has to change nothing.
    pub request: HttpRequest,

    /// What answers mean. `Gone` means that there is no such token.
    #[serde(default, skip_serializing_if = "is_default")]
    pub answer: HttpAnswer,

    /// Where the values of the token that the revoke would end are in the answer (JSONPath, RFC 9535), 1 to 16. The names are some of
    /// `create.values`.
    #[schemars(extend("minProperties" = 1, "maxProperties" = 16))]
    pub values: BTreeMap<String, String>,
}

/// When a token was used last.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, PartialEq)]
#[serde(rename_all = "camelCase")]
pub struct HttpLastUsed {
    /// What the operator sends, with the credential, because to send the token would use it. It has to name the token by `${token.id}`,
    /// `${token.name}` or `${token.values.NAME}`.
    pub request: HttpRequest,

    /// What answers mean. It has to say which answer means `Gone`, for example `statuses: {"404": Gone}`, else the reason is `InvalidSpec`.
    #[serde(default, skip_serializing_if = "is_default")]
    pub answer: HttpAnswer,

    /// The time of the last use in the answer. If it is absent, null or empty, the token was never used. A time that cannot be read gives
    /// reason `InvalidSpec`.
    pub time: HttpTime,
}

/// One of several calls.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, PartialEq)]
#[serde(rename_all = "camelCase")]
pub struct HttpStep {
    /// What the operator sends, with the credential. It can use the same substitutions as `revoke.request`.
    pub request: HttpRequest,

    /// What answers mean. In `revoke.before`, `Gone` counts as done; in `confirm` it means that the token is dead.
    #[serde(default, skip_serializing_if = "is_default")]
    pub answer: HttpAnswer,
}
