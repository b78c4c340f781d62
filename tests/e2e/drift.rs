//! The target is a projection of the record: whatever happens to it, it is repaired from there, and nothing is minted.

use std::time::Duration;

use k8s_openapi::api::{apps::v1::Deployment, core::v1::Secret};
use kube::api::{DeleteParams, Patch, PatchParams, PostParams};
use serde_json::json;
use tokenturn::{api::RotatedTokenStatus, testkit::wait::until};

use crate::world::{Outcome, PATIENCE, World, condition, is};

async fn edit(world: &World, patch: serde_json::Value) -> Result<Secret, kube::Error> {
    world.space.api::<Secret>().patch("api-token", &PatchParams::default(), &Patch::Merge(patch)).await
}

/// A kubelet does not look again at a Secret that is immutable, and keeps its value while one of its pods uses it, also when it
/// is deleted and made anew.
#[tokio::test(flavor = "multi_thread")]
async fn an_immutable_secret_is_replaced_when_nobody_uses_it() -> Outcome {
    let world = World::new("immutable-later").await?;
    world.deployment("app", 2, json!({})).await?;
    world.rotated_token(json!({})).await?;
    world.finished(1).await?;
    world.holders(&world.fingerprint().await?, 2).await?;
    edit(&world, json!({"immutable": true})).await?;
    world.rotate_now("now").await?;
    let stalled = |text: &'static str| {
        move |status: &RotatedTokenStatus| {
            let (reason, message) = condition(status, "Stalled");
            reason == "CannotPublish" && message.contains(text)
        }
    };
    world.status("the way out to be told", stalled("to 0, delete it")).await?;
    // Somebody does half of it.
    world.space.api::<Secret>().delete("api-token", &DeleteParams::default()).await?;
    world.status("the rest to be told", stalled("was immutable")).await?;
    let scale = async |replicas: i32| {
        let patch = Patch::Merge(json!({"spec": {"replicas": replicas}}));
        world.space.api::<Deployment>().patch("app", &PatchParams::default(), &patch).await.map(drop)
    };
    scale(0).await?;
    world.finished(2).await?;
    scale(2).await?;
    world.holders(&world.fingerprint().await?, 2).await?;
    assert_eq!(world.live_tokens().await?.len(), 1);
    world.history.assert_never_refused(world.space.name());
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deleted_secret_comes_back_with_the_same_token() -> Outcome {
    let world = World::new("deleted").await?;
    world
        .rotated_token(json!({"secret": {"labels": {"team": "shop"}, "data": {"API_KEY": "token", "token": "token"}}}))
        .await?;
    world.finished(1).await?;
    let (token, live) = (world.token().await?, world.live_tokens().await?);
    world.space.api::<Secret>().delete("api-token", &DeleteParams::default()).await?;
    until("the Secret to come back", PATIENCE, async || world.token().await.ok().filter(|again| *again == token))
        .await?;
    let secret = world.space.api::<Secret>().get("api-token").await?;
    assert_eq!(secret.metadata.labels.as_ref().and_then(|labels| labels.get("team")).map(String::as_str), Some("shop"));
    assert_eq!(secret.data.map(|data| data.len()), Some(2));
    assert_eq!(world.live_tokens().await?, live, "nothing was minted");
    assert!(world.event_reasons().await?.contains(&"DriftRepaired".to_owned()));
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn an_edited_secret_is_edited_back_and_keeps_what_others_added() -> Outcome {
    let world = World::new("edited").await?;
    world.rotated_token(json!({})).await?;
    world.finished(1).await?;
    let (token, live) = (world.token().await?, world.live_tokens().await?);
    edit(
        &world,
        json!({"stringData": {"token": "tampered", "theirs": "stays"}, "metadata": {"annotations": {"their": "note"}}}),
    )
    .await?;
    until("the value to be restored", PATIENCE, async || world.token().await.ok().filter(|again| *again == token))
        .await?;
    let secret = world.space.api::<Secret>().get("api-token").await?;
    assert!(secret.data.is_some_and(|data| data.contains_key("theirs")));
    assert!(secret.metadata.annotations.is_some_and(|all| all.contains_key("their")));
    assert_eq!(world.live_tokens().await?, live, "nothing was minted");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_secret_that_lost_our_labels_is_not_taken_back_by_force() -> Outcome {
    let world = World::new("disowned").await?;
    world.rotated_token(json!({})).await?;
    world.finished(1).await?;
    edit(&world, json!({"metadata": {"labels": null}})).await?;
    let status = world.status("the foreign Secret to be told", |status| is(status, "Stalled", "True")).await?;
    assert_eq!(condition(&status, "Stalled").0, "ForeignSecret");
    // The owner of the Secret decides.
    edit(&world, json!({"metadata": {"annotations": {"tokenturn.dev/adopt": "api"}}})).await?;
    world.status("the same token to be taken back", |status| is(status, "Ready", "True")).await?;
    assert_eq!(world.live_tokens().await?.len(), 1, "nothing was minted");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn pods_that_started_with_an_edited_back_value_are_waited_for() -> Outcome {
    let world = World::new("reopened").await?;
    world.rotated_token(json!({"gracePeriod": "6s"})).await?;
    world.finished(1).await?;
    let (old, old_value) = (world.fingerprint().await?, world.token().await?);
    world.rotate_now("now").await?;
    world.status("grace to run", |status| is(status, "PickedUp", "True") && status.previous.is_some()).await?;
    // Somebody puts the old value back, and a pod starts with it before it is repaired.
    edit(&world, json!({"stringData": {"token": old_value}})).await?;
    world.bare_pod("late", json!({}), json!({})).await?;
    until("the value to be repaired", PATIENCE, async || world.fingerprint().await.ok().filter(|now| *now != old))
        .await?;
    let holds_old = until("the pod to run", PATIENCE, async || {
        world
            .history
            .holding(world.space.name())
            .into_iter()
            .find(|(seat, _)| &*seat.pod == "late")
            .and_then(|(_, held)| held)
    })
    .await?
        == old;
    world
        .never("a refused call", Duration::from_secs(12), async || world.history.refused(world.space.name()) > 0)
        .await?;
    if holds_old {
        assert!(world.accepts(&old_value).await?, "a pod holds it");
    }
    world.space.api::<k8s_openapi::api::core::v1::Pod>().delete("late", &DeleteParams::default()).await?;
    world.finished(2).await?;
    world.history.assert_never_refused(world.space.name());
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_foreign_secret_is_never_overwritten_and_nothing_is_minted() -> Outcome {
    let world = World::new("foreign").await?;
    let secret = json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "api-token"}, "stringData": {"token": "mine"}});
    world.space.api::<Secret>().create(&PostParams::default(), &serde_json::from_value(secret)?).await?;
    world.rotated_token(json!({})).await?;
    let status = world.status("the foreign Secret to be told", |status| is(status, "Stalled", "True")).await?;
    let (reason, message) = condition(&status, "Stalled");
    assert_eq!(reason, "ForeignSecret");
    assert!(message.contains("tokenturn.dev/adopt=api"), "says what to do: {message}");
    assert_eq!(world.token().await?, "mine");
    assert!(world.live_tokens().await?.is_empty());
    // Handed over, it is written, and what else is in it stays.
    edit(
        &world,
        json!({"metadata": {"annotations": {"tokenturn.dev/adopt": "api"}}, "stringData": {"other": "stays"}}),
    )
    .await?;
    world.finished(1).await?;
    assert!(world.accepts(&world.token().await?).await?);
    let secret = world.space.api::<Secret>().get("api-token").await?;
    assert!(secret.data.is_some_and(|data| data.contains_key("other")));
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lost_record_is_rebuilt_without_minting() -> Outcome {
    let world = World::new("lost").await?;
    world.deployment("app", 1, json!({})).await?;
    world.rotated_token(json!({})).await?;
    world.finished(1).await?;
    world.rotate_now("now").await?;
    world.finished(2).await?;
    let (token, live) = (world.token().await?, world.live_tokens().await?);
    let records: kube::Api<Secret> = kube::Api::namespaced(world.space.client().clone(), &world.system);
    let name = world.records().await?.remove(0).metadata.name.unwrap_or_default();
    let unhold = Patch::Merge(json!({"metadata": {"finalizers": null}}));
    records.patch(&name, &PatchParams::default(), &unhold).await?;
    records.delete(&name, &DeleteParams::default()).await?;
    until("the record to be rebuilt", PATIENCE, async || {
        world.records().await.ok().filter(|records| records.len() == 1).map(drop)
    })
    .await?;
    world
        .status("the token to be known again", |status| status.current.is_some() && status.sequence == Some(2))
        .await?;
    assert_eq!(
        (world.token().await?, world.live_tokens().await?),
        (token.clone(), live),
        "nothing was minted or revoked"
    );
    // And the next rotation goes on from there.
    world.rotate_now("again").await?;
    world.finished(3).await?;
    assert!(!world.accepts(&token).await?);
    world.assert_nobody_noticed().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deleted_record_is_held_and_made_anew() -> Outcome {
    let world = World::new("marked").await?;
    world.rotated_token(json!({})).await?;
    world.finished(1).await?;
    let before = world.records().await?.remove(0);
    let records: kube::Api<Secret> = kube::Api::namespaced(world.space.client().clone(), &world.system);
    records.delete(before.metadata.name.as_deref().unwrap_or_default(), &DeleteParams::default()).await?;
    until("a new record", PATIENCE, async || {
        let records = world.records().await.ok()?;
        records.iter().any(|record| record.metadata.uid != before.metadata.uid).then_some(())
    })
    .await?;
    world.finished(1).await?;
    assert_eq!(world.live_tokens().await?.len(), 1);
    assert!(world.accepts(&world.token().await?).await?);
    Ok(())
}
