//! What a running container does with its token: it calls the real API server, all the time.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use futures::{FutureExt, future::BoxFuture};
use kube::{Client, client::Body, config::AuthInfo};
use tokio::time::{MissedTickBehavior, interval};
use tokio_util::sync::CancellationToken;

use super::history::{History, Outcome, Seat, Token};

const CALL_LIMIT: Duration = Duration::from_secs(10);

/// The service that a token is for. The default is the API server itself.
pub trait TokenUse: Send + Sync {
    /// One call with the token on behalf of a container.
    fn call<'a>(&'a self, seat: &'a Seat, token: &'a Token) -> BoxFuture<'a, Outcome>;
}

/// Lists config maps of the consumer's namespace, with one connection pool for each token value.
pub struct ApiServerCalls {
    base: kube::Config,
    clients: Mutex<BTreeMap<Token, Client>>,
}

impl ApiServerCalls {
    /// Takes address and certificate from `config`, never its credentials.
    pub fn new(config: &kube::Config) -> Self {
        let mut base = config.clone();
        base.auth_info = AuthInfo::default();
        // A consumer that tries again by itself would hide a refused moment.
        base.default_retry = false;
        base.connect_timeout = Some(Duration::from_secs(5));
        base.headers = vec![(http::header::USER_AGENT, http::HeaderValue::from_static("consumer"))];
        Self { base, clients: Mutex::default() }
    }

    fn client(&self, token: &Token) -> Result<Client, String> {
        let mut clients = self.clients.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(client) = clients.get(token) {
            return Ok(client.clone());
        }
        // The layer that adds it would panic.
        http::HeaderValue::try_from(token.reveal()).map_err(|_| "no header can hold the value".to_owned())?;
        let mut config = self.base.clone();
        config.auth_info.token = Some(token.reveal().to_owned().into());
        let client = Client::try_from(config).map_err(|problem| problem.to_string())?;
        clients.insert(token.clone(), client.clone());
        Ok(client)
    }

    async fn status(&self, seat: &Seat, token: &Token) -> Result<u16, String> {
        let path = format!("/api/v1/namespaces/{}/configmaps?limit=1", seat.namespace);
        let request = http::Request::get(path).body(Body::empty()).map_err(|problem| problem.to_string())?;
        let answer = self.client(token)?.send(request).await.map_err(|problem| problem.to_string())?;
        let status = answer.status().as_u16();
        // An unread body would cost the connection.
        let _ = answer.into_body().collect_bytes().await;
        Ok(status)
    }
}

impl TokenUse for ApiServerCalls {
    fn call<'a>(&'a self, seat: &'a Seat, token: &'a Token) -> BoxFuture<'a, Outcome> {
        async move {
            match tokio::time::timeout(CALL_LIMIT, self.status(seat, token)).await {
                Ok(Ok(status)) => Outcome::Answered(status),
                Ok(Err(problem)) => Outcome::Unanswered(problem),
                Err(_) => Outcome::Unanswered(format!("no answer in {CALL_LIMIT:?}")),
            }
        }
        .boxed()
    }
}

/// Where a container's process has its token from.
#[derive(Clone)]
pub(super) enum Source {
    /// Takes no part.
    Nothing,
    /// Read when the process started.
    Fixed(Token),
    /// Read again before each call.
    Live(Arc<dyn Fn() -> Option<Token> + Send + Sync>),
}

impl Source {
    pub(super) fn token(&self) -> Option<Token> {
        match self {
            Self::Nothing => None,
            Self::Fixed(token) => Some(token.clone()),
            Self::Live(read) => read(),
        }
    }
}

/// The process in a container: uses its token until it is stopped.
pub(super) struct Consumer {
    pub seat: Seat,
    pub source: Source,
    pub call_every: Duration,
    pub calls: Arc<dyn TokenUse>,
    pub history: History,
}

impl Consumer {
    /// The start is in the history when this returns; the future is the process itself.
    pub(super) fn start(self, stop: CancellationToken) -> impl Future<Output = ()> + Send {
        let held = self.source.token();
        self.history.started(&self.seat, held.as_ref());
        // A guard, so that the history is right also when the runtime drops the future.
        let stopped = Stopped { seat: self.seat.clone(), history: self.history.clone() };
        async move {
            let _stopped = stopped;
            stop.run_until_cancelled(self.call_forever(held)).await;
        }
    }

    async fn call_forever(&self, mut held: Option<Token>) {
        let mut clock = interval(self.call_every.max(Duration::from_millis(1)));
        clock.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            clock.tick().await;
            let now = self.source.token();
            if let Some(token) = now.as_ref().filter(|_| now != held) {
                self.history.reloaded(&self.seat, token);
            }
            held = now.or(held);
            if let Some(token) = &held {
                let outcome = self.calls.call(&self.seat, token).await;
                self.history.called(&self.seat, token, outcome);
            }
        }
    }
}

struct Stopped {
    seat: Seat,
    history: History,
}

impl Drop for Stopped {
    fn drop(&mut self) {
        self.history.stopped(&self.seat);
    }
}
