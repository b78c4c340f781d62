//! Sends one request, once: no redirect, no repeat, no proxy of the environment, a deadline, an answer of limited size.

use std::{error::Error as _, sync::Arc, time::Duration};

use http::{HeaderValue, StatusCode, header};
use reqwest::{Certificate, Client, redirect, retry};
use zeroize::Zeroize;

use super::{
    answer::{Body, Received},
    clients::Identity,
    guard::{GuardedResolver, Reach},
    render::Rendered,
};
use crate::connect::{self, Call, Instead, Purpose};

/// Largest answer that is read. Lists are paged; nothing else is long.
const MAX_ANSWER: usize = 4 << 20;

/// Why there is no answer. Told without URLs: they may hold tokens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    pub why: String,
    /// The request cannot have reached the API: nothing was done there.
    pub unsent: bool,
}

/// A client for one set of certificates.
///
/// # Errors
/// What is wrong with the certificates.
pub(super) fn client(
    ca_bundle: Option<&str>,
    identity: Option<&Identity>,
    reach: &Arc<Reach>,
) -> Result<Client, String> {
    // An error says that the process has chosen one already, as the Kubernetes client does.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let mut builder = Client::builder()
        .redirect(redirect::Policy::none())
        .retry(retry::never())
        .referer(false)
        .no_proxy()
        .http1_only()
        // A kept connection that the other side closes meanwhile would make it unclear whether a request was sent.
        .pool_max_idle_per_host(0)
        .https_only(!reach.plain_http)
        .user_agent(concat!("tokenturn/", env!("CARGO_PKG_VERSION")))
        .dns_resolver(Arc::new(GuardedResolver { reach: reach.clone() }));
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
pub async fn send(
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
    let lost = |why: &str| Err(Failure { why: why.to_owned(), unsent: false });
    match instead {
        Instead::Refused(status) => {
            let is_asked_to_wait = status == StatusCode::TOO_MANY_REQUESTS;
            let wait = is_asked_to_wait.then_some((header::RETRY_AFTER, HeaderValue::from_static("2")));
            Ok(Received { status, headers: wait.into_iter().collect(), body: Body::Empty })
        }
        Instead::Broken => lost("the connection broke"),
        Instead::Silence => lost("no answer in time"),
    }
}

async fn exchange(client: &Client, rendered: Rendered, timeout: Duration) -> Result<Received, Failure> {
    let Rendered { method, url, headers, body } = rendered;
    let mut request = client.request(method, url).headers(headers).timeout(timeout);
    if let Some(mut body) = body {
        request = request.body(std::mem::take(&mut *body));
    }
    let mut response = request.send().await.map_err(failure)?;
    let (status, headers) = (response.status(), response.headers().clone());
    let mut bytes = Vec::new();
    loop {
        match response.chunk().await {
            Ok(None) => break,
            Ok(Some(chunk)) if bytes.len() + chunk.len() <= MAX_ANSWER => bytes.extend_from_slice(&chunk),
            Ok(Some(_)) => {
                bytes.zeroize();
                let why = format!("the answer is longer than {} MiB", MAX_ANSWER >> 20);
                return Err(Failure { why, unsent: false });
            }
            Err(error) => {
                bytes.zeroize();
                return Err(failure(error));
            }
        }
    }
    Ok(Received { status, headers, body: Body::of(bytes) })
}

fn failure(error: reqwest::Error) -> Failure {
    let unsent = error.is_connect() || error.is_builder();
    let error = error.without_url();
    let why = if error.is_timeout() { "no answer in time".to_owned() } else { cause(&error) };
    Failure { why, unsent }
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
