//! FOSSA: forms, names that are used once, deletion by value, and an exchange for short tokens.

use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use serde_json::{Value, json};
use tokenturn::testkit::contract::{ContractServer, Wire};

use super::call::{Call, Reply};

async fn server() -> ContractServer {
    ContractServer::start(Wire::Fossa).await.unwrap()
}

async fn create(server: &ContractServer, name: &str) -> Reply {
    let fields = [("name", name), ("pushOnly", "true")];
    Call::new("POST /api/user/7/api_token").admin().multipart(&fields).send(server).await
}

async fn delete(server: &ContractServer, value: &str) -> Reply {
    Call::new("DELETE /api/user/7/api_token").admin().multipart(&[("token", value)]).send(server).await
}

async fn list(server: &ContractServer) -> Value {
    Call::new("GET /api/users/7").admin().send(server).await.body["tokens"].clone()
}

async fn use_it(server: &ContractServer, value: &str) -> u16 {
    Call::new("GET /api/cli/organization").bearer(value).send(server).await.status
}

#[track_caller]
fn assert_refused(answer: &Reply, status: u16) {
    assert_eq!((answer.status, &answer.body["httpStatusCode"]), (status, &json!(status)), "{answer:?}");
    assert!(answer.body["code"].is_i64() && !answer.text("/uuid").is_empty(), "{answer:?}");
    assert!(!answer.text("/message").is_empty() && !answer.text("/name").is_empty(), "{answer:?}");
}

#[tokio::test]
async fn a_token_is_deleted_by_its_value() {
    let server = server().await;
    let value = create(&server, "one").await.text("/token");
    assert_eq!(use_it(&server, &value).await, 200);
    assert_eq!(delete(&server, &value).await.status, 200);
    assert_eq!(use_it(&server, &value).await, 401);
    assert_eq!(list(&server).await, json!([]));
    for gone in [value.as_str(), "unknown", ""] {
        assert_refused(&delete(&server, gone).await, 404);
    }
}

#[tokio::test]
async fn a_name_is_given_once() {
    let server = server().await;
    let value = create(&server, "one").await.text("/token");
    assert_refused(&create(&server, "one").await, 400);
    assert_refused(&create(&server, "").await, 400);
    assert_eq!(use_it(&server, &value).await, 200);
    assert_eq!(server.counts(), (1, 1));
}

#[tokio::test]
async fn only_old_servers_list_values() {
    let server = server().await;
    let value = create(&server, "one").await.text("/token");
    let listed = list(&server).await;
    assert!(listed[0]["name"] == "one" && listed[0]["meta"]["pushOnly"] == true, "{listed}");
    assert!(listed[0]["token"].is_null(), "{listed}");
    server.store().behaviour.values_listed = true;
    assert_eq!(list(&server).await[0]["token"], value);
}

fn jwt() -> String {
    let [header, claims] = [json!({"alg": "RS256"}), json!({"iss": "https://issuer.example", "sub": "job"})]
        .map(|part| BASE64_URL_SAFE_NO_PAD.encode(part.to_string()));
    format!("{header}.{claims}.c2lnbmVk")
}

async fn exchange(server: &ContractServer, changes: Value) -> Reply {
    let mut body = json!({"providerId": 3, "username": "ci", "token": jwt(), "expiresIn": 900, "isPushOnly": false});
    for (name, value) in changes.as_object().unwrap() {
        body[name] = value.clone();
    }
    Call::new("POST /api/oidc/token-exchange").json(&body).send(server).await
}

#[tokio::test]
async fn a_token_of_an_issuer_is_exchanged_for_a_short_one() {
    let server = server().await;
    let (one, two) = (exchange(&server, json!({})).await, exchange(&server, json!({"expiresIn": 43_200})).await);
    for answer in [&one, &two] {
        assert_eq!(answer.status, 200, "{answer:?}");
        assert_eq!((answer.text("/issuer"), answer.text("/subject")), ("https://issuer.example".into(), "job".into()));
        assert!(answer.text("/credential/expiration").parse::<jiff::Timestamp>().is_ok(), "{answer:?}");
        assert_eq!(use_it(&server, &answer.text("/credential/token")).await, 200);
    }
    assert_eq!((&one.body["providerId"], &one.body["credential"]["isPushOnly"]), (&json!(3), &json!(false)));
    assert_eq!(list(&server).await, json!([]), "nothing lists them");
}

#[tokio::test]
async fn whatever_is_wrong_about_an_exchange_is_400() {
    let server = server().await;
    for changes in [
        json!({"token": "no.jwt"}),
        json!({"token": "a.b.c"}),
        json!({"token": null}),
        json!({"expiresIn": 899}),
        json!({"expiresIn": 43_201}),
        json!({"providerId": "3"}),
        json!({"username": ""}),
        json!({"isPushOnly": "yes"}),
    ] {
        assert_refused(&exchange(&server, changes).await, 400);
    }
    assert_eq!(server.counts(), (0, 0));
}

#[tokio::test]
async fn a_wrong_credential_is_refused_with_the_same_body() {
    let server = server().await;
    let fields = [("name", "one"), ("pushOnly", "true")];
    for call in [
        Call::new("POST /api/user/7/api_token").multipart(&fields),
        Call::new("DELETE /api/user/7/api_token"),
        Call::new("GET /api/users/7"),
    ] {
        assert_refused(&call.bearer("wrong").send(&server).await, 401);
    }
}
