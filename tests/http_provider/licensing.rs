//! What the licensing API says of itself, of the User Token and of a token's permissions is told as what it is.

use std::time::Duration;

use tokenturn::{
    core::token::{Liveness, Verification},
    providers::{Class, Provider},
    testkit::contract::{Fault, Operation, Wire},
};

use crate::scene::Scene;

fn plan(scene: &Scene, operation: Operation, status: u16, error: &str) {
    scene.server.plan(operation, Fault::Refused(status, serde_json::json!({ "error": error })));
}

#[tokio::test]
async fn each_refusal_of_the_licensing_api_has_a_condition_and_a_remedy_of_its_own() {
    for (status, error, is_class, reported) in [
        (401, "Invalid token", is_unauthorized as fn(Class) -> bool, "User Token is not accepted"),
        (403, "Access denied", |class| class == Class::Refused, "give it the permission"),
        (429, "Too Many Requests (Reached license limit)", is_quota, "licence's limit of calls"),
        (403, "Invalid license", |class| class == Class::AccountSuspended, "renew it"),
        (402, "Invalid license", |class| class == Class::AccountSuspended, "renew it"),
    ] {
        let scene = Scene::new(Wire::Licensing).await;
        plan(&scene, Operation::Create, status, error);
        let refused = scene.create(1).await.unwrap_err();
        assert!(is_class(refused.class()), "{status} {error}: {refused:?}");
        assert!(refused.to_string().contains(reported), "{refused}");
        scene.assert_told(&refused);
    }
}

fn is_unauthorized(class: Class) -> bool {
    class == Class::Unauthorized
}

fn is_quota(class: Class) -> bool {
    matches!(class, Class::QuotaExceeded { retry_after } if retry_after >= Duration::from_secs(15 * 60))
}

/// Calls beyond a quota make it no better, so none is sent for any token of the provider; and it stays told why.
#[tokio::test]
async fn nothing_is_sent_while_a_quota_is_used_up() {
    let scene = Scene::new(Wire::Licensing).await;
    plan(&scene, Operation::Create, 429, "Too Many Requests (Reached license limit)");
    scene.create(1).await.unwrap_err();
    let calls = scene.server.seen().len();
    for attempt in 2..5 {
        let error = scene.create(attempt).await.unwrap_err();
        assert!(matches!(error.class(), Class::QuotaExceeded { .. }), "{error:?}");
    }
    assert_eq!(scene.server.seen().len(), calls);
}

/// A token that may not do what was asked for is not published; one that may not do what it is tried with works all the
/// same.
#[tokio::test]
async fn permissions_are_tried() {
    let scene = Scene::new(Wire::Licensing).await;
    let (_, minted) = scene.mint(1).await;
    let works = Verification::Works { surplus: vec![], expires_at: None };
    assert_eq!(scene.verify(&minted).await.unwrap(), works);
    // The first call tries the token, the second the permission.
    for _ in 0..2 {
        plan(&scene, Operation::Verify, 403, "Access denied");
    }
    let missing = Verification::Insufficient { missing: vec!["View Products".to_owned()] };
    assert_eq!(scene.verify(&minted).await.unwrap(), missing);
    plan(&scene, Operation::Verify, 403, "Access denied");
    assert_eq!(scene.verify(&minted).await.unwrap(), works);
    plan(&scene, Operation::Verify, 401, "Invalid token");
    assert!(matches!(scene.verify(&minted).await.unwrap(), Verification::NotYet { .. }));
}

/// Where it is asked for, no token is minted for a tenant whose licence has run out.
#[tokio::test]
async fn a_licence_is_asked_for_before_each_token() {
    let mut scene = Scene::new(Wire::Licensing).await;
    scene.credential(serde_json::json!({"licenseKey": "LICENCE-main"})).await;
    let licensing = scene.source.provider.backend.licensing.as_mut().unwrap();
    licensing.licence = Some(serde_json::from_value(serde_json::json!({})).unwrap());
    scene.rebuild();
    let preflight = async || scene.driver.preflight(scene.subject()).await;
    preflight().await.unwrap();
    scene.server.store().tenants[0].is_expired = true;
    let error = preflight().await.unwrap_err();
    assert!(error.class() == Class::AccountSuspended && error.to_string().contains("renew it"), "{error}");
    assert_eq!(scene.server.count(Operation::Create), 0);
}

/// A User Token of another tenant mints tokens that work, but not there.
#[tokio::test]
async fn a_token_of_another_tenant_is_refused() {
    let mut scene = Scene::new(Wire::Licensing).await;
    let url = scene.server.url();
    let licensing = scene.source.provider.backend.licensing.as_mut().unwrap();
    licensing.endpoint.base_url = Some(url);
    licensing.tenant_path = Some("/tenants/main/products".into());
    scene.rebuild();
    let (issued, minted) = scene.mint(1).await;
    assert!(matches!(scene.verify(&minted).await.unwrap(), Verification::Works { .. }));
    let licensing = scene.source.provider.backend.licensing.as_mut().unwrap();
    licensing.tenant_path = Some("/tenants/other/products".into());
    scene.rebuild();
    let found = scene.verify(&minted).await.unwrap();
    assert!(matches!(&found, Verification::NotYet { why } if why.contains("another tenant")), "{found:?}");
    assert_eq!(scene.liveness(&issued, Some(&minted)).await.unwrap(), Liveness::Alive, "it is known, and not dead");
}
