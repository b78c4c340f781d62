//! Keycloak: access tokens by the provider `oauth2`, and clients by a recipe whose credential is an access token.

use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use rustls::pki_types::{SubjectPublicKeyInfoDer, pem::PemObject};
use serde_json::{Value, json};
use tokenturn::{
    core::token::{Liveness, Verification},
    providers::{Class, Inspect, LostAnswer},
    testkit::{Keycloak, Realm},
};

use crate::{tls::text, typed::Typed};

async fn realm() -> Realm {
    Keycloak::get().await.unwrap().realm(&["api:read", "api:write"]).await.unwrap()
}

async fn typed(realm: &Realm, client: Value, secret: Value) -> Typed {
    let change = |settings: &mut Value| {
        settings["issuer"] = json!(realm.issuer());
        settings["scopes"] = json!(["openid", "api:read", "api:write", "api:none"]);
        settings["client"].as_object_mut().unwrap().extend(client.as_object().unwrap().clone());
    };
    let mut scene = Typed::new("oauth2/client-secret", change, secret).await;
    scene.source.specification.permissions = vec!["openid".into(), "api:read".into()];
    scene
}

fn secret_client(id: &str) -> Value {
    json!({"clientId": id, "secret": "s%cret &", "optionalClientScopes": ["api:read", "api:write"]})
}

#[tokio::test]
async fn access_tokens_are_minted_tried_and_revoked() {
    let realm = realm().await;
    realm.client(&secret_client("billing")).await.unwrap();
    let post = json!({"method": "ClientSecretPost"});
    let mut scene = typed(&realm, post, json!({"clientSecret": "s%cret &"})).await;
    scene.rotate_once().await;
    scene.mend(|settings| settings["client"]["method"] = json!("ClientSecretBasic"));
    scene.rotate_once().await;
    // The server's own API is the judge of the revocation.
    let (issued, minted) = scene.mint(3).await;
    let token = minted.values.get("token").unwrap().expose_str().unwrap().to_owned();
    assert_eq!(realm.use_token(&token).await.unwrap(), 200);
    scene.revoke(&issued, &minted).await.unwrap();
    assert_eq!(realm.use_token(&token).await.unwrap(), 401);
    assert_eq!(scene.liveness(&issued, &minted).await.unwrap(), Liveness::Dead);
    // Tried at that API instead of by introspection.
    scene.mend(|settings| {
        settings["verify"] = json!({"url": format!("{}/protocol/openid-connect/userinfo", realm.issuer())});
    });
    scene.rotate_once().await;
    scene.source.specification.permissions.push("api:none".into());
    let error = scene.create(4).await.unwrap_err();
    assert!(error.class() == Class::Invalid && error.to_string().contains("invalid_scope"), "{error}");
    scene.secret(json!({"clientSecret": "canary"})).await;
    let error = scene.create(5).await.unwrap_err();
    assert!(!error.to_string().contains("canary"), "{error}");
    assert_eq!(error.class(), Class::Unauthorized, "{error}");
}

#[tokio::test]
async fn a_client_with_a_private_key_proves_itself() {
    let realm = realm().await;
    let key = SubjectPublicKeyInfoDer::from_pem_slice(text("p256.pub").as_bytes()).unwrap();
    let [x, y] = [64, 32].map(|from| BASE64_URL_SAFE_NO_PAD.encode(&key[key.len() - from..][..32]));
    let jwk = json!({"kty": "EC", "crv": "P-256", "use": "sig", "alg": "ES256", "kid": "k1", "x": x, "y": y});
    let client = json!({
        "clientId": "billing", "clientAuthenticatorType": "client-jwt", "optionalClientScopes": ["api:read", "api:write"],
        "attributes": {"use.jwks.string": "true", "jwks.string": json!({"keys": [jwk]}).to_string()},
    });
    realm.client(&client).await.unwrap();
    let method = json!({"method": "PrivateKeyJwt", "algorithm": "ES256", "keyId": "k1"});
    let scene = typed(&realm, method, json!({"privateKey": text("p256.pem")})).await;
    scene.rotate_once().await;
}

/// The operator has an access token of its own, and rotates clients with it.
#[tokio::test]
async fn clients_are_rotated_with_an_access_token() {
    let realm = realm().await;
    let admin = realm.client(&secret_client("tokenturn")).await.unwrap();
    realm.may_manage_clients(&admin).await.unwrap();
    let change = |recipe: &mut Value| {
        recipe["baseUrl"] = json!(realm.url());
        let token = format!("{}/protocol/openid-connect/token", realm.issuer());
        recipe["credential"]["oauth2"]["tokenUrl"] = json!(token);
    };
    let mut scene = Typed::new("http/keycloak-client", change, json!({"clientSecret": "s%cret &"})).await;
    scene.source.specification.parameters.insert("realm".into(), realm.name().into());
    assert_eq!(scene.driver.capabilities().lost_answer, LostAnswer::ListAndRevoke);
    scene.rotate_once().await;
    assert_eq!(scene.names().await.len(), 1);
    let (issued, minted) = scene.mint(3).await;
    let works = Verification::Works { surplus: vec![], expires_at: None };
    assert_eq!(scene.verify(&minted).await.unwrap(), works);
    // The answer was lost: it is found by its name, and revoked without its values.
    assert!(scene.names().await.contains(&issued.id));
    scene.revoke(&issued, &minted).await.unwrap();
    assert_eq!(scene.liveness(&issued, &minted).await.unwrap(), Liveness::Dead);
    scene.secret(json!({"clientSecret": "wrong"})).await;
    let error = scene.create(4).await.unwrap_err();
    assert!(error.class() == Class::Unauthorized && error.to_string().contains("keycloak-admin"), "{error}");
}
