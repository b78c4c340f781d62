//! What sits under the client: passes requests on, or carries out the fault that the plan has for them.

use std::{
    fs,
    future::Future,
    io,
    path::Path,
    pin::Pin,
    task::{Context, Poll},
    time::{Duration, Instant},
};

use futures::FutureExt;
use http::{Request, Response, StatusCode};
use kube::{client::Body, core::Status};
use rustix::process::{Signal, getpid, kill_process};
use tower::{BoxError, Layer, Service};

use super::{
    effect::Effect,
    plan::{self, Entry, Fault},
};

/// How long an answer that does not come is waited for: what the operator's client waits.
const GIVEN_UP: Duration = Duration::from_secs(30);

/// Longest delay of a late answer: a later one would be a lost one.
const LATEST: Duration = Duration::from_secs(28);

/// From the signal until the process has taken note of it.
const NOTED: Duration = Duration::from_millis(50);

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
            Some((fault, journal, process)) => carry_out(fault, sent, journal, process).boxed(),
        }
    }
}

/// The body of a request, which the client has at hand as a whole.
fn content(body: &Body) -> Vec<u8> {
    let whole = body.try_clone().and_then(|body| body.collect_bytes().now_or_never());
    whole.and_then(Result::ok).map(|bytes| bytes.to_vec()).unwrap_or_default()
}

async fn carry_out<B>(
    fault: Fault,
    sent: impl Future<Output = Answer<B>>,
    journal: std::path::PathBuf,
    process: String,
) -> Answer<B> {
    let refused = |code| Err(refusal(code));
    match fault {
        Fault::CrashBefore => die(),
        Fault::CrashAfter => {
            let _ = sent.await;
            die()
        }
        Fault::ReplyLost => {
            let _ = sent.await;
            Err(io::Error::from(io::ErrorKind::ConnectionReset).into())
        }
        Fault::Conflict => refused(StatusCode::CONFLICT),
        Fault::Limited => refused(StatusCode::TOO_MANY_REQUESTS),
        Fault::Internal => refused(StatusCode::INTERNAL_SERVER_ERROR),
        Fault::Unavailable => refused(StatusCode::SERVICE_UNAVAILABLE),
        Fault::Timeout => {
            tokio::time::sleep(GIVEN_UP).await;
            Err(io::Error::from(io::ErrorKind::TimedOut).into())
        }
        Fault::Late => {
            let answer = sent.await;
            another_has_acted(&journal, &process).await;
            answer
        }
        Fault::Frozen => {
            let answer = sent.await;
            raise(Signal::STOP);
            answer
        }
        Fault::Terminate => {
            raise(Signal::TERM);
            tokio::time::sleep(NOTED).await;
            sent.await
        }
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

/// Ends the process at once: no unwinding, no clean-up, nothing that is still to be sent.
fn die() -> ! {
    raise(Signal::KILL);
    loop {
        std::thread::park();
    }
}

fn raise(signal: Signal) {
    kill_process(getpid(), signal).expect("a process may signal itself");
}

/// Waits until another process of the run has sent a write, or as long as an answer can be late.
async fn another_has_acted(journal: &Path, process: &str) {
    let (started, told) = (Instant::now(), writes_of_others(journal, process));
    while started.elapsed() < LATEST && writes_of_others(journal, process) == told {
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    // Sent is not yet carried out.
    tokio::time::sleep(Duration::from_millis(200)).await;
}

fn writes_of_others(journal: &Path, process: &str) -> usize {
    let text = fs::read_to_string(journal).unwrap_or_default();
    let entries = text.lines().filter_map(|line| serde_json::from_str::<Entry>(line).ok());
    entries.filter(|entry| entry.process != process && entry.writes).count()
}
