//! The way out: `Revoke` waits for consumers and leaves nothing alive, `Orphan` leaves Secret and token as they are.

use std::time::Duration;

use k8s_openapi::api::{apps::v1::Deployment, core::v1::Secret};
use kube::api::{DeleteParams, Patch, PatchParams};
use serde_json::json;
use tokenturn::testkit::wait::until;

use crate::world::{Outcome, PATIENCE, World, condition};

async fn gone(world: &World) -> Outcome {
    until("the RotatedToken to be gone", PATIENCE, async || {
        matches!(world.tokens().get_opt("api").await, Ok(None)).then_some(())
    })
    .await
    .map_err(|error| format!("{error}\n{}", world.operators[0].logs()))?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn revoke_waits_for_consumers_then_leaves_nothing_alive() -> Outcome {
    let world = World::new("revoke").await?;
    world.deployment("app", 2, json!({})).await?;
    world.rotated_token(json!({})).await?;
    world.finished(1).await?;
    let token = world.token().await?;
    world.holders(&world.fingerprint().await?, 2).await?;
    world.tokens().delete("api", &DeleteParams::default()).await?;
    let status = world.status("the deletion to wait", |status| condition(status, "Ready").0 == "Deleting").await?;
    let blockers = status.pickup.map(|pickup| pickup.blockers).unwrap_or_default();
    assert!(blockers.iter().any(|blocker| blocker.pod == "Deployment/app"), "{blockers:?}");
    assert!(
        condition(&world.tokens().get("api").await?.status.unwrap_or_default(), "Ready").1.contains("Orphan"),
        "says the way out"
    );
    world
        .never("the revoke", Duration::from_secs(4), async || world.accepts(&token).await.is_ok_and(|alive| !alive))
        .await?;
    world.assert_nobody_noticed().await?;
    let scale = Patch::Merge(json!({"spec": {"replicas": 0}}));
    world.space.api::<Deployment>().patch("app", &PatchParams::default(), &scale).await?;
    gone(&world).await?;
    assert!(!world.accepts(&token).await?, "revoked before the object went");
    assert!(world.live_tokens().await?.is_empty());
    assert!(world.space.api::<Secret>().get_opt("api-token").await?.is_none());
    assert!(world.records().await?.is_empty());
    world.history.assert_never_refused(world.space.name());
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn orphan_leaves_secret_and_token_and_says_so() -> Outcome {
    let world = World::new("orphan").await?;
    world.deployment("app", 1, json!({})).await?;
    world.rotated_token(json!({"deletionPolicy": "Orphan"})).await?;
    world.finished(1).await?;
    let (token, live) = (world.token().await?, world.live_tokens().await?);
    world.tokens().delete("api", &DeleteParams::default()).await?;
    gone(&world).await?;
    assert!(world.accepts(&token).await?);
    assert_eq!(world.live_tokens().await?, live);
    let secret = world.space.api::<Secret>().get("api-token").await?;
    let annotations = secret.metadata.annotations.unwrap_or_default();
    assert_eq!(annotations.get("tokenturn.dev/orphaned-token"), live.first());
    assert!(world.records().await?.is_empty());
    let orphaned = world.event_reasons().await?.into_iter().filter(|reason| reason == "Orphaned").count();
    assert_eq!(orphaned, 1, "the Event that names what is left alive is there once");
    // A new object of the same name takes the Secret over only when it is handed over.
    world.rotated_token(json!({})).await?;
    world.status("the Secret to be foreign", |status| condition(status, "Stalled").0 == "ForeignSecret").await?;
    world.assert_nobody_noticed().await?;
    // Handed over, it still names the token that lives on: nothing else does.
    let handed_over = Patch::Merge(json!({"metadata": {"annotations": {"tokenturn.dev/adopt": "api"}}}));
    world.space.api::<Secret>().patch("api-token", &PatchParams::default(), &handed_over).await?;
    let status = world.finished(1).await?;
    let orphan = live.first().ok_or("no live token")?;
    let (_, message) = condition(&status, "Ready");
    assert!(message.contains(orphan.as_str()), "{message}");
    let secret = world.space.api::<Secret>().get("api-token").await?;
    let annotations = secret.metadata.annotations.unwrap_or_default();
    assert_eq!(annotations.get("tokenturn.dev/earlier-orphaned-tokens"), Some(orphan));
    assert!(!annotations.contains_key("tokenturn.dev/orphaned-token"));
    assert!(world.accepts(&token).await?, "what pods hold is not revoked");
    Ok(())
}

/// The step that failed was taken again at once, for ever, with a worker and the whole of a processor: any tenant could cause it by a Secret
/// whose annotations are full.
#[tokio::test(flavor = "multi_thread")]
async fn an_orphan_whose_secret_takes_no_mark_goes_all_the_same_and_asks_seldom() -> Outcome {
    let world = World::new("full").await?;
    world.rotated_token(json!({"deletionPolicy": "Orphan"})).await?;
    world.finished(1).await?;
    let live = world.live_tokens().await?;
    let secrets = world.space.api::<Secret>();
    let used = secrets.get("api-token").await?.metadata.annotations.unwrap_or_default();
    let used: usize = used.iter().map(|(key, value)| key.len() + value.len()).sum();
    let pad = "x".repeat((256 << 10) - used - "pad".len());
    let full = Patch::Merge(json!({"metadata": {"annotations": {"pad": pad}}}));
    secrets.patch("api-token", &PatchParams::default(), &full).await?;
    world.tokens().delete("api", &DeleteParams::default()).await?;
    until("the RotatedToken to be gone", Duration::from_secs(420), async || {
        matches!(world.tokens().get_opt("api").await, Ok(None)).then_some(())
    })
    .await
    .map_err(|error| format!("{error}\n{}", world.operators[0].logs()))?;
    assert_eq!(world.live_tokens().await?, live);
    assert!(world.event_reasons().await?.contains(&"Orphaned".to_owned()), "the token is named");
    let events = world.space.audit_events()?;
    let is_mark = |name: &str, code: u16| name == "api-token" && code == 422;
    let refused = events.iter().filter(|event| is_mark(&event.name, event.code)).count();
    assert!((1..100).contains(&refused), "{refused} writes were refused");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deletion_in_mid_rotation_revokes_both_tokens() -> Outcome {
    let world = World::new("mid").await?;
    world.bare_pod("holder", json!({}), json!({})).await?;
    world.rotated_token(json!({})).await?;
    world.finished(1).await?;
    let first = world.token().await?;
    world.holders(&world.fingerprint().await?, 1).await?;
    world.rotate_now("now").await?;
    world.status("the second token to be current", |status| status.sequence == Some(2)).await?;
    let second = world.token().await?;
    world.tokens().delete("api", &DeleteParams::default()).await?;
    world
        .never("a revoke", Duration::from_secs(4), async || world.live_tokens().await.is_ok_and(|live| live.len() < 2))
        .await?;
    world.space.api::<k8s_openapi::api::core::v1::Pod>().delete("holder", &DeleteParams::default()).await?;
    gone(&world).await?;
    assert!(!world.accepts(&first).await? && !world.accepts(&second).await?);
    assert!(world.live_tokens().await?.is_empty());
    world.history.assert_never_refused(world.space.name());
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn an_object_whose_finalizer_was_stripped_is_cleaned_up_from_its_record() -> Outcome {
    let world = World::new("stripped").await?;
    world.rotated_token(json!({})).await?;
    world.finished(1).await?;
    let token = world.token().await?;
    world.tokens().delete("api", &DeleteParams::default()).await?;
    let strip = Patch::Merge(json!({"metadata": {"finalizers": null}}));
    // Either we are first or the operator is; both end well.
    let _ = world.tokens().patch("api", &PatchParams::default(), &strip).await;
    until("nothing to be left alive", PATIENCE, async || {
        let empty = world.live_tokens().await.ok()?.is_empty() && world.records().await.ok()?.is_empty();
        empty.then_some(())
    })
    .await?;
    assert!(!world.accepts(&token).await?);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn an_object_that_never_minted_goes_at_once() -> Outcome {
    let world = World::new("never").await?;
    world.rotated_token(json!({"providerRef": {"name": "absent"}})).await?;
    world
        .status("the missing provider to be told", |status| condition(status, "Stalled").0 == "ProviderMissing")
        .await?;
    world.tokens().delete("api", &DeleteParams::default()).await?;
    gone(&world).await
}
