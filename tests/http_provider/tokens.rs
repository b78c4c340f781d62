//! From mint to death, at every provider.

use std::time::Duration;

use jiff::Timestamp;
use serde_json::json;
use tokenturn::{
    core::token::{Handle, Liveness, Verification},
    providers::{Class, Expiry, Inspect, Strategy},
    testkit::{
        contract::{self, Fault, Operation, Wire},
        wait::until,
    },
};

use crate::scene::{Scene, each};

#[tokio::test]
async fn a_token_is_minted_found_tried_and_revoked() {
    each(async |scene| {
        let wire = scene.wire;
        scene.driver.preflight(scene.subject()).await.unwrap();
        let (issued, minted) = scene.mint(1).await;
        let value = minted.values.get("token").or_else(|| minted.values.get("clientSecret"));
        let value = value.and_then(|value| value.expose_str()).unwrap();
        assert!(scene.server.accepts(value), "{wire:?}");
        let works = scene.verify(&minted).await.unwrap();
        assert!(matches!(&works, Verification::Works { surplus, .. } if surplus.is_empty()), "{wire:?}: {works:?}");
        assert_eq!(scene.liveness(&issued, Some(&minted)).await.unwrap(), Liveness::Alive, "{wire:?}");
        if scene.has_list() {
            assert_eq!(scene.names().await, std::slice::from_ref(&issued.id), "{wire:?}");
            assert_eq!(scene.liveness(&issued, None).await.unwrap(), Liveness::Alive, "{wire:?}");
        }
        if scene.driver.capabilities().strategy == Strategy::Reissue {
            assert_eq!(issued.handle, Handle::Nothing {}, "{wire:?}");
            scene.revoke(&issued, Some(&minted)).await.unwrap();
            assert!(scene.server.accepts(value), "nothing was sent: {wire:?}");
            return;
        }
        scene.revoke(&issued, Some(&minted)).await.unwrap();
        assert_eq!(scene.liveness(&issued, Some(&minted)).await.unwrap(), Liveness::Dead, "{wire:?}");
        if scene.has_list() {
            assert_eq!(scene.liveness(&issued, None).await.unwrap(), Liveness::Dead, "{wire:?}");
        }
        assert!(!scene.server.accepts(value), "{wire:?}");
        assert!(scene.names().await.is_empty(), "{wire:?}");
        scene.revoke(&issued, Some(&minted)).await.expect("what is gone already is revoked");
        assert_eq!(scene.server.strange(), Vec::<String>::new(), "{wire:?}");
    })
    .await;
}

/// Two are valid together, and only the one that is meant is revoked; tokens of others stay.
#[tokio::test]
async fn only_the_token_that_is_meant_is_revoked() {
    each(async |scene| {
        let wire = scene.wire;
        if !scene.has_list() {
            return;
        }
        let account = match wire {
            Wire::GitLab => &scene.parameters()["project"],
            Wire::Grafana => &scene.parameters()["serviceAccount"],
            Wire::Cloudflare => &scene.parameters()["account"],
            Wire::Sentry => &scene.parameters()["organization"],
            Wire::SonarQube => &scene.parameters()["login"],
            Wire::Fossa => "4711",
            Wire::Okta => &scene.parameters()["app"],
            _ => "",
        };
        let foreign = ["tokenturn-install1-other-uid-1-1", "tokenturn-install2-6ad1bc7c-3a3c-1-1", "by hand", "x-1-1"];
        for name in foreign {
            // Where the name is part of the secret, that of others begins like ours.
            let value = (wire == Wire::Okta).then(|| format!("{name}.{name}"));
            scene.server.store().mint_as(account, name, vec![json!("x")], None, value.as_deref()).unwrap();
        }
        let (old, old_minted) = scene.mint(1).await;
        let (new, new_minted) = scene.mint(2).await;
        assert_eq!(scene.names().await, [old.id.clone(), new.id.clone()], "over several pages: {wire:?}");
        scene.revoke(&old, Some(&old_minted)).await.unwrap();
        assert_eq!(scene.liveness(&old, Some(&old_minted)).await.unwrap(), Liveness::Dead);
        assert_eq!(scene.liveness(&new, Some(&new_minted)).await.unwrap(), Liveness::Alive);
        let mut alive = scene.server.store().alive();
        alive.sort();
        alive.retain(|name| name != "by the console");
        let mut wanted: Vec<String> = foreign.iter().map(|name| (*name).to_owned()).collect();
        // There a secret has no name of its own.
        wanted.push(if wire == Wire::Okta { String::new() } else { new.id });
        wanted.sort();
        assert_eq!(alive, wanted, "{wire:?}");
    })
    .await;
}

