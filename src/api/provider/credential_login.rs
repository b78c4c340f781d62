//! Credentials that are obtained by a call: a token of a ServiceAccount, a session.

use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{
    http::HttpRequest,
    http_answer::{HttpAnswer, HttpTime, is_default},
};
use crate::api::object_name;

/// A ServiceAccount, and the audience of its tokens. A token has a lifetime of ten minutes and is stored nowhere. The operator needs the
/// right to create `serviceaccounts/token` there, as for the provider `kubernetes` (for a ClusterTokenProvider, its own namespace has to be
/// one that it watches). The API server itself accepts the token only if `audience` names it.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Debug, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct HttpServiceAccount {
    /// Name of the ServiceAccount, at most 253 characters. For a TokenProvider it is in the namespace of the TokenProvider, for a
    /// ClusterTokenProvider in the operator's namespace. A ServiceAccount that does not exist gives reason `CredentialMissing`. If the
    /// operator may not create tokens of it, the reason is `InvalidSpec`.
    #[schemars(length(min = 1, max = 253), pattern(object_name::SUBDOMAIN))]
    pub name: String,

    /// Whom the token is for (`aud`): what the API expects. At most 2048 characters.
    #[schemars(length(min = 1, max = 2048))]
    pub audience: String,
}

/// A call that gives a session. The operator keeps the session in memory until it expires, if the answer says when, else for one call, and
/// never longer than the Secret with which it was obtained is the same. A 401 or 403 drops it earlier.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, PartialEq)]
#[serde(rename_all = "camelCase")]
pub struct HttpLogin {
    /// What the operator sends to log in. The request can use `${credential.KEY}`, `${credential.assertion}` and
    /// `${credential.serviceAccountToken}`, but not `${credential.session}`. It does not get the `headers` of the credential.
    pub request: HttpRequest,

    /// What the answers of the login mean. Everything but `Success` fails the call that needs the session: `Unauthorized` gives reason
    /// `CredentialRejected`, a 403 `ProviderRefused`.
    #[serde(default, skip_serializing_if = "is_default")]
    pub answer: HttpAnswer,

    /// Where the session is in the answer (JSONPath, RFC 9535): a text or a number. An answer without it gives reason `InvalidSpec`.
    #[schemars(length(min = 1, max = 1024))]
    pub value: String,

    /// When the session expires. The operator uses it until a minute before that (half of a lifetime below two minutes). Default: a session
    /// is for one call. A time that cannot be read gives reason `InvalidSpec`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires: Option<HttpTime>,
}
