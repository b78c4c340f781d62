//! The `http` provider: how tokens are minted, found, verified and revoked at an HTTP API, as data.

use std::collections::BTreeMap;

use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

pub use super::{
    credential::*,
    http_answer::{HttpAnswer, HttpCase, HttpExpectation, HttpMeaning, HttpTime, HttpTimeFormat},
    http_end::{HttpInPlace, HttpLastUsed, HttpPrecondition, HttpPresent, HttpRevoke, HttpStep},
    http_list::*,
};
use super::{http_answer::is_default, proxy::Proxy};
use crate::api::duration::GoDuration;

/// Tokens of any HTTP API, by a recipe of requests and of what their answers mean.
///
/// Texts of requests may contain substitutions: `${name}` (the name that tokenturn gives the token; it is found again by it),
/// `${permissions}` (a JSON array, or `${permissions|commas}`, `${permissions|spaces}`), `${expires|FORMAT}` with rfc3339,
/// date, minute, unix or unixMillis, `${random}` (22 random letters, digits, `-` and `_`: 128 bits), `${lifetime|UNIT}` with seconds, minutes, hours or days, `${parameters.NAME}`,
/// `${credential.KEY}` and `${credential.assertion}` (where the credential is shown), `${token.id}`, `${token.name}`, `${token.values.NAME}`. `$${` stands
/// for `${`. A substitution is encoded for where it stands and never changes the structure of URL, body or header.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, PartialEq)]
#[serde(rename_all = "camelCase")]
pub struct HttpProvider {
    /// Where the API begins, for example `https://gitlab.example.com/api/v4`. HTTPS; plain HTTP only where the operator's flag
    /// --allow-plain-http says so. No user, query or fragment.
    #[schemars(length(min = 1, max = 2048))]
    pub base_url: String,

    /// Certificates of the authorities that the API's certificate may come from, in PEM, instead of the public ones.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 65536))]
    pub ca_bundle: Option<String>,

    /// An HTTP proxy through which all calls go. Default: none; proxies of the environment are not used.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub proxy: Option<Proxy>,

    /// How long one call may take, connection included. Default `10s`, at most `15s`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timeout: Option<GoDuration>,

    /// Who the operator is at the API when it mints, lists and revokes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub credential: Option<HttpCredential>,

    /// What `RotatedToken.spec.parameters` may and must say.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(extend("maxProperties" = 32))]
    pub parameters: BTreeMap<String, HttpParameter>,

    /// The permissions that a RotatedToken may ask for. Empty: tokens have no permissions of their own, and none may be asked for.
    /// They stand in `create.request` as `${permissions}`, or each has a probe under `verify.probes`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 512))]
    pub permissions: Vec<HttpPermission>,

    /// A new token ends the old one at the provider, so the two never overlap: workloads may be refused between the create and their
    /// restart. Set this only where the API offers nothing else; condition `Overlap` warns of it. Excludes list, and revoke but with `present`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub in_place: Option<HttpInPlace>,

    /// Mints a token. Sent once, never repeated.
    pub create: HttpCreate,

    /// Lists tokens. Without it a lost answer to a create leaves an orphaned token that only its expiry ends. The first token of a recipe is published
    /// only when it is listed, alive, under its name and with the id that create gave; a list may take as long as `activation` for that.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub list: Option<HttpList>,

    /// Lists the values of all tokens of the account, instead of `list`, for APIs whose tokens have no names. A revoked token counts as
    /// dead when its value is gone; and tokens that appeared while the answer to a create was lost are reported, never revoked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub list_values: Option<HttpListValues>,

    /// Asks whether the credential is accepted, when the provider object is made or changed, and every hour: `Ready` reports the
    /// result. Without it the operator reads the list where that needs no parameters; else the condition reports only that the Secret exists.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub check: Option<HttpCheck>,

    /// Verifies a token with its own value. Before the first token of a recipe is published, the call is also made once with an invented value,
    /// which the provider has to refuse; a recipe that accepts everything publishes nothing (reason `RecipeWrong`). Not with `inPlace`.
    pub verify: HttpVerify,

    /// Asks about a token that was revoked, for an API that can be asked for one: `Gone` says that it is dead, `Success` that it is not. A token
    /// counts as dead when `verify` does not accept it and this says so too; without it, `list` is read. Its answers have to name
    /// what means `Gone`, as `statuses: {"404": Gone}`: a gateway says 404 as well.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub confirm: Option<HttpStep>,

