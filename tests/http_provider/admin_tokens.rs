//! Access tokens that the operator shows as its own credential.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex},
    time::Duration,
};

use axum::{
    Router,
    http::{HeaderMap, HeaderValue, StatusCode, header::RETRY_AFTER},
    routing::post,
};
use serde_json::json;
use tokenturn::{
    providers::{Class, Inspect},
    testkit::contract::{ADMIN, Fault, Operation, Wire},
};

use crate::{
    scene::Scene,
    tls::{Gate, text},
};

/// A token endpoint that gives what the API behind the recipe accepts.
#[derive(Clone, Default)]
struct Endpoint(Arc<Mutex<State>>);

#[derive(Default)]
struct State {
    url: String,
    seen: Vec<(HeaderMap, String)>,
    /// Status, body and how long it takes; then the usual answer.
    planned: VecDeque<(u16, String, Duration)>,
    /// Seconds that the next answers say to wait.
    retry_after: Option<u64>,
}

impl Endpoint {
    async fn start() -> Self {
        let endpoint = Self::default();
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        endpoint.0.lock().unwrap().url = format!("http://{}", listener.local_addr().unwrap());
        let state = endpoint.clone();
        let token = post(async move |headers: HeaderMap, body: String| {
            let (planned, wait_for) = {
                let mut state = state.0.lock().unwrap();
                state.seen.push((headers, body));
                (state.planned.pop_front(), state.retry_after)
            };
            let (status, body, wait) = planned.unwrap_or_else(|| usual(300));
            tokio::time::sleep(wait).await;
            let wait_for = wait_for.map(|seconds| (RETRY_AFTER, HeaderValue::from(seconds)));
            (StatusCode::from_u16(status).unwrap(), wait_for.into_iter().collect::<HeaderMap>(), body)
        });
        tokio::spawn(async move { axum::serve(listener, Router::new().route("/token", token)).await });
        endpoint
    }

    fn url(&self) -> String {
        self.0.lock().unwrap().url.clone()
    }

    fn plan(&self, status: u16, body: &serde_json::Value, wait: Duration) {
        self.0.lock().unwrap().planned.push_back((status, body.to_string(), wait));
    }

    fn plan_usual(&self, expires_in: u64) {
        let (status, body, wait) = usual(expires_in);
        self.0.lock().unwrap().planned.push_back((status, body, wait));
    }

    /// What was asked since the last look.
    fn seen(&self) -> Vec<(HeaderMap, String)> {
        std::mem::take(&mut self.0.lock().unwrap().seen)
    }
}

fn usual(expires_in: u64) -> (u16, String, Duration) {
    let body = json!({"access_token": ADMIN, "token_type": "Bearer", "expires_in": expires_in});
    (200, body.to_string(), Duration::ZERO)
}

/// The API of Grafana, for which the operator has an access token instead of a fixed one.
async fn scene(settings: serde_json::Value) -> (Scene, Endpoint) {
    let mut scene = Scene::with_timeout(Wire::Grafana, "3s").await;
    let endpoint = Endpoint::start().await;
    scene.mend(|recipe| {
        let credential = recipe["credential"].as_object_mut().unwrap();
        credential.remove("headers");
        credential.insert("oauth2".into(), settings);
        credential["oauth2"]["tokenUrl"] = json!(format!("{}/token", endpoint.url()));
    });
    scene.credential(json!({"clientId": "svc:a", "clientSecret": "s%cret &"})).await;
    (scene, endpoint)
}

async fn list(scene: &Scene) -> Result<usize, tokenturn::providers::Error> {
    let listed = scene.driver.list(scene.subject()).await;
    listed.map(|listed| listed.len())
}

#[tokio::test]
async fn an_access_token_is_obtained_once_and_shown() {
    let (scene, endpoint) = scene(json!({"scopes": ["a", "b"], "audience": "x", "resource": "urn:api"})).await;
    scene.driver.check_credential(&scene.owner.namespace).await.unwrap();
    let (issued, minted) = scene.mint(1).await;
    assert_eq!(list(&scene).await.unwrap(), 1);
    scene.revoke(&issued, Some(&minted)).await.unwrap();
    let [(headers, form)] = <[_; 1]>::try_from(endpoint.seen()).unwrap();
    assert_eq!(form, "grant_type=client_credentials&scope=a+b&audience=x&resource=urn%3Aapi");
    // svc%3Aa:s%25cret+%26
    assert_eq!(headers["authorization"], "Basic c3ZjJTNBYTpzJTI1Y3JldCslMjY=");
    // A Secret that was replaced is used at once.
    scene.credential(json!({"clientSecret": "other"})).await;
    list(&scene).await.unwrap();
    list(&scene).await.unwrap();
    assert_eq!(endpoint.seen().len(), 1);
}

#[tokio::test]
async fn a_token_is_kept_no_longer_than_it_lives() {
    let (scene, endpoint) = scene(json!({"method": "ClientSecretPost"})).await;
    endpoint.plan_usual(2);
    list(&scene).await.unwrap();
    list(&scene).await.unwrap();
    let form = "grant_type=client_credentials&client_id=svc%3Aa&client_secret=s%25cret+%26";
    assert_eq!(endpoint.seen().iter().map(|(_, body)| body.as_str()).collect::<Vec<_>>(), [form]);
    tokio::time::sleep(Duration::from_millis(1_100)).await;
    // This one does not say how long it lives.
    endpoint.plan(200, &json!({"access_token": ADMIN, "token_type": "bearer"}), Duration::ZERO);
    list(&scene).await.unwrap();
    list(&scene).await.unwrap();
    assert_eq!(endpoint.seen().len(), 2);
}

