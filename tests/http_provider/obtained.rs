//! Credentials that are obtained first: a token of a ServiceAccount, the session of a login.

use k8s_openapi::api::core::v1::ServiceAccount;
use kube::api::PostParams;
use serde_json::json;
use tokenturn::{
    core::token::{Handle, Liveness, Verification},
    providers::{Class, Inspect, LostAnswer, Strategy},
    testkit::contract::{Fault, Operation, Wire},
};

use crate::scene::Scene;

/// A ServiceAccount of a real control plane signs in at FOSSA.
#[tokio::test]
async fn a_token_of_the_cluster_is_exchanged() {
    let mut scene = Scene::of(Wire::Fossa, "fossa/exchange", "10s").await;
    let error = scene.create(1).await.unwrap_err();
    assert_eq!(error.class(), Class::CredentialMissing);
    assert!(error.to_string().contains("ServiceAccount") && error.to_string().contains("create it"), "{error}");
    let account = serde_json::from_value(json!({"metadata": {"name": "fossa-exchange"}})).unwrap();
    scene.space.api::<ServiceAccount>().create(&PostParams::default(), &account).await.unwrap();
    scene.driver.health(&scene.owner.namespace).await.unwrap();
    for (permission, attempt) in [("push-only", 1), ("full", 2)] {
        scene.source.specification.permissions = vec![permission.to_owned()];
        let (issued, minted) = scene.mint(attempt).await;
        assert_eq!(issued.handle, Handle::Nothing {});
        let left = issued.expires_at.unwrap().duration_since(jiff::Timestamp::now());
        assert!(left.as_hours() >= 11, "{left}");
        assert!(matches!(scene.verify(&minted).await.unwrap(), Verification::Works { .. }));
        assert_eq!(scene.liveness(&issued, Some(&minted)).await.unwrap(), Liveness::Alive);
    }
    assert_eq!(scene.driver.capabilities().lost_answer, LostAnswer::Repeat);
    scene.server.plan(Operation::Create, Fault::Refused(400, json!({"message": "Invalid token"})));
    let refused = scene.create(3).await.unwrap_err();
    assert!(refused.class() == Class::Invalid && refused.to_string().contains("trust relationship"), "{refused}");
    scene.assert_told(&refused);
}

/// The User Token of a tenant is replaced with an access token that it gave itself.
#[tokio::test]
async fn a_user_token_is_replaced_in_place() {
    let scene = Scene::of(Wire::Licensing, "licensing/user-token", "10s").await;
    let capabilities = scene.driver.capabilities();
    assert_eq!((capabilities.strategy, capabilities.lost_answer), (Strategy::InPlace, LostAnswer::Human));
    scene.driver.health(&scene.owner.namespace).await.unwrap();
    scene.driver.preflight(scene.subject()).await.unwrap();
    let minted = scene.replace(1, None).await.unwrap();
    assert!(matches!(scene.verify(&minted).await.unwrap(), Verification::Works { .. }));
    let before = scene.server.store().tenants[0].user_token.clone();
    assert_eq!(minted.values.get("userToken").unwrap().expose_str(), Some(before.as_str()));
    // It is not published yet: who shows the old one is told what to do.
    let error = scene.replace(2, Some(&minted)).await.unwrap_err();
    assert_eq!(error.class(), Class::Unauthorized, "{error}");
    assert!(error.to_string().contains("put the present one into the Secret"), "{error}");
    scene.credential(json!({"userToken": before})).await;
    let next = scene.replace(3, Some(&minted)).await.unwrap();
    assert!(matches!(scene.verify(&next).await.unwrap(), Verification::Works { .. }));
    let old = scene.issued(1, &minted);
    assert_eq!(scene.liveness(&old, Some(&minted)).await.unwrap(), Liveness::Dead);
}

/// A session is used until it ends, and dropped when it is refused.
#[tokio::test]
async fn a_session_is_held_and_dropped_when_it_is_refused() {
    let scene = Scene::of(Wire::Licensing, "licensing/user-token", "10s").await;
    let logins = || scene.server.count(Operation::Create);
    scene.server.plan(Operation::Replace, Fault::Status(503, vec![]));
    assert_eq!(scene.replace(1, None).await.unwrap_err().class(), Class::Unknown);
    scene.server.plan(Operation::Replace, Fault::Refused(403, json!({"error": "Access denied"})));
    assert_eq!(scene.replace(2, None).await.unwrap_err().class(), Class::Refused);
    assert_eq!(logins(), 1, "one for both");
    // A right that was given meanwhile may be in the next one only.
    scene.server.plan(Operation::Replace, Fault::Refused(401, json!({"error": "Invalid token"})));
    assert_eq!(scene.replace(3, None).await.unwrap_err().class(), Class::Unauthorized);
    assert_eq!(logins(), 2, "the one that may not do this was dropped");
    scene.replace(4, None).await.unwrap();
    assert_eq!(logins(), 3, "the refused one was dropped");
}
