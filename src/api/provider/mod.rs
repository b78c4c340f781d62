//! `TokenProvider`: where tokens come from and who may ask for them.

pub mod cluster;
pub mod credential;
pub mod credential_login;
pub mod earlier;
pub mod fossa;
pub mod http;
pub mod http_answer;
pub mod http_end;
pub mod http_list;
pub mod licensing;
pub mod oauth2;
pub mod proxy;
pub mod synoptic;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use kube::{CustomResource, KubeSchema};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

pub use self::{
    cluster::{ClusterTokenProvider, ClusterTokenProviderSpec},
    fossa::FossaProvider,
    http::HttpProvider,
    licensing::LicensingProvider,
    oauth2::OAuth2Provider,
    proxy::Proxy,
    synoptic::SynopticProvider,
};
use super::{duration::GoDuration, object_name};

/// Where tokens come from, for RotatedTokens of the same namespace.
#[derive(CustomResource, KubeSchema, Serialize, Deserialize, Clone, Debug, PartialEq)]
#[kube(
    group = "tokenturn.dev",
    version = "v1alpha1",
    kind = "TokenProvider",
    plural = "tokenproviders",
    shortname = "tp",
    category = "tokenturn",
    namespaced,
    status = "TokenProviderStatus",
    doc = "Where tokens come from, for RotatedTokens of the same namespace.",
    validation = Rule::new("!has(self.spec.policy) || !has(self.spec.policy.allowedNamespaces)").message("policy.allowedNamespaces belongs to a ClusterTokenProvider; a TokenProvider serves its own namespace only"),
    printcolumn(name = "READY", type_ = "string", json_path = ".status.conditions[?(@.type==\"Ready\")].status"),
    printcolumn(name = "STATUS", type_ = "string", json_path = ".status.conditions[?(@.type==\"Ready\")].reason"),
    printcolumn(name = "AGE", type_ = "date", json_path = ".metadata.creationTimestamp"),
    printcolumn(name = "STALLED", type_ = "string", json_path = ".status.conditions[?(@.type==\"Stalled\")].status", priority = 1)
)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("[has(self.kubernetes), has(self.http), has(self.fossa), has(self.licensing), has(self.synoptic), has(self.oauth2)].filter(x, x).size() == 1").message("name exactly one provider: kubernetes, http, fossa, licensing, synoptic or oauth2"))]
pub struct TokenProviderSpec {
    /// The provider.
    #[serde(flatten)]
    pub backend: Backend,

    /// Limits for the RotatedTokens that use this provider.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub policy: Option<ProviderPolicy>,
}

/// What mints and revokes the tokens: exactly one of these.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Debug, Default, PartialEq)]
#[serde(rename_all = "camelCase")]
pub struct Backend {
    // The large ones are boxed: a ledger has one for each of its tokens, and what it is read with is on the stack.
    /// Tokens of ServiceAccounts of the cluster itself, by the TokenRequest API. Each token is bound to a small Secret of its
    /// own; deleting that Secret revokes it. Needs no settings: `kubernetes: {}`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kubernetes: Option<KubernetesProvider>,

    /// Tokens of any HTTP API, by a recipe: requests as templates, and the meaning of their answers.
    ///
    /// Texts of requests can have substitutions. Which of them an operation knows is said there; another one gives reason `InvalidSpec`:
    /// - `${name}`: the name that tokenturn gives the token, by which it finds it again
    /// - `${permissions}`: a JSON array; `${permissions|commas}`, `${permissions|spaces}`: a text; `${permission}`: the only one
    /// - `${expires|FORMAT}`: rfc3339, date, minute, unix or unixMillis
    /// - `${lifetime|UNIT}`: seconds, minutes, hours or days
    /// - `${random}`: 22 random characters (128 bits)
    /// - `${parameters.NAME}`: a parameter of the RotatedToken
    /// - `${credential.KEY}`: a key of the credential's Secret; also `assertion`, `session` and `serviceAccountToken`
    /// - `${token.id}`, `${token.name}`, `${token.values.NAME}`: of the token; `${replaced.NAME}`: of the one that a new token ends
    ///
    /// The operator encodes each for its place, so it never changes the structure of URL, body or header. `$${` stands for `${`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub http: Option<Box<HttpProvider>>,

    /// API tokens of FOSSA.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fossa: Option<Box<FossaProvider>>,

    /// Access tokens of the licensing API of software-licensing.io.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub licensing: Option<Box<LicensingProvider>>,

    /// Public tokens of Synoptic Data.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub synoptic: Option<Box<SynopticProvider>>,

    /// Access tokens of an OAuth 2.0 authorization server, by the client credentials grant.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub oauth2: Option<Box<OAuth2Provider>>,
}

