//! What sits under the client: passes requests on, or carries out the fault that the plan has for them.

use std::{
    io,
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};

use futures::FutureExt;
use http::{Request, Response, StatusCode};
use kube::{client::Body, core::Status};
use tower::{BoxError, Layer, Service};

use super::{effect::Effect, plan};
use crate::connect::Instead;

/// How long an answer that does not come is waited for: what the operator's client waits.
const GIVEN_UP: Duration = Duration::from_secs(30);

/// Puts [`Faulty`] around a service.
pub struct Faults;

impl<S> Layer<S> for Faults {
    type Service = Faulty<S>;

    fn layer(&self, inner: S) -> Faulty<S> {
        Faulty { inner }
    }
}

/// A service whose requests go wrong as planned.
pub struct Faulty<S> {
    inner: S,
}

type Answer<B> = Result<Response<B>, BoxError>;

impl<S, B> Service<Request<Body>> for Faulty<S>
where
    S: Service<Request<Body>, Response = Response<B>, Error = BoxError>,
    S::Future: Send + 'static,
    B: Send + 'static,
{
    type Response = Response<B>;
    type Error = BoxError;
    type Future = Pin<Box<dyn Future<Output = Answer<B>> + Send>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        let effect = Effect::of(request.method(), request.uri(), &content(request.body()));
        let met = effect.and_then(|effect| plan::meet(&effect, request.uri().path()));
        // Nothing is sent before the future is polled.
        let sent = self.inner.call(request);
        match met {
            None => sent.boxed(),
            Some(met) => met.carry_out(sent, GIVEN_UP, |instead| Err(describe(instead))).boxed(),
        }
    }
}

/// The body of a request, which the client has at hand as a whole.
fn content(body: &Body) -> Vec<u8> {
    let whole = body.try_clone().and_then(|body| body.collect_bytes().now_or_never());
    whole.and_then(Result::ok).map(|bytes| bytes.to_vec()).unwrap_or_default()
}

/// A fault as the client would have met it.
fn describe(instead: Instead) -> BoxError {
    match instead {
        Instead::Refused(code) => refusal(code),
        Instead::Broken => io::Error::from(io::ErrorKind::ConnectionReset).into(),
        Instead::Silence => io::Error::from(io::ErrorKind::TimedOut).into(),
    }
}

/// The answer of an API server that did nothing, as the client would have read it.
fn refusal(code: StatusCode) -> BoxError {
    let reason = match code {
        StatusCode::CONFLICT => "Conflict",
        StatusCode::TOO_MANY_REQUESTS => "TooManyRequests",
        StatusCode::SERVICE_UNAVAILABLE => "ServiceUnavailable",
        _ => "InternalError",
    };
    let mut status = Status::failure("a planned fault", reason).with_code(code.as_u16());
    if code == StatusCode::TOO_MANY_REQUESTS {
        let details = serde_json::json!({"retryAfterSeconds": 2});
        status.details = serde_json::from_value(details).ok();
    }
    kube::Error::Api(status.boxed()).into()
}
