//! Who the operator is, and where it connects to.

use std::sync::Arc;

use k8s_openapi::api::core::v1::Secret;
use kube::api::{DeleteParams, Patch, PatchParams};
use serde_json::json;
use tokenturn::{
    api::{
        conditions::Reason,
        provider::{HttpProvider, Proxy},
    },
    core::{seen::answers::Fault, token::Liveness},
    providers::{
        Class, Provider,
        http::{
            Http, Shared,
            send::egress::{Egress, Profile},
            send::guard::{ApiServer, Reach},
        },
    },
    testkit::contract::{Operation, Wire},
};

use crate::scene::Scene;

/// The Secret is read for every call: one that is replaced or taken away counts at once.
#[tokio::test]
async fn the_credential_is_read_for_every_call() {
    let scene = Scene::new(Wire::Grafana).await;
    let secrets = scene.space.api::<Secret>();
    let list = async || scene.driver.list(scene.subject()).await;
    list().await.unwrap();
    let change = async |patch: serde_json::Value| {
        secrets.patch("grafana-admin", &PatchParams::default(), &Patch::Merge(patch)).await.unwrap();
    };
    change(json!({"stringData": {"token": "stale"}})).await;
    let error = list().await.unwrap_err();
    assert_eq!(error.class(), Class::Unauthorized, "{error}");
    for (value, why) in [("", "is empty"), ("a\nb", "line break")] {
        change(json!({"stringData": {"token": value}})).await;
        let error = list().await.unwrap_err();
        assert!(error.class() == Class::Invalid && error.to_string().contains(why), "{error}");
    }
    change(json!({"data": {"token": null}})).await;
    let error = list().await.unwrap_err();
    assert!(error.to_string().contains("no key \"token\""), "{error}");
    change(json!({"metadata": {"labels": {"tokenturn.dev/role": "record"}}})).await;
    let error = list().await.unwrap_err();
    assert!(error.to_string().contains("cannot be a credential"), "{error}");
    secrets.delete("grafana-admin", &DeleteParams::default()).await.unwrap();
    let error = list().await.unwrap_err();
    assert!(error.class() == Class::CredentialMissing && error.to_string().contains("does not exist"), "{error}");
    scene.assert_told(&error);
}

/// Loopback is where the server of this test is: without the flag nothing is sent there, by number or by name.
#[tokio::test]
async fn addresses_that_are_out_of_reach_are_not_connected_to() {
    let scene = Scene::new(Wire::Grafana).await;
    let mut recipe = scene.source.provider.backend.http.clone().unwrap();
    let reference = &scene.source.specification.provider;
    let reach = Reach { plain_http: true, ..Reach::default() };
    let shared = Shared::new(scene.space.client().clone(), "tokenturn-system", reach);
    let mistakes = Http::new("http", &recipe, reference, &shared).err().unwrap();
    assert!(mistakes[0].contains("--allow-loopback-providers"), "{mistakes:?}");
    recipe.base_url = recipe.base_url.replace("127.0.0.1", "localhost");
    let driver = Http::new("http", &recipe, reference, &shared).unwrap();
    let error = driver.list(scene.subject()).await.unwrap_err();
    assert!(error.class() == Class::Forbidden && error.to_string().contains("loopback address"), "{error}");
    let tls =
        Shared::new(scene.space.client().clone(), "tokenturn-system", Reach { loopback: true, ..Reach::default() });
    let mistakes = Http::new("http", &recipe, reference, &tls).err().unwrap();
    assert!(mistakes[0].contains("https://"), "{mistakes:?}");
    assert!(scene.server.seen().is_empty());
}

