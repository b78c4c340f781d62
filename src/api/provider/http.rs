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

/// Tokens of any HTTP API, by a recipe of requests and of what their answers mean. `Backend::http` lists the substitutions that texts of
/// requests can have.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, PartialEq)]
#[serde(rename_all = "camelCase")]
pub struct HttpProvider {
    /// Where the API begins, for example `https://gitlab.example.com/api/v4`. HTTPS; plain HTTP only if the operator runs with
    /// --allow-plain-http. A user, a query, a fragment or a substitution gives reason `InvalidSpec`, a host that the rules for egress
    /// forbid `PolicyForbids`.
    #[schemars(length(min = 1, max = 2048))]
    pub base_url: String,

    /// CA certificates in PEM that may sign the certificate of the API, instead of the public CAs. At most 64 KiB, the whole recipe
    /// included. What is not PEM, or holds no certificate, gives reason `InvalidSpec`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 65536))]
    pub ca_bundle: Option<String>,

    /// An HTTP proxy through which all calls go. Default: none; the operator does not use proxies of the environment.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub proxy: Option<Proxy>,

    /// How long one call may take, connection included. Default `10s`, at most `15s` and more than 0, else the reason is `InvalidSpec`. A
    /// call that takes longer gives reason `ProviderUnavailable`; a create that was sent counts as lost (`AnswerLost`).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timeout: Option<GoDuration>,

    /// Who the operator is at the API when it mints, lists and revokes. The operator reads the Secret for every call, so you can replace it
    /// at any time. A credential that the API does not accept (401) gives reason `CredentialRejected`, one that lacks a right (403)
    /// `ProviderRefused`. Default: calls send no credential.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub credential: Option<HttpCredential>,

    /// The parameters that a RotatedToken may set in `spec.parameters`, by name, at most 32. Requests use them as `${parameters.NAME}`. A
    /// parameter that is missing, unknown, or has a value that is not allowed gives the RotatedToken reason `InvalidSpec`.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(extend("maxProperties" = 32))]
    pub parameters: BTreeMap<String, HttpParameter>,

    /// The permissions that a RotatedToken may request, at most 512. They stand in `create.request` as `${permissions}`, or each has a
    /// probe under `verify.probes`. A request for another one gives reason `UnknownPermission`; so does a request for none, if
    /// `create.request` uses `${permissions}`. Empty: tokens have no permissions of their own, and a RotatedToken cannot request any.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 512))]
    pub permissions: Vec<HttpPermission>,

    /// Says that a new token ends the old one at the provider. Then the two never overlap, and workloads may be refused between the create
    /// and their restart; condition `Overlap` warns of it. Set this only if the API offers nothing else. Not together with `list`; together
    /// with `revoke` only if `present` is set.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub in_place: Option<HttpInPlace>,

    /// Mints a token. The operator sends the call once and never repeats it. If the answer is lost, the reason is `AnswerLost`, and the
    /// operator searches for the token before it makes another attempt.
    pub create: HttpCreate,

    /// Lists tokens, so that the operator finds a token whose answer was lost, and revokes it. Without it such a token ends only when it
    /// expires; so a recipe needs it, unless `inPlace`, `create.expires`, `create.expiresAsAsked` or `create.reportLost` is set. The first
    /// token of a recipe is published only when the list shows it, alive, under its name and with the id of the create, within
    /// `activation`; else the reason is `RecipeWrong`. Needs `revoke`, and `${name}` in `create.request`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub list: Option<HttpList>,

    /// Lists the values of all tokens of the account, instead of `list`, for APIs whose tokens have no names. A revoked token counts as
    /// dead when its value is no longer listed. Tokens that appeared while the answer to a create was lost are reported (`TokenMayRemain`),
    /// never revoked. `create.values` has to have exactly one value, `token`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub list_values: Option<HttpListValues>,

    /// Asks whether the API accepts the credential. The operator calls it when the provider object is made or changed, and every hour;
    /// `Ready` of the provider object reports the result. Default: the operator reads the first page of the list, if its request needs no
    /// parameters; else it obtains a session or an access token, if the credential has one; else `Ready` says only that the Secret exists.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub check: Option<HttpCheck>,

    /// Verifies a token with its own value. Before the first token of a recipe is published, the operator makes the call once with an
    /// invented value. If the provider accepts that, the token is not published and the reason is `RecipeWrong`. With `inPlace` no invented
    /// value is sent.
    pub verify: HttpVerify,

    /// Asks about a token that was revoked: `Gone` says that it is dead, `Success` that it is not. A token then counts as dead when
    /// `verify` does not accept it and this says so too; without it, the operator reads `list`. Its answer has to say what means `Gone`, as
    /// `statuses: {"404": Gone}`, because gateways answer 404 as well. Needs `revoke`, and the request has to name the token.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub confirm: Option<HttpStep>,

    /// Asks when a token was used last. An old token that was used after every pod had the new one is in use outside of the cluster: the
    /// operator revokes it only when it was not used for `spec.gracePeriod`, ten minutes at least, and reason `StillInUse` says so. APIs
    /// that show the time in their list have `list.lastUsed` instead.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_used: Option<HttpLastUsed>,

