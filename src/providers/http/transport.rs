//! Sends one request, once: no redirect, no repeat, no proxy but the one that is said, a deadline, an answer of limited size.

use std::{error::Error as _, sync::Arc, time::Duration};

use http::{HeaderValue, StatusCode, header};
use reqwest::{Certificate, Proxy, redirect, retry};
use zeroize::Zeroize;

use super::{
    answer::{Body, Received},
    clients::{Client, Identity},
    connecting::{Progress, Watching},
    guard::{GuardedResolver, Reach},
    proxy::Via,
    render::Rendered,
};
use crate::{
    connect::{self, Call, Instead, Purpose},
    providers::Class,
};

/// Largest answer that is read. Lists are paged; nothing else is long.
const MAX_ANSWER: usize = 4 << 20;

/// Why there is no answer. Told without URLs: they may hold tokens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    pub class: Class,
    pub why: String,
    /// The request cannot have reached the API: nothing was done there.
    pub unsent: bool,
}

/// A client for one set of certificates and one way to a proxy.
///
/// # Errors
/// What is wrong with the certificates.
pub(super) fn client(
    ca_bundle: Option<&str>,
    identity: Option<&Identity>,
    via: Option<&Via>,
    reach: &Arc<Reach>,
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
        .https_only(!reach.plain_http)
        .user_agent(concat!("tokenturn/", env!("CARGO_PKG_VERSION")))
        .dns_resolver(Arc::new(GuardedResolver { reach: reach.clone() }))
        .connector_layer(Watching);
    if let Some(Via { url, authorization, .. }) = via {
        let proxy = Proxy::all(url.clone()).map_err(|error| format!("no proxy can be used: {}", cause(&error)))?;
        let shown = authorization.iter().fold(proxy, |proxy, header| proxy.custom_http_auth(header.clone()));
        builder = builder.proxy(shown);
    }
    if let Some(pem) = ca_bundle {
        let certificates = Certificate::from_pem_bundle(pem.as_bytes()).map_err(|_| "caBundle is no PEM".to_owned())?;
        if certificates.is_empty() {
            return Err("caBundle holds no certificate".to_owned());
        }
        builder = builder.tls_certs_only(certificates);
    }
    if let Some(Identity { pem }) = identity {
        let identity = reqwest::Identity::from_pem(pem)
            .map_err(|error| format!("the client certificate cannot be used: {}", cause(&error)))?;
        builder = builder.identity(identity);
    }
    builder.build().map_err(|error| format!("no client can be made: {}", cause(&error)))
}

/// Sends a request and reads its answer, within `timeout`, connection included.
///
/// # Errors
/// No answer; what is known of why.
pub(super) async fn send(
    client: &Client,
    purpose: Purpose,
    rendered: Rendered,
    timeout: Duration,
) -> Result<Received, Failure> {
    let call = Call { method: rendered.method.clone(), purpose, timeout };
    connect::ask(&call, exchange(client, rendered, timeout), instead).await
}

/// What a planned fault looks like from here.
fn instead(instead: Instead) -> Result<Received, Failure> {
    match instead {
        Instead::Refused(status) => {
            let is_asked_to_wait = status == StatusCode::TOO_MANY_REQUESTS;
            let wait = is_asked_to_wait.then_some((header::RETRY_AFTER, HeaderValue::from_static("2")));
            Ok(Received { status, headers: wait.into_iter().collect(), body: Body::Empty })
        }
        Instead::Broken => Err(lost("the connection broke")),
        Instead::Silence => Err(lost("no answer in time")),
    }
}

async fn exchange(client: &Client, rendered: Rendered, timeout: Duration) -> Result<Received, Failure> {
    let Rendered { method, url, headers, body } = rendered;
    // A tunnel has been asked for before; what is not encrypted is read by the proxy, and answered by it if it does not like it.
    let is_read_by = client.via.as_deref().filter(|_| url.scheme() == "http");
    let mut request = client.http.request(method, url).headers(headers).timeout(timeout);
    if let Some(mut body) = body {
        request = request.body(std::mem::take(&mut *body));
    }
    let progress = Progress::default();
    let failed = |error| failure(error, client.via.as_deref(), &progress);
    let mut response = progress.watch(request.send()).await.map_err(failed)?;
    if let Some(via) = is_read_by.filter(|_| response.status() == StatusCode::PROXY_AUTHENTICATION_REQUIRED) {
        let (class, why) = via.unauthorized();
        return Err(Failure { class, why, unsent: true });
    }
    let (status, headers) = (response.status(), response.headers().clone());
    let mut bytes = Vec::new();
    loop {
        match response.chunk().await {
            Ok(None) => break,
            Ok(Some(chunk)) if bytes.len() + chunk.len() <= MAX_ANSWER => bytes.extend_from_slice(&chunk),
            Ok(Some(_)) => {
                bytes.zeroize();
                let why = format!("the answer is longer than {} MiB", MAX_ANSWER >> 20);
                return Err(lost(why));
            }
            Err(error) => {
                bytes.zeroize();
                return Err(failed(error));
            }
        }
    }
    Ok(Received { status, headers, body: Body::of(bytes) })
}

/// The request may have been sent.
fn lost(why: impl Into<String>) -> Failure {
    Failure { class: Class::Unavailable, why: why.into(), unsent: false }
}

fn failure(error: reqwest::Error, via: Option<&Via>, progress: &Progress) -> Failure {
    let unsent = error.is_connect() || error.is_builder() || progress.is_connecting();
    let error = error.without_url();
    let why = match error.is_timeout() {
        true if unsent => "no connection in time".to_owned(),
        true => "no answer in time".to_owned(),
        false => cause(&error),
    };
    match via.filter(|_| unsent) {
        None => Failure { class: Class::Unavailable, why, unsent },
        Some(via) => {
            let (class, why) = via.told(&why);
            Failure { class, why, unsent }
        }
    }
}

/// The innermost causes: what a person can do something about.
fn cause(error: &reqwest::Error) -> String {
    let mut told = error.to_string();
    let mut source = error.source();
    while let Some(inner) = source {
        told = inner.to_string();
        source = inner.source();
    }
    told
}
