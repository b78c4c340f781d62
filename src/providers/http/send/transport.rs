//! Sends one request, once: no redirect, no repeat, no proxy but the one that is said, a deadline, an answer of limited
//! size.

use std::{error::Error as _, time::Duration};

use http::{HeaderValue, StatusCode, header};
use reqwest::Response;
use tokio::sync::OwnedSemaphorePermit;
use zeroize::Zeroizing;

use super::{
    client::{Client, cause},
    connecting::Progress,
    proxy::ProxyRoute,
};
use crate::{
    connect::{
        self, Call, Instead, Purpose,
        cause::{Peer, sentence},
    },
    providers::{
        Class, Error,
        error::detail,
        http::message::{
            answer::{Body, Received},
            body::Limits,
            code::{self, RequestSecrets},
            redirect,
            render::Rendered,
        },
    },
};

/// Why there is no answer. Reported without URLs: they may hold tokens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SendError {
    pub class: Class,
    pub why: String,
    /// The request cannot have reached the API: nothing was done there.
    pub unsent: bool,
}

/// Sends a request and reads its answer, within `timeout`, connection included. No code of the answer is shown that has
/// something to do with what is `known`.
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
        Instead::Broken => Err(lost("the server closed the connection without an answer; check its logs")),
        Instead::Silence => {
            Err(lost("no answer in time; check that the server is not overloaded, or set a longer timeout"))
        }
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
    // A tunnel has been asked for before; what is not encrypted is read by the proxy, and answered by it if it does not
    // like it.
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
    let (status, mut headers) = (response.status(), response.headers().clone());
    redirect::hide_secrets(&mut headers, &shown);
    let limits = Limits::of(purpose);
    let (bytes, _arrived) = arriving(client, response, limits, timeout).await.map_err(|stopped| match stopped {
        BodyStopped::Broken(error) => failed(error),
        BodyStopped::TooLong => lost(format!(
            "the answer (status {}) is longer than {} KiB, so it is not read; request fewer fields or smaller pages",
            status.as_u16(),
            limits.bytes >> 10
        )),
        BodyStopped::NoRoom => lost(
            "the answers to other calls use all the memory for answers; the operator sends the request again later",
        ),
    })?;
    let too_much = |_| {
        let most = limits.memory >> 20;
        lost(format!(
            "the answer (status {}) is JSON that needs more than {most} MiB of memory, so it is not read; request fewer fields or smaller pages",
            status.as_u16()
        ))
    };
    let mut body = client.room.read(bytes, limits).await.map_err(too_much)?;
    if !status.is_success() {
        let code = body.json().and_then(|body| code::code(body, &shown));
        body.keep_code(code);
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
        true if unsent => {
            "no connection in time; check host and port of the base URL, network policies and firewalls".to_owned()
        }
        true => "no answer in time; check that the server is not overloaded, or set a longer timeout".to_owned(),
        false => detail(&sentence(&error, Peer::Provider)),
    };
    match via.filter(|_| unsent) {
        None => SendError { class: Class::Unavailable, why, unsent },
        Some(via) => {
            let (class, why) = via.describe(&cause(&error), &why);
            SendError { class, why, unsent }
        }
    }
}

/// What the guard said of the address that a name leads to.
fn refused(error: &reqwest::Error) -> Option<&Error> {
    std::iter::successors(error.source(), |error| (*error).source()).find_map(|error| error.downcast_ref())
}
