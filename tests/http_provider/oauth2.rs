//! The provider `oauth2` against a real authorization server.

use serde_json::{Value, json};
use tokenturn::{
    core::token::{Liveness, Verification},
    providers::{Class, Inspect, LostAnswer, RevokeBy, Strategy},
};

use crate::{
    authorization_server::{CLIENT, SECRET, SIGNERS, Server},
    tls::text,
    typed::Typed,
};

async fn typed(server: &Server, client: Value, secret: Value) -> Typed {
    let change = |settings: &mut Value| {
        settings["issuer"] = json!(server.url);
        settings["scopes"] = json!(["api:read", "api:write", "api:none"]);
        let known = settings["client"].as_object_mut().unwrap();
        known.extend(client.as_object().unwrap().clone());
    };
    Typed::new("oauth2/client-secret", change, secret).await
}

#[tokio::test]
async fn each_kind_of_client_mints_tries_and_revokes() {
    let server = Server::start();
    let mut kinds = vec![
        (json!({"clientId": CLIENT}), json!({"clientSecret": SECRET})),
        (json!({"clientId": null}), json!({"clientId": CLIENT, "clientSecret": format!("{SECRET}\n")})),
        (json!({"clientId": "post", "method": "ClientSecretPost"}), json!({"clientSecret": SECRET})),
        (
            json!({"clientId": null, "clientIdKey": "id", "secretKey": "s", "method": "ClientSecretPost"}),
            json!({"id": "post", "s": SECRET}),
        ),
    ];
    kinds.extend(SIGNERS.map(|(algorithm, key)| {
        let client = json!({"clientId": algorithm, "method": "PrivateKeyJwt", "algorithm": algorithm});
        (client, json!({"privateKey": text(&format!("{key}.pem"))}))
    }));
    let mut scene = typed(&server, kinds[0].0.clone(), kinds[0].1.clone()).await;
    for (client, secret) in kinds {
        scene.mend(|settings| {
            let known = settings["client"].as_object_mut().unwrap();
            *known = json!({"secretRef": known["secretRef"]}).as_object().unwrap().clone();
            known.extend(client.as_object().unwrap().clone());
        });
        scene.secret(secret).await;
        scene.rotate_once().await;
    }
}

/// Without metadata; the assertion is for the token endpoint then.
#[tokio::test]
async fn endpoints_can_be_said() {
    let server = Server::start();
    let mut scene = typed(&server, json!({"clientId": CLIENT}), json!({"clientSecret": SECRET})).await;
    scene.mend(|settings| {
        settings["issuer"] = json!(null);
        let at = |path: &str| json!(format!("{}/{path}", server.url));
        settings["endpoints"] = json!({
            "token": at("token"), "introspection": at("token/introspection"), "revocation": at("token/revocation"),
        });
    });
    scene.rotate_once().await;
    scene.mend(|settings| {
        let client = settings["client"].as_object_mut().unwrap();
        client.extend(
            json!({"clientId": "ES256", "method": "PrivateKeyJwt", "algorithm": "ES256"}).as_object().unwrap().clone(),
        );
    });
    scene.secret(json!({"privateKey": text("p256.pem")})).await;
    scene.rotate_once().await;
    // No endpoint for revocation: tokens are left to their expiry.
    scene.mend(|settings| settings["endpoints"]["revocation"] = json!(null));
    let capabilities = scene.driver.capabilities();
    assert_eq!((capabilities.strategy, capabilities.revoke_by), (Strategy::Reissue, RevokeBy::Nothing));
    let (issued, minted) = scene.mint(5).await;
    scene.revoke(&issued, &minted).await.unwrap();
    assert_eq!(scene.liveness(&issued, &minted).await.unwrap(), Liveness::Alive);
}

