//! Calls that go through an HTTP proxy.

use std::time::{Duration, Instant};

use k8s_openapi::api::core::v1::Secret;
use kube::api::{DeleteParams, Patch, PatchParams};
use serde_json::{Value, json};
use tokenturn::{
    api::{ProviderKind, ProviderRef},
    core::token::{Liveness, Verification},
    providers::{
        Class, Error, Inspect, Provider,
        http::{Http, Shared, send::guard::Reach},
    },
    testkit::contract::{Operation, Wire},
};

use crate::{
    authorization_server::{CLIENT, SECRET, Server},
    forward_proxy::{BEHIND, ForwardProxy, Mood},
    scene::Scene,
    tls::{Gate, acceptor, text},
    typed::Typed,
};

const ASKS: Mood = Mood::Asks("squid", "p:a%ss wörd");

async fn secret(scene: &Scene, data: Value) {
    let secret = json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "proxy"}, "stringData": data});
    let parameters = PatchParams::apply("test").force();
    scene.space.api::<Secret>().patch("proxy", &parameters, &Patch::Apply(&secret)).await.unwrap();
}

/// An example whose API is behind TLS, and is reached through a proxy.
async fn scene(mood: Mood, timeout: &str) -> (Scene, Gate, ForwardProxy) {
    let mut scene = Scene::with_timeout(Wire::Grafana, timeout).await;
    let gate = Gate::open(&scene.server.url()).await;
    let proxy = ForwardProxy::start(mood).await;
    scene.mend(|recipe| {
        recipe["baseUrl"] = json!(gate.url);
        recipe["caBundle"] = json!(text("authority.crt"));
        recipe["proxy"] = json!({"url": proxy.url, "credentialsRef": {"name": "proxy"}});
    });
    secret(&scene, json!({"username": "squid\n", "password": "p:a%ss wörd\n"})).await;
    (scene, gate, proxy)
}

fn assert_told(scene: &Scene, error: &Error, class: Class, reported: &str) {
    assert!(error.class() == class && error.to_string().contains(reported), "{:?} {error}", error.class());
    assert!(!error.to_string().contains("p:a%ss"), "{error}");
    scene.assert_told(error);
}

#[tokio::test]
async fn every_call_goes_through_the_proxy_and_none_past_it() {
    let (scene, gate, proxy) = scene(ASKS, "10s").await;
    scene.driver.check_credential(&scene.owner.namespace).await.unwrap();
    scene.driver.preflight(scene.subject()).await.unwrap();
    let (issued, minted) = scene.mint(1).await;
    assert_eq!(scene.verify(&minted).await.unwrap(), Verification::Works { surplus: vec![], expires_at: None });
    assert_eq!(scene.names().await.len(), 1);
    scene.revoke(&issued, Some(&minted)).await.unwrap();
    assert_eq!(scene.liveness(&issued, Some(&minted)).await.unwrap(), Liveness::Dead);
    let asked = proxy.asked();
    let host = gate.url.strip_prefix("https://").unwrap().split('/').next().unwrap();
    assert!(asked.iter().all(|line| *line == format!("CONNECT {host} HTTP/1.1")), "no path, no token: {asked:?}");
    assert_eq!((asked.len(), proxy.passed()), (scene.server.seen().len(), scene.server.seen().len()));
}

/// Authorities, client certificates and the token's own calls are as without a proxy, and one that speaks TLS is an
/// authority's too.
#[tokio::test]
async fn client_certificates_are_shown_to_the_api_through_the_proxy() {
    let mut scene = Scene::new(Wire::Grafana).await;
    let gate = Gate::before(&scene.server.url()).await;
    let proxy = ForwardProxy::encrypted(ASKS, acceptor(false)).await;
    secret(&scene, json!({"username": "squid", "password": "p:a%ss wörd"})).await;
    let shows = json!({"tls.crt": text("client-one.crt"), "tls.key": text("client-one.key")});
    scene.credential(shows).await;
    scene.mend(|recipe| {
        recipe["baseUrl"] = json!(gate.url);
        recipe["caBundle"] = json!(text("authority.crt"));
        recipe["credential"]["clientCertificate"] = json!({});
        recipe["proxy"] = json!({"url": proxy.url, "credentialsRef": {"name": "proxy"}});
    });
    scene.mint(1).await;
    assert_eq!((gate.shown().as_slice(), proxy.passed()), (["client-one"].as_slice(), 1));
    scene.mend(|recipe| recipe["caBundle"] = Value::Null);
    let error = scene.create(2).await.unwrap_err();
    assert_told(&scene, &error, Class::Unavailable, "through the proxy 127.0.0.1: the CA that signed the certificate");
}