#[tokio::test]
async fn a_token_lives_as_long_as_it_was_asked_for() {
    each(async |scene| {
        let asked = Timestamp::now() + scene.request(1).lifetime;
        let (issued, _) = scene.mint(1).await;
        let expiry = scene.driver.capabilities().expiry;
        assert_eq!(issued.expires_at.is_some(), expiry != Expiry::None, "{:?}", scene.wire);
        if let Some(at) = issued.expires_at.filter(|_| expiry == Expiry::Requested) {
            let late = Duration::try_from(at.duration_since(asked)).unwrap_or_default();
            // A date is rounded up; a time may lack its fraction.
            assert!(
                at + Duration::from_secs(1) > asked && late <= Duration::from_secs(86_400),
                "{:?}: {at}",
                scene.wire
            );
        }
    })
    .await;
}

#[tokio::test]
async fn a_token_that_becomes_usable_late_is_not_refused() {
    each(async |scene| {
        scene.server.store().behaviour.activation = Duration::from_millis(600);
        let (_, minted) = scene.mint(1).await;
        let verification = scene.verify(&minted).await.unwrap();
        assert!(matches!(verification, Verification::NotYet { .. }), "{:?}: {verification:?}", scene.wire);
        until("it to work", Duration::from_secs(10), async || {
            matches!(scene.verify(&minted).await.unwrap(), Verification::Works { .. }).then_some(())
        })
        .await
        .unwrap();
    })
    .await;
}

#[tokio::test]
async fn a_revoked_token_is_alive_as_long_as_it_is_accepted() {
    each(async |scene| {
        if scene.driver.capabilities().strategy == Strategy::Reissue {
            return;
        }
        scene.server.store().behaviour.propagation = Duration::from_millis(600);
        let (issued, minted) = scene.mint(1).await;
        scene.revoke(&issued, Some(&minted)).await.unwrap();
        assert_eq!(scene.liveness(&issued, Some(&minted)).await.unwrap(), Liveness::Alive, "{:?}", scene.wire);
        until("it to die", Duration::from_secs(10), async || {
            (scene.liveness(&issued, Some(&minted)).await.unwrap() == Liveness::Dead).then_some(())
        })
        .await
        .unwrap();
    })
    .await;
}

/// Where the provider says what a token may do: less is never published, more is told.
#[tokio::test]
async fn granted_permissions_are_compared_with_those_asked_for() {
    let scene = Scene::new(Wire::GitLab).await;
    let granted = async |scopes: serde_json::Value, attempt| {
        scene.server.store().behaviour.grants = Some(scopes.as_array().unwrap().clone());
        let minted = scene.create(attempt).await.unwrap();
        scene.verify(&minted).await.unwrap()
    };
    let less = granted(json!(["read_api"]), 1).await;
    assert_eq!(less, Verification::Insufficient { missing: vec!["read_repository".into()] });
    let more = granted(json!(["read_api", "read_repository", "sudo"]), 2).await;
    assert!(matches!(&more, Verification::Works { surplus, .. } if surplus == &["sudo"]), "{more:?}");
}

/// What is no word about the token is not taken for one: nothing is listed of OAuth 2.0 that could speak against it.
#[tokio::test]
async fn an_answer_about_something_else_kills_no_token() {
    for wire in [Wire::OAuth2, Wire::Licensing, Wire::Fossa] {
        // At OAuth 2.0 it is the operator's credential that is refused with 401, for example because its secret was
        // changed.
        let statuses: &[u16] = if wire == Wire::OAuth2 { &[401, 403, 404, 429, 500] } else { &[404, 429, 500] };
        for status in statuses {
            let scene = Scene::new(wire).await;
            let (issued, minted) = scene.mint(1).await;
            scene.server.plan(Operation::Verify, Fault::Status(*status, vec![]));
            let error = scene.liveness(&issued, Some(&minted)).await.unwrap_err();
            scene.assert_told(&error);
            scene.server.plan(Operation::Verify, Fault::Status(*status, vec![]));
            assert!(scene.verify(&minted).await.is_err(), "{wire:?} {status}");
            // A plan that is used up keeps everybody away for a while.
            if !(wire == Wire::Licensing && *status == 429) {
                assert_eq!(scene.liveness(&issued, Some(&minted)).await.unwrap(), Liveness::Alive, "{wire:?}");
            }
        }
    }
}

