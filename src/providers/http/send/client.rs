//! A client: where it may go, whom it trusts, what it shows, and through what.

use std::sync::Arc;

use reqwest::{Certificate, Proxy, redirect, retry};
use zeroize::Zeroizing;

use super::{
    connecting::Watching,
    guard::{GuardedResolver, Reachable},
    proxy::ProxyRoute,
};
use crate::{
    connect::cause,
    providers::{error::detail, http::message::body::Room},
};

/// A client certificate with its private key, in PEM.
pub(in crate::providers::http) struct Identity {
    pub pem: Zeroizing<Vec<u8>>,
}

/// A client, and the proxy that it goes through.
#[derive(Clone)]
pub(in crate::providers::http) struct Client {
    pub http: reqwest::Client,
    pub via: Option<Arc<ProxyRoute>>,
    /// Where answers have room.
    pub room: Room,
    /// Where it may go.
    pub reach: Reachable,
}

/// A client for one set of certificates and one way to a proxy.
///
/// # Errors
/// What is wrong with the certificates.
pub(super) fn build(
    ca_bundle: Option<&str>,
    identity: Option<&Identity>,
    via: Option<&ProxyRoute>,
    reach: &Reachable,
) -> Result<reqwest::Client, String> {
    // An error says that the process has chosen one already, as the Kubernetes client does.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let mut builder = reqwest::Client::builder()
        .redirect(redirect::Policy::none())
        .retry(retry::never())
        .referer(false)
        .no_proxy()
        .http1_only()
        // A kept connection that the other side closes meanwhile would make it unclear whether a request was sent.
        .pool_max_idle_per_host(0)
        .https_only(!reach.reach.plain_http)
        .user_agent(concat!("tokenturn/", env!("CARGO_PKG_VERSION")))
        .dns_resolver(Arc::new(GuardedResolver { reach: reach.clone() }))
        .connector_layer(Watching);
    if let Some(ProxyRoute { url, authorization, .. }) = via {
        let proxy = Proxy::all(url.clone()).map_err(|error| format!("proxy.url cannot be used ({})", cause(&error)))?;
        let shown = authorization.iter().fold(proxy, |proxy, header| proxy.custom_http_auth(header.clone()));
        builder = builder.proxy(shown);
    }
    if let Some(pem) = ca_bundle {
        let certificates = Certificate::from_pem_bundle(pem.as_bytes()).map_err(|_| {
            "caBundle is not PEM; put CA certificates there, each between BEGIN CERTIFICATE and END CERTIFICATE"
                .to_owned()
        })?;
        if certificates.is_empty() {
            return Err("caBundle holds no certificate; put CA certificates there, each between BEGIN CERTIFICATE and END CERTIFICATE".to_owned());
        }
        builder = builder.tls_certs_only(certificates);
    }
    if let Some(Identity { pem }) = identity {
        let identity = reqwest::Identity::from_pem(pem)
            .map_err(|error| format!("the client certificate cannot be used; tls.crt needs a certificate and tls.key its private key, both as PEM ({})", cause(&error)))?;
        builder = builder.identity(identity);
    }
    builder.build().map_err(|error| {
        format!("the certificates cannot be used; check caBundle and the client certificate ({})", cause(&error))
    })
}

/// The innermost cause. It can hold words of the other side, as the names in its
/// certificate.
pub(super) fn cause(error: &reqwest::Error) -> String {
    detail(&cause::innermost(error))
}
