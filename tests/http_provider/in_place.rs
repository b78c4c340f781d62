//! Refresh tokens that are good once: each is shown once, and only while it is known to be good.

use std::time::Duration;

use serde_json::json;
use tokenturn::{
    core::token::{Handle, Liveness, Verification},
    providers::{Class, Inspect, LostAnswer, Strategy},
    testkit::contract::{Fault, Operation, Wire},
};

use crate::scene::Scene;

async fn scene() -> Scene {
    Scene::of(Wire::OAuth2, "http/oauth2-refresh-token", "1s").await
}

#[tokio::test]
async fn each_token_is_made_of_the_one_before_it() {
    let scene = scene().await;
    let capabilities = scene.driver.capabilities();
    assert_eq!((capabilities.strategy, capabilities.lost_answer), (Strategy::InPlace, LostAnswer::Human));
    let first = scene.replace(1, None).await.unwrap();
    assert_eq!(first.handle, Handle::Replaced {});
    let second = scene.replace(2, Some(&first)).await.unwrap();
    assert_eq!(scene.verify(&second).await.unwrap(), Verification::Works { surplus: vec![], expires_at: None });
    assert_eq!(scene.liveness(&scene.issued(1, &first), Some(&first)).await.unwrap(), Liveness::Dead);
    assert_eq!(scene.liveness(&scene.issued(2, &second), Some(&second)).await.unwrap(), Liveness::Alive);
    let third = scene.replace(3, Some(&second)).await.unwrap();
    assert!(matches!(scene.verify(&third).await.unwrap(), Verification::Works { .. }));
}

/// A second use would end the family. What a lost answer has used up is not shown again; a person gives a new one.
#[tokio::test]
async fn a_first_token_that_may_be_used_up_is_not_shown_again() {
    for fault in [Fault::Lost, Fault::Silent, Fault::DoneAndFailed, Fault::Garbage] {
        let scene = scene().await;
        scene.server.plan(Operation::Refresh, fault.clone());
        let error = scene.replace(1, None).await.unwrap_err();
        assert_eq!(error.class(), Class::Unknown, "{fault:?}: {error}");
        let shown = || scene.server.seen().iter().filter(|seen| seen.operation == Operation::Refresh).count();
        let before = shown();
        for attempt in 2..4 {
            let error = scene.replace(attempt, None).await.unwrap_err();
            assert!(error.class() == Class::Invalid && error.to_string().contains("rotate-now"), "{error}");
            scene.assert_told(&error);
        }
        assert_eq!(shown(), before, "{fault:?}");
        assert_eq!(scene.server.store().alive().len(), 1, "{fault:?}: the family lives");
        let consent = scene.server.store().consent("", vec![json!("api:read")]);
        scene.credential(json!({"refreshToken": consent})).await;
        let minted = scene.replace(4, None).await.unwrap();
        assert!(matches!(scene.verify(&minted).await.unwrap(), Verification::Works { .. }));
    }
}

/// Whether it is good cannot be told: it is not shown.
#[tokio::test]
async fn a_first_token_that_cannot_be_looked_at_is_not_shown() {
    let scene = scene().await;
    scene.server.plan(Operation::Verify, Fault::Status(503, vec![]));
    assert_eq!(scene.replace(1, None).await.unwrap_err().class(), Class::Unavailable);
    assert_eq!(scene.server.count(Operation::Refresh), 0);
    scene.replace(1, None).await.unwrap();
}

/// What is asked first is part of the create's time: later, another replica could clear up behind it.
#[tokio::test]
async fn a_create_that_has_no_time_left_is_not_sent() {
    let scene = scene().await;
    scene.server.plan(Operation::Verify, Fault::Slow(Duration::from_millis(800)));
    let error = scene.replace(1, None).await.unwrap_err();
    assert!(error.class() == Class::Unavailable && error.to_string().contains("set a longer timeout"), "{error}");
    assert_eq!(scene.server.count(Operation::Refresh), 0);
}

#[tokio::test]
async fn a_secret_without_the_first_token_is_told() {
    let scene = scene().await;
    scene.credential(json!({"refreshToken": ""})).await;
    let error = scene.replace(1, None).await.unwrap_err();
    assert!(error.class() == Class::Invalid && error.to_string().contains("oauth2-client"), "{error}");
}
