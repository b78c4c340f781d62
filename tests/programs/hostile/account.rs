//! The provider account that victims and attackers share: a contract server, and the gateway before it through which the operator goes.
//!
//! Consumers ask the server itself. So what the gateway does to calls of the operator can make it err, and never a consumer by itself.

use std::{
    net::Ipv4Addr,
    path::Path,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use axum::{
    Router,
    body::Body,
    extract::State,
    response::{IntoResponse, Response},
};
use futures::{FutureExt, future::BoxFuture};
use http::{Request, StatusCode, header};
use serde_json::{Value, json};
use tokenturn::testkit::{
    Outcome, Seat, Token,
    consumer::{ApiServerCalls, TokenUse},
    contract::{self, ADMIN, ContractServer, Wire},
    install,
};
use tokio::net::TcpListener;

use super::{Failure, victims::GIT};

/// Whose tokens the account holds, by the example.
pub const PROJECT: &str = "shop/frontend";

/// What the gateway does to calls with tokens whose name contains a text.
#[derive(Clone, Debug)]
struct Rule {
    of: String,
    status: u16,
    retry_after: Option<String>,
    /// How often still.
    left: usize,
}

struct Shared {
    server: ContractServer,
    client: reqwest::Client,
    rules: Mutex<Vec<Rule>>,
    refused: AtomicUsize,
}

/// Handle of both.
#[derive(Clone)]
pub struct Account {
    shared: Arc<Shared>,
    port: u16,
}

impl Account {
    pub async fn start() -> Result<Self, Failure> {
        let server = ContractServer::start(Wire::GitLab).await?;
        let rules = Mutex::default();
        let shared = Arc::new(Shared { server, client: contract::client(), rules, refused: AtomicUsize::new(0) });
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let port = listener.local_addr()?.port();
        let router = Router::new().fallback(forward).with_state(shared.clone());
        tokio::spawn(async move { axum::serve(listener, router).await });
        Ok(Self { shared, port })
    }

    pub fn server(&self) -> &ContractServer {
        &self.shared.server
    }

    /// The example's recipe at the gateway, with its credential in a Secret of this name.
    pub fn recipe(&self, credential: &str) -> Result<Value, Failure> {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/http/gitlab-project-token.yaml");
        let documents = install::documents(&std::fs::read_to_string(path)?)?;
        let mut recipe = documents.first().ok_or("the example is empty")?.data["spec"]["http"].clone();
        recipe["baseUrl"] = json!(format!("http://127.0.0.1:{}/api/v4", self.port));
        recipe["credential"]["secretRef"]["name"] = json!(credential);
        Ok(recipe)
    }

    /// The Secret of the operator's credential at the account.
    pub fn credential(name: &str) -> Value {
        json!({"metadata": {"name": name}, "stringData": {"token": ADMIN}})
    }

    /// Answers calls that show a token whose name contains a text with this status, so often.
    pub fn refuse(&self, of: &str, status: u16, retry_after: Option<&str>, times: usize) {
        let retry_after = retry_after.map(str::to_owned);
        self.rules().push(Rule { of: of.to_owned(), status, retry_after, left: times });
    }

    /// Lets everything through again.
    pub fn oblige(&self) {
        self.rules().clear();
    }

    /// How many calls the gateway has answered by itself.
    pub fn refused(&self) -> usize {
        self.shared.refused.load(Ordering::Relaxed)
    }

    fn rules(&self) -> MutexGuard<'_, Vec<Rule>> {
        self.shared.rules()
    }
}

impl Shared {
    fn rules(&self) -> MutexGuard<'_, Vec<Rule>> {
        self.rules.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The rule's answer to a call that shows a token.
    fn refusal(&self, token: &str) -> Option<Response> {
        let name = self.server.store().find(token)?.name.clone();
        let mut rules = self.rules();
        let rule = rules.iter_mut().find(|rule| rule.left > 0 && name.contains(&rule.of))?;
        rule.left -= 1;
        self.refused.fetch_add(1, Ordering::Relaxed);
        let mut response = StatusCode::from_u16(rule.status).ok()?.into_response();
        if let Some(wait) = rule.retry_after.as_ref().and_then(|wait| wait.parse().ok()) {
            response.headers_mut().insert(header::RETRY_AFTER, wait);
        }
        Some(response)
    }
}

async fn forward(State(shared): State<Arc<Shared>>, request: Request<Body>) -> Response {
    let token = request.headers().get("private-token").and_then(|token| token.to_str().ok()).unwrap_or_default();
    if let Some(refusal) = shared.refusal(token) {
        return refusal;
    }
    let (parts, body) = request.into_parts();
    let Ok(body) = axum::body::to_bytes(body, 1 << 20).await else { return StatusCode::BAD_REQUEST.into_response() };
    let origin = shared.server.url().trim_end_matches("/api/v4").to_owned();
    let path = parts.uri.path_and_query().map_or("/", |path| path.as_str());
    let mut request = shared.client.request(parts.method, format!("{origin}{path}")).body(body);
    for (name, value) in parts.headers.iter().filter(|(name, _)| **name != header::HOST) {
        request = request.header(name, value);
    }
    let Ok(answer) = request.timeout(Duration::from_secs(10)).send().await else {
        return StatusCode::BAD_GATEWAY.into_response();
    };
    let (status, headers) = (answer.status(), answer.headers().clone());
    let Ok(body) = answer.bytes().await else { return StatusCode::BAD_GATEWAY.into_response() };
    let mut response = (status, body).into_response();
    for (name, value) in &headers {
        if *name != header::TRANSFER_ENCODING && *name != header::CONTENT_LENGTH {
            response.headers_mut().insert(name, value.clone());
        }
    }
    response
}

/// What containers do with their token: ask the account, or the API server, by the name of their workload.
pub struct Calls {
    pub account: Account,
    pub cluster: ApiServerCalls,
}

impl TokenUse for Calls {
    fn call<'a>(&'a self, seat: &'a Seat, token: &'a Token) -> BoxFuture<'a, Outcome> {
        if !seat.pod.starts_with(GIT) {
            return self.cluster.call(seat, token);
        }
        async move {
            match self.account.server().use_token(&self.account.shared.client, token.reveal()).await {
                Ok(status) => Outcome::Answered(status),
                Err(why) => Outcome::Unanswered(why),
            }
        }
        .boxed()
    }
}