    /// Asks when a token was used last. An old token that was used after every pod had the new one is in use outside of the cluster: it is not revoked before
    /// it was unused for `spec.gracePeriod`, and condition reason `StillInUse` says so. APIs that say it in their list have
    /// `list.lastUsed`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_used: Option<HttpLastUsed>,

    /// Revokes a token. Without it tokens end when they expire, which `create.expires` has to report: the next one is minted in time, and
    /// the old one ends at its expiry.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub revoke: Option<HttpRevoke>,

    /// How long a new token may take to become usable. Default `1m`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub activation: Option<GoDuration>,

    /// How long a revoked token may go on being accepted. Default `0s`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub propagation: Option<GoDuration>,
}

/// A parameter that a RotatedToken gives.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Debug, Default, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct HttpParameter {
    /// What it is for, in words; shown in the error when it is missing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 1024))]
    pub description: Option<String>,

    /// The value if a RotatedToken gives none. Without it the parameter has to be given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 1024))]
    pub default: Option<String>,

    /// The values that are possible. Empty: any.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 64), inner(length(max = 1024)))]
    pub values: Vec<String>,

    /// How it stands in JSON when a text consists of nothing else. Default `Text`.
    #[serde(default, rename = "as", skip_serializing_if = "is_text")]
    pub kind: HttpParameterKind,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde asks by reference")]
fn is_text(kind: &HttpParameterKind) -> bool {
    *kind == HttpParameterKind::Text
}

/// How a parameter stands in JSON.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum HttpParameterKind {
    #[default]
    Text,
    /// A whole number.
    Integer,
    /// `true` or `false`.
    Boolean,
}

/// A permission of the API.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Debug, PartialEq)]
#[serde(rename_all = "camelCase")]
pub struct HttpPermission {
    /// The word in `RotatedToken.spec.permissions`.
    #[schemars(length(min = 1, max = 256))]
    pub name: String,

    /// What stands for it in `${permissions}`: any JSON. Default: the word.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(extend("x-kubernetes-preserve-unknown-fields" = true))]
    pub value: Option<Value>,
}

/// A request. It has one body at most: json, form or multipart.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, PartialEq)]
#[serde(rename_all = "camelCase")]
pub struct HttpRequest {
    /// Where this request goes instead of `spec.http.baseUrl`, for an API whose parts have hosts of their own. The same rules hold for it.
    /// The credential is shown there too, where the operation shows it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 2048))]
    pub base_url: Option<String>,

    /// Default `GET`.
    #[serde(default)]
    pub method: HttpMethod,

    /// What follows the base URL, from its `/` on. Substitutions become parts of a path segment.
    #[schemars(length(max = 2048), pattern(r"^/"))]
    pub path: String,

    /// Query parameters. One whose substitutions are all empty is sent empty.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(extend("maxProperties" = 32))]
    pub query: BTreeMap<String, String>,

    /// Headers beside those of the credential.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(extend("maxProperties" = 16))]
    pub headers: BTreeMap<String, String>,

    /// A JSON body. A text that is one substitution and nothing else becomes what it stands for: `"${permissions}"` an array,
    /// `"${lifetime|seconds}"` a number.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(extend("x-kubernetes-preserve-unknown-fields" = true))]
    pub json: Option<Value>,

    /// An `application/x-www-form-urlencoded` body.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(extend("maxProperties" = 32))]
    pub form: BTreeMap<String, String>,

    /// A `multipart/form-data` body (RFC 7578) of texts.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(extend("maxProperties" = 32))]
    pub multipart: BTreeMap<String, String>,
}

/// Method of a request.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Copy, Debug, Default, PartialEq, Eq)]
#[serde(rename_all = "UPPERCASE")]
pub enum HttpMethod {
    #[default]
    Get,
    Post,
    Put,
    Patch,
    Delete,
}

/// How a token is minted.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, PartialEq)]
#[serde(rename_all = "camelCase")]
pub struct HttpCreate {
    /// What is sent.
    pub request: HttpRequest,

    /// What answers mean.
    #[serde(default, skip_serializing_if = "is_default")]
    pub answer: HttpAnswer,

    /// The values of the token set and where they are in the answer (JSONPath, RFC 9535): `token: $.token`. They are what
    /// `RotatedToken.spec.secret.data` names. At least `token` or another one.
    #[schemars(extend("minProperties" = 1, "maxProperties" = 16))]
    pub values: BTreeMap<String, String>,

