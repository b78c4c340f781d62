//! Who the operator is at the API of a provider.

use std::collections::BTreeMap;

use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

pub use super::credential_login::{HttpLogin, HttpServiceAccount};
use crate::api::object_name;

/// Who the operator is at an API. The Secret is read anew for every call, so that it can be replaced at any time.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, PartialEq)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("!(has(self.headers) && has(self.basic))").message("set headers or basic, not both"), validation = Rule::new("has(self.secretRef) || has(self.serviceAccount)").message("set secretRef or serviceAccount"), validation = Rule::new("!(has(self.oauth2) && has(self.login))").message("set oauth2 or login, not both"), validation = Rule::new("!(has(self.oauth2) && has(self.basic))").message("set oauth2 or basic, not both"), validation = Rule::new("!has(self.oauth2) || !(has(self.oauth2.clientId) && has(self.oauth2.clientIdKey))").message("set clientId or clientIdKey, not both"))]
pub struct HttpCredential {
    /// The Secret: of the namespace of a TokenProvider; for a ClusterTokenProvider, of the operator's own namespace.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub secret_ref: Option<SecretReference>,

    /// A ServiceAccount of the same namespace, whose token stands for `${credential.serviceAccountToken}`: a new one for each call, for APIs that
    /// take the tokens of a cluster for an identity (OIDC federation, RFC 8693). Instead of a Secret, or beside it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub service_account: Option<HttpServiceAccount>,

    /// A call that comes first and gives what stands for `${credential.session}`, for APIs where one logs in.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub login: Option<HttpLogin>,

    /// Headers that show the credential: `Authorization: "Bearer ${credential.token}"`, `PRIVATE-TOKEN: "${credential.token}"`.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(extend("maxProperties" = 8))]
    pub headers: BTreeMap<String, String>,

    /// HTTP Basic authentication (RFC 7617) with a user name and a password of the Secret.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub basic: Option<HttpBasic>,

    /// A client certificate of the Secret, shown in the TLS handshake of every call that shows the credential (RFC 8446, section
    /// 4.4.2). It can stand alone, or beside headers or basic.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub client_certificate: Option<HttpClientCertificate>,

    /// What `${credential.assertion}` stands for: a client assertion, for requests that prove who they are with a private key.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub assertion: Option<HttpAssertion>,

    /// An access token of an OAuth 2.0 authorization server, shown as `Authorization: Bearer`. It can stand beside headers, not beside
    /// basic.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub oauth2: Option<HttpOAuth2>,
}

/// Names a Secret.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Debug, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct SecretReference {
    /// Name of the Secret.
    #[schemars(length(min = 1, max = 253), pattern(object_name::SUBDOMAIN))]
    pub name: String,
}

/// Names a key of a Secret: of the namespace of a TokenProvider; for a ClusterTokenProvider, of the operator's own namespace.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Debug, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct SecretKeyReference {
    /// Name of the Secret.
    #[schemars(length(min = 1, max = 253), pattern(object_name::SUBDOMAIN))]
    pub name: String,

    /// Key in the Secret.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 253), pattern(object_name::SECRET_KEY))]
    pub key: Option<String>,
}

/// Keys of the credential's Secret that hold user name and password.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Debug, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct HttpBasic {
    /// The user name, instead of a key of the Secret.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 1024))]
    pub username: Option<String>,

    /// Key of the user name. Default `username`.
    #[serde(default = "username")]
    #[schemars(length(min = 1, max = 253), pattern(object_name::SECRET_KEY))]
    pub username_key: String,

    /// Key of the password. Default `password`.
    #[serde(default = "password")]
    #[schemars(length(min = 1, max = 253), pattern(object_name::SECRET_KEY))]
    pub password_key: String,

    /// Both are encoded as in forms first, as OAuth 2.0 asks for (RFC 6749, section 2.3.1). Default false.
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
    /// Key of the certificate, and of those between it and its authority, in PEM. Default `tls.crt`.
    #[serde(default = "certificate_key")]
    #[schemars(length(min = 1, max = 253), pattern(object_name::SECRET_KEY))]
    pub certificate_key: String,

    /// Key of its private key in PEM: PKCS#8, PKCS#1 or SEC1, not encrypted. Default `tls.key`.
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
    /// The client's id.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 1024))]
    pub client_id: Option<String>,

    /// Key of the client's id in the Secret, instead of `clientId`. Default `clientId`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 253), pattern(object_name::SECRET_KEY))]
    pub client_id_key: Option<String>,

    /// Who the assertion is for (`aud`): what the authorization server says, most often its issuer or the URL of its token endpoint.
    #[schemars(length(min = 1, max = 2048))]
    pub audience: String,

    /// Key of the private key in the Secret: PKCS#8 in PEM, not encrypted. Default `privateKey`.
    #[serde(default = "private_key_key")]
    #[schemars(length(min = 1, max = 253), pattern(object_name::SECRET_KEY))]
    pub private_key_key: String,

    /// How it is signed. Default `RS256`.
    #[serde(default)]
    pub algorithm: SigningAlgorithm,

    /// Name of the key at the server (`kid`), for a server that knows several.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 1024))]
    pub key_id: Option<String>,
}

fn private_key_key() -> String {
    "privateKey".to_owned()
}

/// How a JWT is signed (RFC 7518, section 3.1; RFC 8037, section 3.1).
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

/// An access token of an OAuth 2.0 authorization server as the operator's credential: obtained by the client credentials grant (RFC
/// 6749, section 4.4) and shown as `Authorization: Bearer` (RFC 6750). It is kept in memory until it expires, at most, and never
/// longer than the Secret that it was obtained with is there.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct HttpOAuth2 {
    /// The token endpoint. The same rules as for `baseUrl`; a query is allowed.
    #[schemars(length(min = 1, max = 2048))]
    pub token_url: String,

    /// Who the client is, and how it proves that.
    #[serde(flatten)]
    pub client: OAuth2Client,

    /// What is asked for (`scope`; RFC 6749, section 3.3). Default: what the server gives without.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 64), inner(length(min = 1, max = 256)))]
    pub scopes: Vec<String>,

    /// The parameter `audience`, for servers that ask for it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 2048))]
    pub audience: Option<String>,

    /// The API that the token is for (`resource`; RFC 8707).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 2048))]
    pub resource: Option<String>,
}

/// A client of an authorization server, and how it proves who it is.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Debug, Default, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct OAuth2Client {
    /// The client's id. Instead of it, `clientIdKey` names a key of the Secret.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 1024))]
    pub client_id: Option<String>,

    /// Key of the client's id in the Secret, instead of `clientId`. Default `clientId`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 253), pattern(object_name::SECRET_KEY))]
    pub client_id_key: Option<String>,

    /// How the client proves who it is. Default `ClientSecretBasic`.
    #[serde(default)]
    pub method: OAuth2Method,

    /// Key of the client's secret in the Secret. Default `clientSecret`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 253), pattern(object_name::SECRET_KEY))]
    pub secret_key: Option<String>,

    /// For `PrivateKeyJwt`: key of the private key in the Secret, PKCS#8 in PEM, not encrypted. Default `privateKey`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 253), pattern(object_name::SECRET_KEY))]
    pub private_key_key: Option<String>,

    /// For `PrivateKeyJwt`: how assertions are signed. Default `RS256`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub algorithm: Option<SigningAlgorithm>,

    /// For `PrivateKeyJwt`: name of the key at the server (`kid`), for a server that knows several.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 1024))]
    pub key_id: Option<String>,

    /// For `PrivateKeyJwt`: who assertions are for (`aud`). Default: the issuer, where one is said, else the URL of the token endpoint.
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
