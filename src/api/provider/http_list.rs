//! How a recipe lists tokens: by name and page by page, or all of them by value.

use std::collections::BTreeMap;

use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{
    http::HttpRequest,
    http_answer::{HttpAnswer, HttpExpectation, HttpTime, is_default},
};

/// How tokens are listed.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, PartialEq)]
#[serde(rename_all = "camelCase")]
pub struct HttpList {
    /// What is sent.
    pub request: HttpRequest,

    /// What answers mean.
    #[serde(default, skip_serializing_if = "is_default")]
    pub answer: HttpAnswer,

    /// Where the tokens are (JSONPath, RFC 9535): `$[*]`, `$.result[*]`.
    #[schemars(length(min = 1, max = 1024))]
    pub items: String,

    /// Where a token's name is, from the token on: `$.name`. Only names that tokenturn gave to tokens of the same RotatedToken count.
    #[schemars(length(min = 1, max = 1024))]
    pub name: String,

    /// What follows the name, where it is the beginning of something else, as of a secret that `create.request` makes of `${name}.${random}`: `.`
    /// Default: nothing, the name stands alone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 16))]
    pub name_ends_before: Option<String>,

    /// Where a token's id is, from the token on: `$.id`. Needed where revoke uses it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 1024))]
    pub id: Option<String>,

    /// Where a token's values are, from the token on, for APIs that show them again: `token: $.token`. A token whose answer was lost
    /// is revoked with them, where revoke uses a value; they are not kept.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(extend("maxProperties" = 16))]
    pub values: BTreeMap<String, String>,

    /// When a token was used last, from the token on. See `lastUsed`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_used: Option<HttpTime>,

    /// What a token says that is alive; others are left out, for APIs that go on listing revoked tokens.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 8))]
    pub alive: Vec<HttpExpectation>,

    /// How the next page is asked for. Without it there is one page.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub paging: Option<HttpPaging>,
}

/// How the values of all tokens are listed.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, PartialEq)]
#[serde(rename_all = "camelCase")]
pub struct HttpListValues {
    /// What is sent.
    pub request: HttpRequest,

    /// What answers mean.
    #[serde(default, skip_serializing_if = "is_default")]
    pub answer: HttpAnswer,

    /// Where the values are (JSONPath, RFC 9535): `$.TOKENS[*]`.
    #[schemars(length(min = 1, max = 1024))]
    pub values: String,
}

/// How the next page is asked for: exactly one of these.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("[has(self.page), has(self.cursor), has(self.link)].filter(x, x).size() == 1").message("set exactly one of page, cursor and link"))]
pub struct HttpPaging {
    /// By the number of the page, until a page brings nothing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub page: Option<HttpPageNumber>,

    /// By a text that the answer gives.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cursor: Option<HttpCursor>,

    /// By the header `Link` with `rel="next"` (RFC 8288). Only followed on the same origin.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub link: Option<HttpLink>,
}

/// Paging by number.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Debug, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct HttpPageNumber {
    /// Query parameter of the number.
    #[schemars(length(min = 1, max = 256))]
    pub parameter: String,

    /// Number of the first page. Default 1.
    #[serde(default = "one")]
    #[schemars(range(min = 0, max = 1))]
    pub first: i32,
}

fn one() -> i32 {
    1
}

/// Paging by cursor.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Debug, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct HttpCursor {
    /// Query parameter of the cursor.
    #[schemars(length(min = 1, max = 256))]
    pub parameter: String,

    /// Where the next cursor is in the answer (JSONPath, RFC 9535). Absent, null or empty: there is no next page.
    #[schemars(length(min = 1, max = 1024))]
    pub next: String,
}

/// Paging by `Link` header: no settings.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Debug, Default, PartialEq, Eq)]
pub struct HttpLink {}
