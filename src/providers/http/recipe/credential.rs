//! Who the operator is at a provider, as a recipe says it, and the proxy between the two.

use http::HeaderName;
use serde_json_path::JsonPath;
use url::Url;

use super::{
    operation::{Operation, Time},
    template::Template,
};
use crate::api::provider::http as api;

/// The substitution of an assertion.
pub(in crate::providers::http) const ASSERTION: &str = "assertion";

/// The substitution of the token of a ServiceAccount.
pub(in crate::providers::http) const SERVICE_ACCOUNT_TOKEN: &str = "serviceAccountToken";

/// The substitution of what a login gives.
pub(in crate::providers::http) const SESSION: &str = "session";

/// Who the operator is.
#[derive(Clone, Debug)]
pub struct Credential {
    pub secret: Option<String>,
    pub service_account: Option<api::HttpServiceAccount>,
    /// What is called first.
    pub login: Option<Login>,
    pub shown: Presentation,
    /// Shown in the TLS handshake.
    pub certificate: Option<api::HttpClientCertificate>,
    /// What `${credential.assertion}` stands for.
    pub assertion: Option<api::HttpAssertion>,
    /// An access token that is obtained first.
    pub oauth2: Option<ClientCredentials>,
}

impl Credential {
    /// What a user has to check.
    #[must_use]
    pub fn describe(&self) -> String {
        match (&self.secret, &self.service_account) {
            (Some(secret), _) => format!("the Secret {secret} of its credential"),
            (None, Some(account)) => format!("the ServiceAccount {} of its credential", account.name),
            (None, None) => "its credential".to_owned(),
        }
    }
}

/// How the operator obtains a session.
#[derive(Clone, Debug)]
pub struct Login {
    pub operation: Operation,
    pub value: JsonPath,
    pub expires: Option<Time>,
    /// What it was made of: another one gives another session.
    pub settings: api::HttpLogin,
}

/// How the operator obtains an access token for itself.
#[derive(Clone, Debug)]
pub struct ClientCredentials {
    pub token_url: Url,
    pub settings: api::HttpOAuth2,
}

/// How the credential is shown.
#[derive(Clone, Debug)]
pub enum Presentation {
    /// In requests only.
    Nowhere,
    Headers(Vec<(HeaderName, Template)>),
    Basic(api::HttpBasic),
}

/// A proxy as a recipe says it.
#[derive(Clone, Debug)]
pub struct ProxySettings {
    pub url: Url,
    /// Name of the Secret with user name and password.
    pub secret: Option<String>,
}
