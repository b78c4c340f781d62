//! The recipe of OAuth 2.0 against a real authorization server.

use serde_json::json;
use tokenturn::{
    core::token::{Liveness, Verification},
    providers::Class,
    testkit::contract::Wire,
};

use crate::{
    authorization_server::{CLIENT, SECRET, SIGNERS, Server},
    scene::Scene,
    tls::text,
};

async fn scene(server: &Server, secret: &str, scopes: &[&str]) -> Scene {
    let mut scene = Scene::new(Wire::OAuth2).await;
    let permissions = ["api:read", "api:write", "api:none"].map(|name| json!({"name": name}));
    scene.mend(|recipe| {
        recipe["baseUrl"] = json!(server.url);
        recipe["permissions"] = json!(permissions);
    });
    scene.source.specification.permissions = scopes.iter().map(|scope| (*scope).to_owned()).collect();
    scene.credential(json!({"username": CLIENT, "password": secret})).await;
    scene
}

#[tokio::test]
async fn tokens_of_a_real_authorization_server_are_minted_tried_and_revoked() {
    let server = Server::start();
    let scene = scene(&server, SECRET, &["api:read"]).await;
    let (old, old_minted) = scene.mint(1).await;
    let (new, new_minted) = scene.mint(2).await;
    assert!(old.expires_at.is_some_and(|at| at > jiff::Timestamp::now()));
    let works = Verification::Works { surplus: vec![], expires_at: None };
    assert_eq!(scene.verify(&old_minted).await.unwrap(), works);
    scene.revoke(&old, Some(&old_minted)).await.unwrap();
    assert_eq!(scene.liveness(&old, Some(&old_minted)).await.unwrap(), Liveness::Dead);
    assert_eq!(scene.liveness(&new, Some(&new_minted)).await.unwrap(), Liveness::Alive);
    scene.revoke(&old, Some(&old_minted)).await.expect("revoked is revoked");
}

/// The server leaves out what it does not know and says nothing: the introspection shows it.
#[tokio::test]
async fn a_scope_that_was_left_out_is_missed() {
    let server = Server::start();
    let scene = scene(&server, SECRET, &["api:read", "api:none"]).await;
    match scene.create(1).await {
        Ok(minted) => {
            let found = scene.verify(&minted).await.unwrap();
            assert_eq!(found, Verification::Insufficient { missing: vec!["api:none".into()] });
        }
        Err(error) => assert_eq!(error.class(), Class::Invalid, "{error}"),
    }
}

#[tokio::test]
async fn a_wrong_secret_is_told_as_such() {
    let server = Server::start();
    let scene = scene(&server, "wrong", &["api:read"]).await;
    let error = scene.create(1).await.unwrap_err();
    assert!(error.class() == Class::Unauthorized && error.to_string().contains("oauth2-client"), "{error}");
}

/// A recipe that proves who it is with a private key, in every request of its own.
#[tokio::test]
async fn tokens_are_minted_with_a_client_assertion_of_every_algorithm() {
    let server = Server::start();
    let mut scene = scene(&server, SECRET, &["api:read"]).await;
    for (attempt, (algorithm, key)) in (1..).zip(SIGNERS) {
        scene.mend(|recipe| {
            recipe["credential"] = json!({
                "secretRef": recipe["credential"]["secretRef"],
                "assertion": {"clientId": algorithm, "algorithm": algorithm, "audience": format!("{}/token", server.url)},
            });
            for operation in ["create", "verify", "revoke"] {
                let form = recipe[operation]["request"]["form"].as_object_mut().unwrap();
                form.insert("client_assertion".into(), json!("${credential.assertion}"));
                let kind = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";
                form.insert("client_assertion_type".into(), json!(kind));
            }
        });
        scene.credential(json!({"privateKey": text(&format!("{key}.pem"))})).await;
        let (issued, minted) = scene.mint(attempt).await;
        let works = Verification::Works { surplus: vec![], expires_at: None };
        assert_eq!(scene.verify(&minted).await.unwrap(), works, "{algorithm}");
        scene.revoke(&issued, Some(&minted)).await.unwrap();
        assert_eq!(scene.liveness(&issued, Some(&minted)).await.unwrap(), Liveness::Dead, "{algorithm}");
    }
    // A key that is not the client's.
    scene.credential(json!({"privateKey": text("p256.pem")})).await;
    let error = scene.create(9).await.unwrap_err();
    assert!(error.class() == Class::Invalid && error.to_string().contains("is no Ed25519 key"), "{error}");
    scene.assert_told(&error);
}
