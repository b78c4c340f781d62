//! Who the operator is at the API of a provider.

use std::collections::BTreeMap;

use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

pub use super::credential_login::{HttpLogin, HttpServiceAccount};
use crate::api::object_name;

/// Who the operator is at an API. The operator reads the Secret for every call, so you can replace it at any time.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, PartialEq)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("!(has(self.headers) && has(self.basic))").message("set headers or basic, not both"), validation = Rule::new("has(self.secretRef) || has(self.serviceAccount)").message("set secretRef or serviceAccount"), validation = Rule::new("!(has(self.oauth2) && has(self.login))").message("set oauth2 or login, not both"), validation = Rule::new("!(has(self.oauth2) && has(self.basic))").message("set oauth2 or basic, not both"), validation = Rule::new("!has(self.oauth2) || !(has(self.oauth2.clientId) && has(self.oauth2.clientIdKey))").message("set clientId or clientIdKey, not both"))]
pub struct HttpCredential {
    /// Names the Secret with the credential. For a TokenProvider it is in the namespace of the TokenProvider, for a ClusterTokenProvider in
    /// the operator's namespace. Needed unless `serviceAccount` is set. A Secret that does not exist gives reason `CredentialMissing`; a
    /// key that it lacks, and a record of the operator itself, give `InvalidSpec`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub secret_ref: Option<SecretReference>,

    /// Names a ServiceAccount whose token is `${credential.serviceAccountToken}`, for APIs that accept tokens of the cluster as an identity
    /// (OIDC federation, RFC 8693). The operator requests a new token for each call by the TokenRequest API. It can stand alone, or beside
    /// `secretRef`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub service_account: Option<HttpServiceAccount>,

    /// A call that the operator makes first, to get a session for `${credential.session}`. It is for APIs with a login. If it fails, the
    /// operator sends nothing else. Not together with `oauth2`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub login: Option<HttpLogin>,

    /// Headers that send the credential, for example `Authorization: "Bearer ${credential.token}"` or `PRIVATE-TOKEN:
    /// "${credential.token}"`. The operator adds them to every call that sends the credential, but not to `login`. A header of the same
    /// name in a request replaces them. At most 8. Not together with `basic`, and no `Authorization` together with `oauth2`.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(extend("maxProperties" = 8))]
    pub headers: BTreeMap<String, String>,

    /// HTTP Basic authentication (RFC 7617) with a user name and a password of the Secret. Not together with `headers` or `oauth2`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub basic: Option<HttpBasic>,

    /// A client certificate of the Secret, for the TLS handshake (RFC 8446, section 4.4.2). The operator uses it in every call that sends
    /// the credential, also for a session or an access token. It can stand alone, or beside `headers` or `basic`. A certificate or key that
    /// cannot be used gives reason `InvalidSpec`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub client_certificate: Option<HttpClientCertificate>,

    /// A client assertion (RFC 7523, section 2.2) for `${credential.assertion}`: a JWT with which the client proves by a private key who it
    /// is. The operator signs a new one for every call; it is valid for 60 seconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub assertion: Option<HttpAssertion>,

    /// An access token of an OAuth 2.0 authorization server, sent as `Authorization: Bearer` (RFC 6750). The operator obtains it by the
    /// client credentials grant (RFC 6749, section 4.4). It keeps the token in memory until a minute before it expires; without
    /// `expires_in` in the answer the token is for one call. It can stand beside `headers`, not beside `basic` or `login`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub oauth2: Option<HttpOAuth2>,
}

/// Names a Secret.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Debug, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct SecretReference {
    /// Name of the Secret, at most 253 characters.
    #[schemars(length(min = 1, max = 253), pattern(object_name::SUBDOMAIN))]
    pub name: String,
}

/// Names a key of a Secret: of the namespace of a TokenProvider; for a ClusterTokenProvider, of the operator's own namespace.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Debug, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct SecretKeyReference {
    /// Name of the Secret, at most 253 characters. If it does not exist, the reason is `CredentialMissing`.
    #[schemars(length(min = 1, max = 253), pattern(object_name::SUBDOMAIN))]
    pub name: String,

    /// Key of the Secret that holds the value. Its default depends on the provider, see `credentialsRef`. A key that the Secret lacks gives
    /// reason `InvalidSpec`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 253), pattern(object_name::SECRET_KEY))]
    pub key: Option<String>,
}