/// What the provider can do is known without asking the server.
#[tokio::test]
async fn what_it_can_do_is_known_before_the_server_answers() {
    let server = Server::start();
    let mut scene = typed(&server, json!({}), json!({"clientSecret": SECRET})).await;
    scene.mend(|settings| settings["issuer"] = json!("http://127.0.0.1:1/nowhere"));
    let capabilities = scene.driver.capabilities();
    assert_eq!((capabilities.strategy, capabilities.revoke_by), (Strategy::Overlap, RevokeBy::Value));
    assert_eq!((capabilities.lost_answer, capabilities.label), (LostAnswer::Repeat, false));
    let error = scene.create(1).await.unwrap_err();
    assert!(error.class() == Class::Unavailable && error.to_string().contains("metadata"), "{error}");
    scene.mend(|settings| settings["issuer"] = json!(format!("{}/nowhere", server.url)));
    let error = scene.preflight().await.unwrap_err();
    assert!(error.class() == Class::Invalid && error.to_string().contains("check issuer"), "{error}");
    // To the letter (RFC 8414, section 3.3).
    scene.mend(|settings| settings["issuer"] = json!(format!("{}/", server.url)));
    let error = scene.preflight().await.unwrap_err();
    assert!(error.class() == Class::Invalid && error.to_string().contains("another issuer"), "{error}");
    let mistakes = scene.tried(|settings| settings["issuer"] = json!("https://169.254.169.254")).err().unwrap();
    assert!(mistakes.contains("link-local"), "{mistakes}");
    let mistakes = scene.tried(|settings| {
        settings["issuer"] = json!("https://as.example");
        settings["scopes"] = json!(["a", "a"]);
    });
    assert!(mistakes.err().unwrap().contains("spec.oauth2.scopes: \"a\" is listed twice"));
}

#[tokio::test]
async fn refusals_say_what_to_look_at() {
    let server = Server::start();
    let mut scene = typed(&server, json!({"clientId": CLIENT}), json!({"clientSecret": "canary"})).await;
    let error = scene.create(1).await.unwrap_err();
    let reported = error.to_string();
    assert!(
        error.class() == Class::Unauthorized
            && reported.contains("invalid_client")
            && reported.contains("billing-client"),
        "{reported}"
    );
    assert!(!reported.contains("canary"), "{reported}");
    scene.secret(json!({"clientSecret": SECRET})).await;
    // A scope that the server leaves out without a word, or refuses.
    scene.source.specification.permissions = vec!["api:read".into(), "api:none".into()];
    match scene.create(2).await {
        Ok(minted) => {
            let found = scene.verify(&minted).await.unwrap();
            assert_eq!(found, Verification::Insufficient { missing: vec!["api:none".into()] });
        }
        Err(error) => assert!(error.to_string().contains("invalid_scope"), "{error}"),
    }
    scene.source.specification.permissions = vec!["api:read".into()];
    scene.mend(|settings| settings["resource"] = json!("no URI"));
    let error = scene.create(3).await.unwrap_err();
    assert!(error.class() == Class::Invalid && error.to_string().contains("invalid_target"), "{error}");
    assert!(error.to_string().contains("check resource"), "{error}");
}

/// A token that nothing answers for at the server is tried at the API; here that is the server's own introspection,
/// which wants more.
#[tokio::test]
async fn a_token_can_be_tried_at_an_api() {
    let server = Server::start();
    let mut scene = typed(&server, json!({"clientId": CLIENT}), json!({"clientSecret": SECRET})).await;
    scene.mend(|settings| {
        settings["verify"] = json!({"url": format!("{}/.well-known/openid-configuration?a=b", server.url)});
        settings["revocation"] = json!("Never");
    });
    assert_eq!(scene.driver.capabilities().strategy, Strategy::Reissue);
    let (issued, minted) = scene.mint(1).await;
    assert_eq!(scene.verify(&minted).await.unwrap(), Verification::Works { surplus: vec![], expires_at: None });
    scene.revoke(&issued, &minted).await.expect("nothing is sent");
    // Answered with 401: that is about the token.
    scene.mend(|settings| settings["verify"]["url"] = json!(format!("{}/me", server.url)));
    let found = scene.verify(&minted).await.unwrap();
    assert!(matches!(found, Verification::NotYet { .. }), "{found:?}");
}
