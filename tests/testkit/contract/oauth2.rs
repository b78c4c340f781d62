//! OAuth 2.0: refresh tokens that are good once, and families that end when one is shown twice.

use serde_json::json;
use tokenturn::testkit::contract::{ADMIN, ContractServer, Wire};

use super::call::{Call, Reply};

async fn server() -> ContractServer {
    ContractServer::start(Wire::OAuth2).await.unwrap()
}

async fn post(server: &ContractServer, path: &str, form: &[(&str, &str)]) -> Reply {
    Call::new(&format!("POST {path}")).basic(ADMIN, ADMIN).form(form).send(server).await
}

async fn refresh(server: &ContractServer, token: &str) -> Reply {
    post(server, "/token", &[("grant_type", "refresh_token"), ("refresh_token", token)]).await
}

/// The next refresh token, and the access token that came with it.
async fn turn(server: &ContractServer, token: &str) -> (String, String) {
    let answer = refresh(server, token).await;
    assert!(answer.status == 200 && answer.text("/scope") == "a b", "{answer:?}");
    (answer.text("/refresh_token"), answer.text("/access_token"))
}

async fn is_active(server: &ContractServer, token: &str) -> bool {
    let answer = post(server, "/token/introspection", &[("token", token)]).await;
    assert_eq!(answer.status, 200);
    answer.body["active"] == true
}

fn consent(server: &ContractServer) -> String {
    server.store().consent("someone", vec![json!("a"), json!("b")])
}

#[track_caller]
fn assert_invalid(answer: &Reply) {
    assert_eq!((answer.status, answer.text("/error")), (400, "invalid_grant".to_owned()), "{answer:?}");
}

#[tokio::test]
async fn a_refresh_token_that_is_shown_twice_ends_its_family() {
    let server = server().await;
    let (first, foreign) = (consent(&server), consent(&server));
    let (second, old) = turn(&server, &first).await;
    let (third, new) = turn(&server, &second).await;
    let (foreign, untouched) = turn(&server, &foreign).await;
    assert!(is_active(&server, &old).await && is_active(&server, &new).await);
    assert_invalid(&refresh(&server, &first).await);
    assert!(!is_active(&server, &old).await && !is_active(&server, &new).await);
    assert_invalid(&refresh(&server, &third).await);
    assert!(is_active(&server, &untouched).await, "of another consent");
    turn(&server, &foreign).await;
}

#[tokio::test]
async fn without_detection_a_second_use_is_only_refused() {
    let server = server().await;
    server.store().behaviour.reuse_detection = false;
    let first = consent(&server);
    let (second, access) = turn(&server, &first).await;
    assert_invalid(&refresh(&server, &first).await);
    assert!(is_active(&server, &access).await);
    turn(&server, &second).await;
}

#[tokio::test]
async fn a_revoked_refresh_token_ends_its_family() {
    let server = server().await;
    let (second, access) = turn(&server, &consent(&server)).await;
    assert_eq!(post(&server, "/token/revocation", &[("token", &second)]).await.status, 200);
    assert!(!is_active(&server, &access).await);
    assert_invalid(&refresh(&server, &second).await);
}

/// 200 proves nothing.
#[tokio::test]
async fn a_revocation_of_anything_succeeds() {
    let server = server().await;
    for token in ["unknown", ""] {
        assert_eq!(post(&server, "/token/revocation", &[("token", token)]).await.status, 200, "{token:?}");
    }
}

#[tokio::test]
async fn a_wrong_client_is_told_apart_from_a_wrong_grant() {
    let server = server().await;
    let token = consent(&server);
    let form = [("grant_type", "refresh_token"), ("refresh_token", token.as_str())];
    let answer = Call::new("POST /token").basic(ADMIN, "wrong").form(&form).send(&server).await;
    assert_eq!((answer.status, answer.text("/error")), (401, "invalid_client".to_owned()));
    assert_invalid(&refresh(&server, "unknown").await);
    turn(&server, &token).await;
}