/// Keys of the credential's Secret that hold user name and password.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Debug, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct HttpBasic {
    /// The user name itself, instead of a key of the Secret. At most 1024 characters. A colon in it needs `formEncoded` (RFC 7617, section
    /// 2); without it the reason is `InvalidSpec`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 1024))]
    pub username: Option<String>,

    /// Key of the Secret that holds the user name. Default `username`. The operator does not read it if `username` is set. It removes line
    /// breaks at the end of the value.
    #[serde(default = "username")]
    #[schemars(length(min = 1, max = 253), pattern(object_name::SECRET_KEY))]
    pub username_key: String,

    /// Key of the Secret that holds the password. Default `password`. The operator removes line breaks at the end of the value. A key that
    /// the Secret lacks gives reason `InvalidSpec`.
    #[serde(default = "password")]
    #[schemars(length(min = 1, max = 253), pattern(object_name::SECRET_KEY))]
    pub password_key: String,

    /// Encodes user name and password as in forms before they are joined, as OAuth 2.0 requires for clients (RFC 6749, section 2.3.1).
    /// Default false.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub form_encoded: bool,
}

fn username() -> String {
    "username".to_owned()
}

fn password() -> String {
    "password".to_owned()
}

/// Keys of the credential's Secret that hold a client certificate and its private key, named as in a Secret of type
/// `kubernetes.io/tls`.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Debug, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct HttpClientCertificate {
    /// Key of the Secret that holds the client certificate in PEM, followed by the certificates between it and its CA. Default `tls.crt`.
    /// At most 32 KiB.
    #[serde(default = "certificate_key")]
    #[schemars(length(min = 1, max = 253), pattern(object_name::SECRET_KEY))]
    pub certificate_key: String,

    /// Key of the Secret that holds the private key of the certificate in PEM: PKCS#8, PKCS#1 or SEC1, not encrypted. Default `tls.key`. At
    /// most 32 KiB.
    #[serde(default = "certificate_private_key")]
    #[schemars(length(min = 1, max = 253), pattern(object_name::SECRET_KEY))]
    pub private_key_key: String,
}

impl Default for HttpClientCertificate {
    fn default() -> Self {
        Self { certificate_key: certificate_key(), private_key_key: certificate_private_key() }
    }
}

fn certificate_key() -> String {
    "tls.crt".to_owned()
}

fn certificate_private_key() -> String {
    "tls.key".to_owned()
}

/// A client assertion: `${credential.assertion}` in requests stands for a JWT by which the client proves who it is with a private key
/// of the Secret (RFC 7523, section 2.2). It is signed anew for every request and good for 60 seconds; `iss` and `sub` are the client's
/// id, `jti` is random. A key of the Secret named `assertion` cannot be shown beside it.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("!(has(self.clientId) && has(self.clientIdKey))").message("set clientId or clientIdKey, not both"))]
pub struct HttpAssertion {
    /// The client's id, for `iss` and `sub` of the assertion (RFC 7523, section 3). At most 1024 characters. `clientIdKey` takes it from
    /// the Secret instead.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 1024))]
    pub client_id: Option<String>,

    /// Key of the Secret that holds the client's id, instead of `clientId`. Default `clientId`, if neither of the two is set.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 253), pattern(object_name::SECRET_KEY))]
    pub client_id_key: Option<String>,

    /// Whom the assertion is for (`aud`; RFC 7523, section 3). It is what the authorization server expects, most often its issuer or the
    /// URL of its token endpoint.
    #[schemars(length(min = 1, max = 2048))]
    pub audience: String,

    /// Key of the Secret that holds the private key: PKCS#8 in PEM, not encrypted, at most 32 KiB. Default `privateKey`. Another encoding,
    /// and a key that does not fit `algorithm`, give reason `InvalidSpec`; the message says how to convert it.
    #[serde(default = "private_key_key")]
    #[schemars(length(min = 1, max = 253), pattern(object_name::SECRET_KEY))]
    pub private_key_key: String,

    /// How the operator signs the assertion: `RS256` (the default), `PS256`, `ES256` or `EdDSA` (RFC 7518, section 3.1; RFC 8037, section
    /// 3.1).
    #[serde(default)]
    pub algorithm: SigningAlgorithm,

    /// Name of the key at the server, sent as `kid` (RFC 7515, section 4.1.4). It is for a server that knows several keys. Default: not
    /// sent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 1024))]
    pub key_id: Option<String>,
}

fn private_key_key() -> String {
    "privateKey".to_owned()
}

/// How the operator signs a JWT: `RS256` or `PS256` (RSA, 2048 to 4096 bits), `ES256` (P-256) or `EdDSA` (Ed25519); RFC 7518, section 3.1,
/// and RFC 8037, section 3.1. Default `RS256`. In a client it is for method `PrivateKeyJwt` only. A key of another kind gives reason
/// `InvalidSpec`.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum SigningAlgorithm {
    /// RSA, 2048 to 4096 bits, PKCS#1 padding.
    #[default]
    #[serde(rename = "RS256")]
    Rs256,
    /// RSA, 2048 to 4096 bits, PSS padding.
    #[serde(rename = "PS256")]
    Ps256,
    /// ECDSA with the curve P-256.
    #[serde(rename = "ES256")]
    Es256,
    /// Ed25519.
    #[serde(rename = "EdDSA")]
    EdDsa,
}

