//! Answers that are lost, late, wrong, or say something else than yes.

use std::time::Duration;

use tokenturn::{
    core::token::Liveness,
    providers::{Class, Inspect, LostAnswer},
    testkit::contract::{Fault, Operation, Wire},
};

use crate::scene::{Scene, each};

/// A create whose answer is lost is sent once, told as an unknown outcome, and what it left behind is found and
/// revoked.
#[tokio::test]
async fn what_a_lost_create_left_behind_is_found_and_revoked() {
    for wire in Wire::ALL {
        let scene = Scene::with_timeout(wire, "1s").await;
        let faults = [Fault::Lost, Fault::Silent, Fault::DoneAndFailed, Fault::Garbage];
        for (attempt, fault) in (1..).zip(faults) {
            scene.server.plan(Operation::Create, fault.clone());
            let error = scene.create(attempt).await.unwrap_err();
            assert_eq!(error.class(), Class::Unknown, "{wire:?} {fault:?}: {error}");
            scene.assert_told(&error);
            let minted = scene.server.store().minted() - scene.before();
            assert_eq!(minted as i64, attempt, "{wire:?} {fault:?}: sent once");
            let listed = scene.driver.list(scene.subject()).await.unwrap();
            let lost_answer = scene.driver.capabilities().lost_answer;
            if matches!(lost_answer, LostAnswer::Repeat | LostAnswer::TellAndRepeat) {
                assert!(listed.is_empty(), "{wire:?} {fault:?}: it ends when it expires");
                continue;
            }
            assert!(!listed.is_empty(), "{wire:?} {fault:?}");
            // Known from the list only: without its value.
            let issued = scene.known(&listed[0]);
            if matches!(lost_answer, LostAnswer::Human | LostAnswer::ListAndRevokeIfShown) {
                let error = scene.revoke(&issued, None).await.unwrap_err();
                assert!(error.class() == Class::Invalid && error.to_string().contains("by hand"), "{error}");
                continue;
            }
            assert_eq!(listed.len(), 1, "{wire:?} {fault:?}");
            scene.revoke(&issued, None).await.unwrap();
            assert_eq!(scene.liveness(&issued, None).await.unwrap(), Liveness::Dead);
            let living = if wire == Wire::Okta { scene.before() } else { 0 };
            assert_eq!(scene.server.store().alive().len(), living, "{wire:?}");
        }
    }
}

/// Where the expiry is what ends a token, one that says none is not taken: it would never be renewed.
#[tokio::test]
async fn a_token_without_the_expiry_that_ends_it_is_not_taken() {
    for wire in [Wire::Licensing, Wire::OAuth2] {
        let mut scene = Scene::new(wire).await;
        scene.mend(|recipe| recipe["create"]["expires"] = serde_json::json!({"path": "$.nowhere"}));
        let flaw = scene.create(1).await.unwrap().flaw.unwrap();
        assert!(flaw.contains("create.expires ($.nowhere) finds no expiry"), "{wire:?}: {flaw}");
    }
}

/// A redirect is not followed: neither the credential nor a second create goes anywhere else.
#[tokio::test]
async fn redirects_are_not_followed() {
    each(async |scene| {
        let elsewhere = Scene::new(scene.wire).await;
        for operation in [Operation::Create, Operation::List] {
            scene.server.plan(operation, Fault::Redirect(elsewhere.server.url()));
        }
        let error = scene.create(1).await.unwrap_err();
        assert_eq!(error.class(), Class::Invalid, "{error}");
        let reported = error.to_string();
        let says = ["redirects to 127.0.0.1", "never follows a redirect", "set the base URL to the final address"];
        assert!(says.iter().all(|what| reported.contains(what)), "{reported}");
        let listed = scene.driver.list(scene.subject()).await;
        assert_eq!(listed.is_err(), scene.has_list());
        assert!(elsewhere.server.seen().is_empty() && elsewhere.server.strange().is_empty(), "{:?}", scene.wire);
        assert_eq!(scene.server.store().minted(), scene.before());
    })
    .await;
}