/// Nothing was minted, and that is known: no unknown outcome.
#[tokio::test]
async fn a_proxy_that_lets_nothing_through_is_told_and_nothing_was_sent() {
    let (scene, _gate, proxy) = scene(ASKS, "1s").await;
    let connection = "refuses the connection to it";
    for (mood, class, reported) in [
        (
            Mood::Answers("407 Proxy Authentication Required"),
            Class::Unauthorized,
            "the user name and the password of the",
        ),
        (Mood::Answers("403 Forbidden"), Class::Unavailable, connection),
        (Mood::Answers("502 Bad Gateway"), Class::Unavailable, connection),
        (Mood::Answers("200"), Class::Unavailable, "through the proxy 127.0.0.1: "),
        (Mood::Closes, Class::Unavailable, "through the proxy 127.0.0.1: "),
        (Mood::Silent, Class::Unavailable, "through the proxy 127.0.0.1: no connection in time"),
    ] {
        proxy.mood(mood.clone());
        let begun = Instant::now();
        let error = scene.create(1).await.unwrap_err();
        assert_told(&scene, &error, class, reported);
        assert!(error.to_string().contains("proxy 127.0.0.1"), "{error}");
        assert!(begun.elapsed() < Duration::from_secs(5), "{mood:?}");
        assert_eq!(proxy.asked().len(), 1, "{mood:?}: asked once");
    }
    assert_eq!(scene.server.seen().len(), 0);
}