/// What the administrator's rules do not list is not asked; what they list is.
#[tokio::test]
async fn the_rules_for_egress_hold_where_a_request_is_sent() {
    let scene = Scene::new(Wire::Grafana).await;
    let recipe = scene.source.provider.backend.http.clone().unwrap();
    let reference = &scene.source.specification.provider;
    for (rules, why) in [
        ("tokenProviders: {hosts: {allow: ['*.example.com']}, addresses: {allow: [127.0.0.1]}}", "it (hosts)"),
        (
            "clusterTokenProviders: {hosts: {allow: [127.0.0.1]}, addresses: {allow: [127.0.0.1]}}",
            "127.0.0.1 (addresses)",
        ),
        ("tokenProviders: {hosts: {allow: [127.0.0.1]}}", "127.0.0.1 (addresses)"),
        ("tokenProviders: {hosts: {allow: [127.0.0.1]}, addresses: {allow: [127.0.0.0/8]}}", ""),
    ] {
        let egress = Arc::new(Egress::read(rules, Profile::Strict).unwrap());
        let reach = Reach { loopback: true, plain_http: true, egress, ..Reach::default() };
        let shared = Shared::new(scene.space.client().clone(), "tokenturn-system", reach);
        let driver = Http::new("http", &recipe, reference, &shared).unwrap();
        let listed = driver.list(scene.subject()).await;
        assert_eq!(scene.server.seen().is_empty(), !why.is_empty(), "{rules}: {listed:?}");
        let Err(error) = listed else { continue };
        assert_eq!(error.class(), Class::Forbidden, "{error}");
        let reported = format!("egress rules for TokenProviders do not allow {why}");
        assert!(!why.is_empty() && error.to_string().contains(&reported), "{error}");
        // A create that was refused is one that was never sent.
        assert_eq!(driver.create(&scene.request(1)).await.unwrap_err().class(), Class::Forbidden);
    }
}

/// Regression: a lasting refusal was told as one that passes by itself, and nobody was called.
#[tokio::test]
async fn what_is_refused_for_good_is_for_a_person_and_what_is_not_known_yet_is_not() {
    let scene = Scene::new(Wire::Grafana).await;
    let recipe = scene.source.provider.backend.http.clone().unwrap();
    let reference = &scene.source.specification.provider;
    let refused = async |change: fn(&mut HttpProvider), rules: &str, api_server: ApiServer| {
        let mut recipe = recipe.clone();
        change(&mut recipe);
        let egress = Arc::new(Egress::read(rules, Profile::Open).unwrap());
        let reach = Reach { loopback: true, plain_http: true, egress, api_server };
        let shared = Shared::new(scene.space.client().clone(), "tokenturn-system", reach);
        let driver = Http::new("http", &recipe, reference, &shared).unwrap();
        Fault::from(driver.create(&scene.request(1)).await.unwrap_err())
    };
    let named: fn(&mut HttpProvider) = |recipe| recipe.base_url = recipe.base_url.replace("127.0.0.1", "localhost");
    let elsewhere: fn(&mut HttpProvider) = |recipe| recipe.base_url = "http://192.0.2.1/api".to_owned();
    let through: fn(&mut HttpProvider) = |recipe| {
        recipe.proxy = Some(Proxy { url: "http://proxy.example.com:3128".to_owned(), credentials_ref: None });
    };
    let none = ApiServer::default;
    let loopback = "tokenProviders: {addresses: {deny: [127.0.0.0/8, '::1']}}";
    let proxies = "tokenProviders: {proxies: {allow: []}}";
    let behind = ApiServer::known(["192.0.2.1".parse().unwrap()].into());
    for (change, rules, api_server, reason, why) in [
        (named, loopback, none(), Reason::PolicyForbids, "localhost is not connected to because the egress rules"),
        (through, proxies, none(), Reason::PolicyForbids, "proxy.url: proxy.example.com is not connected to"),
        (elsewhere, "", ApiServer::unknown(), Reason::ProviderUnavailable, "it is not known yet"),
    ] {
        let fault = refused(change, rules, api_server).await;
        assert_eq!((fault.reason, fault.needs_person), (reason, reason == Reason::PolicyForbids), "{}", fault.message);
        assert!(fault.message.contains(why), "{}", fault.message);
    }
    // Where it stands in the recipe it is a mistake of that.
    let reach = Reach { plain_http: true, api_server: behind, ..Reach::default() };
    let shared = Shared::new(scene.space.client().clone(), "tokenturn-system", reach);
    let mut recipe = recipe.clone();
    elsewhere(&mut recipe);
    assert!(Http::new("http", &recipe, reference, &shared).is_err());
    assert!(scene.server.seen().is_empty());
}

