//! OAuth 2.0: tokens that are bound to a key, and the proofs and nonces by which they are asked for.

use http::Method;
use jiff::Timestamp;
use tokenturn::{
    providers::http::message::dpop::{ProofClaims, ProofKey},
    testkit::contract::{ADMIN, ContractServer, Wire},
};
use url::Url;

use super::call::{Call, Reply};

async fn server() -> ContractServer {
    let server = ContractServer::start(Wire::OAuth2).await.unwrap();
    server.store().behaviour.proofs = true;
    server
}

fn proof(server: &ContractServer, key: &ProofKey, path: &str, nonce: Option<&str>) -> String {
    let url = Url::parse(&format!("{}{path}", server.url())).unwrap();
    let claims = ProofClaims { method: &Method::POST, url: &url, token: None, nonce, now: Timestamp::now() };
    key.proof(&claims).unwrap()
}

async fn create(server: &ContractServer, proof: &str) -> Reply {
    let form = [("grant_type", "client_credentials"), ("scope", "a")];
    let call = Call::new("POST /token").basic(ADMIN, ADMIN).header("dpop", proof);
    call.form(&form).send(server).await
}

#[track_caller]
fn nonce(answer: &Reply) -> String {
    assert_eq!((answer.status, answer.text("/error")), (400, "use_dpop_nonce".to_owned()), "{answer:?}");
    answer.header("dpop-nonce").expect("a nonce").to_owned()
}

#[tokio::test]
async fn a_token_is_bound_to_the_key_of_a_proof_with_a_nonce() {
    let (server, key) = (server().await, ProofKey::generate().unwrap());
    let given = nonce(&create(&server, &proof(&server, &key, "/token", None)).await);
    assert_eq!((server.counts(), server.store().nonces()), ((0, 0), 1));
    let shown = proof(&server, &key, "/token", Some(&given));
    let minted = create(&server, &shown).await;
    assert_eq!((minted.status, minted.text("/token_type")), (200, "DPoP".to_owned()), "{minted:?}");
    let token = minted.text("/access_token");
    let form = [("token", token.as_str())];
    let reported = Call::new("POST /token/introspection").basic(ADMIN, ADMIN).form(&form).send(&server).await;
    assert_eq!(reported.text("/cnf/jkt"), key.thumbprint());
    assert_eq!(server.store().find(&token).unwrap().bound_to.as_ref(), Some(&key.thumbprint()));
    // Each is good once.
    let again = create(&server, &shown).await;
    assert_eq!((again.status, again.text("/error")), (400, "invalid_dpop_proof".to_owned()));
    nonce(&create(&server, &proof(&server, &key, "/token", Some(&given))).await);
    assert_eq!(server.counts(), (1, 1));
}

#[tokio::test]
async fn a_proof_for_something_else_or_by_another_key_is_refused() {
    let (server, key) = (server().await, ProofKey::generate().unwrap());
    let (good, other) =
        (proof(&server, &key, "/token", None), proof(&server, &ProofKey::generate().unwrap(), "/token", None));
    let parts: Vec<&str> = good.split('.').collect();
    let foreign = format!("{}.{}.{}", parts[0], parts[1], other.rsplit('.').next().unwrap());
    for wrong in [proof(&server, &key, "/elsewhere", None), foreign, "a.b".to_owned()] {
        let answer = create(&server, &wrong).await;
        assert_eq!((answer.status, answer.text("/error")), (400, "invalid_dpop_proof".to_owned()), "{wrong}");
    }
    nonce(&create(&server, &good).await);
}
