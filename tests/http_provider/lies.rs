//! Recipes and providers that mislead: nothing of theirs is published, or what could not be shown is said, and no
//! token lives unnamed.

use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tokenturn::{
    core::token::{Liveness, Proof, Verification},
    providers::{Class, Inspect},
    testkit::contract::{Fault, Lie, Operation, Wire},
};

use crate::scene::{Scene, each};

/// What comes of a token of a recipe, as the operator would go about it: minted, and given to nobody if there is a
/// flaw; verified; the recipe shown; and revoked if that says something else.
struct Story {
    published: bool,
    said: Vec<String>,
    /// Names of living tokens that nobody was told of.
    unnamed: Vec<String>,
}

async fn story(scene: &Scene) -> Story {
    let before = scene.server.store().alive();
    let minted = scene.create(1).await.unwrap();
    let issued = scene.issued(1, &minted);
    let has_values = minted.values.iter().next().is_some();
    let values = has_values.then_some(&minted);
    let mut said = minted.unshown.clone();
    let mut published = false;
    match &minted.flaw {
        Some(flaw) => said.push(flaw.clone()),
        None => {
            let found = scene.verify(&minted).await.unwrap();
            assert!(matches!(found, Verification::Works { .. }), "{found:?}");
            match scene.driver.prove(scene.subject(), &issued, &minted.values).await.unwrap() {
                Proof::Shown => published = true,
                Proof::NotYet { why } | Proof::Wrong { why } => said.push(why),
            }
            said.extend(scene.driver.unshown(&scene.owner));
        }
    }
    if !published && issued.handle.is_revocable() {
        scene.revoke(&issued, values).await.unwrap();
    } else if !published {
        // What `core` says of a token that cannot be revoked.
        said.push(issued.id.clone());
    }
    let mut alive = scene.server.store().alive();
    alive.retain(|name| !before.contains(name) && !said.iter().any(|said| said.contains(name)));
    let unnamed = if published { Vec::new() } else { alive };
    Story { published, said, unnamed }
}

/// A recipe, or its server, that misleads.
struct Row {
    wire: Wire,
    lies: &'static [Lie],
    change: fn(&mut Value),
    is_published: bool,
    /// What is said.
    words: &'static [&'static str],
}

const fn refused(wire: Wire, lies: &'static [Lie], words: &'static [&'static str]) -> Row {
    Row { wire, lies, change: |_| {}, is_published: false, words }
}

const fn misread(wire: Wire, change: fn(&mut Value), words: &'static [&'static str]) -> Row {
    Row { wire, lies: &[], change, is_published: false, words }
}

async fn check(rows: &[Row]) {
    for Row { wire, lies, change, is_published, words } in rows {
        let mut scene = Scene::new(*wire).await;
        scene.mend(change);
        scene.server.store().behaviour.lies = lies.to_vec();
        let Story { published, said, unnamed } = story(&scene).await;
        assert_eq!(published, *is_published, "{wire:?} {lies:?}: {said:?}");
        for word in *words {
            assert!(said.iter().any(|said| said.contains(word)), "{wire:?} {lies:?}, {word:?}: {said:?}");
        }
        assert_eq!(unnamed, Vec::<String>::new(), "{wire:?} {lies:?}: alive, and nobody is told: {said:?}");
        for secret in scene.secrets() {
            assert!(said.iter().all(|said| !said.contains(&secret)), "{wire:?} {lies:?}: {said:?}");
        }
    }
}

use Operation::{Create, List};

/// A lost answer left a token that no list finds, and nobody had looked whether a list finds any.
#[tokio::test]
async fn a_token_that_is_not_listed_under_its_name_is_not_published() {
    check(&[
        refused(Wire::GitLab, &[Lie::NamesPrefixed("robot$")], &["list.name ($.name)", "before or after"]),
        refused(Wire::GitLab, &[Lie::NamesCut(30)], &["list.name ($.name)", "cut off after 30 characters"]),
        refused(Wire::GitLab, &[Lie::ListsNothing], &["list.items", "finds nothing"]),
        refused(Wire::GitLab, &[Lie::Lacks(List, "name")], &["list.name ($.name)", "no text"]),
        refused(Wire::GitLab, &[Lie::Says(List, "name", "another")], &["list.name ($.name)", "is none of them"]),
        refused(Wire::GitLab, &[Lie::Lacks(List, "active")], &["list.alive ($.active)", "not alive"]),
        misread(Wire::Grafana, |recipe| recipe["list"]["items"] = json!("$.tokens[*]"), &["list.items ($.tokens[*])"]),
        misread(Wire::SonarQube, |recipe| recipe["list"]["name"] = json!("$.title"), &["list.name ($.title)"]),
        refused(Wire::Synoptic, &[Lie::ListsNothing], &["listValues.values ($.TOKENS[*])"]),
    ])
    .await;
}

