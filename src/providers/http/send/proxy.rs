//! The proxy that calls to a provider go through: what is said of it, what is shown to it, and what its failures are told as.

use http::{HeaderValue, Uri};
use url::Url;

use crate::{
    api::provider,
    providers::{
        Class, Error,
        http::{Http, recipe::compile::Compiler},
    },
};

/// What reqwest calls the status 407 of a tunnel; it has no other name for it.
const WANTS_ANOTHER: &str = "tunnel error: proxy authorization required";

/// What reqwest calls every other status of a tunnel.
const REFUSED: &str = "tunnel error: unsuccessful";

/// A proxy as a recipe says it.
#[derive(Clone, Debug)]
pub struct ProxySettings {
    pub url: Url,
    /// Name of the Secret with user name and password.
    pub secret: Option<String>,
}

impl Compiler<'_> {
    pub(in crate::providers::http) fn proxy(&mut self, said: &provider::Proxy) -> Option<ProxySettings> {
        let place = "proxy.url";
        let url = self.url(place, &said.url)?;
        if !matches!(url.scheme(), "http" | "https") || url.host().is_none() {
            self.wrong(place, "has to begin with http:// or https:// and a host; other kinds of proxies are not known");
            return None;
        }
        if !url.username().is_empty() || url.password().is_some() {
            self.wrong(place, "names a user; put username and password into the Secret of proxy.credentialsRef");
        }
        if url.path() != "/" || url.query().is_some() || url.fragment().is_some() {
            self.wrong(place, "has a path, a query or a fragment; say host and port only");
        }
        // What the client cannot read as a proxy's address it would take for no proxy at all.
        if url.as_str().parse::<Uri>().is_err() {
            self.wrong(place, "has a host that cannot be asked for");
        }
        Some(ProxySettings { url, secret: said.credentials_ref.as_ref().map(|secret| secret.name.clone()) })
    }
}

/// A proxy, with what is shown to it now.
#[derive(Clone)]
pub(in crate::providers::http) struct ProxyRoute {
    pub url: Url,
    pub authorization: Option<HeaderValue>,
    /// The Secret of that, as its namespace and name.
    secret: Option<String>,
}

impl Http {
    /// The proxy of calls, with its Secret read anew. `namespace` is that of the provider object's Secrets.
    pub(in crate::providers::http) async fn via(&self, namespace: &str) -> Result<Option<ProxyRoute>, Error> {
        let Some(ProxySettings { url, secret }) = &self.recipe.proxy else { return Ok(None) };
        let url = url.clone();
        let Some(name) = secret else { return Ok(Some(ProxyRoute { url, authorization: None, secret: None })) };
        let authorization = Some(self.shared.proxy_authorization(namespace, name).await?);
        Ok(Some(ProxyRoute { url, authorization, secret: Some(format!("{namespace}/{name}")) }))
    }
}

impl ProxyRoute {
    /// What a request is told as that did not get past the proxy.
    pub fn told(&self, why: &str) -> (Class, String) {
        let host = self.url.host_str().unwrap_or_default();
        match why {
            WANTS_ANOTHER => self.unauthorized(),
            REFUSED => {
                (Class::Unavailable, format!("the proxy {host} makes no connection to it; look at what it allows"))
            }
            _ => (Class::Unavailable, format!("through the proxy {host}: {why}")),
        }
    }

    /// The proxy wants to know who we are, or somebody else (status 407).
    pub fn unauthorized(&self) -> (Class, String) {
        let host = self.url.host_str().unwrap_or_default();
        let why = match &self.secret {
            Some(secret) => format!("does not accept the user name and the password of the Secret {secret}"),
            None => "asks for a user name and a password; name a Secret with them in proxy.credentialsRef".to_owned(),
        };
        (Class::Unauthorized, format!("the proxy {host} {why}"))
    }
}
