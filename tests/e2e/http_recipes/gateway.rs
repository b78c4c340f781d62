//! A gateway before the provider refuses everybody for a while: nothing of that is the death of a token.

use std::{
    collections::BTreeMap,
    net::Ipv4Addr,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::Duration,
};

use axum::{
    body::{Body, Bytes},
    extract::State,
    http::{HeaderMap, Method, Response, StatusCode, Uri},
};
use serde_json::json;
use tokenturn::testkit::{
    Token,
    contract::{self, ContractServer, Wire},
    wait::until,
};

use super::example::{example, finished, rotate, set_up, status, value, world};
use crate::world::{Outcome, PATIENCE, said};

/// Passes calls on while it is open; else it answers 403, as one does whose rules are being loaded.
struct Gateway {
    behind: String,
    is_closed: AtomicBool,
    refused: AtomicUsize,
    client: reqwest::Client,
}

impl Gateway {
    async fn start(behind: String) -> std::io::Result<(Arc<Self>, String)> {
        let (is_closed, refused, client) = (AtomicBool::new(false), AtomicUsize::new(0), contract::client());
        let gateway = Arc::new(Self { behind, is_closed, refused, client });
        let listener = tokio::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let address = format!("http://{}", listener.local_addr()?);
        let router = axum::Router::new().fallback(pass_on).with_state(gateway.clone());
        tokio::spawn(async move { axum::serve(listener, router).await });
        Ok((gateway, address))
    }
}

async fn pass_on(
    State(gateway): State<Arc<Gateway>>,
    method: Method,
    uri: Uri,
    headers: HeaderMap,
    body: Bytes,
) -> Response<Body> {
    let answered = |status: StatusCode, body: Bytes| {
        let response = Response::builder().status(status).header("content-type", "application/json");
        response.body(Body::from(body)).unwrap_or_default()
    };
    if gateway.is_closed.load(Ordering::SeqCst) {
        gateway.refused.fetch_add(1, Ordering::SeqCst);
        return answered(StatusCode::FORBIDDEN, Bytes::new());
    }
    let request = gateway.client.request(method, format!("{}{uri}", gateway.behind)).headers(headers).body(body);
    match request.send().await {
        Ok(answer) => answered(answer.status(), answer.bytes().await.unwrap_or_default()),
        Err(_) => answered(StatusCode::BAD_GATEWAY, Bytes::new()),
    }
}

/// Bug: a recipe that takes 403 for a refusal of the token, and a gateway that said 403 for 25 s while the operator was started again:
/// all live tokens were replaced, and where an older one was left, the current one left the record without a revoke.
#[tokio::test(flavor = "multi_thread")]
async fn a_gateway_that_refuses_everybody_for_a_while_ends_no_token() -> Outcome {
    let server = Arc::new(ContractServer::start(Wire::GitLab).await?);
    let (gateway, address) = Gateway::start(server.url()).await?;
    let mut example = example("http/gitlab-project-token", &server);
    let recipe = &mut example.objects[0]["spec"]["http"];
    recipe["baseUrl"] = json!(address);
    recipe["verify"]["answer"]["statuses"] = json!({"403": "Unauthorized"});
    // Nothing but the token itself can be asked.
    recipe.as_object_mut().ok_or("a recipe")?.remove("list");
    let mut world = world("gateway", BTreeMap::from([(example.token.clone(), server.clone())])).await?;
    set_up(&world, &example).await?;
    let token = value(&world, &example).await?;
    world.holders(&Token::new(&token).fingerprint(), 2).await?;
    gateway.is_closed.store(true, Ordering::SeqCst);
    world.operators[0].kill().await?;
    world.operators.clear();
    world.start_operator().await?;
    until("the doubt to be told", PATIENCE, async || {
        let status = status(&world, &example.token).await?;
        said(&status.conditions).1.contains("one refusal is no death").then_some(())
    })
    .await?;
    tokio::time::sleep(Duration::from_secs(25)).await;
    assert!(gateway.refused.load(Ordering::SeqCst) > 0, "nobody came by");
    gateway.is_closed.store(false, Ordering::SeqCst);
    // It is accepted again, and nothing was begun for it.
    until("the doubt to be over", PATIENCE, async || {
        let status = status(&world, &example.token).await?;
        said(&status.conditions).1.contains("no older token is alive").then_some(())
    })
    .await?;
    assert_eq!(value(&world, &example).await?, token);
    assert_eq!(server.store().minted(), 1);
    // What a person asks for goes its way, and ends the old one.
    rotate(&world, &example.token, "now").await?;
    finished(&world, &example.token, 2).await?;
    assert!(!server.accepts(&token));
    assert_eq!(server.counts(), (2, 1));
    world.assert_nobody_noticed().await
}
