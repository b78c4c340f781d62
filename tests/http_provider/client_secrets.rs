//! Client secrets: the two of an Okta app, that of a Keycloak client and the one before it, and clients that are
//! registered.

use serde_json::{Value, json};
use tokenturn::{
    core::token::{Handle, Liveness, Verification},
    providers::{Class, Inspect, LostAnswer, Strategy},
    testkit::{
        Keycloak, Realm,
        contract::{Fault, Operation, Wire},
    },
};

use crate::{authorization_server::Server, scene::Scene, typed::Typed};

const WORKS: Verification = Verification::Works { surplus: vec![], expires_at: None };

/// An app whose first secret is gone already.
async fn app() -> Scene {
    let scene = Scene::new(Wire::Okta).await;
    let mut store = scene.server.store();
    store.revoke(|secret| secret.name == "by the console");
    store.behaviour.slots = 2;
    drop(store);
    scene
}

/// What a lost answer left behind fills the second place; it is found by its name, which is the beginning of the
/// secret, and makes room.
#[tokio::test]
async fn a_secret_whose_answer_was_lost_makes_room_for_the_next() {
    let scene = app().await;
    let (old, old_minted) = scene.mint(1).await;
    scene.server.plan(Operation::Create, Fault::Lost);
    assert_eq!(scene.create(2).await.unwrap_err().class(), Class::Unknown);
    let refused = scene.create(3).await.unwrap_err();
    assert!(refused.class() == Class::Invalid && refused.to_string().contains("two client secrets"), "{refused}");
    let listed = scene.driver.list(scene.subject()).await.unwrap();
    let lost = listed.iter().find(|token| token.serial.attempt == 2).expect("the lost one");
    let lost = tokenturn::core::token::Issued { id: lost.id.clone(), handle: lost.handle.clone(), ..old.clone() };
    scene.revoke(&lost, None).await.unwrap();
    let (_, new_minted) = scene.mint(3).await;
    for minted in [&old_minted, &new_minted] {
        assert_eq!(scene.verify(minted).await.unwrap(), WORKS);
    }
    scene.revoke(&old, Some(&old_minted)).await.unwrap();
    assert_eq!(scene.liveness(&old, Some(&old_minted)).await.unwrap(), Liveness::Dead);
    assert_eq!(scene.names().await.len(), 1);
}

/// It is switched off first; when the delete fails, both are made again.
#[tokio::test]
async fn a_secret_that_was_switched_off_is_still_there_to_be_deleted() {
    let scene = app().await;
    let (old, old_minted) = scene.mint(1).await;
    scene.mint(2).await;
    scene.server.plan(Operation::Revoke, Fault::Status(503, vec![]));
    assert_eq!(scene.revoke(&old, Some(&old_minted)).await.unwrap_err().class(), Class::Unavailable);
    assert_eq!(scene.liveness(&old, Some(&old_minted)).await.unwrap(), Liveness::StillListed, "off, and in the way");
    scene.revoke(&old, Some(&old_minted)).await.unwrap();
    assert_eq!(scene.liveness(&old, Some(&old_minted)).await.unwrap(), Liveness::Dead);
}

#[tokio::test]
async fn the_last_secret_stays_and_says_why() {
    let scene = app().await;
    let (only, minted) = scene.mint(1).await;
    let error = scene.revoke(&only, Some(&minted)).await.unwrap_err();
    assert!(error.to_string().contains("the last secret of an app"), "{error}");
    assert_eq!(scene.liveness(&only, Some(&minted)).await.unwrap(), Liveness::Alive);
}

