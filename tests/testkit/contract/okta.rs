//! Okta: two secrets at most, switched off before they are deleted, and a token endpoint that tries them.

use serde_json::{Value, json};
use tokenturn::testkit::contract::{ADMIN, ContractServer, Wire};

use super::call::{Call, Reply};

const APP: &str = "0oa1";

async fn server() -> ContractServer {
    ContractServer::start(Wire::Okta).await.unwrap()
}

fn call(method: &str, rest: &str) -> Call {
    let line = format!("{method} /api/v1/apps/{APP}/credentials/secrets{rest}");
    Call::new(&line).header("authorization", &format!("SSWS {ADMIN}"))
}

async fn create(server: &ContractServer, body: Value) -> Reply {
    call("POST", "").json(&body).send(server).await
}

/// Id and value.
async fn mint(server: &ContractServer) -> (String, String) {
    let answer = create(server, json!({})).await;
    assert!(answer.status == 201 && answer.text("/status") == "ACTIVE", "{answer:?}");
    (answer.text("/id"), answer.text("/client_secret"))
}

async fn turn(server: &ContractServer, id: &str, how: &str) -> Reply {
    call("POST", &format!("/{id}/lifecycle/{how}")).send(server).await
}

async fn try_as(server: &ContractServer, app: &str, secret: &str) -> Reply {
    let form = [("grant_type", "client_credentials"), ("scope", "api:read")];
    Call::new("POST /oauth2/v1/token").basic(app, secret).form(&form).send(server).await
}

async fn works(server: &ContractServer, secret: &str) -> bool {
    let answer = try_as(server, APP, secret).await;
    match answer.status {
        200 => !answer.text("/access_token").is_empty(),
        _ => {
            assert_eq!((answer.status, answer.text("/error")), (401, "invalid_client".to_owned()));
            false
        }
    }
}

#[track_caller]
fn assert_refused(answer: &Reply, status: u16, code: &str) {
    let cause = answer.text("/errorCauses/0/errorSummary");
    assert_eq!((answer.status, answer.text("/errorCode")), (status, code.to_owned()), "{answer:?}");
    assert!(!cause.is_empty() && !answer.text("/errorSummary").is_empty(), "{answer:?}");
}

#[tokio::test]
async fn a_secret_is_switched_off_and_deleted_while_another_works() {
    let server = server().await;
    let ((old, first), (new, second)) = (mint(&server).await, mint(&server).await);
    assert!(works(&server, &first).await && works(&server, &second).await);
    assert_eq!(turn(&server, &old, "deactivate").await.text("/status"), "INACTIVE");
    assert!(!works(&server, &first).await && works(&server, &second).await);
    assert_eq!(turn(&server, &old, "activate").await.text("/status"), "ACTIVE");
    assert!(works(&server, &first).await, "that can be undone");
    turn(&server, &old, "deactivate").await;
    assert_eq!(call("DELETE", &format!("/{old}")).send(&server).await.status, 204);
    let listed = call("GET", "").send(&server).await;
    assert_eq!((listed.text("/0/id"), listed.text("/0/client_secret")), (new.clone(), second));
    assert_eq!(listed.body.as_array().unwrap().len(), 1);
    assert_eq!(call("GET", &format!("/{new}")).send(&server).await.body, listed.body[0]);
    for gone in [call("GET", &format!("/{old}")), call("DELETE", &format!("/{old}")), call("GET", "/unknown")] {
        assert_refused(&gone.send(&server).await, 404, "E0000007");
    }
}

#[tokio::test]
async fn there_is_no_third_secret() {
    let server = server().await;
    let ((old, _), _) = (mint(&server).await, mint(&server).await);
    assert_refused(&create(&server, json!({})).await, 400, "E0000001");
    turn(&server, &old, "deactivate").await;
    assert_refused(&create(&server, json!({})).await, 400, "E0000001");
    call("DELETE", &format!("/{old}")).send(&server).await;
    mint(&server).await;
}

#[tokio::test]
async fn an_active_secret_is_not_deleted() {
    let server = server().await;
    let ((old, value), _) = (mint(&server).await, mint(&server).await);
    assert_refused(&call("DELETE", &format!("/{old}")).send(&server).await, 400, "E0000001");
    assert!(works(&server, &value).await);
}

#[tokio::test]
async fn the_only_secret_is_not_switched_off() {
    let server = server().await;
    let (id, value) = mint(&server).await;
    assert_refused(&turn(&server, &id, "deactivate").await, 400, "E0000001");
    assert!(works(&server, &value).await);
}

#[tokio::test]
async fn a_secret_may_be_brought_along() {
    let server = server().await;
    mint(&server).await;
    let own = "my own: 100% secret & long enough + 1";
    let answer = create(&server, json!({"client_secret": own, "status": "INACTIVE"})).await;
    assert_eq!((answer.text("/client_secret"), answer.text("/status")), (own.to_owned(), "INACTIVE".to_owned()));
    assert!(!works(&server, own).await);
    turn(&server, &answer.text("/id"), "activate").await;
    assert!(works(&server, own).await);
    assert_eq!(try_as(&server, "another", own).await.status, 401);
    assert_eq!(create(&server, json!({"status": "SLEEPY"})).await.status, 400);
    // Whether a list shows values is told nowhere.
    server.store().behaviour.values_listed = false;
    assert!(call("GET", "").send(&server).await.body[0]["client_secret"].is_null());
}

#[tokio::test]
async fn the_credential_has_a_scheme_of_its_own() {
    let server = server().await;
    let path = format!("/api/v1/apps/{APP}/credentials/secrets");
    for line in [format!("POST {path}"), format!("GET {path}"), format!("DELETE {path}/ocs1")] {
        assert_refused(&Call::new(&line).admin().send(&server).await, 401, "E0000011");
        let wrong = Call::new(&line).header("authorization", "SSWS wrong");
        assert_refused(&wrong.send(&server).await, 401, "E0000011");
    }
    assert_eq!(server.counts(), (0, 0));
}
