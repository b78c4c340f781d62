//! The licensing API: its errors word by word, its tenants, and a User Token that is replaced in its place.

use serde_json::{Value, json};
use tokenturn::testkit::contract::{ADMIN, ContractServer, Fault, Operation, Tenant, Wire};

use super::call::{Call, Reply};

async fn server() -> ContractServer {
    ContractServer::start(Wire::Licensing).await.unwrap()
}

async fn authorize(server: &ContractServer, user_token: &str) -> Reply {
    Call::new("POST /v1/authorization").json(&json!({"userToken": user_token})).send(server).await
}

/// Access token and refresh token.
async fn mint(server: &ContractServer, user_token: &str) -> (String, String) {
    let answer = authorize(server, user_token).await;
    let expires: jiff::Timestamp = answer.text("/expirationDate").parse().unwrap();
    let hours = expires.duration_since(jiff::Timestamp::now()).as_hours();
    assert!(answer.status == 201 && hours == 23, "{answer:?}");
    (answer.text("/accessToken"), answer.text("/refreshToken"))
}

async fn read(server: &ContractServer, path: &str, access: &str) -> (u16, Value) {
    let answer = Call::new(&format!("GET /v1/{path}")).bearer(access).send(server).await;
    (answer.status, answer.body)
}

async fn refresh(server: &ContractServer, token: &str) -> Reply {
    Call::new("POST /v1/authorization/refresh").json(&json!({"refreshToken": token})).send(server).await
}

fn replace(access: &str) -> Call {
    Call::new("POST /v1/users/token/refresh").bearer(access)
}

fn error(status: u16, text: &str) -> (u16, Value) {
    (status, json!({"error": text}))
}

#[tokio::test]
async fn a_user_token_is_exchanged_for_access_tokens() {
    let server = server().await;
    let ((one, _), (two, _)) = (mint(&server, ADMIN).await, mint(&server, ADMIN).await);
    assert_ne!(one, two);
    for access in [&one, &two] {
        assert_eq!(read(&server, "products", access).await, (200, json!([])));
    }
    assert_eq!(read(&server, "products", "unknown").await, error(401, "Invalid token"));
    let wrong = authorize(&server, "unknown").await;
    assert_eq!((wrong.status, wrong.body), error(401, "Invalid token"));
}

#[tokio::test]
async fn a_plan_that_is_used_up_says_so_without_a_time() {
    let server = server().await;
    server.store().behaviour.slots = 1;
    mint(&server, ADMIN).await;
    let answer = authorize(&server, ADMIN).await;
    assert!(answer.header("retry-after").is_none());
    assert_eq!((answer.status, answer.body), error(429, "Too Many Requests (Reached license limit)"));
}

#[tokio::test]
async fn an_access_token_belongs_to_its_tenant() {
    let server = server().await;
    server.store().tenants.push(Tenant::new("other", "another user token"));
    let (own, _) = mint(&server, ADMIN).await;
    let (foreign, _) = mint(&server, "another user token").await;
    assert_eq!(read(&server, "tenants/main/products", &own).await.0, 200);
    assert_eq!(read(&server, "tenants/main/products", &foreign).await, error(403, "Access denied"));
    server.store().tenants[1].permissions.clear();
    assert_eq!(read(&server, "products", &foreign).await, error(403, "Access denied"));
    let denied = replace(&foreign).send(&server).await;
    assert_eq!((denied.status, denied.body), error(403, "Access denied"));
    assert_eq!(read(&server, "products", &own).await.0, 200);
}

#[tokio::test]
async fn a_tenant_without_a_licence_is_refused_everything() {
    let server = server().await;
    let (access, again) = mint(&server, ADMIN).await;
    let key = server.store().tenants[0].licence_key.clone();
    let validate =
        async || Call::new("POST /v1/licenses/validate").json(&json!({"licenseKey": key})).send(&server).await;
    assert_eq!(validate().await.status, 200, "without a token");
    server.store().tenants[0].is_expired = true;
    for answer in [authorize(&server, ADMIN).await, refresh(&server, &again).await, validate().await] {
        assert_eq!((answer.status, answer.body), error(403, "Invalid license"));
    }
    assert_eq!(read(&server, "products", &access).await, error(403, "Invalid license"));
}

#[tokio::test]
async fn a_refresh_token_is_good_once() {
    let server = server().await;
    let (old, first) = mint(&server, ADMIN).await;
    let answer = refresh(&server, &first).await;
    let (new, second) = (answer.text("/accessToken"), answer.text("/refreshToken"));
    assert!(answer.status == 201 && second != first, "{answer:?}");
    let again = refresh(&server, &first).await;
    assert_eq!((again.status, again.body), error(401, "Invalid token"));
    for access in [old, new] {
        assert_eq!(read(&server, "products", &access).await.0, 200);
    }
    assert_eq!(refresh(&server, &second).await.status, 201);
}

/// All that came from the former User Token is dead, and that itself.
#[tokio::test]
async fn a_user_token_is_replaced_in_its_place() {
    let server = server().await;
    server.store().tenants.push(Tenant::new("other", "another user token"));
    let (foreign, _) = mint(&server, "another user token").await;
    let ((one, again), (two, _)) = (mint(&server, ADMIN).await, mint(&server, ADMIN).await);
    let answer = replace(&one).send(&server).await;
    let user_token = answer.text("/userToken");
    assert!(answer.status == 201 && server.store().values().contains(&user_token), "{answer:?}");
    for access in [&one, &two] {
        assert_eq!(read(&server, "products", access).await, error(401, "Invalid token"));
    }
    assert_eq!(authorize(&server, ADMIN).await.status, 401);
    assert_eq!(refresh(&server, &again).await.status, 401);
    assert_eq!(replace(&one).send(&server).await.status, 401);
    assert_eq!(read(&server, "products", &foreign).await.0, 200);
    let (access, _) = mint(&server, &user_token).await;
    assert_eq!(read(&server, "products", &access).await.0, 200);
}

/// Who loses that answer is locked out.
#[tokio::test]
async fn a_lost_replacement_has_happened() {
    let server = server().await;
    let (access, _) = mint(&server, ADMIN).await;
    server.plan(Operation::Replace, Fault::Lost);
    assert!(replace(&access).try_send(&server).await.is_err());
    assert_eq!(authorize(&server, ADMIN).await.status, 401);
    assert_eq!(read(&server, "products", &access).await.0, 401);
}
