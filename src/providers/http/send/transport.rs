//! Sends one request, once: no redirect, no repeat, no proxy but the one that is said, a deadline, an answer of limited size.

use std::{error::Error as _, sync::Arc, time::Duration};

use http::{HeaderValue, StatusCode, header};
use reqwest::{Certificate, Proxy, Response, redirect, retry};
use tokio::sync::OwnedSemaphorePermit;
use zeroize::Zeroizing;

use super::{
    clients::{Client, Identity},
    connecting::{Progress, Watching},
    guard::{GuardedResolver, Reachable},
    proxy::ProxyRoute,
};
use crate::{
    connect::{self, Call, Instead, Purpose},
    providers::{
        Class, Error,
        error::detail,
        http::message::{
            answer::{Body, Received},
            body::Limits,
            code::RequestSecrets,
            render::Rendered,
        },
    },
};

/// Why there is no answer. Told without URLs: they may hold tokens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SendError {
    pub class: Class,
    pub why: String,
    /// The request cannot have reached the API: nothing was done there.
    pub unsent: bool,
}

/// A client for one set of certificates and one way to a proxy.
///
/// # Errors
/// What is wrong with the certificates.
pub(in crate::providers::http) fn client(
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

/// Sends a request and reads its answer, within `timeout`, connection included. No code of the answer is shown that has something to do with
/// what is `known`.
///
/// # Errors
/// No answer; what is known of why.
pub(in crate::providers::http) async fn send(
    client: &Client,
    purpose: Purpose,
    rendered: Rendered,
    known: &[u8],
    timeout: Duration,
) -> Result<Received, SendError> {
    let call = Call { method: rendered.method.clone(), purpose, timeout };
    connect::ask(&call, exchange(client, purpose, rendered, known, timeout), instead).await
}

/// What a planned fault looks like from here.
fn instead(instead: Instead) -> Result<Received, SendError> {
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

async fn exchange(
    client: &Client,
    purpose: Purpose,
    rendered: Rendered,
    known: &[u8],
    timeout: Duration,
) -> Result<Received, SendError> {
    let shown = RequestSecrets::of(&rendered, known);
    let Rendered { method, url, headers, body } = rendered;
    // Every request comes by here, also those to addresses that a server named.
    client.reach.check(&url).map_err(|error| SendError {
        class: error.class(),
        why: error.to_string(),
        unsent: true,
    })?;
    // A tunnel has been asked for before; what is not encrypted is read by the proxy, and answered by it if it does not like it.
    let is_read_by = client.via.as_deref().filter(|_| url.scheme() == "http");
    let mut request = client.http.request(method, url).headers(headers).timeout(timeout);
    if let Some(mut body) = body {
        request = request.body(std::mem::take(&mut *body));
    }
    let progress = Progress::default();
    let failed = |error| failure(error, client.via.as_deref(), &progress);
    let response = progress.watch(request.send()).await.map_err(failed)?;
    if let Some(via) = is_read_by.filter(|_| response.status() == StatusCode::PROXY_AUTHENTICATION_REQUIRED) {
        let (class, why) = via.unauthorized();
        return Err(SendError { class, why, unsent: true });
    }
    let (status, headers) = (response.status(), response.headers().clone());
    let limits = Limits::of(purpose);
    let (bytes, _arrived) = arriving(client, response, limits, timeout).await.map_err(|stopped| match stopped {
        BodyStopped::Broken(error) => failed(error),
        BodyStopped::TooLong => {
            lost(format!("the answer (status {}) is longer than {} KiB", status.as_u16(), limits.bytes >> 10))
        }
        BodyStopped::NoRoom => lost("the answers to other calls left no room for this one in time"),
    })?;
    let too_much = |_| {
        let most = limits.memory >> 20;
        lost(format!("the answer (status {}) is JSON that takes more than {most} MiB when it is read", status.as_u16()))
    };
    let mut body = client.room.read(bytes, limits).await.map_err(too_much)?;
    if !status.is_success() {
        body.keep_code(&shown);
    }
    Ok(Received { status, headers, body })
}

/// Why a body was not read to its end.
enum BodyStopped {
    Broken(reqwest::Error),
    TooLong,
    NoRoom,
}

/// The body of an answer as it comes, and the room that it takes meanwhile.
async fn arriving(
    client: &Client,
    mut response: Response,
    limits: Limits,
    timeout: Duration,
) -> Result<(Zeroizing<Vec<u8>>, Option<OwnedSemaphorePermit>), BodyStopped> {
    let mut bytes = Zeroizing::new(Vec::new());
    let mut room: Option<OwnedSemaphorePermit> = None;
    while let Some(chunk) = response.chunk().await.map_err(BodyStopped::Broken)? {
        if bytes.len() + chunk.len() > limits.bytes {
            return Err(BodyStopped::TooLong);
        }
        let more = tokio::time::timeout(timeout, client.room.arrive(bytes.len(), chunk.len()));
        match (&mut room, more.await.map_err(|_| BodyStopped::NoRoom)?) {
            (Some(room), Some(more)) => room.merge(more),
            (room @ None, more) => *room = more,
            (Some(_), None) => {}
        }
        bytes.extend_from_slice(&chunk);
    }
    Ok((bytes, room))
}

/// The request may have been sent.
fn lost(why: impl Into<String>) -> SendError {
    SendError { class: Class::Unavailable, why: why.into(), unsent: false }
}

fn failure(error: reqwest::Error, via: Option<&ProxyRoute>, progress: &Progress) -> SendError {
    if let Some(refused) = refused(&error) {
        // Behind a proxy no other name is resolved here.
        let place = via.map_or("", |_| "proxy.url: ");
        return SendError { class: refused.class(), why: format!("{place}{refused}"), unsent: true };
    }
    let unsent = error.is_connect() || error.is_builder() || progress.is_connecting();
    let error = error.without_url();
    let why = match error.is_timeout() {
        true if unsent => "no connection in time".to_owned(),
        true => "no answer in time".to_owned(),
        false => cause(&error),
    };
    match via.filter(|_| unsent) {
        None => SendError { class: Class::Unavailable, why, unsent },
        Some(via) => {
            let (class, why) = via.told(&why);
            SendError { class, why, unsent }
        }
    }
}

/// What the guard said of the address that a name leads to.
fn refused(error: &reqwest::Error) -> Option<&Error> {
    std::iter::successors(error.source(), |error| (*error).source()).find_map(|error| error.downcast_ref())
}

/// The innermost cause: what a person can do something about. It can hold words of the other side, as the names in its certificate.
fn cause(error: &reqwest::Error) -> String {
    let mut told = error.to_string();
    let mut source = error.source();
    while let Some(inner) = source {
        told = inner.to_string();
        source = inner.source();
    }
    detail(&told)
}