    /// Revokes a token. Without it tokens end when they expire, and `create.expires` or `create.expiresAsAsked` has to say when: the
    /// operator mints the next one in time, and the old one ends by itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub revoke: Option<HttpRevoke>,

    /// How long a new token may take to become usable. The operator verifies it every 2 seconds. Default `1m`. After that the operator
    /// revokes it and makes another attempt (reason `ProviderRefused`); with `inPlace` it keeps the token and continues to verify it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub activation: Option<GoDuration>,

    /// How long the API may still accept a revoked token. The operator waits this long before it verifies that the token is rejected.
    /// Default `0s`. If the token stays valid for minutes, the operator revokes it again, and the reason is `RevokeWithoutEffect`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub propagation: Option<GoDuration>,
}

/// A parameter that a RotatedToken gives.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Debug, Default, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct HttpParameter {
    /// What the parameter is for, in words, at most 1024 characters. The message shows it if the parameter is missing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 1024))]
    pub description: Option<String>,

    /// The value if a RotatedToken sets none, at most 1024 characters. Without it the parameter is required.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 1024))]
    pub default: Option<String>,

    /// The values that are allowed, at most 64. Empty: any. Another value gives the RotatedToken reason `InvalidSpec`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 64), inner(length(max = 1024)))]
    pub values: Vec<String>,

    /// How the parameter stands in JSON if a text is this substitution and nothing else: `Text` (the default), `Integer` (a whole number of
    /// 64 bits) or `Boolean` (`true` or `false`). A value that cannot be read so gives reason `InvalidSpec`.
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
    /// The word that stands for the permission in `spec.permissions` of a RotatedToken. At most 256 characters. Each word once.
    #[schemars(length(min = 1, max = 256))]
    pub name: String,

    /// What the request contains for it in `${permissions}`, any JSON. Default: the word. The operator sends it as it is; a substitution in
    /// it gives reason `InvalidSpec`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(extend("x-kubernetes-preserve-unknown-fields" = true))]
    pub value: Option<Value>,
}

/// A request. It has one body at most: json, form or multipart. It can have 64 substitutions, of 64 KiB each.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, PartialEq)]
#[serde(rename_all = "camelCase")]
pub struct HttpRequest {
    /// Where this request goes instead of `baseUrl` of the recipe, for an API whose parts have hosts of their own. The same rules hold. If
    /// the operation sends the credential, it sends it there too.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 2048))]
    pub base_url: Option<String>,

    /// HTTP method: `GET` (the default), `POST`, `PUT`, `PATCH` or `DELETE`.
    #[serde(default)]
    pub method: HttpMethod,

    /// What follows the base URL, from its `/` on. The operator encodes a substitution so that it stays within its segment. An empty
    /// substitution, a segment `.` or `..`, and `?`, `#` or `\` give reason `InvalidSpec`.
    #[schemars(length(max = 2048), pattern(r"^/"))]
    pub path: String,

    /// Query parameters, at most 32. A parameter whose value is empty is sent as `NAME=`.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(extend("maxProperties" = 32))]
    pub query: BTreeMap<String, String>,

    /// Headers beside those of the credential, at most 16. Not `Host`, `Content-Length`, `Transfer-Encoding` and `Connection` (reason
    /// `InvalidSpec`). `Content-Type` follows from the body unless it is set here.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(extend("maxProperties" = 16))]
    pub headers: BTreeMap<String, String>,

    /// A JSON body, at most 32 levels deep. A text that is one substitution and nothing else becomes what it stands for: `"${permissions}"`
    /// an array, `"${lifetime|seconds}"` a number. Names of fields are sent as they are.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(extend("x-kubernetes-preserve-unknown-fields" = true))]
    pub json: Option<Value>,

    /// The fields of an `application/x-www-form-urlencoded` body, at most 32.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(extend("maxProperties" = 32))]
    pub form: BTreeMap<String, String>,

    /// The parts of a `multipart/form-data` body (RFC 7578), at most 32 texts.
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
    /// What the operator sends, with the credential. It can use all substitutions but those of `token`.
    pub request: HttpRequest,

    /// What answers mean. `Unavailable` counts as a lost answer, because the token may exist. After `Duplicate` the operator searches for
    /// tokens with its names, revokes them, and makes another attempt.
    #[serde(default, skip_serializing_if = "is_default")]
    pub answer: HttpAnswer,

    /// The values of the token and where they are in the answer (JSONPath, RFC 9535), 1 to 16: `token: $.token`. `spec.secret.data` of a
    /// RotatedToken uses these names. If the answer lacks one, the token is not published and the reason is `RecipeWrong`.
    #[schemars(extend("minProperties" = 1, "maxProperties" = 16))]
    pub values: BTreeMap<String, String>,

    /// Names of values that only the revoke needs, for example a token that deletes what was made. The operator keeps them in its record
    /// and never publishes them. At least one of `create.values` has to remain.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 16), inner(length(min = 1, max = 256)))]
    pub private: Vec<String>,