impl SigningAlgorithm {
    /// Its name in a JWT.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Rs256 => "RS256",
            Self::Ps256 => "PS256",
            Self::Es256 => "ES256",
            Self::EdDsa => "EdDSA",
        }
    }
}

/// An access token of an OAuth 2.0 authorization server as the operator's credential: obtained by the client credentials grant (RFC 6749,
/// section 4.4) and sent as `Authorization: Bearer` (RFC 6750). The operator keeps it in memory until it expires, at most, and never longer
/// than the Secret with which it was obtained is the same. A 401 or 403 drops it earlier.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct HttpOAuth2 {
    /// URL of the token endpoint (RFC 6749, section 3.2). The rules of `baseUrl` hold; a query is allowed. An address where no token
    /// endpoint answers gives reason `InvalidSpec`, a server that does not answer `ProviderUnavailable`.
    #[schemars(length(min = 1, max = 2048))]
    pub token_url: String,

    /// Who the client is, and how it proves that.
    #[serde(flatten)]
    pub client: OAuth2Client,

    /// The scopes that the operator requests for its own token (`scope`; RFC 6749, section 3.3), at most 64. Default: the operator requests
    /// none, and the server decides. A scope that the server does not grant (`invalid_scope`) gives reason `InvalidSpec`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 64), inner(length(min = 1, max = 256)))]
    pub scopes: Vec<String>,

    /// The parameter `audience` of the token request, for servers that require one. RFC 6749 does not define it. Default: not sent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 2048))]
    pub audience: Option<String>,

    /// The URI of the API that the token is for (`resource`; RFC 8707). Default: not sent. A URI that the server does not know
    /// (`invalid_target`) gives reason `InvalidSpec`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 2048))]
    pub resource: Option<String>,
}

/// A client of an authorization server, and how it proves who it is.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Debug, Default, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct OAuth2Client {
    /// The client's id, at most 1024 characters. `clientIdKey` takes it from the Secret instead.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 1024))]
    pub client_id: Option<String>,

    /// Key of the Secret that holds the client's id, instead of `clientId`. Default `clientId`, if neither of the two is set.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 253), pattern(object_name::SECRET_KEY))]
    pub client_id_key: Option<String>,

    /// How the client proves who it is. `ClientSecretBasic` (the default) and `ClientSecretPost` send a secret as HTTP Basic authentication
    /// or in the form (RFC 6749, section 2.3.1), `PrivateKeyJwt` sends a signed JWT (RFC 7523, section 2.2), `TlsClientAuth` uses a client
    /// certificate (RFC 8705, section 2). A client that the server does not accept (`invalid_client`) gives reason `CredentialRejected`.
    #[serde(default)]
    pub method: OAuth2Method,

    /// Key of the Secret that holds the client's secret, for `ClientSecretBasic` and `ClientSecretPost`. Default `clientSecret`. With
    /// another method it is a mistake (reason `InvalidSpec`).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 253), pattern(object_name::SECRET_KEY))]
    pub secret_key: Option<String>,

    /// Key of the Secret that holds the private key, for `PrivateKeyJwt`: PKCS#8 in PEM, not encrypted, at most 32 KiB. Default
    /// `privateKey`. With another method it is a mistake (reason `InvalidSpec`).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 253), pattern(object_name::SECRET_KEY))]
    pub private_key_key: Option<String>,

    /// How the operator signs the JWT of `PrivateKeyJwt`. Default `RS256`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub algorithm: Option<SigningAlgorithm>,

    /// Name of the key at the server, sent as `kid` (RFC 7515, section 4.1.4), for `PrivateKeyJwt` and a server that knows several keys.
    /// Default: not sent. With another method it is a mistake (reason `InvalidSpec`).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 1024))]
    pub key_id: Option<String>,

    /// Whom the JWT of `PrivateKeyJwt` is for (`aud`; RFC 7523, section 3). Default: the issuer, if one is set, else the URL of the token
    /// endpoint. With another method it is a mistake (reason `InvalidSpec`).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 2048))]
    pub assertion_audience: Option<String>,
}

/// How a client proves who it is to an authorization server.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum OAuth2Method {
    /// Id and secret by HTTP Basic authentication, both encoded as in forms first (RFC 6749, section 2.3.1).
    #[default]
    ClientSecretBasic,
    /// Id and secret in the form, for servers that know nothing else (RFC 6749, section 2.3.1).
    ClientSecretPost,
    /// A JWT that is signed with a private key (RFC 7523, section 2.2).
    PrivateKeyJwt,
    /// A client certificate in the TLS handshake (RFC 8705, section 2).
    TlsClientAuth,
}
