//! Synoptic Data: GET for everything, no ids, no names.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use serde_json::json;
use tokenturn::testkit::contract::{ContractServer, Wire};

use super::call::{Call, Reply, encoded};

async fn server() -> ContractServer {
    ContractServer::start(Wire::Synoptic).await.unwrap()
}

async fn ask(server: &ContractServer, query: &str) -> Reply {
    Call::new(&format!("GET /auth/v2/{query}")).admin().send(server).await
}

async fn mint(server: &ContractServer) -> String {
    ask(server, "").await.text("/TOKEN")
}

/// What the data API says about a token; its status is always 200.
async fn code(server: &ContractServer, token: &str) -> i64 {
    let answer = Call::new(&format!("GET /v2/networks?token={token}")).send(server).await;
    assert_eq!(answer.status, 200);
    answer.body["SUMMARY"]["RESPONSE_CODE"].as_i64().unwrap()
}

#[tokio::test]
async fn every_get_without_parameters_is_one_more_token() {
    let server = server().await;
    let (one, two) = (mint(&server).await, mint(&server).await);
    assert_ne!(one, two);
    assert_eq!(ask(&server, "?list=1").await.body, json!({"TOKENS": [one, two]}));
    assert_eq!((code(&server, &one).await, code(&server, "unknown").await), (1, 200));
}

#[tokio::test]
async fn a_token_is_disabled_once() {
    let server = server().await;
    let (old, new) = (mint(&server).await, mint(&server).await);
    let disable = format!("?disableToken={old}");
    let answer = ask(&server, &disable).await;
    assert_eq!((answer.status, answer.text("/MESSAGE")), (200, format!("Token {old} is disabled.")));
    assert_eq!(ask(&server, "?list=1").await.body, json!({"TOKENS": [new]}));
    assert_eq!((code(&server, &old).await, code(&server, &new).await), (200, 1));
    for query in [disable.as_str(), "?disableToken=unknown"] {
        let answer = ask(&server, query).await;
        assert!(answer.status == 400 && !answer.text("/MESSAGE").is_empty(), "{answer:?}");
    }
}

/// It is gone from the list at once, and answers for a while.
#[tokio::test]
async fn a_disabled_token_may_answer_for_a_while() {
    let server = server().await;
    server.store().behaviour.propagation = Duration::from_secs(3_600);
    let token = mint(&server).await;
    ask(&server, &format!("?disableToken={token}")).await;
    assert_eq!(ask(&server, "?list=1").await.body, json!({"TOKENS": []}));
    assert_eq!(code(&server, &token).await, 1);
    server.store().behaviour.propagation = Duration::ZERO;
    assert_eq!(code(&server, &token).await, 200);
}

#[tokio::test]
async fn a_protected_token_is_not_disabled() {
    let server = server().await;
    let token = mint(&server).await;
    assert!(server.store().protect(&token));
    assert_eq!(ask(&server, &format!("?disableToken={token}")).await.status, 400);
    assert_eq!(code(&server, &token).await, 1);
}

#[tokio::test]
async fn the_list_is_cut() {
    let server = server().await;
    for _ in 0..101 {
        server.store().mint("", "", Vec::new(), None).unwrap();
    }
    let listed = ask(&server, "?list=1").await.body;
    assert_eq!(listed["TOKENS"].as_array().unwrap().len(), 100);
}

#[tokio::test]
async fn only_a_living_token_is_cloned() {
    let server = server().await;
    let token = mint(&server).await;
    let clone = format!("?cloneSettings={token}");
    assert_eq!(ask(&server, &clone).await.status, 200);
    ask(&server, &format!("?disableToken={token}")).await;
    assert_eq!(ask(&server, &clone).await.status, 400);
    assert_eq!(ask(&server, "?cloneSettings=unknown").await.status, 400);
    assert_eq!(server.counts(), (2, 1));
}

#[tokio::test]
async fn an_expiry_is_a_minute_in_the_future() {
    let server = server().await;
    let at = |hours| (Timestamp::now() + SignedDuration::from_hours(hours)).strftime("%Y%m%d%H%M").to_string();
    for (expire, status) in [(at(2), 200), (at(-2), 400), ("tomorrow".to_owned(), 400), (format!("{}00", at(2)), 400)] {
        assert_eq!(ask(&server, &format!("?expire={expire}")).await.status, status, "{expire}");
    }
    let token = ask(&server, "?list=1").await.text("/TOKENS/0");
    assert!(server.store().find(&token).unwrap().expires.is_some());
}

#[tokio::test]
async fn the_key_is_a_bearer_token_or_in_the_query() {
    let server = server().await;
    let by_query = format!("GET /auth/v2/?list=1&apikey={}", encoded(tokenturn::testkit::contract::ADMIN));
    assert_eq!(Call::new(&by_query).send(&server).await.status, 200);
    for query in ["", "?list=1", "?disableToken=x"] {
        let wrong = Call::new(&format!("GET /auth/v2/{query}")).bearer("wrong");
        assert_eq!(wrong.send(&server).await.status, 401, "{query}");
    }
    assert_eq!(server.counts(), (0, 0));
}
