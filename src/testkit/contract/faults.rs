//! What goes wrong with a call, and its answer as it goes over the wire.

use std::{sync::Arc, time::Duration};

use axum::{
    body::{Body, Bytes},
    response::{IntoResponse, Response},
};
use futures::stream;
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};

use super::{Answer, Asked, Operation, Shared};

/// What happens to a call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fault {
    /// It is carried out and the connection breaks before the answer is whole.
    Lost,
    /// It is carried out and never answered.
    Silent,
    /// It is not carried out, and answered with this status and these headers.
    Status(u16, Vec<(&'static str, String)>),
    /// It is not carried out, and answered with this status and this body.
    Refused(u16, serde_json::Value),
    /// It is carried out, and answered with a failure of the server.
    DoneAndFailed,
    /// It is carried out, and answered with something that is no JSON.
    Garbage,
    /// It is carried out after this time.
    Slow(Duration),
    /// It is answered with 504 and carried out after this time.
    Late(Duration),
    /// It is answered with a redirect.
    Redirect(String),
}

/// An answer as it is, or as a fault makes it.
pub(super) async fn served(shared: &Arc<Shared>, operation: Operation, asked: Asked) -> Response {
    let fault = shared.fault(operation);
    if let Some(Fault::Slow(span)) = &fault {
        tokio::time::sleep(*span).await;
    }
    match fault {
        None | Some(Fault::Slow(_)) => written(shared.perform(operation, &asked)),
        Some(Fault::Late(span)) => {
            let shared = shared.clone();
            tokio::spawn(async move {
                tokio::time::sleep(span).await;
                shared.perform(operation, &asked);
            });
            StatusCode::GATEWAY_TIMEOUT.into_response()
        }
        Some(Fault::Lost) => {
            shared.perform(operation, &asked);
            let broken = stream::iter([
                Ok::<_, std::io::Error>(Bytes::from_static(b"{")),
                Err(std::io::ErrorKind::ConnectionReset.into()),
            ]);
            Response::new(Body::from_stream(broken))
        }
        Some(Fault::Silent) => {
            shared.perform(operation, &asked);
            tokio::time::sleep(Duration::from_secs(60)).await;
            StatusCode::GATEWAY_TIMEOUT.into_response()
        }
        Some(Fault::Status(status, headers)) => {
            let refused = if status == 429 { shared.wire.too_many() } else { Answer::refused(status) };
            let mut response = written(refused);
            extend(response.headers_mut(), &headers);
            response
        }
        Some(Fault::Refused(status, body)) => written(Answer::json(status, body)),
        Some(Fault::DoneAndFailed) => {
            shared.perform(operation, &asked);
            StatusCode::BAD_GATEWAY.into_response()
        }
        Some(Fault::Garbage) => {
            shared.perform(operation, &asked);
            "<html>hello</html>".into_response()
        }
        Some(Fault::Redirect(to)) => (StatusCode::TEMPORARY_REDIRECT, [(header::LOCATION, to)]).into_response(),
    }
}

pub(super) fn extend(headers: &mut HeaderMap, more: &[(&'static str, String)]) {
    let pairs = more.iter().filter_map(|(name, value)| Some((HeaderName::try_from(*name).ok()?, value.parse().ok()?)));
    headers.extend(pairs);
}

pub(super) fn written(Answer { status, body, headers }: Answer) -> Response {
    let status = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let mut response = match body {
        Some(body) => (
            status,
            HeaderMap::from_iter([(header::CONTENT_TYPE, HeaderValue::from_static("application/json"))]),
            body.to_string(),
        )
            .into_response(),
        None => status.into_response(),
    };
    extend(response.headers_mut(), &headers);
    response
}
