//! The proxy of a recipe.

use http::Uri;

use super::compiler::Compiler;
use crate::{api::provider, providers::http::recipe::credential::ProxySettings};

impl Compiler<'_> {
    pub(super) fn proxy(&mut self, said: &provider::Proxy) -> Option<ProxySettings> {
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
            self.wrong(place, "has a path, a query or a fragment; set host and port only");
        }
        // What the client cannot read as a proxy's address it would take for no proxy at all.
        if url.as_str().parse::<Uri>().is_err() {
            self.wrong(place, "has a host that cannot be asked for");
        }
        Some(ProxySettings { url, secret: said.credentials_ref.as_ref().map(|secret| secret.name.clone()) })
    }
}