/// What each status means, and that the person is told where to look.
#[tokio::test]
async fn refusals_are_classified() {
    let slow_down = Class::RateLimited { retry_after: None };
    for (status, class, word) in [
        (401, Class::Unauthorized, "gitlab-admin"),
        (403, Class::Refused, "gitlab-admin"),
        (404, Class::Invalid, "baseUrl"),
        (409, Class::Conflict, "name already"),
        (422, Class::Invalid, "recipe"),
        (429, slow_down, "limits the rate"),
        (500, Class::Unknown, "does not work"),
        (503, Class::Unknown, "does not work"),
    ] {
        let scene = Scene::new(Wire::GitLab).await;
        scene.server.plan(Operation::Create, Fault::Status(status, vec![]));
        let error = scene.create(1).await.unwrap_err();
        assert_eq!(error.class(), class, "{status}: {error}");
        assert!(error.to_string().contains(word), "{status}: {error}");
        scene.assert_told(&error);
        // The same where nothing can be lost.
        scene.server.plan(Operation::List, Fault::Status(status, vec![]));
        let listed = scene.driver.list(scene.subject()).await.unwrap_err();
        let class = if class == Class::Unknown { Class::Unavailable } else { class };
        assert_eq!(listed.class(), class, "{status}: {listed}");
        scene.assert_told(&listed);
    }
}

/// A pause that a provider asks for holds for all tokens of the provider object, and nothing is sent meanwhile.
#[tokio::test]
async fn a_pause_is_kept() {
    each(async |scene| {
        if !scene.has_list() {
            return;
        }
        let wait = vec![("retry-after", "2".to_owned())];
        scene.server.plan(Operation::List, Fault::Status(429, wait));
        let list = async || scene.driver.list(scene.subject()).await;
        let asked = Class::RateLimited { retry_after: Some(Duration::from_secs(2)) };
        assert_eq!(list().await.unwrap_err().class(), asked);
        let before = scene.server.seen().len();
        let error = scene.create(1).await.unwrap_err();
        assert!(matches!(error.class(), Class::RateLimited { retry_after: Some(_) }), "{error}");
        assert_eq!(scene.server.seen().len(), before, "nothing was sent: {:?}", scene.wire);
        tokio::time::sleep(Duration::from_millis(2_100)).await;
        list().await.unwrap();
    })
    .await;
}

/// It holds for the account: another provider object with the same address and the same Secret keeps it too, one with
/// another Secret does not.
#[tokio::test]
async fn a_pause_holds_for_all_provider_objects_of_an_account() {
    let mut scene = Scene::new(Wire::Grafana).await;
    scene.server.plan(Operation::List, Fault::Status(429, vec![("retry-after", "60".to_owned())]));
    let list = async |scene: &Scene| scene.driver.list(scene.subject()).await;
    assert!(list(&scene).await.is_err());
    scene.source.specification.provider.name = "another".into();
    scene.mend(|_| {});
    let before = scene.server.seen().len();
    assert!(matches!(list(&scene).await.unwrap_err().class(), Class::RateLimited { retry_after: Some(_) }));
    assert_eq!(scene.server.seen().len(), before, "nothing was sent");
    scene.copy_credential("of-somebody-else").await;
    scene.mend(|recipe| recipe["credential"]["secretRef"]["name"] = serde_json::json!("of-somebody-else"));
    list(&scene).await.unwrap();
}

/// An account that is full mints nothing, says so, and has room again when one is revoked.
#[tokio::test]
async fn a_full_account_refuses_and_has_room_again_after_a_revoke() {
    each(async |scene| {
        scene.server.store().behaviour.slots = scene.before() + 1;
        let (issued, minted) = scene.mint(1).await;
        let error = scene.create(2).await.unwrap_err();
        assert!(!matches!(error.class(), Class::Unknown | Class::Unavailable), "{:?}: {error}", scene.wire);
        scene.assert_told(&error);
        assert_eq!(scene.server.store().minted(), scene.before() + 1, "{:?}", scene.wire);
        if issued.handle.is_revocable() {
            scene.revoke(&issued, Some(&minted)).await.unwrap();
            scene.mint(3).await;
        }
    })
    .await;
}

