//! Who the operator is, and where it connects to.

use std::sync::Arc;

use k8s_openapi::api::core::v1::Secret;
use kube::api::{DeleteParams, Patch, PatchParams};
use serde_json::json;
use tokenturn::{
    core::token::Liveness,
    providers::{
        Class, Provider,
        http::{
            Http, Shared,
            egress::{Egress, Profile},
            guard::Reach,
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
    let list = async || scene.driver.list(&scene.owner, &scene.naming, &scene.source.specification).await;
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
    let error = driver.list(&scene.owner, &scene.naming, &scene.source.specification).await.unwrap_err();
    assert!(error.to_string().contains("loopback address"), "{error}");
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
    for (rules, is_allowed) in [
        ("tokenProviders: {hosts: {allow: ['*.example.com']}}", false),
        ("clusterTokenProviders: {hosts: {allow: [127.0.0.1]}}", false),
        ("tokenProviders: {hosts: {allow: [127.0.0.1]}}", true),
    ] {
        let egress = Arc::new(Egress::read(rules, Profile::Strict).unwrap());
        let reach = Reach { loopback: true, plain_http: true, egress, ..Reach::default() };
        let shared = Shared::new(scene.space.client().clone(), "tokenturn-system", reach);
        let driver = Http::new("http", &recipe, reference, &shared).unwrap();
        let listed = driver.list(&scene.owner, &scene.naming, &scene.source.specification).await;
        assert_eq!(listed.is_ok(), is_allowed, "{rules}: {listed:?}");
        assert_eq!(scene.server.seen().is_empty(), !is_allowed, "{rules}");
        let told = listed.err().map(|error| error.to_string()).unwrap_or_default();
        assert!(is_allowed || told.contains("egress rules for TokenProviders do not allow it (hosts)"), "{told}");
    }
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
