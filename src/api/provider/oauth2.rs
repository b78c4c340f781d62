//! The `oauth2` provider: access tokens of an authorization server.

use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{
    credential::{HttpClientCertificate, OAuth2Client, SecretReference},
    proxy::Proxy,
};
use crate::api::duration::GoDuration;

/// Access tokens of an OAuth 2.0 authorization server, by the client credentials grant (RFC 6749, section 4.4). Old and new token are
/// valid together until the old one is revoked (RFC 7009); what is alive is found out by introspection (RFC 7662).
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, PartialEq)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("has(self.issuer) != has(self.endpoints)").message("set exactly one of issuer and endpoints"), validation = Rule::new("!has(self.endpoints) || has(self.endpoints.introspection) || has(self.verify)").message("set endpoints.introspection or verify.url, with which tokens are verified"))]
pub struct OAuth2Provider {
    /// The authorization server, as it names itself: its endpoints are read from its metadata (OpenID Connect Discovery 1.0, RFC 8414)
    /// before each operation, and the metadata has to name the same issuer. HTTPS; plain HTTP only where the operator's flag
    /// --allow-plain-http says so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 2048))]
    pub issuer: Option<String>,

    /// The endpoints, for a server without metadata.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub endpoints: Option<OAuth2Endpoints>,

    /// Certificates of the authorities that the server's certificate may come from, in PEM, instead of the public ones.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 65536))]
    pub ca_bundle: Option<String>,

    /// An HTTP proxy through which all calls go. Default: none; proxies of the environment are not used.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub proxy: Option<Proxy>,

    /// How long one operation may take, reading the metadata included. Default `10s`, at most `15s`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timeout: Option<GoDuration>,

    /// The client that the tokens are for.
    pub client: OAuth2ProviderClient,

    /// The scopes that a RotatedToken may ask for in `permissions` (RFC 6749, section 3.3). Empty: tokens get what the server gives without
    /// being asked, and none may be asked for.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 512), inner(length(min = 1, max = 256), pattern(r"^[\x21\x23-\x5B\x5D-\x7E]+$")))]
    pub scopes: Vec<String>,

    /// The parameter `audience`, for servers that ask for it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 2048))]
    pub audience: Option<String>,

    /// The API that tokens are for (`resource`; RFC 8707).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 2048))]
    pub resource: Option<String>,

    /// What the tokens are. Default `Bearer`.
    #[serde(default)]
    pub token_type: OAuth2TokenType,

    /// How a token is verified. Default: by introspection, which also reports its scopes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub verify: Option<OAuth2Verify>,

    /// Whether tokens are revoked. Default `Revoke`.
    #[serde(default)]
    pub revocation: OAuth2Revocation,

    /// How long a new token may take to become usable. Default `1m`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub activation: Option<GoDuration>,

    /// How long a revoked token may go on being accepted. Default `0s`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub propagation: Option<GoDuration>,
}

/// The endpoints of a server without metadata.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Debug, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct OAuth2Endpoints {
    /// Where tokens are minted (RFC 6749, section 3.2).
    #[schemars(length(min = 1, max = 2048))]
    pub token: String,

    /// Where tokens are verified (RFC 7662). Needed without `verify.url`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 2048))]
    pub introspection: Option<String>,

    /// Where tokens are revoked (RFC 7009). Without it they end when they expire.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 2048))]
    pub revocation: Option<String>,
}

/// The client, and the Secret with what it proves itself by: of the namespace of a TokenProvider; for a ClusterTokenProvider, of the
/// operator's own namespace. It is read anew for every call, so that it can be replaced at any time.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("!(has(self.clientId) && has(self.clientIdKey))").message("set clientId or clientIdKey, not both"))]
pub struct OAuth2ProviderClient {
    /// The Secret.
    pub secret_ref: SecretReference,

    /// Who the client is, and how it proves that.
    #[serde(flatten)]
    pub client: OAuth2Client,

    /// For `TlsClientAuth`: keys of the client certificate in the Secret. Default `tls.crt` and `tls.key`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub client_certificate: Option<HttpClientCertificate>,
}

/// How a token is verified at the API that it is for, instead of by introspection. A server that issues self-contained tokens, which APIs
/// accept without asking it, is told from one that does not only so.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Debug, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct OAuth2Verify {
    /// Asked for with `GET` and the token as Bearer: 2xx says that the token works, 401 that it is not accepted. The scopes are then
    /// compared with what the answer to the token request says.
    #[schemars(length(min = 1, max = 2048))]
    pub url: String,
}

/// Whether tokens are revoked.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum OAuth2Revocation {
    /// They are revoked as soon as no pod holds them (RFC 7009). The server has to have an endpoint for it; where `endpoints` names none,
    /// this means `Never`.
    #[default]
    Revoke,
    /// They end when they expire, and are minted anew in time. For servers that cannot revoke, and for tokens that APIs accept without
    /// asking the server.
    Never,
}

/// What a token is (RFC 6749, section 7.1).
#[derive(Serialize, Deserialize, JsonSchema, Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum OAuth2TokenType {
    /// Every client that has the token can use it (RFC 6750).
    #[default]
    Bearer,
    /// It is bound to a key of its own (RFC 9449). The token set has the value `dpopKey` beside `token`: the private key as a JWK, which
    /// the workload needs to use the token. A server that gives another type is refused.
    DPoP,
}
