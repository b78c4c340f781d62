//! Tokens that are bound to a key of their own, by the provider `oauth2` at a real authorization server.

use std::sync::{Arc, Mutex};

use axum::{
    Router,
    http::{HeaderMap, HeaderName, StatusCode},
    routing::get,
};
use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use serde_json::{Value, json};
use tokenturn::{
    core::token::Verification,
    providers::{Class, Inspect, http::message::dpop::ProofKey},
    secret_value::SecretValue,
    testkit::contract::{ADMIN, ContractServer, Operation, Wire},
};

use crate::{
    authorization_server::{CLIENT, SECRET, Server},
    typed::Typed,
};

async fn typed(server: &Server) -> Typed {
    let change = |settings: &mut Value| {
        settings["issuer"] = json!(server.url);
        settings["tokenType"] = json!("DPoP");
        settings["client"]["clientId"] = json!(CLIENT);
    };
    Typed::new("oauth2/bound-tokens", change, json!({"clientSecret": SECRET})).await
}

#[tokio::test]
async fn bound_tokens_are_minted_tried_and_revoked_with_and_without_a_nonce() {
    for server in [Server::start(), Server::with_nonce()] {
        let scene = typed(&server).await;
        assert_eq!(scene.driver.capabilities().fields, ["token", "dpopKey"]);
        scene.rotate_once().await;
        let (_, one) = scene.mint(3).await;
        let (_, mut other) = scene.mint(4).await;
        let key = |text: &SecretValue| ProofKey::from_jwk(text.expose_str().unwrap()).unwrap().thumbprint();
        let [first, second] = [&one, &other].map(|minted| minted.values.get("dpopKey").unwrap());
        assert_ne!(key(first), key(second));
        // Bound to another key than the one that would be published.
        other.values = other.values.clone().with("dpopKey", first.clone());
        let found = scene.verify(&other).await.unwrap();
        assert!(
            matches!(&found, Verification::Insufficient { missing } if missing[0].contains("binding")),
            "{found:?}"
        );
        other.values = other.values.clone().with("dpopKey", SecretValue::new("canary"));
        let error = scene.verify(&other).await.unwrap_err();
        assert!(error.class() == Class::Invalid && !error.to_string().contains("canary"), "{error}");
    }
}

/// A server that knows nothing of proofs gives a token that anybody could use.
#[tokio::test]
async fn a_token_that_was_not_bound_is_not_taken() {
    let contract = ContractServer::start(Wire::OAuth2).await.unwrap();
    let change = |settings: &mut Value| {
        settings["issuer"] = json!(null);
        let at = |path: &str| format!("{}/token{path}", contract.url());
        settings["endpoints"] = json!({"token": at(""), "introspection": at("/introspection")});
        settings["tokenType"] = json!("DPoP");
        settings["client"]["clientId"] = json!(ADMIN);
    };
    let scene = Typed::new("oauth2/client-secret", change, json!({"clientSecret": ADMIN})).await;
    let error = scene.create(1).await.unwrap_err();
    assert!(error.class() == Class::Invalid && error.to_string().contains("token_type"), "{error}");
    assert_eq!(contract.count(Operation::Create), 1);
}

/// An API that wants this nonce, gives another one, and remembers what it was shown.
async fn api(shown: Arc<Mutex<Vec<(String, Value)>>>, wanted: &'static str) -> String {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/me", listener.local_addr().unwrap());
    let me = get(async move |headers: HeaderMap| {
        let text = |name: &str| headers[name].to_str().unwrap().to_owned();
        let proof = text("dpop");
        let claims = BASE64_URL_SAFE_NO_PAD.decode(proof.split('.').nth(1).unwrap()).unwrap();
        let claims: Value = serde_json::from_slice(&claims).unwrap();
        let has_nonce = claims["nonce"] == wanted;
        shown.lock().unwrap().push((text("authorization"), claims));
        match has_nonce {
            true => (StatusCode::OK, HeaderMap::new()),
            false => {
                let names = [("www-authenticate", r#"DPoP error="use_dpop_nonce""#), ("dpop-nonce", "fresh")];
                let headers = names.map(|(name, value)| (HeaderName::from_static(name), value.parse().unwrap()));
                (StatusCode::UNAUTHORIZED, HeaderMap::from_iter(headers))
            }
        }
    });
    tokio::spawn(async move { axum::serve(listener, Router::new().route("/me", me)).await });
    url
}

#[tokio::test]
async fn a_bound_token_is_tried_with_a_proof_and_a_nonce() {
    let server = Server::with_nonce();
    let mut scene = typed(&server).await;
    let shown = Arc::new(Mutex::new(Vec::new()));
    let url = api(shown.clone(), "fresh").await;
    scene.mend(|settings| settings["verify"] = json!({"url": format!("{url}?a=b")}));
    let (_, minted) = scene.mint(1).await;
    assert_eq!(scene.verify(&minted).await.unwrap(), Verification::Works { surplus: vec![], expires_at: None });
    let token = minted.values.get("token").unwrap().expose_str().unwrap();
    let shown = std::mem::take(&mut *shown.lock().unwrap());
    assert_eq!(shown.len(), 2, "once without a nonce, once with");
    for (authorization, claims) in &shown {
        assert_eq!(*authorization, format!("DPoP {token}"));
        assert_eq!((&claims["htm"], &claims["htu"]), (&json!("GET"), &json!(url)));
        assert!(claims["ath"].as_str().is_some_and(|hash| hash.len() == 43));
    }
    assert_ne!(shown[0].1["jti"], shown[1].1["jti"]);
    // A proof that is refused kills no token.
    let url = api(Arc::default(), "another").await;
    scene.mend(|settings| settings["verify"] = json!({"url": url}));
    let (issued, minted) = scene.mint(2).await;
    let error = scene.liveness(&issued, &minted).await.unwrap_err();
    assert!(error.class() == Class::Unavailable && error.to_string().contains("use_dpop_nonce"), "{error}");
}
