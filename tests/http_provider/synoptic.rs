//! Tokens without names, which are made by GET and end up to a minute after they are disabled.

use std::time::Duration;

use serde_json::json;
use tokenturn::{
    core::token::Liveness,
    providers::{Class, Inspect},
    testkit::contract::{Fault, Operation, Wire},
};

use crate::scene::Scene;

/// The fingerprints of all tokens of the account.
async fn census(scene: &Scene) -> Vec<String> {
    let found = scene.driver.preflight(scene.subject()).await.unwrap();
    found.expect("tokens without names").into_iter().collect()
}

/// A GET is not harmless here: each makes another token.
#[tokio::test]
async fn a_create_is_sent_once_and_what_it_left_behind_shows_in_the_list() {
    for fault in [Fault::Lost, Fault::DoneAndFailed, Fault::Garbage] {
        let scene = Scene::new(Wire::Synoptic).await;
        let before = census(&scene).await;
        scene.server.plan(Operation::Create, fault);
        let error = scene.create(1).await.unwrap_err();
        assert_eq!(error.class(), Class::Unknown, "{error}");
        assert_eq!(scene.server.count(Operation::Create), 1);
        let after = census(&scene).await;
        assert_eq!(after.iter().filter(|found| !before.contains(found)).count(), 1);
    }
}

#[tokio::test]
async fn a_new_token_has_the_restrictions_of_the_template_and_the_expiry_that_was_asked_for() {
    let scene = Scene::new(Wire::Synoptic).await;
    let (issued, minted) = scene.mint(1).await;
    let value = minted.values.get("token").unwrap().expose_str().unwrap().to_owned();
    let (settings, expires) = {
        let store = scene.server.store();
        let stored = store.find(&value).unwrap();
        (stored.permissions.clone(), stored.expires.unwrap())
    };
    assert_eq!(settings, [json!("origins")]);
    let late = expires.duration_since(issued.expires_at.unwrap());
    assert!(late.as_secs() >= 0 && late.as_secs() <= 60, "{late:?}");
}

/// Without its restrictions a token could be used from anywhere, so none is made.
#[tokio::test]
async fn no_token_is_made_when_the_template_is_gone() {
    let scene = Scene::new(Wire::Synoptic).await;
    scene.credential(json!({"template": "no-such-token"})).await;
    let error = scene.create(1).await.unwrap_err();
    assert_eq!(error.class(), Class::Invalid, "{error}");
    assert_eq!(scene.server.counts().0, 1, "the template only");
}

#[tokio::test]
async fn a_disabled_token_is_dead_when_neither_data_nor_the_list_know_it() {
    let scene = Scene::new(Wire::Synoptic).await;
    scene.server.store().behaviour.propagation = Duration::from_secs(2);
    let (issued, minted) = scene.mint(1).await;
    scene.revoke(&issued, Some(&minted)).await.unwrap();
    assert_eq!(scene.liveness(&issued, Some(&minted)).await.unwrap(), Liveness::Alive, "data is answered still");
    tokio::time::sleep(Duration::from_millis(2_200)).await;
    assert_eq!(scene.liveness(&issued, Some(&minted)).await.unwrap(), Liveness::Dead);
    // It is refused with 400 then, like a token that may not be disabled.
    scene.revoke(&issued, Some(&minted)).await.unwrap();
}

#[tokio::test]
async fn a_token_that_is_protected_is_told() {
    let scene = Scene::new(Wire::Synoptic).await;
    let (issued, minted) = scene.mint(1).await;
    scene.server.store().protect(minted.values.get("token").unwrap().expose_str().unwrap());
    let error = scene.revoke(&issued, Some(&minted)).await.unwrap_err();
    assert!(error.class() == Class::Invalid && error.to_string().contains("protected"), "{error}");
    scene.assert_told(&error);
    assert_eq!(scene.liveness(&issued, Some(&minted)).await.unwrap(), Liveness::Alive);
}

/// The data service has troubles of its own: they are not the death of a token.
#[tokio::test]
async fn only_the_code_for_it_says_that_a_token_is_not_accepted() {
    let scene = Scene::new(Wire::Synoptic).await;
    let (issued, minted) = scene.mint(1).await;
    for code in [400, 3, 500] {
        scene.server.plan(Operation::Verify, Fault::Refused(200, json!({"SUMMARY": {"RESPONSE_CODE": code}})));
        assert_eq!(scene.liveness(&issued, Some(&minted)).await.unwrap_err().class(), Class::Unavailable, "{code}");
    }
    scene.server.plan(Operation::Verify, Fault::Refused(200, json!({"SUMMARY": {"RESPONSE_CODE": 200}})));
    assert_eq!(scene.liveness(&issued, Some(&minted)).await.unwrap(), Liveness::StillListed, "the list has it still");
}