impl Backend {
    /// Which account it is: its address, and the identity of the operator there.
    #[must_use]
    pub fn account(&self) -> (&'static str, Vec<Option<String>>) {
        let Self { kubernetes: _, http, fossa, licensing, synoptic, oauth2 } = self;
        let secret = self.credential().map(str::to_owned);
        if let Some(http) = http {
            ("http", vec![Some(http.base_url.clone()), secret])
        } else if let Some(fossa) = fossa {
            ("fossa", vec![fossa.endpoint.base_url.clone(), secret, fossa.user.map(|user| user.to_string())])
        } else if let Some(licensing) = licensing {
            ("licensing", vec![licensing.endpoint.base_url.clone(), secret])
        } else if let Some(synoptic) = synoptic {
            ("synoptic", vec![synoptic.endpoint.base_url.clone(), secret])
        } else if let Some(oauth2) = oauth2 {
            let token = oauth2.endpoints.as_ref().map(|endpoints| endpoints.token.clone());
            ("oauth2", vec![oauth2.issuer.clone(), token, secret])
        } else {
            ("kubernetes", Vec::new())
        }
    }

    /// Every Secret that calls to it need: of the credential, and of a proxy.
    pub fn secrets(&self) -> impl Iterator<Item = &str> {
        let Self { kubernetes: _, http, fossa, licensing, synoptic, oauth2 } = self;
        let of_http = http.as_ref().and_then(|http| http.proxy.as_ref());
        let of_oauth2 = oauth2.as_ref().and_then(|oauth2| oauth2.proxy.as_ref());
        let of_fossa = fossa.as_ref().and_then(|fossa| fossa.endpoint.proxy.as_ref());
        let of_licensing = licensing.as_ref().and_then(|licensing| licensing.endpoint.proxy.as_ref());
        let of_synoptic = synoptic.as_ref().and_then(|synoptic| synoptic.endpoint.proxy.as_ref());
        let proxies = [of_http, of_oauth2, of_fossa, of_licensing, of_synoptic];
        let of_proxies = proxies.into_iter().flatten().filter_map(|proxy| proxy.credentials_ref.as_ref());
        self.credential().into_iter().chain(of_proxies.map(|secret| secret.name.as_str()))
    }

    /// The Secret of the operator's credential, if it has one.
    #[must_use]
    pub fn credential(&self) -> Option<&str> {
        let Self { kubernetes: _, http, fossa, licensing, synoptic, oauth2 } = self;
        let of_http = || Some(&http.as_ref()?.credential.as_ref()?.secret_ref.as_ref()?.name);
        let of_fossa = || Some(&fossa.as_ref()?.credentials_ref.as_ref()?.name);
        let of_licensing = || licensing.as_ref().map(|licensing| &licensing.credentials_ref.name);
        let of_synoptic = || synoptic.as_ref().map(|synoptic| &synoptic.credentials_ref.name);
        let of_oauth2 = || oauth2.as_ref().map(|oauth2| &oauth2.client.secret_ref.name);
        of_http().or_else(of_fossa).or_else(of_licensing).or_else(of_synoptic).or_else(of_oauth2).map(String::as_str)
    }
}

/// How the API of a built-in provider is reached.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Debug, Default, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct Endpoint {
    /// Base URL of the API, HTTPS, without `/` at its end. Redirects are never followed. Default: the public address of the provider; set
    /// it for a self-hosted installation.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 2048))]
    pub base_url: Option<String>,

    /// CA certificates in PEM that may sign the certificate of the API, instead of the public CAs. A server certificate itself does not
    /// belong here.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 65536))]
    pub ca_bundle: Option<String>,

    /// An HTTP proxy through which all calls go. Default: none; proxies of the environment are not used.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub proxy: Option<Proxy>,

    /// How long one call may take, connection included. Default `10s`, at most `15s`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timeout: Option<GoDuration>,
}

/// Settings of the `kubernetes` provider: none so far.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Debug, Default, PartialEq, Eq)]
pub struct KubernetesProvider {}

/// Limits for the RotatedTokens that use a provider. A limit that is not set does not apply.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, Default, PartialEq)]
#[serde(rename_all = "camelCase")]
pub struct ProviderPolicy {
    /// Namespaces whose RotatedTokens may use a ClusterTokenProvider; `*` stands for all. Needed there, refused on a
    /// TokenProvider.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 256), inner(length(min = 1, max = 63), pattern(object_name::NAMESPACE_OR_STAR)))]
    pub allowed_namespaces: Vec<String>,

    /// Permissions that may be requested, written exactly as in `RotatedToken.spec.permissions`. Empty: any.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 256), inner(length(min = 1, max = 256)))]
    pub allowed_permissions: Vec<String>,

    /// Shortest `interval` that a RotatedToken may declare, and shortest time between two rotations that a user requests with
    /// `tokenturn.dev/rotate-now`. Default: none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub min_interval: Option<GoDuration>,

    /// Longest `interval` that a RotatedToken may declare.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_interval: Option<GoDuration>,

    /// How many live tokens one RotatedToken may have at the provider; at this number no more are minted until old ones
    /// are revoked. At least 2, because old and new overlap. Default 4.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 2, max = 100))]
    pub max_live_tokens: Option<i32>,
}

/// What the operator observed of a provider.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Debug, Default, PartialEq)]
#[serde(rename_all = "camelCase")]
pub struct TokenProviderStatus {
    /// `Ready`: True when tokens can be minted and revoked. `Stalled`: True when they cannot before a user or an administrator acts; the
    /// message says what to do.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["type"]))]
    pub conditions: Vec<Condition>,

    /// The generation of the spec that the conditions speak of. -1 until an operator has seen the object.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
}