/// The same where it says that it does not work now: at each call that has such an answer, a create and a revocation
/// too.
#[tokio::test]
async fn a_pause_of_a_provider_that_does_not_work_is_kept() {
    let wait = |name| vec![(name, "2".to_owned())];
    let operations = [Operation::Create, Operation::List, Operation::Verify, Operation::Revoke];
    let each = operations.map(async |operation| {
        let scene = Scene::new(Wire::Grafana).await;
        let (issued, minted) = scene.mint(1).await;
        let failed = async || match operation {
            Operation::Create => scene.create(2).await.unwrap_err(),
            Operation::Revoke => scene.revoke(&issued, Some(&minted)).await.unwrap_err(),
            Operation::Verify => scene.verify(&minted).await.unwrap_err(),
            _ => scene.driver.list(scene.subject()).await.unwrap_err(),
        };
        // A word about limits is none about when it works again.
        for (header, is_paused) in [("ratelimit-reset", false), ("retry-after", true)] {
            scene.server.plan(operation, Fault::Status(503, wait(header)));
            let class = failed().await.class();
            // What a create has done is as open as ever.
            let expected = if operation == Operation::Create { Class::Unknown } else { Class::Unavailable };
            assert_eq!(class, expected, "{operation:?}");
            let before = scene.server.seen().len();
            match scene.liveness(&issued, Some(&minted)).await {
                Ok(found) => assert!(!is_paused && found == Liveness::Alive, "{operation:?} {found:?}"),
                Err(error) => {
                    let is_asked_to_wait = matches!(error.class(), Class::RateLimited { retry_after: Some(_) });
                    assert!(is_paused && is_asked_to_wait, "{operation:?} {header}: {error}");
                    assert_eq!(scene.server.seen().len(), before, "nothing was sent: {operation:?}");
                }
            }
        }
        tokio::time::sleep(Duration::from_millis(2_100)).await;
        assert_eq!(scene.liveness(&issued, Some(&minted)).await.unwrap(), Liveness::Alive);
    });
    futures::future::join_all(each).await;
}

/// Calls that hang take a few places; the next caller is told to come back instead of waiting.
#[tokio::test]
async fn calls_that_hang_do_not_pile_up() {
    let scene = Scene::with_timeout(Wire::Grafana, "3s").await;
    (0..4).for_each(|_| scene.server.plan(Operation::List, Fault::Silent));
    let list = || scene.driver.list(scene.subject());
    let hanging = futures::future::join_all((0..4).map(|_| list()));
    let next = async {
        tokio::time::sleep(Duration::from_millis(1_000)).await;
        let started = std::time::Instant::now();
        let error = list().await.unwrap_err();
        (error, started.elapsed())
    };
    let (hung, (error, took)) = futures::join!(hanging, next);
    assert!(hung.iter().all(|result| result.as_ref().is_err_and(|error| error.class() == Class::Unavailable)));
    assert!(
        matches!(error.class(), Class::RateLimited { .. }) && took < Duration::from_millis(1_500),
        "{error} {took:?}"
    );
}

/// Bug: a token that was refused for a moment counted as dead, also where the list showed it; and where the operator's
/// credential is shown, a refusal of that one counted as the death of the token.
#[tokio::test]
async fn a_refusal_of_a_moment_is_told_as_what_it_is() {
    // With a list: what is refused and listed is no death.
    let mut scene = Scene::new(Wire::GitLab).await;
    scene.mend(|recipe| recipe["verify"]["answer"]["statuses"] = serde_json::json!({"403": "Unauthorized"}));
    let (issued, minted) = scene.mint(1).await;
    for status in [401, 403] {
        scene.server.plan(Operation::Verify, Fault::Status(status, vec![]));
        assert_eq!(scene.liveness(&issued, Some(&minted)).await.unwrap(), Liveness::StillListed, "{status}");
        assert_eq!(scene.liveness(&issued, Some(&minted)).await.unwrap(), Liveness::Alive, "{status}");
    }
    // Where the credential is shown, 401 and 403 are about that, whatever the recipe calls them.
    let mut scene = Scene::new(Wire::OAuth2).await;
    scene.mend(|recipe| {
        recipe["verify"]["answer"]["statuses"] = serde_json::json!({"401": "Unauthorized", "403": "Unauthorized"});
    });
    let (issued, minted) = scene.mint(1).await;
    for (status, class) in [(401, Class::Unauthorized), (403, Class::Unauthorized)] {
        scene.server.plan(Operation::Verify, Fault::Status(status, vec![]));
        let error = scene.liveness(&issued, Some(&minted)).await.unwrap_err();
        assert_eq!(error.class(), class, "{status}: {error}");
        scene.assert_told(&error);
        assert_eq!(scene.liveness(&issued, Some(&minted)).await.unwrap(), Liveness::Alive, "{status}");
    }
}