/// The call that was refused is not repeated, also not a create; the next one has another token.
#[tokio::test]
async fn a_refused_token_is_dropped() {
    let (scene, endpoint) = scene(json!({})).await;
    endpoint.plan(200, &json!({"access_token": "stale", "token_type": "Bearer", "expires_in": 300}), Duration::ZERO);
    let error = scene.create(1).await.unwrap_err();
    assert_eq!(error.class(), Class::Unauthorized, "{error}");
    assert_eq!(scene.server.count(Operation::Create), 1);
    scene.mint(2).await;
    assert_eq!(endpoint.seen().len(), 2);
    // What it may do can be in the token: a right that was given meanwhile is in the next one.
    scene.server.plan(Operation::List, Fault::Status(403, vec![]));
    list(&scene).await.unwrap_err();
    list(&scene).await.unwrap();
    assert_eq!(endpoint.seen().len(), 1);
}

#[tokio::test]
async fn refusals_of_the_token_endpoint_are_told_and_nothing_is_sent_to_the_api() {
    let (scene, endpoint) = scene(json!({})).await;
    for (status, body, class, reported) in [
        (401, json!({"error": "invalid_client", "error_description": ADMIN}), Class::Unauthorized, "invalid_client"),
        (400, json!({"error": "invalid_scope"}), Class::Invalid, "check scopes"),
        (503, json!(ADMIN), Class::Unavailable, "status 503"),
        (200, json!({"access_token": ADMIN, "token_type": "DPoP"}), Class::Invalid, "token_type"),
    ] {
        endpoint.plan(status, &body, Duration::ZERO);
        let error = scene.create(1).await.unwrap_err();
        assert!(error.class() == class && error.to_string().contains(reported), "{body}: {error}");
        scene.assert_told(&error);
    }
    scene.credential(json!({"clientSecret": "\n"})).await;
    let error = scene.driver.check_credential(&scene.owner.namespace).await.unwrap_err();
    assert!(error.to_string().contains("\"clientSecret\" is empty"), "{error}");
    assert_eq!(scene.server.count(Operation::Create), 0);
}

/// It is the same provider object: what keeps one waiting keeps all.
#[tokio::test]
async fn a_token_endpoint_that_does_not_work_can_ask_for_a_pause() {
    let (scene, endpoint) = scene(json!({})).await;
    endpoint.plan(503, &json!({}), Duration::ZERO);
    endpoint.0.lock().unwrap().retry_after = Some(1);
    let error = list(&scene).await.unwrap_err();
    assert_eq!(error.class(), Class::Unavailable, "{error}");
    let error = list(&scene).await.unwrap_err();
    assert!(matches!(error.class(), Class::RateLimited { retry_after: Some(_) }), "{error}");
    assert_eq!(endpoint.seen().len(), 1);
    tokio::time::sleep(Duration::from_millis(1_100)).await;
    list(&scene).await.unwrap();
}

/// A token endpoint that is slow takes its time from the call, and ten calls wait for one answer.
#[tokio::test]
async fn there_is_one_request_at_a_time_within_the_time_of_the_call() {
    let (scene, endpoint) = scene(json!({})).await;
    let body = json!({"access_token": ADMIN, "token_type": "Bearer", "expires_in": 300});
    endpoint.plan(200, &body, Duration::from_millis(2_700));
    let error = scene.create(1).await.unwrap_err();
    assert!(
        error.class() == Class::Unavailable && error.to_string().contains("obtained its access token too late"),
        "{error}"
    );
    assert_eq!(scene.server.count(Operation::Create), 0);
    scene.credential(json!({"clientSecret": "other"})).await;
    endpoint.seen();
    endpoint.plan(200, &body, Duration::from_millis(500));
    let calls = (0..4).map(|_| list(&scene));
    for listed in futures::future::join_all(calls).await {
        listed.unwrap();
    }
    assert_eq!(endpoint.seen().len(), 1);
}

#[tokio::test]
async fn a_client_certificate_can_be_the_proof() {
    let (mut scene, endpoint) = scene(json!({})).await;
    let gate = Gate::before(&endpoint.url()).await;
    scene.mend(|recipe| {
        recipe["caBundle"] = json!(text("authority.crt"));
        recipe["credential"]["clientCertificate"] = json!({});
        recipe["credential"]["oauth2"] =
            json!({"tokenUrl": format!("{}/token", gate.url), "method": "TlsClientAuth", "clientId": "svc"});
    });
    scene.credential(json!({"tls.crt": text("client-two.crt"), "tls.key": text("client-two.key")})).await;
    list(&scene).await.unwrap();
    assert_eq!(gate.shown(), ["client-two"]);
    assert_eq!(endpoint.seen()[0].1, "grant_type=client_credentials&client_id=svc");
}

/// Where a recipe has nothing else to ask, obtaining the token shows whether the credential is accepted.
#[tokio::test]
async fn a_look_at_the_credential_obtains_a_token() {
    let (scene, endpoint) = scene(json!({})).await;
    endpoint.plan(401, &json!({"error": "invalid_client"}), Duration::ZERO);
    let error = scene.driver.health(&scene.owner.namespace).await.unwrap_err();
    assert_eq!(error.class(), Class::Unauthorized, "{error}");
    let health = scene.driver.health(&scene.owner.namespace).await.unwrap();
    assert!(health.is_accepted);
    assert_eq!(endpoint.seen().len(), 2);
    assert!(scene.server.seen().is_empty(), "nothing is asked of the API");
}
