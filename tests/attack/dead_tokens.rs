//! Tokens that die by somebody else's hand: the operator has to replace them by itself.

use k8s_openapi::api::core::v1::{Secret, ServiceAccount};
use kube::api::{DeleteParams, PostParams};
use serde_json::json;

use crate::{
    aftermath::{one_token, still_works},
    world::{Outcome, World, is},
};

async fn kill_bound(world: &World, serial: &str) -> Outcome {
    let name = world
        .live_tokens()
        .await?
        .into_iter()
        .find(|name| name.ends_with(serial))
        .ok_or_else(|| format!("no bound Secret {serial}"))?;
    world.space.api::<Secret>().delete(&name, &DeleteParams::default()).await?;
    Ok(())
}

async fn replaced(world: &World, sequence: i64) -> Outcome {
    world
        .status("the dead token to be replaced", |status| {
            status.sequence >= Some(sequence) && status.previous.is_none() && is(status, "Reconciling", "False")
        })
        .await?;
    one_token(world).await
}

#[tokio::test(flavor = "multi_thread")]
async fn the_current_token_dies_at_rest() -> Outcome {
    let world = World::new("dead-rest").await?;
    world.deployment("app", 2, json!({})).await?;
    world.rotated_token(json!({})).await?;
    world.finished(1).await?;
    kill_bound(&world, "-1-1").await?;
    replaced(&world, 2).await?;
    still_works(&world).await
}

#[tokio::test(flavor = "multi_thread")]
async fn the_current_token_dies_while_the_old_one_is_in_its_grace_period() -> Outcome {
    let world = World::new("dead-grace").await?;
    world.deployment("app", 2, json!({})).await?;
    world.rotated_token(json!({"gracePeriod": "20s"})).await?;
    world.finished(1).await?;
    world.holders(&world.fingerprint().await?, 2).await?;
    world.rotate_now("now").await?;
    world.status("grace to run", |status| is(status, "PickedUp", "True") && status.previous.is_some()).await?;
    kill_bound(&world, "-2-2").await?;
    replaced(&world, 3).await?;
    still_works(&world).await
}

#[tokio::test(flavor = "multi_thread")]
async fn the_current_token_dies_while_pods_hold_the_old_one() -> Outcome {
    let world = World::new("dead-pickup").await?;
    world.bare_pod("holder", json!({}), json!({})).await?;
    world.rotated_token(json!({})).await?;
    world.finished(1).await?;
    world.holders(&world.fingerprint().await?, 1).await?;
    world.rotate_now("now").await?;
    world.status("pickup to wait", |status| status.sequence == Some(2) && status.pickup.is_some()).await?;
    kill_bound(&world, "-2-2").await?;
    // Pods that start meanwhile need a token that works.
    world.status("a token that works", |status| status.sequence >= Some(3)).await?;
    assert!(world.accepts(&world.token().await?).await?);
    world.history.assert_never_refused(world.space.name());
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn the_pending_token_dies_while_it_settles() -> Outcome {
    let world = World::new("dead-settle").await?;
    world.deployment("app", 2, json!({})).await?;
    world.rotated_token(json!({})).await?;
    world.finished(1).await?;
    let first = world.fingerprint().await?;
    world.holders(&first, 2).await?;
    world.rotate_now("now").await?;
    tokenturn::testkit::wait::until("the publish", crate::world::PATIENCE, async || {
        world.fingerprint().await.ok().filter(|now| *now != first)
    })
    .await?;
    kill_bound(&world, "-2-2").await?;
    replaced(&world, 3).await?;
    still_works(&world).await
}

/// The account goes and comes back, as when a chart is installed anew: every token of it is dead.
async fn account_replaced(world: &World) -> Outcome {
    let accounts = world.space.api::<ServiceAccount>();
    accounts.delete("api-client", &DeleteParams::default()).await?;
    crate::aftermath::pause(2).await;
    let account = serde_json::from_value(json!({"metadata": {"name": "api-client"}}))?;
    accounts.create(&PostParams::default(), &account).await?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn the_account_is_replaced_at_rest() -> Outcome {
    let world = World::new("account-rest").await?;
    world.deployment("app", 1, json!({})).await?;
    world.rotated_token(json!({})).await?;
    world.finished(1).await?;
    account_replaced(&world).await?;
    // Nothing that the operator watches has changed: a request wakes it.
    world.rotate_now("mended").await?;
    replaced(&world, 2).await?;
    still_works(&world).await
}

#[tokio::test(flavor = "multi_thread")]
async fn the_account_is_replaced_while_the_old_token_is_in_its_grace_period() -> Outcome {
    let world = World::new("account-grace").await?;
    world.deployment("app", 1, json!({})).await?;
    world.rotated_token(json!({"gracePeriod": "20s"})).await?;
    world.finished(1).await?;
    world.holders(&world.fingerprint().await?, 1).await?;
    world.rotate_now("now").await?;
    world.status("grace to run", |status| is(status, "PickedUp", "True") && status.previous.is_some()).await?;
    account_replaced(&world).await?;
    world.rotate_now("mended").await?;
    replaced(&world, 3).await?;
    still_works(&world).await
}
