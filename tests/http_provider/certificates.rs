//! A server that asks for client certificates.

use axum::{Router, response::Html};
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

/// Regression: a self-signed certificate was reported as `Other(OtherError(CaUsedAsEndEntity))`.
#[tokio::test]
async fn a_connection_that_fails_says_what_to_do() {
    let mut scene = Scene::new(Wire::Grafana).await;
    let plain = scene.server.url();
    let own = text("self-signed.crt");
    let self_signed = Gate::showing(&own, &text("self-signed.key"), &plain).await;
    let of_client = Gate::showing(&text("client-one.crt"), &text("client-one.key"), &plain).await;
    let open = Gate::open(&plain).await;
    let asks = Gate::before(&plain).await;
    let authority = text("authority.crt");
    let mut failed = Vec::new();
    for (url, bundle, what, raw) in [
        (self_signed.url.clone(), &own, "presents a CA certificate", "CaUsedAsEndEntity)"),
        (of_client.url, &authority, "is not issued for servers", "extended key usage"),
        (open.url.clone(), &own, "is not trusted; put the certificate of that CA into caBundle", "UnknownIssuer)"),
        (asks.url, &authority, "asks for a client certificate", "CertificateRequired)"),
        (plain.replace("http://", "https://"), &authority, "does not speak TLS", "InvalidContentType"),
        (open.url.replace("https://", "http://"), &authority, "does not answer with HTTP/1.1", "invalid HTTP"),
        ("https://127.0.0.1:1/api".to_owned(), &authority, "accepts no connection; check that it runs", "refused"),
        ("https://no-such-host.invalid/api".to_owned(), &authority, "DNS finds no address of the host", "lookup"),
    ] {
        scene.mend(|recipe| {
            recipe["baseUrl"] = json!(url);
            recipe["caBundle"] = json!(bundle);
        });
        let error = scene.driver.list(scene.subject()).await.unwrap_err();
        let reported = error.to_string();
        if error.class() != Class::Unavailable || !reported.contains(what) || !reported.contains(raw) {
            failed.push(format!("{url}: {reported}"));
        }
        scene.assert_told(&error);
    }
    assert!(failed.is_empty(), "{failed:#?}");
}

/// Regression: a login page was reported as an answer that lacks what the recipe reads.
#[tokio::test]
async fn a_page_in_the_place_of_json_is_called_one() {
    let page = Router::new().fallback(async || Html("<html>Please log in, SWORDFISH</html>"));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/api", listener.local_addr().unwrap());
    tokio::spawn(async move { axum::serve(listener, page).await });
    let mut scene = Scene::new(Wire::GitLab).await;
    scene.mend(|recipe| recipe["baseUrl"] = json!(url));
    let listed = scene.driver.list(scene.subject()).await.unwrap_err();
    let created = scene.create(1).await.unwrap_err();
    assert_eq!((listed.class(), created.class()), (Class::Invalid, Class::Unknown));
    for reported in [listed.to_string(), created.to_string()] {
        assert!(reported.contains("an HTML page, not JSON: probably of a login page or a proxy"), "{reported}");
        assert!(!reported.contains("SWORDFISH"), "{reported}");
    }
}