/// An id of another kind made the operator delete a token 391 times that it did not find.
#[tokio::test]
async fn ids_of_two_kinds_are_told_apart() {
    check(&[
        refused(Wire::GitLab, &[Lie::Says(List, "id", "another")], &["create.id ($.id)", "list.id ($.id)"]),
        refused(Wire::GitLab, &[Lie::Lacks(List, "id")], &["list.id ($.id) finds nothing"]),
    ])
    .await;
}

/// The id was published as the token, because the path of `verify` needs none.
#[tokio::test]
async fn a_verify_that_accepts_everything_publishes_nothing() {
    check(&[
        refused(Wire::GitLab, &[Lie::AcceptsAll], &["verify.request accepts a value that was made up"]),
        refused(Wire::OAuth2, &[Lie::AcceptsAll], &["verify.request accepts a value that was made up"]),
        refused(Wire::Licensing, &[Lie::AcceptsAll], &["verify.request accepts a value that was made up"]),
        Row {
            change: |recipe| recipe["create"]["values"]["token"] = json!("$.id"),
            ..refused(Wire::GitLab, &[Lie::AcceptsAll], &["verify.request accepts", "create.values"])
        },
    ])
    .await;
}

/// A wrong path threw away what the answer did say: five tokens lived that nobody knew.
#[tokio::test]
async fn an_answer_that_lacks_a_field_still_gives_what_it_has() {
    let lease = |recipe: &mut Value| recipe["create"]["expires"] = json!({"path": "$.auth.lease"});
    check(&[
        misread(Wire::OAuth2, lease, &["create.expires ($.auth.lease) finds no expiry"]),
        misread(Wire::Licensing, lease, &["create.expires ($.auth.lease) finds no expiry"]),
        refused(Wire::OAuth2, &[Lie::Lacks(Create, "expires_in")], &["create.expires", "finds no expiry"]),
        refused(Wire::OAuth2, &[Lie::Says(Create, "expires_in", "soon")], &["create.expires", "format"]),
        refused(Wire::GitLab, &[Lie::Lacks(Create, "token")], &["create.values.token ($.token) finds no value"]),
        refused(Wire::GitLab, &[Lie::Lacks(Create, "id")], &["create.id ($.id) finds no text"]),
        refused(Wire::OAuth2, &[Lie::Lacks(Create, "access_token")], &["create.values.token", "finds no value"]),
    ])
    .await;
}

/// A create that was answered with an error and carried out later lived until the next rotation: the list shows it
/// then, and it is revoked by what the list shows.
#[tokio::test]
async fn a_create_that_is_carried_out_late_is_an_unknown_outcome_and_is_found() {
    let scene = Scene::new(Wire::GitLab).await;
    scene.server.plan(Create, Fault::Late(Duration::from_millis(400)));
    let error = scene.create(1).await.unwrap_err();
    assert_eq!(error.class(), Class::Unknown, "{error}");
    let listed = async || scene.driver.list(scene.subject()).await.unwrap();
    assert!(listed().await.is_empty(), "not yet");
    let started = Instant::now();
    let found = loop {
        if let [found] = listed().await.as_slice() {
            break found.clone();
        }
        assert!(started.elapsed() < Duration::from_secs(20), "it never came");
        tokio::time::sleep(Duration::from_millis(50)).await;
    };
    assert_eq!(scene.server.store().minted() - scene.before(), 1);
    scene.revoke(&scene.known(&found), None).await.unwrap();
    assert!(listed().await.is_empty());
}

/// An object whose provider's list never worked: the driver says so each time, and nothing is taken for an empty list.
#[tokio::test]
async fn a_list_that_always_fails_is_never_an_empty_one() {
    for (status, class) in [(500, Class::Unavailable), (404, Class::Invalid), (401, Class::Unauthorized)] {
        let scene = Scene::new(Wire::GitLab).await;
        scene.server.store().behaviour.lies = vec![Lie::Never(List, status)];
        for _ in 0..2 {
            let listed = scene.driver.list(scene.subject()).await;
            assert_eq!(listed.unwrap_err().class(), class, "{status}");
        }
    }
}