/// Each request goes where it says, and no further than `baseUrl` may.
#[tokio::test]
async fn a_request_can_have_an_address_of_its_own() {
    let mut scene = Scene::new(Wire::Grafana).await;
    let url = scene.server.url();
    scene.mend(|recipe| {
        recipe["baseUrl"] = json!("http://127.0.0.1:1/nowhere");
        for operation in ["create", "list", "verify", "revoke"] {
            recipe[operation]["request"]["baseUrl"] = json!(url);
        }
    });
    let (issued, minted) = scene.mint(1).await;
    assert_eq!(scene.names().await, [issued.id.as_str()]);
    scene.revoke(&issued, Some(&minted)).await.unwrap();
    assert_eq!(scene.liveness(&issued, Some(&minted)).await.unwrap(), Liveness::Dead);
    let mut recipe = scene.source.provider.backend.http.clone().unwrap();
    recipe.verify.request.base_url = Some("http://169.254.169.254/latest".to_owned());
    let reach = Reach { loopback: true, plain_http: true, ..Reach::default() };
    let shared = Shared::new(scene.space.client().clone(), "tokenturn-system", reach);
    let mistakes = Http::new("http", &recipe, &scene.source.specification.provider, &shared).err().unwrap();
    assert!(mistakes.len() == 1 && mistakes[0].contains("link-local"), "{mistakes:?}");
}

/// A create that could not even connect is no unknown outcome, whether that was refused or took all of its time.
#[tokio::test]
async fn what_was_never_sent_is_not_unknown() {
    let mut scene = Scene::new(Wire::Grafana).await;
    let mut recipe = scene.source.provider.backend.http.clone().unwrap();
    recipe.base_url = "http://127.0.0.1:1/api".to_owned();
    let reach = Reach { loopback: true, plain_http: true, ..Reach::default() };
    let shared = Shared::new(scene.space.client().clone(), "tokenturn-system", reach);
    scene.driver = Http::new("http", &recipe, &scene.source.specification.provider, &shared).unwrap();
    let error = scene.create(1).await.unwrap_err();
    assert_eq!(error.class(), Class::Unavailable, "{error}");
    // Somebody is there and never says a word of TLS.
    let silent = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    recipe.base_url = format!("https://{}/api", silent.local_addr().unwrap());
    recipe.timeout = Some("1s".parse().unwrap());
    scene.driver = Http::new("http", &recipe, &scene.source.specification.provider, &shared).unwrap();
    let error = scene.create(2).await.unwrap_err();
    assert!(error.class() == Class::Unavailable && error.to_string().contains("no connection in time"), "{error}");
    assert_eq!(scene.server.count(Operation::Create), 0);
}

/// Parameters are data: none of them reaches another path, another field, another header.
#[tokio::test]
async fn parameters_stay_where_they_belong() {
    let mut scene = Scene::new(Wire::GitLab).await;
    for project in ["shop/frontend", "../../admin", "a b?c=d#e", "%2e%2e%2f", "ü\u{202e}"] {
        scene.source.specification.parameters.insert("project".into(), project.into());
        let (_, minted) = scene.mint(1).await;
        let account = scene.server.store().listed(project).len();
        assert_eq!(account, 1, "{project:?} arrives as it is");
        drop(minted);
    }
    for project in ["..", ".", ""] {
        scene.source.specification.parameters.insert("project".into(), project.into());
        let error = scene.create(2).await.unwrap_err();
        assert_eq!(error.class(), Class::Invalid, "{project:?}: {error}");
    }
    assert!(scene.server.strange().is_empty(), "{:?}", scene.server.strange());
}
