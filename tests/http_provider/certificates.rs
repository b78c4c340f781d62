//! A server that asks for client certificates.

use serde_json::json;
use tokenturn::{
    core::token::{Liveness, Verification},
    providers::{Class, Inspect},
    testkit::contract::Wire,
};

use crate::{
    scene::Scene,
    tls::{Gate, text},
};

/// The calls of the operator go through the gate, those of the token past it.
async fn scene() -> (Scene, Gate) {
    let mut scene = Scene::new(Wire::Grafana).await;
    let plain = scene.server.url();
    let gate = Gate::before(&plain).await;
    scene.mend(|recipe| {
        recipe["baseUrl"] = json!(gate.url);
        recipe["caBundle"] = json!(text("authority.crt"));
        recipe["verify"]["request"]["baseUrl"] = json!(plain);
        recipe["credential"]["clientCertificate"] = json!({});
    });
    (scene, gate)
}

#[tokio::test]
async fn a_client_certificate_is_shown_wherever_the_credential_is() {
    let (scene, gate) = scene().await;
    scene.credential(json!({"tls.crt": text("client-one.crt"), "tls.key": text("client-one.key")})).await;
    scene.driver.check_credential(&scene.owner.namespace).await.unwrap();
    let (issued, minted) = scene.mint(1).await;
    assert_eq!(gate.shown(), ["client-one"]);
    assert_eq!(scene.verify(&minted).await.unwrap(), Verification::Works { surplus: vec![], expires_at: None });
    assert!(gate.shown().is_empty());
    assert_eq!(scene.names().await.len(), 1);
    assert_eq!(gate.shown(), ["client-one"]);
    // Replaced: the next call shows the other one.
    scene.credential(json!({"tls.crt": text("client-two.crt"), "tls.key": text("client-two.key")})).await;
    scene.revoke(&issued, Some(&minted)).await.unwrap();
    assert_eq!(gate.shown(), ["client-two"]);
    assert_eq!(scene.liveness(&issued, Some(&minted)).await.unwrap(), Liveness::Dead);
}

#[tokio::test]
async fn a_client_certificate_that_cannot_be_used_is_told_without_its_key() {
    let (mut scene, gate) = scene().await;
    let list = async |scene: &Scene| scene.driver.list(scene.subject()).await.unwrap_err();
    let error = list(&scene).await;
    assert!(error.class() == Class::Invalid && error.to_string().contains("no key \"tls.crt\""), "{error}");
    for (certificate, key) in [
        ("client-one.crt", "client-two.key"),
        ("client-one.crt", "client-one.crt"),
        ("client-one.key", "client-one.key"),
        ("client-one.crt", "p256-encrypted.pem"),
    ] {
        scene.credential(json!({"tls.crt": text(certificate), "tls.key": text(key)})).await;
        let error = list(&scene).await;
        assert!(error.class() == Class::Invalid && error.to_string().contains("grafana-admin"), "{error}");
        let body: String = text(key).lines().nth(1).unwrap().chars().take(20).collect();
        assert!(!error.to_string().contains(&body), "{error}");
        scene.assert_told(&error);
        let error = scene
            .driver
            .check_credential(&scene.owner.namespace)
            .await
            .expect_err(&format!("{certificate} {key}, list said {error}"));
        assert!(error.to_string().contains("grafana-admin"), "{error}");
    }
    assert!(gate.shown().is_empty());
    // Without one the server lets nobody in.
    scene.mend(|recipe| recipe["credential"]["clientCertificate"] = json!(null));
    let error = list(&scene).await;
    assert_eq!(error.class(), Class::Unavailable, "{error}");
    assert_eq!(scene.server.seen().len(), 0);
}
