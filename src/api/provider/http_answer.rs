//! What the answers of an HTTP API mean.

use std::collections::BTreeMap;

use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::api::duration::GoDuration;

/// What a status, or a body, means.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Copy, Debug, PartialEq, Eq)]
pub enum HttpMeaning {
    /// It was done; the body is read.
    Success,
    /// There is no such token (any more).
    Gone,
    /// The credential that was shown is not accepted.
    Unauthorized,
    /// It is not allowed, or the request can never succeed: an administrator has to act.
    Refused,
    /// A token of this name exists already.
    Duplicate,
    /// Too many calls; the operator retries later.
    RateLimited,
    /// The API does not work now; the operator retries later.
    Unavailable,
    /// The plan's limit of calls or tokens is used up: nothing is sent for at least 15 minutes, and `Stalled` reports it.
    QuotaExceeded,
    /// The account may not use the API at all now, for example because its licence has expired: an administrator has to act.
    AccountSuspended,
}

/// A condition on the body.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Debug, PartialEq)]
#[serde(rename_all = "camelCase")]
pub struct HttpExpectation {
    /// Where the value is (JSONPath, RFC 9535): `$.success`.
    #[schemars(length(min = 1, max = 1024))]
    pub path: String,

    /// What has to be there: one of these values, any JSON.
    #[schemars(length(min = 1, max = 32), extend("items" = {"x-kubernetes-preserve-unknown-fields": true}))]
    pub one_of: Vec<Value>,

    /// What the answer means if it is not. Default `Refused`; of `verify`, `Unauthorized`.
    #[serde(alias = "otherwise", default, skip_serializing_if = "Option::is_none")]
    pub default: Option<HttpMeaning>,
}

/// An answer that is recognized by its status, its body, or both; the first one that fits says what the answer means.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, PartialEq)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("has(self.status) || has(self.path)").message("say status, path or both"))]
pub struct HttpCase {
    /// The status. Default: any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 100, max = 599))]
    pub status: Option<i32>,

    /// Where the value is in the body (JSONPath, RFC 9535): `$.error`. Default: the body is not read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 1024))]
    pub path: Option<String>,

    /// What has to be there: one of these values, any JSON. Needed with `path`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 32), extend("items" = {"x-kubernetes-preserve-unknown-fields": true}))]
    pub one_of: Vec<Value>,

    /// What the answer means.
    pub meaning: HttpMeaning,

    /// What a user can do about it; shown in the condition.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 512))]
    pub remedy: Option<String>,
}

/// What answers mean. Without more: 2xx is Success, 401 Unauthorized, 404 and 410 Gone, 409 Duplicate, 429 RateLimited, 408 and
/// 5xx Unavailable, everything else Refused.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Debug, Default, PartialEq)]
#[serde(rename_all = "camelCase")]
pub struct HttpAnswer {
    /// Meanings of statuses that differ from the usual ones: `"400": Duplicate`.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(extend("maxProperties" = 32))]
    pub statuses: BTreeMap<String, HttpMeaning>,

    /// Answers that are recognized by more than their status. They come before `statuses`; the first that fits counts.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 16))]
    pub cases: Vec<HttpCase>,

    /// What the body of a success has to say; for APIs that answer 200 to everything.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 16))]
    pub expect: Vec<HttpExpectation>,
}

/// A time in an answer.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Debug, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct HttpTime {
    /// Where it is (JSONPath, RFC 9535).
    #[schemars(length(min = 1, max = 1024))]
    pub path: String,

    /// How it is written. Default `Rfc3339`.
    #[serde(default)]
    pub format: HttpTimeFormat,

    /// How long from now, where the answer has no time there that can be read, for an API that always gives the same. Default: such an
    /// answer gives no time.
    #[serde(alias = "otherwise", default, skip_serializing_if = "Option::is_none")]
    pub default: Option<GoDuration>,
}

/// How an API writes a time.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum HttpTimeFormat {
    /// `2026-11-22T10:00:00Z`
    #[default]
    Rfc3339,
    /// `2026-11-22`: when that day begins, in UTC.
    Date,
    /// Seconds since 1970.
    UnixSeconds,
    /// Milliseconds since 1970.
    UnixMillis,
    /// Seconds from now.
    SecondsFromNow,
}

pub(super) fn is_default(answer: &HttpAnswer) -> bool {
    *answer == HttpAnswer::default()
}
