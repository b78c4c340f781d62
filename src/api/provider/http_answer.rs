//! What the answers of an HTTP API mean.

use std::collections::BTreeMap;

use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::api::duration::GoDuration;

/// What an answer means; `cases.meaning` explains the values. In `expect` it is what an answer means that does not have the value:
/// `Refused` by default, in `verify` `Unauthorized`, never `Success`. In `list.alive` it has no effect.
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
    /// Where the value is in the body (JSONPath, RFC 9535, at most 512 characters), for example `$.success`.
    #[schemars(length(min = 1, max = 1024))]
    pub path: String,

    /// The values that are right, any JSON: one of them has to be there. 1 to 32.
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
    /// The HTTP status of the answer, 100 to 599. Default: any. Set `status`, `path` or both.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 100, max = 599))]
    pub status: Option<i32>,

    /// Where the value is in the body (JSONPath, RFC 9535), for example `$.error`. Needs `oneOf`. Default: the operator does not read the
    /// body.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 1024))]
    pub path: Option<String>,

    /// The values, any JSON, one of which has to be at `path`. At most 32. Needs `path`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 32), extend("items" = {"x-kubernetes-preserve-unknown-fields": true}))]
    pub one_of: Vec<Value>,

    /// What the answer means:
    /// - `Success`: it was done. Only with a `status` of 2xx, in `verify` also 403.
    /// - `Gone`: there is no such token.
    /// - `Unauthorized`: the credential (in `verify`: the token) is not accepted.
    /// - `Refused`: it is not allowed, or the request can never succeed; an administrator has to act.
    /// - `Duplicate`: a token of this name exists.
    /// - `RateLimited`, `Unavailable`: the operator retries later.
    /// - `QuotaExceeded`: the limit of the plan is used up; the operator sends nothing for at least 15 minutes.
    /// - `AccountSuspended`: the account may not use the API now; an administrator has to act.
    pub meaning: HttpMeaning,

    /// What a user can do about it, at most 512 characters; the message of the condition shows it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 512))]
    pub remedy: Option<String>,
}

/// What answers mean. Without more: 2xx is Success, 401 Unauthorized, 404 and 410 Gone, 409 Duplicate, 429 RateLimited, 408 and
/// 5xx Unavailable, everything else Refused.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Debug, Default, PartialEq)]
#[serde(rename_all = "camelCase")]
pub struct HttpAnswer {
    /// Meanings of statuses that differ from the usual ones: `"400": Duplicate`. Usual: 2xx `Success`, 401 `Unauthorized`, 404 and 410
    /// `Gone`, 409 `Duplicate`, 429 `RateLimited`, 408 and 5xx `Unavailable`, all others `Refused`. At most 32, with three digits each.
    /// Only 2xx can be `Success`, in `verify` also 403.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(extend("maxProperties" = 32))]
    pub statuses: BTreeMap<String, HttpMeaning>,

    /// Answers that are recognized by status, body or both, at most 16. They come before `statuses`; the first that fits counts.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 16))]
    pub cases: Vec<HttpCase>,

    /// What the body of a success has to contain, for APIs that answer 200 to everything. The first expectation that is not met says what
    /// the answer means. At most 8; more give reason `InvalidSpec`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 16))]
    pub expect: Vec<HttpExpectation>,
}

/// A time in an answer.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Debug, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct HttpTime {
    /// Where the time is in the answer (JSONPath, RFC 9535). If it is absent, null or empty, or 0 where times are numbers, there is no
    /// time.
    #[schemars(length(min = 1, max = 1024))]
    pub path: String,

    /// How the time is written: `Rfc3339` (`2026-11-22T10:00:00Z`, the default), `Date` (`2026-11-22`, when that day begins in UTC),
    /// `UnixSeconds` or `UnixMillis` (since 1970), `SecondsFromNow`.
    #[serde(default)]
    pub format: HttpTimeFormat,

    /// How far from now the time is if the answer has none there, or one in another format. For an API that always gives the same lifetime.
    /// More than 0; not for the time of a last use (reason `InvalidSpec`). Default: such an answer gives no time.
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
