//! One request: what the rules say, or what the API server answers.

use std::sync::Arc;

use axum::{
    body::{Body, to_bytes},
    extract::State,
    response::{IntoResponse, Response},
};
use http::{HeaderMap, Method, Request, StatusCode, header};

use super::{Shared, past::Answer, request::Asked, rule::Fault, watch};

/// Headers that belong to one connection (RFC 9110, 7.6.1), and those that are set anew from the body and the address.
const OF_THE_CONNECTION: [header::HeaderName; 5] =
    [header::CONNECTION, header::TRANSFER_ENCODING, header::UPGRADE, header::CONTENT_LENGTH, header::HOST];

pub(super) async fn forward(State(shared): State<Arc<Shared>>, request: Request<Body>) -> Response {
    match answer(&shared, request).await {
        Ok(response) => response,
        Err(problem) => (StatusCode::BAD_GATEWAY, problem.to_string()).into_response(),
    }
}

async fn answer(shared: &Arc<Shared>, request: Request<Body>) -> Result<Response, axum::BoxError> {
    let (head, body) = request.into_parts();
    let mut asked = Asked::new(&head.method, &head.uri);
    let body = to_bytes(body, usize::MAX).await?;
    let rules = &shared.rules;
    let delay = rules.find(&asked, |fault| if let Fault::Slow(delay) = fault { Some(*delay) } else { None });
    if let Some(delay) = delay {
        tokio::time::sleep(delay).await;
    }
    if rules.has(&asked, &Fault::Hang) {
        return std::future::pending().await;
    }
    if let Some(past) = shared.past.answer(&asked.uri()).filter(|_| rules.has(&asked, &Fault::Past)) {
        return Ok(past.response());
    }
    if asked.is_watch() {
        let revision = rules.find(&asked, |fault| if let Fault::From(old) = fault { Some(old.clone()) } else { None });
        asked = revision.map_or(asked.clone(), |revision| asked.with("resourceVersion", &revision));
    }
    let mut upstream = Request::builder().method(head.method).uri(asked.uri());
    if let Some(headers) = upstream.headers_mut() {
        *headers = end_to_end(head.headers);
    }
    let response = shared.upstream.send(upstream.body(body.to_vec().into())?).await?;
    if rules.has(&asked, &Fault::HangAnswer) {
        return std::future::pending().await;
    }
    let (head, body) = response.into_parts();
    let headers = end_to_end(head.headers);
    let body = Body::new(body);
    if asked.is_watch() && head.status.is_success() {
        let mut response = Response::new(watch::body(shared.clone(), asked, body));
        *response.headers_mut() = headers;
        return Ok(response);
    }
    let answer = Answer { status: head.status, headers, body: to_bytes(body, usize::MAX).await? };
    if asked.method == Method::GET && !asked.is_watch() {
        shared.past.note(asked.uri(), &answer);
    }
    Ok(answer.response())
}

fn end_to_end(mut headers: HeaderMap) -> HeaderMap {
    for name in OF_THE_CONNECTION {
        headers.remove(name);
    }
    headers
}
