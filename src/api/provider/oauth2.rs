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
    /// The authorization server, as it names itself (`issuer`). The operator reads the endpoints from its metadata (OpenID Connect
    /// Discovery 1.0, section 4; RFC 8414, section 3) before each operation. The metadata has to name the same issuer, letter by letter;
    /// else, and if there is no metadata, the reason is `InvalidSpec`. HTTPS; plain HTTP only if the operator runs with --allow-plain-http.
    /// No query. Set either `issuer` or `endpoints`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 2048))]
    pub issuer: Option<String>,

    /// The endpoints of a server without metadata. Set either `issuer` or `endpoints`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub endpoints: Option<OAuth2Endpoints>,

    /// CA certificates in PEM that may sign the certificate of the server, instead of the public CAs. At most 64 KiB, with all other
    /// settings. What is not PEM, or holds no certificate, gives reason `InvalidSpec`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 65536))]
    pub ca_bundle: Option<String>,

    /// An HTTP proxy through which all calls go. Default: none; the operator does not use proxies of the environment.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub proxy: Option<Proxy>,

    /// How long one operation may take, reading the metadata included. Default `10s`, at most `15s` and more than 0, else the reason is
    /// `InvalidSpec`. An operation that takes longer gives reason `ProviderUnavailable`; a token request that was sent counts as lost
    /// (`AnswerLost`).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timeout: Option<GoDuration>,

    /// The client that the tokens are for, and the Secret with which it proves who it is.
    pub client: OAuth2ProviderClient,

    /// The scopes that a RotatedToken may request in `spec.permissions` (RFC 6749, section 3.3), at most 512. A RotatedToken that requests
    /// another one, or none, gets reason `UnknownPermission`. Empty: the operator sends no `scope`, the server decides, and a RotatedToken
    /// cannot request any.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 512), inner(length(min = 1, max = 256), pattern(r"^[\x21\x23-\x5B\x5D-\x7E]+$")))]
    pub scopes: Vec<String>,

    /// The parameter `audience` of the token request, for servers that require one. RFC 6749 does not define it. Default: not sent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 2048))]
    pub audience: Option<String>,

    /// The URI of the API that tokens are for (`resource`; RFC 8707). Default: not sent. A URI that the server does not know
    /// (`invalid_target`) gives reason `InvalidSpec`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 2048))]
    pub resource: Option<String>,

    /// The type of the tokens (RFC 6749, section 7.1). `Bearer` (the default): every client that has the token can use it (RFC 6750).
    /// `DPoP`: the token is bound to a key of its own (RFC 9449), and the token set has the value `dpopKey`, the private key as a JWK,
    /// beside `token`; the workload needs both. A server that answers with another type gives reason `InvalidSpec`.
    #[serde(default)]
    pub token_type: OAuth2TokenType,

    /// How a token is verified. Default: by introspection (RFC 7662), which also reports its scopes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub verify: Option<OAuth2Verify>,

    /// Whether the operator revokes tokens (RFC 7009). `Revoke` (the default): as soon as no pod holds them; if `endpoints` names no
    /// `revocation`, this means `Never`; metadata without a `revocation_endpoint` gives reason `InvalidSpec`. `Never`: tokens end when they
    /// expire, and the operator mints the next one in time. Use `Never` for servers that cannot revoke, and for tokens that APIs accept
    /// without a question to the server.
    #[serde(default)]
    pub revocation: OAuth2Revocation,

    /// How long a new token may take to become usable. The operator verifies it every 2 seconds. Default `1m`. After that the operator
    /// revokes it and makes another attempt (reason `ProviderRefused`).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub activation: Option<GoDuration>,

    /// How long the server, or the API, may still accept a revoked token. The operator waits this long before it verifies that the token is
    /// rejected. Default `0s`. If the token stays valid for minutes, the operator revokes it again, and the reason is
    /// `RevokeWithoutEffect`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub propagation: Option<GoDuration>,
}

/// The endpoints of a server without metadata.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Debug, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct OAuth2Endpoints {
    /// URL of the token endpoint, where the operator mints tokens (RFC 6749, section 3.2). HTTPS; a query is allowed, a user and a fragment
    /// are not (reason `InvalidSpec`).
    #[schemars(length(min = 1, max = 2048))]
    pub token: String,

    /// URL of the introspection endpoint, where the operator verifies tokens (RFC 7662). Needed unless `verify.url` is set.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 2048))]
    pub introspection: Option<String>,

    /// URL of the revocation endpoint (RFC 7009). Default: none; tokens end when they expire.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 2048))]
    pub revocation: Option<String>,
}

/// The client, and the Secret with which it proves who it is. For a TokenProvider the Secret is in the namespace of the TokenProvider, for
/// a ClusterTokenProvider in the operator's namespace. The operator reads it for every call, so you can replace it at any time.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("!(has(self.clientId) && has(self.clientIdKey))").message("set clientId or clientIdKey, not both"))]
pub struct OAuth2ProviderClient {
    /// Names the Secret with the secret, private key or certificate of the client. For a TokenProvider it is in the namespace of the
    /// TokenProvider, for a ClusterTokenProvider in the operator's namespace. The operator reads it for every call. A Secret that does not
    /// exist gives reason `CredentialMissing`, a key that it lacks `InvalidSpec`.
    pub secret_ref: SecretReference,

    /// Who the client is, and how it proves that.
    #[serde(flatten)]
    pub client: OAuth2Client,

    /// Keys of the client certificate in the Secret, for `TlsClientAuth`. Default `tls.crt` and `tls.key`. With another method the operator
    /// uses a certificate only if this is set, `{}` included.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub client_certificate: Option<HttpClientCertificate>,
}

/// How a token is verified at the API that it is for, instead of by introspection. It shows whether that API still accepts a revoked token:
/// an API may check a self-contained token without a question to the server.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Debug, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct OAuth2Verify {
    /// URL that the operator requests with `GET` and the token (`Authorization: Bearer`, or `DPoP`). 2xx means that the token works, 401
    /// that it is not accepted. The operator then compares the scopes with what the token endpoint answered, and `Ready` of the provider
    /// says only that metadata and Secret are there.
    #[schemars(length(min = 1, max = 2048))]
    pub url: String,
}

/// Whether tokens are revoked.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum OAuth2Revocation {
    /// The operator revokes them as soon as no pod holds them (RFC 7009). The server has to have an endpoint for it; if `endpoints` names
    /// none, this means `Never`.
    #[default]
    Revoke,
    /// They end when they expire, and the operator mints the next one in time. For servers that cannot revoke, and for tokens that APIs
    /// accept without a question to the server.
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