    /// Reports by its name the token that a lost answer may have created (condition and Event `TokenMayRemain`), so that an administrator
    /// deletes it. It is for tokens that neither expire nor can be listed: without it the operator refuses such a recipe (reason
    /// `InvalidSpec`). Needs `${name}` in the request. Default false.
    #[serde(alias = "tellLost", default, skip_serializing_if = "std::ops::Not::not")]
    pub report_lost: bool,

    /// Binds the token to a key of its own (DPoP, RFC 9449): a new P-256 key, of which the request sends a proof. The token set then has
    /// the value `dpopKey`, the private key as a JWK, which the workload needs to use the token. `values` has to have `token`. With
    /// `verify.showCredential` the answer has to name the key (`cnf.jkt`); without, the call sends a proof. Default false.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub dpop: bool,

    /// Where the provider's id of the token is in the answer (JSONPath, RFC 9535): a text or a number. Needed if a request uses
    /// `${token.id}`. If the answer lacks it, the token is not published and the reason is `RecipeWrong`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 1024))]
    pub id: Option<String>,

    /// Where the answer says what was granted, the values of `permissions` one by one (JSONPath, RFC 9535): `$.scopes[*]`. The operator
    /// revokes a token with fewer permissions at once and does not publish it. An answer without this field counts as one that grants all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 1024))]
    pub permissions: Option<String>,

    /// Says that the permissions are one text with spaces between, as OAuth 2.0 writes scopes (RFC 6749, section 3.3). Default false.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub permissions_with_spaces: bool,

    /// When the token expires. Default: tokens live until they are revoked. A time in the past, less than a minute away, or in another
    /// format is a mistake of the recipe: the token is revoked and not published (reason `RecipeWrong`). Not together with
    /// `expiresAsAsked`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires: Option<HttpTime>,

    /// Says that the token expires when the request asks for it, and the answer does not report that. The request has to use
    /// `${expires|...}` or `${lifetime|...}`, else the reason is `InvalidSpec`. Default false.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub expires_as_asked: bool,
}

/// How the credential is checked.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, PartialEq)]
#[serde(rename_all = "camelCase")]
pub struct HttpCheck {
    /// What the operator sends, with the credential. It has to change nothing, and cannot use `${parameters.NAME}`.
    pub request: HttpRequest,

    /// What answers mean. `Success` makes the provider object `Ready`, `Unauthorized` gives reason `CredentialRejected`, a 403
    /// `ProviderRefused`.
    #[serde(default, skip_serializing_if = "is_default")]
    pub answer: HttpAnswer,

    /// When the credential expires. From two weeks before, `Ready` of the provider object has reason `CredentialExpiring`, and a warning
    /// Event says so. A time that cannot be read counts as none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires: Option<HttpTime>,
}

/// How a token is verified.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, PartialEq)]
#[serde(rename_all = "camelCase")]
pub struct HttpVerify {
    /// What the operator sends, without its credential (but see `showCredential`). It has to send the token: `Authorization: "Bearer
    /// ${token.values.token}"`. It can use `${token.values.NAME}` and `${parameters.NAME}`.
    pub request: HttpRequest,

    /// Sends the operator's credential too, for an API that reports what another client's token may do, as OAuth 2.0 token introspection
    /// does (RFC 7662). Default false: the operator sends the token alone.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub show_credential: bool,

    /// What answers mean. `Unauthorized` says that the token is not accepted, and so does `Gone` if `statuses` or `cases` says it. Any
    /// other status that is not usual says nothing about the token. With `showCredential`, 401, 403 and each status that `statuses` does
    /// not name are about the credential, and the body says what is true of the token.
    #[serde(default, skip_serializing_if = "is_default")]
    pub answer: HttpAnswer,

    /// Where the answer says what the token may do, the values of `permissions` one by one (JSONPath, RFC 9535): `$.scopes[*]`. A token
    /// that was granted less is never published (reason `PermissionsMissing`). Permissions beyond those that were requested are reported in
    /// condition `LeastPrivilege`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 1024))]
    pub permissions: Option<String>,

    /// Says that the permissions are one text with spaces between, as OAuth 2.0 writes scopes (RFC 6749, section 3.3). Default false.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub permissions_with_spaces: bool,

    /// Calls that show whether a token has a permission, by its word in `permissions`, for APIs that do not report what a token may do:
    /// `"View Products": {request: {path: /products, headers: ...}}`. The operator makes the call of each permission that is requested. At
    /// most 32.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(extend("maxProperties" = 32))]
    pub probes: BTreeMap<String, HttpProbe>,

    /// When the token expires. The operator uses it for a token of which it knows only the Secret, because its record was lost. A time that
    /// cannot be read counts as none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires: Option<HttpTime>,
}

/// A call that shows that a token has a permission.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, PartialEq)]
#[serde(rename_all = "camelCase")]
pub struct HttpProbe {
    /// What the operator sends, without its credential. It has to send the token, and to change nothing.
    pub request: HttpRequest,

    /// What answers mean. `Success` says that the token has the permission, `Refused` and `Unauthorized` that it does not (reason
    /// `PermissionsMissing`). Anything else says nothing, and the operator retries.
    #[serde(default, skip_serializing_if = "is_default")]
    pub answer: HttpAnswer,
}