/// One that is replaced or taken away counts at once; a token is tried without the operator's credential, and not
/// without the proxy's.
#[tokio::test]
async fn the_proxys_secret_is_read_for_every_call() {
    let (scene, _gate, proxy) = scene(ASKS, "10s").await;
    let secrets = scene.space.api::<Secret>();
    let change = async |patch: Value| {
        secrets.patch("proxy", &PatchParams::default(), &Patch::Merge(patch)).await.unwrap();
    };
    let (issued, minted) = scene.mint(1).await;
    change(json!({"stringData": {"password": "old"}})).await;
    let error = scene.create(2).await.unwrap_err();
    let reported = format!("the password of the Secret {}/proxy", scene.space.name());
    assert_told(&scene, &error, Class::Unauthorized, &reported);
    change(json!({"stringData": {"password": "p:a%ss wörd"}})).await;
    scene.mint(3).await;
    let passed = proxy.passed();
    change(json!({"data": {"password": null}})).await;
    let error = scene.driver.check_credential(&scene.owner.namespace).await.unwrap_err();
    assert!(error.class() == Class::Invalid && error.to_string().contains(r#"no key "password""#), "{error}");
    change(json!({"metadata": {"labels": {"tokenturn.dev/role": "record"}}})).await;
    let error = scene.create(4).await.unwrap_err();
    assert_told(&scene, &error, Class::Invalid, "is written by tokenturn");
    secrets.delete("proxy", &DeleteParams::default()).await.unwrap();
    let error = scene.verify(&minted).await.unwrap_err();
    assert_told(&scene, &error, Class::CredentialMissing, "of the proxy does not exist; create it");
    assert!(scene.liveness(&issued, Some(&minted)).await.is_err(), "nobody takes it for dead");
    assert_eq!(proxy.passed(), passed);
}

/// For everybody it is in the operator's namespace; without one nobody is shown.
#[tokio::test]
async fn the_proxys_secret_is_where_the_credential_is() {
    let (mut scene, _gate, proxy) = scene(ASKS, "10s").await;
    let reach = Reach { loopback: true, plain_http: true, ..Reach::default() };
    let shared = Shared::new(scene.space.client().clone(), scene.space.name(), reach);
    let own = scene.source.specification.provider.clone();
    let reference = ProviderRef { kind: ProviderKind::ClusterTokenProvider, ..own };
    let everybody = Http::new("http", scene.recipe(), &reference, &shared).unwrap();
    scene.owner.namespace = "default".to_owned();
    everybody.create(&scene.request(1)).await.unwrap();
    scene.owner.namespace = scene.space.name().to_owned();
    scene.mend(|recipe| recipe["proxy"]["credentialsRef"] = Value::Null);
    let error = scene.create(2).await.unwrap_err();
    assert_told(&scene, &error, Class::Unauthorized, "name a Secret with them in proxy.credentialsRef");
    proxy.mood(Mood::Open);
    scene.mint(3).await;
}

/// Where plain HTTP is allowed the proxy reads it, and resolves names that nobody else knows.
#[tokio::test]
async fn plain_requests_go_through_the_proxy_where_they_are_allowed() {
    let (mut scene, _gate, proxy) = scene(ASKS, "10s").await;
    let url = scene.server.url().replace("127.0.0.1", BEHIND);
    scene.mend(|recipe| recipe["baseUrl"] = json!(url));
    let (issued, minted) = scene.mint(1).await;
    assert_eq!(scene.liveness(&issued, Some(&minted)).await.unwrap(), Liveness::Alive);
    assert!(proxy.asked().iter().all(|line| line.contains(&format!(" http://{BEHIND}:"))));
    assert_eq!(scene.server.count(Operation::Create), 1);
    proxy.mood(Mood::Asks("squid", "another"));
    let error = scene.create(2).await.unwrap_err();
    assert_told(&scene, &error, Class::Unauthorized, "the proxy 127.0.0.1 does not accept");
    let reach = Reach { loopback: true, ..Reach::default() };
    let shared = Shared::new(scene.space.client().clone(), "tokenturn-system", reach);
    let mistakes = Http::new("http", scene.recipe(), &scene.source.specification.provider, &shared).err().unwrap();
    assert!(mistakes.len() == 1 && mistakes[0].starts_with("baseUrl: has to begin with https://"), "{mistakes:?}");
}

/// The proxy's own address, and addresses that stand in URLs, are looked at as without a proxy.
#[tokio::test]
async fn the_guard_holds_for_the_proxy() {
    let (mut scene, _gate, proxy) = scene(Mood::Open, "10s").await;
    let shared = Shared::new(scene.space.client().clone(), "tokenturn-system", Reach::default());
    let reference = scene.source.specification.provider.clone();
    let refused = |scene: &Scene| Http::new("http", scene.recipe(), &reference, &shared).err().unwrap();
    let mistakes = refused(&scene);
    assert!(
        mistakes.iter().any(|mistake| mistake.starts_with("proxy.url: 127.0.0.1 is not connected")),
        "{mistakes:?}"
    );
    scene.mend(|recipe| recipe["proxy"]["url"] = json!("http://proxy.example.com:3128"));
    let mistakes = refused(&scene);
    assert!(mistakes.len() == 1 && mistakes[0].starts_with("baseUrl: 127.0.0.1"), "{mistakes:?}");
    // By name: looked at when it is resolved.
    let named = proxy.url.replace("127.0.0.1", "localhost");
    scene.mend(|recipe| {
        recipe["baseUrl"] = json!("https://provider.invalid/api");
        recipe["proxy"]["url"] = json!(named);
    });
    let driver = Http::new("http", scene.recipe(), &reference, &shared).unwrap();
    let error = driver.create(&scene.request(1)).await.unwrap_err();
    assert_told(&scene, &error, Class::Forbidden, "localhost is not connected to because it is a loopback address");
    assert_eq!(proxy.asked(), Vec::<String>::new());
}

/// Metadata, tokens, introspection and revocation of an authorization server.
#[tokio::test]
async fn an_authorization_server_is_reached_through_the_proxy() {
    let server = Server::start();
    let proxy = ForwardProxy::start(Mood::Open).await;
    let change = |settings: &mut Value| {
        settings["issuer"] = json!(server.url);
        settings["client"]["clientId"] = json!(CLIENT);
        settings["proxy"] = json!({"url": proxy.url});
    };
    let mut scene = Typed::new("oauth2/client-secret", change, json!({"clientSecret": SECRET})).await;
    scene.rotate_once().await;
    let asked = proxy.asked();
    for part in ["/.well-known/openid-configuration", "/token ", "/token/introspection", "/token/revocation"] {
        assert!(asked.iter().any(|line| line.contains(part)), "{part}: {asked:?}");
    }
    let why = scene.tried(|settings| settings["proxy"]["url"] = json!("socks5://proxy.example.com")).err().unwrap();
    assert!(why.contains("spec.oauth2.proxy.url: has to begin with"), "{why}");
}

/// The built-in recipes.
#[tokio::test]
async fn typed_providers_are_reached_through_the_proxy() {
    for wire in [Wire::Fossa, Wire::Synoptic, Wire::Licensing] {
        let mut scene = Scene::new(wire).await;
        let proxy = ForwardProxy::start(Mood::Open).await;
        let mut backend = json!(scene.source.provider.backend);
        let settings = backend.as_object_mut().unwrap().values_mut().next().unwrap();
        settings["proxy"] = json!({"url": proxy.url});
        scene.source.provider.backend = serde_json::from_value(backend).unwrap();
        scene.rebuild();
        let (_, minted) = scene.mint(1).await;
        scene.verify(&minted).await.unwrap();
        assert!(proxy.passed() >= 2, "{wire:?}");
        assert_eq!(proxy.passed(), scene.server.seen().len(), "{wire:?}");
    }
}