/// A realm that keeps the secret before the present one, and its client.
async fn rotating() -> (Realm, Typed) {
    let realm = Keycloak::get().await.unwrap().realm(&[]).await.unwrap();
    realm.keeps_rotated_secrets().await.unwrap();
    let admin = realm.client(&json!({"clientId": "tokenturn", "secret": "admin"})).await.unwrap();
    realm.may_manage_clients(&admin).await.unwrap();
    let client = realm.client(&json!({"clientId": "billing"})).await.unwrap();
    let change = |recipe: &mut Value| {
        recipe["baseUrl"] = json!(realm.url());
        let token = format!("{}/protocol/openid-connect/token", realm.issuer());
        recipe["credential"]["oauth2"]["tokenUrl"] = json!(token);
    };
    let mut scene = Typed::new("http/keycloak-client-secret", change, json!({"clientSecret": "admin"})).await;
    let parameters = &mut scene.source.specification.parameters;
    parameters.extend([("realm".to_owned(), realm.name().to_owned()), ("client".to_owned(), client)]);
    (realm, scene)
}

#[tokio::test]
async fn a_secret_that_another_one_displaced_works_until_it_is_revoked() {
    let (_realm, scene) = rotating().await;
    let capabilities = scene.driver.capabilities();
    assert_eq!((capabilities.strategy, capabilities.lost_answer), (Strategy::InPlace, LostAnswer::Recover));
    let (old, old_minted) = scene.mint(1).await;
    assert_eq!(old.handle, Handle::Displaced {});
    let (new, new_minted) = scene.replace(2, &old_minted).await;
    for minted in [&old_minted, &new_minted] {
        assert_eq!(scene.verify(minted).await.unwrap(), WORKS);
    }
    // The call names none: it is not made for the one in place.
    scene.revoke(&new, &new_minted).await.unwrap();
    for minted in [&old_minted, &new_minted] {
        assert_eq!(scene.verify(minted).await.unwrap(), WORKS);
    }
    scene.revoke(&old, &old_minted).await.unwrap();
    assert_eq!(scene.liveness(&old, &old_minted).await.unwrap(), Liveness::Dead);
    assert_eq!(scene.liveness(&new, &new_minted).await.unwrap(), Liveness::Alive);
    scene.revoke(&old, &old_minted).await.expect("revoked is revoked");
}

/// A second create would end the secret that is published.
#[tokio::test]
async fn a_secret_whose_answer_was_lost_is_read_and_taken() {
    let (_realm, scene) = rotating().await;
    let (_, published) = scene.mint(1).await;
    // A lost answer of the first attempt: the one that a person made works until another one displaces it.
    let (_, again) = scene.mint_after_a_lost_answer(2).await;
    assert_eq!(again.values.fingerprint(), published.values.fingerprint());
    // Its answer is lost here.
    let (_, lost) = scene.replace(3, &published).await;
    let (_, found) = scene.replace(4, &published).await;
    assert_eq!(found.values.fingerprint(), lost.values.fingerprint());
    for minted in [&published, &found] {
        assert_eq!(scene.verify(minted).await.unwrap(), WORKS);
    }
}

async fn registers(scene: Typed) {
    let capabilities = scene.driver.capabilities();
    assert_eq!(capabilities.lost_answer, LostAnswer::TellItsName);
    assert_eq!(capabilities.fields, ["clientId", "clientSecret"], "what deletes a client is not published");
    scene.rotate_once().await;
}

#[tokio::test]
async fn clients_are_registered_and_deleted() {
    let server = Server::start();
    let change = |recipe: &mut Value| recipe["baseUrl"] = json!(server.url);
    let scene = Typed::new("http/oauth2-client-registration", change, json!({"token": "initial"})).await;
    registers(scene).await;
}

/// The same recipe with the paths of another server, whose registration tokens are good once.
#[tokio::test]
async fn clients_are_registered_at_keycloak() {
    let realm = Keycloak::get().await.unwrap().realm(&["api:read"]).await.unwrap();
    let initial = realm.initial_access_token(&["api:read"]).await.unwrap();
    let change = |recipe: &mut Value| {
        recipe["baseUrl"] = json!(realm.issuer());
        recipe["create"]["request"]["path"] = json!("/clients-registrations/openid-connect");
        recipe["revoke"]["request"]["path"] = json!("/clients-registrations/openid-connect/${token.id}");
        recipe["verify"]["request"]["path"] = json!("/protocol/openid-connect/token");
    };
    let scene = Typed::new("http/oauth2-client-registration", change, json!({"token": initial})).await;
    registers(scene).await;
}
