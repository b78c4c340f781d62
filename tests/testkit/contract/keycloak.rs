//! Keycloak: a client's secret and the one before it, of which there is one.

use tokenturn::testkit::contract::{ADMIN, ContractServer, Wire};

use super::call::{Call, Reply};

const SECRET: &str = "/admin/realms/shop/clients/6f2d/client-secret";

async fn log_in(server: &ContractServer, id: &str, secret: &str) -> Reply {
    let form = [("grant_type", "client_credentials"), ("client_id", id), ("client_secret", secret)];
    Call::new("POST /realms/shop/protocol/openid-connect/token").form(&form).send(server).await
}

#[tokio::test]
async fn a_new_secret_displaces_the_last_and_ends_the_one_before() {
    let server = ContractServer::start(Wire::Keycloak).await.unwrap();
    let token = log_in(&server, "tokenturn", ADMIN).await.text("/access_token");
    let asked =
        async |line: String| Call::new(&line).header("authorization", &format!("Bearer {token}")).send(&server).await;
    let works = async |secret: &str| log_in(&server, "billing", secret).await.status == 200;
    assert_eq!(Call::new(&format!("POST {SECRET}")).send(&server).await.status, 401);
    assert_eq!(asked(format!("GET {SECRET}/rotated")).await.status, 404);
    let mut secrets = Vec::new();
    for _ in 0..3 {
        let made = asked(format!("POST {SECRET}")).await.text("/value");
        assert_eq!(asked(format!("GET {SECRET}")).await.text("/value"), made);
        secrets.push(made);
    }
    assert!(!works(&secrets[0]).await && works(&secrets[1]).await && works(&secrets[2]).await);
    assert_eq!(asked(format!("GET {SECRET}/rotated")).await.text("/value"), secrets[1]);
    assert_eq!(asked(format!("DELETE {SECRET}/rotated")).await.status, 204);
    assert_eq!(asked(format!("DELETE {SECRET}/rotated")).await.status, 404);
    assert!(!works(&secrets[1]).await && works(&secrets[2]).await);
    assert_eq!(log_in(&server, "billing", "nonsense").await.status, 401);
}