    /// Names of values that only revoke needs, as a token that deletes what was made. They are kept in the operator's record and never published.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 16), inner(length(min = 1, max = 256)))]
    pub private: Vec<String>,

    /// For tokens that neither expire nor can be listed: the token that a lost answer may have created is reported by its name (condition and Event
    /// `TokenMayRemain`), for an administrator to delete. Needs `${name}` in the request. Default false: such a recipe is refused.
    #[serde(alias = "tellLost", default, skip_serializing_if = "std::ops::Not::not")]
    pub report_lost: bool,

    /// Binds the token to a key of its own (DPoP, RFC 9449): a new P-256 key, of which the request shows a proof. The token set then has the
    /// value `dpopKey`, the private key as a JWK, which the workload needs to use the token. Where the token is verified with the credential, the
    /// answer has to name the key (`cnf.jkt`); else the call shows a proof. Default false.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub dpop: bool,

    /// Where the provider's id of the token is in the answer. Needed where revoke or list use it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 1024))]
    pub id: Option<String>,

    /// Where the answer says what was granted, the values of `permissions` one by one (JSONPath, RFC 9535): `$.scopes[*]`. A token with
    /// fewer permissions is not published. An answer without this field counts as one that grants all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 1024))]
    pub permissions: Option<String>,

    /// The permissions are one text with spaces between, as OAuth 2.0 writes scopes. Default false.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub permissions_with_spaces: bool,

    /// When the token expires. Default: tokens live until they are revoked. A time in the past, or less than a minute away, is a
    /// mistake of the recipe: the token is revoked and not published.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires: Option<HttpTime>,

    /// It expires when it was asked to, and the answer does not say so: the request has to say `${expires|...}` or
    /// `${lifetime|...}`. Default false.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub expires_as_asked: bool,
}

/// How the credential is checked.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, PartialEq)]
#[serde(rename_all = "camelCase")]
pub struct HttpCheck {
    /// What is sent, with the credential. It has to be a read, and cannot use parameters.
    pub request: HttpRequest,

    /// What answers mean.
    #[serde(default, skip_serializing_if = "is_default")]
    pub answer: HttpAnswer,

    /// When the credential expires. Two weeks before, a warning Event on the provider object and its condition say so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires: Option<HttpTime>,
}

/// How a token is verified.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, PartialEq)]
#[serde(rename_all = "camelCase")]
pub struct HttpVerify {
    /// What is sent. It has to show the token: `Authorization: "Bearer ${token.values.token}"`.
    pub request: HttpRequest,

    /// Shows the operator's credential too, for an API that says what another one's token may do, as OAuth 2.0 token introspection
    /// does (RFC 7662). Default false: the token alone is shown.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub show_credential: bool,

    /// What answers mean. `Unauthorized` says that the token is not accepted, and so does `Gone` where `statuses` says it. With
    /// `showCredential` a status that `statuses` does not name is about the credential, as are 401 and 403 in any case, and the body says
    /// what is true of the token.
    #[serde(default, skip_serializing_if = "is_default")]
    pub answer: HttpAnswer,

    /// Where the answer says what the token may do: the values of `permissions`, one by one (JSONPath, RFC 9535): `$.scopes[*]`.
    /// With it a token that was granted less is never published, and permissions beyond those are reported in `LeastPrivilege`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 1024))]
    pub permissions: Option<String>,

    /// The permissions are one text with spaces between, as OAuth 2.0 writes scopes. Default false.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub permissions_with_spaces: bool,

    /// Calls that show that a token has a permission, by its word in `permissions`, for APIs that do not say what a token may do:
    /// `"View Products": {request: {path: /products, headers: ...}}`. One is made for each permission that is asked for; `Success`
    /// says that the token has it, `Refused` that it does not.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(extend("maxProperties" = 32))]
    pub probes: BTreeMap<String, HttpProbe>,

    /// When the token expires: for a token of which only the Secret is known, because its record was lost.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires: Option<HttpTime>,
}

/// A call that shows that a token has a permission.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, PartialEq)]
#[serde(rename_all = "camelCase")]
pub struct HttpProbe {
    /// What is sent, with the token. It has to change nothing.
    pub request: HttpRequest,

    /// What answers mean.
    #[serde(default, skip_serializing_if = "is_default")]
    pub answer: HttpAnswer,
}