/// A gateway that refuses everything for a moment kills nothing that is still listed.
#[tokio::test]
async fn a_token_that_is_refused_and_still_listed_is_not_taken_for_dead() {
    each(async |scene| {
        if !scene.has_list() {
            return;
        }
        let (issued, minted) = scene.mint(1).await;
        scene.server.plan(Operation::Verify, Fault::Status(401, vec![]));
        assert_eq!(scene.liveness(&issued, Some(&minted)).await.unwrap(), Liveness::StillListed, "{:?}", scene.wire);
        assert_eq!(scene.liveness(&issued, Some(&minted)).await.unwrap(), Liveness::Alive, "{:?}", scene.wire);
    })
    .await;
}

/// By the list, and by a call about one token.
#[tokio::test]
async fn it_is_known_when_a_token_was_used_last() {
    let mut scene = Scene::new(Wire::GitLab).await;
    let (issued, minted) = scene.mint(1).await;
    let (other, _) = scene.mint(2).await;
    assert!(scene.driver.capabilities().tells_last_use);
    let last_use = async |scene: &Scene, token| scene.driver.last_use(scene.subject(), token, None).await.unwrap();
    assert_eq!(last_use(&scene, &issued).await, None);
    let value = minted.values.get("token").and_then(|value| value.expose_str()).unwrap();
    let before = Timestamp::now();
    assert_eq!(scene.server.use_token(&contract::client(), value).await.unwrap(), 200);
    let used = last_use(&scene, &issued).await.expect("it was used");
    assert!(used >= before && used <= Timestamp::now(), "{used}");
    assert_eq!(last_use(&scene, &other).await, None);
    scene.mend(|recipe| {
        recipe["list"]["lastUsed"] = json!(null);
        recipe["lastUsed"] = json!({
            "request": {"path": "/projects/${parameters.project}/access_tokens/${token.id}"},
            "answer": {"statuses": {"404": "Gone"}},
            "time": {"path": "$.last_used_at"},
        });
    });
    assert_eq!(last_use(&scene, &issued).await, Some(used));
    scene.revoke(&issued, Some(&minted)).await.unwrap();
    assert_eq!(last_use(&scene, &issued).await, None, "there is no such token");
}

/// Asked about by itself instead of by the whole list.
#[tokio::test]
async fn a_death_can_be_confirmed_by_a_call_about_one_token() {
    let mut scene = Scene::new(Wire::GitLab).await;
    scene.mend(|recipe| {
        recipe["confirm"] = json!({
            "request": {"path": "/projects/${parameters.project}/access_tokens/${token.id}"},
            "answer": {"statuses": {"404": "Gone"}},
        });
    });
    let (issued, minted) = scene.mint(1).await;
    assert_eq!(scene.liveness(&issued, None).await.unwrap(), Liveness::Alive);
    let lists = scene.server.count(Operation::List);
    scene.revoke(&issued, Some(&minted)).await.unwrap();
    assert_eq!(scene.liveness(&issued, Some(&minted)).await.unwrap(), Liveness::Dead);
    assert_eq!(scene.liveness(&issued, None).await.unwrap(), Liveness::Dead);
    assert_eq!(scene.server.count(Operation::List), lists, "nothing is listed");
}

/// Its value is known then, and never again.
#[tokio::test]
async fn a_token_whose_create_says_that_it_may_do_less_is_revoked_at_once() {
    let scene = Scene::new(Wire::Artifactory).await;
    scene.server.store().behaviour.grants = Some(vec![json!("applied-permissions/none")]);
    let error = scene.create(1).await.unwrap_err();
    assert!(error.class() == Class::Refused && error.to_string().contains("granted less"), "{error}");
    scene.assert_told(&error);
    assert_eq!(scene.server.store().minted(), 1);
    assert!(scene.server.store().alive().is_empty(), "it is dead");
    // What cannot be revoked may live.
    scene.server.plan(Operation::Revoke, Fault::Status(503, vec![]));
    let error = scene.create(2).await.unwrap_err();
    assert_eq!(error.class(), Class::Unknown, "{error}");
    assert_eq!(scene.server.store().alive().len(), 1);
}
