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
    /// What the operator sends, with the credential. It can use `${parameters.NAME}` and `${credential.KEY}`. It has to change nothing.
    pub request: HttpRequest,

    /// What answers mean. Only `Success` is a list: an error is never an empty list.
    #[serde(default, skip_serializing_if = "is_default")]
    pub answer: HttpAnswer,

    /// Where the tokens are in the answer (JSONPath, RFC 9535), for example `$[*]` or `$.result[*]`. If it does not find a new token, the
    /// token is not published (reason `RecipeWrong`).
    #[schemars(length(min = 1, max = 1024))]
    pub items: String,

    /// Where the name of a token is, from the token on, for example `$.name`. Only names that tokenturn gave to tokens of the same
    /// RotatedToken count; more than 1,000 of them give reason `InvalidSpec`. The API has to store names as they are given, else the reason
    /// is `RecipeWrong`.
    #[schemars(length(min = 1, max = 1024))]
    pub name: String,

    /// The text that follows the name, if the name is the beginning of something else. An example is `.`, if `create.request` makes a
    /// secret of `${name}.${random}` and the list shows secrets. It has to have a character that is not a letter, digit or `-`. At most 16
    /// characters. Default: nothing, the name stands alone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 16))]
    pub name_ends_before: Option<String>,

    /// Where the id of a token is, from the token on, for example `$.id`: a text or a number. Needed if a request uses `${token.id}`. If it
    /// differs from what `create.id` finds, the token is not published (reason `RecipeWrong`).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 1024))]
    pub id: Option<String>,

    /// Where the values of a token are, from the token on, for APIs that show them again: `token: $.token`. The names are those of
    /// `create.values`. With them the operator revokes a token whose answer was lost, if `revoke` uses a value. It does not store them.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(extend("maxProperties" = 16))]
    pub values: BTreeMap<String, String>,

    /// When a token was used last, from the token on. See `lastUsed` of the recipe. If no listed token has such a time, condition
    /// `RecipeProven` says so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_used: Option<HttpTime>,

    /// What a live token says, at most 8 values; the operator ignores tokens that do not say all of them. For APIs that continue to list
    /// revoked tokens. Default: every listed token is alive.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 8))]
    pub alive: Vec<HttpExpectation>,

    /// How the operator requests the next page. Default: the list has one page. All pages together may have 50 pages, 16 MiB and take 25
    /// seconds. A next page that cannot be read is an error, never the end of the list.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub paging: Option<HttpPaging>,
}

/// How the values of all tokens are listed.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, PartialEq)]
#[serde(rename_all = "camelCase")]
pub struct HttpListValues {
    /// What the operator sends, with the credential. It can use `${parameters.NAME}` and `${credential.KEY}`. It has to change nothing, and
    /// its answer has to have all values in one page.
    pub request: HttpRequest,

    /// What answers mean. Only `Success` is a list: an error is never an empty list.
    #[serde(default, skip_serializing_if = "is_default")]
    pub answer: HttpAnswer,

    /// Where the values of all tokens are in the answer (JSONPath, RFC 9535), for example `$.TOKENS[*]`. The operator keeps only their
    /// fingerprints. If the value of a new token is not among them, the token is not published (reason `RecipeWrong`).
    #[schemars(length(min = 1, max = 1024))]
    pub values: String,
}

/// How the operator requests the next page: exactly one of these.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("[has(self.page), has(self.cursor), has(self.link)].filter(x, x).size() == 1").message("set exactly one of page, cursor and link"))]
pub struct HttpPaging {
    /// By the number of the page. A page without tokens is the end. A page that is the same as the one before gives reason `InvalidSpec`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub page: Option<HttpPageNumber>,

    /// By a text that the answer contains.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cursor: Option<HttpCursor>,

    /// By the header `Link` with `rel="next"` (RFC 8288). A link to another scheme, host or port is not followed: the reason is
    /// `InvalidSpec`. Needs no settings: `link: {}`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub link: Option<HttpLink>,
}

/// Paging by number.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Debug, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct HttpPageNumber {
    /// Query parameter that has the number of the page, for example `page`. At most 256 characters.
    #[schemars(length(min = 1, max = 256))]
    pub parameter: String,

    /// Number of the first page: 1 (the default) or 0.
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
    /// Query parameter that has the cursor of a page, for example `after`. At most 256 characters. The first page is requested without it.
    #[schemars(length(min = 1, max = 256))]
    pub parameter: String,

    /// Where the cursor of the next page is in the answer (JSONPath, RFC 9535): a text or a number, at most 4 KiB. If it is absent, null,
    /// false or empty, there is no next page. A cursor that was used before gives reason `InvalidSpec`.
    #[schemars(length(min = 1, max = 1024))]
    pub next: String,
}

/// Paging by `Link` header: no settings.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Debug, Default, PartialEq, Eq)]
pub struct HttpLink {}
