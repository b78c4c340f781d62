//! One stateful server for the providers of which no real one can run here: it follows their wire contracts, with their faults.
//!
//! - [`store`] is what a provider remembers; [`wire`] is how each of them speaks
//! - [`limits`] is how they say that they were asked too often
//! - [`lies`] are told all the time: what a provider does otherwise than its contract, or a recipe, says
//! - [`faults`] are planned for the next calls of an operation

mod asked;
mod faults;
mod lies;
mod limits;
mod store;
mod wire;

use std::{
    collections::VecDeque,
    net::Ipv4Addr,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use axum::{
    body::Bytes,
    extract::State,
    response::{IntoResponse, Response},
};
use http::{HeaderMap, Method, StatusCode, Uri};
use tokio::{net::TcpListener, task::AbortHandle};

use self::faults::{extend, served, written};
pub use self::{
    asked::{Answer, Asked},
    faults::Fault,
    lies::Lie,
    limits::{Dialect, Quota},
    store::{Behaviour, Family, NotMinted, Pair, Store, Stored, Tenant},
    wire::{Use, Wire},
};
use super::Error;

/// The operator's credential, in every key of its Secret that an example names.
pub const ADMIN: &str = "canary admin:credential%+&";

/// A client for consumers.
pub fn client() -> reqwest::Client {
    let _ = rustls::crypto::ring::default_provider().install_default();
    reqwest::Client::new()
}

/// What a request is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Operation {
    Create,
    /// What the server has, for everybody.
    Describe,
    /// Of one token, by its id.
    Get,
    List,
    Verify,
    Activate,
    Deactivate,
    Revoke,
    /// A refresh token is given for its successor.
    Refresh,
    /// A credential is replaced in its place.
    Replace,
}

/// A call as it was counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Seen {
    pub operation: Operation,
    pub status: u16,
}

/// A running server; dropping it ends it.
pub struct ContractServer {
    shared: Arc<Shared>,
    port: u16,
    server: AbortHandle,
}

struct Shared {
    wire: Wire,
    store: Mutex<Store>,
    faults: Mutex<Vec<(Operation, VecDeque<Fault>)>>,
    seen: Mutex<Vec<Seen>>,
    /// What cannot be said in the wire contract, for the person who wrote the test.
    strange: Mutex<Vec<String>>,
}

impl ContractServer {
    /// Starts a server that speaks as one provider.
    pub async fn start(wire: Wire) -> Result<Self, Error> {
        let shared = Arc::new(Shared {
            wire,
            store: Mutex::new(Store::new(wire.behaviour())),
            faults: Mutex::default(),
            seen: Mutex::default(),
            strange: Mutex::default(),
        });
        let listener =
            TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.map_err(Error::io("listen for the contract server"))?;
        let port = listener.local_addr().map_err(Error::io("find the port of the contract server"))?.port();
        let router = axum::Router::new().fallback(answer).with_state(shared.clone());
        let server = tokio::spawn(async move { axum::serve(listener, router).await }).abort_handle();
        Ok(Self { shared, port, server })
    }

    /// How it speaks.
    pub fn wire(&self) -> Wire {
        self.shared.wire
    }

    /// Where it is, with the path that its API begins with.
    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}{}", self.port, self.shared.wire.prefix())
    }

    /// What it remembers.
    pub fn store(&self) -> MutexGuard<'_, Store> {
        self.shared.store.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// How many tokens were minted, and how many of them are not revoked.
    pub fn counts(&self) -> (usize, usize) {
        let store = self.store();
        (store.minted(), store.alive().len())
    }

    /// What happens to the next call of an operation; several are served in order.
    pub fn plan(&self, operation: Operation, fault: Fault) {
        let mut faults = lock(&self.shared.faults);
        match faults.iter_mut().find(|(planned, _)| *planned == operation) {
            Some((_, queue)) => queue.push_back(fault),
            None => faults.push((operation, VecDeque::from([fault]))),
        }
    }

    /// The calls so far.
    pub fn seen(&self) -> Vec<Seen> {
        lock(&self.shared.seen).clone()
    }

    /// How often something was asked for.
    pub fn count(&self, operation: Operation) -> usize {
        self.seen().iter().filter(|seen| seen.operation == operation).count()
    }

    /// Requests that are not in the contract.
    pub fn strange(&self) -> Vec<String> {
        lock(&self.shared.strange).clone()
    }

    /// Uses a token as a consumer does; the status, where 401 stands for every way in which providers refuse a token.
    ///
    /// # Errors
    /// Why there was no answer.
    pub async fn use_token(&self, client: &reqwest::Client, token: &str) -> Result<u16, String> {
        let account = self.store().find(token).map(|found| found.account.clone()).unwrap_or_default();
        let Use { method, path, headers, body } = self.shared.wire.use_of_a_token(token, &account);
        let request = client.request(method, format!("{}{path}", self.url())).body(body);
        let request = headers.into_iter().fold(request, |request, (name, value)| request.header(name, value));
        let answer = request.send().await.map_err(|error| error.to_string())?;
        let status = answer.status().as_u16();
        let body: serde_json::Value =
            answer.bytes().await.ok().and_then(|body| serde_json::from_slice(&body).ok()).unwrap_or_default();
        let refused = matches!(status, 401 | 403) || body["valid"] == false || body["SUMMARY"]["RESPONSE_CODE"] == 200;
        if !refused {
            self.store().note_use(token);
        }
        Ok(if refused { 401 } else { status })
    }

    /// Whether a token is accepted now, as its consumers would be.
    pub fn accepts(&self, value: &str) -> bool {
        self.store().accepted(value).is_some()
    }
}

impl Drop for ContractServer {
    fn drop(&mut self) {
        self.server.abort();
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Shared {
    fn fault(&self, operation: Operation) -> Option<Fault> {
        let mut faults = lock(&self.faults);
        faults.iter_mut().find(|(planned, _)| *planned == operation)?.1.pop_front()
    }

    fn perform(&self, operation: Operation, asked: &Asked) -> Answer {
        let mut store = lock(&self.store);
        let is_open = matches!(operation, Operation::Verify | Operation::Describe);
        if !is_open && !self.wire.is_admin(asked, &store) {
            return self.wire.refusal();
        }
        let lies = store.behaviour.lies.clone();
        if let Some(status) = lies.iter().find_map(|lie| lie.status_of(operation)) {
            return Answer::refused(status);
        }
        let answer = self.wire.answer(operation, asked, &mut store);
        lies.iter().fold(answer, |answer, lie| lie.describe(operation, answer))
    }
}

async fn answer(
    State(shared): State<Arc<Shared>>,
    method: Method,
    uri: Uri,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let asked = Asked::new(method, &uri, headers, body);
    let Some(operation) = shared.wire.operation(&asked) else {
        lock(&shared.strange).push(format!("{} {}", asked.method, uri.path()));
        return StatusCode::NOT_FOUND.into_response();
    };
    let latency = lock(&shared.store).behaviour.latency;
    if !latency.is_zero() {
        tokio::time::sleep(latency).await;
    }
    let spent = lock(&shared.store).spend();
    let mut response =
        if spent.is_too_much { written(shared.wire.too_many()) } else { served(&shared, operation, asked).await };
    extend(response.headers_mut(), &spent.headers);
    lock(&shared.seen).push(Seen { operation, status: response.status().as_u16() });
    response
}
