//! The way through a proxy: what is shown to it now, and what its failures are reported as.

use http::HeaderValue;
use url::Url;

use crate::providers::Class;

/// What reqwest calls the status 407 of a tunnel; it has no other name for it.
const WANTS_ANOTHER: &str = "tunnel error: proxy authorization required";

/// What reqwest calls every other status of a tunnel.
const REFUSED: &str = "tunnel error: unsuccessful";

/// A proxy, with what is shown to it now.
#[derive(Clone)]
pub(in crate::providers::http) struct ProxyRoute {
    pub url: Url,
    pub authorization: Option<HeaderValue>,
    /// The Secret of that, as its namespace and name.
    pub secret: Option<String>,
}

impl ProxyRoute {
    /// The error of a request that did not get past the proxy, from its raw cause and the sentence for that.
    pub fn describe(&self, raw: &str, why: &str) -> (Class, String) {
        let host = self.url.host_str().unwrap_or_default();
        match raw {
            WANTS_ANOTHER => self.unauthorized(),
            REFUSED => (
                Class::Unavailable,
                format!("the proxy {host} refuses the connection to it; check the access rules of the proxy"),
            ),
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