/// A value that no header can hold can be tried neither alive nor dead: its object could not be deleted.
#[tokio::test]
async fn a_value_that_verify_cannot_show_is_a_flaw() {
    let broken =
        refused(Wire::GitLab, &[Lie::Says(Create, "token", "two\nlines")], &["verify cannot show", "line break"]);
    check(&[broken]).await;
    let scene = Scene::new(Wire::GitLab).await;
    scene.server.store().behaviour.lies = vec![Lie::Says(Create, "token", "two\nlines")];
    let (issued, minted) = scene.mint(1).await;
    assert_eq!(minted.values.iter().count(), 0, "nothing can be done with it");
    assert_eq!(scene.liveness(&issued, None).await.unwrap(), Liveness::Alive, "by the list");
    scene.revoke(&issued, None).await.unwrap();
    assert_eq!(scene.liveness(&issued, None).await.unwrap(), Liveness::Dead);
}

/// It was rotated every 75 seconds, without end.
#[tokio::test]
async fn an_expiry_that_is_over_or_near_is_a_mistake() {
    let date =
        |recipe: &mut Value| recipe["create"]["expires"] = json!({"path": "$.expires_in", "format": "UnixSeconds"});
    check(&[
        refused(Wire::GitLab, &[Lie::Says(Create, "expires_at", "2020-01-01")], &["create.expires", "over already"]),
        refused(Wire::OAuth2, &[Lie::Says(Create, "expires_in", "5")], &["create.expires", "too soon"]),
        misread(Wire::OAuth2, date, &["create.expires ($.expires_in)", "SecondsFromNow"]),
    ])
    .await;
}

/// What is not there in any token is no word of any: it is published, and said.
#[tokio::test]
async fn a_field_that_nothing_has_is_reported() {
    let published = |wire, lies, words| Row { is_published: true, ..refused(wire, lies, words) };
    let granted = |recipe: &mut Value| {
        recipe["create"]["permissions"] = json!("$.granted[*]");
        recipe["verify"].as_object_mut().unwrap().remove("permissions");
    };
    check(&[
        published(Wire::GitLab, &[Lie::Lacks(List, "last_used_at")], &["list.lastUsed ($.last_used_at)"]),
        published(Wire::GitLab, &[Lie::Lacks(Create, "expires_at")], &["create.expires ($.expires_at) finds nothing"]),
        published(Wire::GitLab, &[Lie::RefusesWith(400)], &["made up", "status 400", "verify.answer.statuses"]),
        Row { is_published: true, ..misread(Wire::GitLab, granted, &["create.permissions ($.granted[*])"]) },
    ])
    .await;
}

/// Once for a recipe: one value that was made up, and one list.
#[tokio::test]
async fn an_honest_provider_shows_it_once_with_one_call_of_each_kind() {
    each(async |scene| {
        let wire = scene.wire;
        for attempt in 1..3 {
            let (issued, minted) = scene.mint(attempt).await;
            assert!(minted.flaw.is_none() && minted.unshown.is_empty(), "{wire:?}: {minted:?}");
            let calls = |operation| scene.server.count(operation);
            let before = (calls(Operation::Verify), scene.server.seen().len());
            let proof = scene.driver.prove(scene.subject(), &issued, &minted.values).await.unwrap();
            assert_eq!(proof, Proof::Shown, "{wire:?}");
            let after = (calls(Operation::Verify), scene.server.seen().len());
            let (tried, asked) = (after.0 - before.0, after.1 - before.1);
            // Pages hold two each.
            let most = if attempt == 1 { (1, 4) } else { (0, 0) };
            assert!(tried <= most.0 && asked <= most.1, "{wire:?}: {tried} of {asked} calls");
            assert_eq!(scene.driver.unshown(&scene.owner), Vec::<String>::new(), "{wire:?}");
        }
        assert_eq!(scene.server.strange(), Vec::<String>::new(), "{wire:?}");
    })
    .await;
}

/// A revoke that changes nothing is seen: what was revoked counts as alive as long as it is accepted or listed.
#[tokio::test]
async fn a_revoke_that_changes_nothing_is_no_death() {
    for wire in [Wire::GitLab, Wire::Grafana, Wire::OAuth2] {
        let scene = Scene::new(wire).await;
        let (issued, minted) = scene.mint(1).await;
        scene.server.store().behaviour.lies = vec![Lie::RevokesNothing];
        scene.revoke(&issued, Some(&minted)).await.unwrap();
        assert_eq!(scene.liveness(&issued, Some(&minted)).await.unwrap(), Liveness::Alive, "{wire:?}");
    }
}
