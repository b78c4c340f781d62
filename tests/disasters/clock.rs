//! The wall clock of the operator jumps by a month, forth and back. Grace, settle time and contact run by the monotonic clock;
//! the wall clock says only when a rotation is due.

use std::time::{Duration, Instant};

use k8s_openapi::api::core::v1::Pod;
use kube::api::DeleteParams;
use serde_json::json;
use tokenturn::testkit::wait::until;

use crate::{
    faketime::{self, Clock},
    stage::{alone, in_order, mark, tokens_made_and_ended},
    world::{Outcome, PATIENCE, World, is},
};

/// A world whose operator has a clock of its own; `None` where no clock can be set.
async fn world(stem: &str) -> Result<Option<(World, Clock)>, Box<dyn std::error::Error>> {
    let Some(library) = faketime::library() else { return Ok(None) };
    let world = World::without_operator(stem).await?;
    let clock = Clock::right(world.space.dir(), world.space.name())?;
    let mut world = world.with_env(clock.env(&library));
    world.start_operator().await?;
    Ok(Some((world, clock)))
}

/// Something for the operator to wake up by, as a change of the spec is.
async fn nudge(world: &World, interval: &str) -> Outcome {
    world.patch(json!({"spec": {"interval": interval}})).await?;
    Ok(())
}

async fn at_rest(world: &World) -> Outcome {
    world
        .status("rest", |status| {
            status.previous.is_none() && is(status, "Reconciling", "False") && is(status, "Ready", "True")
        })
        .await?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_clock_that_jumps_at_rest_causes_at_most_one_rotation() -> Outcome {
    let _alone = alone().await?;
    let Some((world, clock)) = world("clock-rest").await? else { return Ok(()) };
    world.deployment("app", 2, json!({})).await?;
    world.rotated_token(json!({})).await?;
    world.finished(1).await?;
    for (number, offset) in ["+30d", "+0", "-30d", "+0", "+30d", "-30d", "+0"].into_iter().enumerate() {
        let before = mark(&world)?;
        clock.set(offset)?;
        // Not the same twice, or nothing would change.
        nudge(&world, &format!("{}h", 24 * 30 - number)).await?;
        // A rotation that is due begins at once.
        tokio::time::sleep(Duration::from_secs(10)).await;
        at_rest(&world).await.map_err(|error| format!("after {offset}: {error}"))?;
        tokio::time::sleep(Duration::from_secs(10)).await;
        let (made, ended) = tokens_made_and_ended(&world, before)?;
        println!("{offset}: {} minted, {} revoked", made.len(), ended.len());
        let most = usize::from(offset == "+30d");
        assert!(made.len() <= most && ended.len() <= most, "{offset}: minted {made:?}, revoked {ended:?}");
        in_order(&world, 2).await.map_err(|error| format!("after {offset}: {error}"))?;
    }
    // Nothing is stuck.
    let sequence = world.tokens().get("api").await?.status.and_then(|status| status.sequence).unwrap_or(0);
    world.rotate_now("after all").await?;
    world.finished(sequence + 1).await?;
    in_order(&world, 2).await?;
    world.assert_nobody_noticed().await
}

/// The grace period of the old token is served in full, whichever way the clock jumps.
#[tokio::test(flavor = "multi_thread")]
async fn a_clock_that_jumps_does_not_shorten_the_grace_period() -> Outcome {
    let _alone = alone().await?;
    let Some((world, clock)) = world("clock-grace").await? else { return Ok(()) };
    world.deployment("app", 2, json!({})).await?;
    world.rotated_token(json!({"gracePeriod": "20s"})).await?;
    world.finished(1).await?;
    let mut sequence = 1;
    for offset in ["+30d", "-30d"] {
        let (old, bound) = (world.token().await?, world.live_tokens().await?.remove(0));
        world.holders(&world.fingerprint().await?, 2).await?;
        world.rotate_now(&format!("before {offset}")).await?;
        world.status("grace to run", |status| is(status, "PickedUp", "True") && status.previous.is_some()).await?;
        let begun = Instant::now();
        clock.set(offset)?;
        nudge(&world, &format!("{}h", 24 * 30 - sequence)).await?;
        let ended = until("the old token to be revoked", PATIENCE, async || {
            (!world.live_tokens().await.ok()?.contains(&bound)).then(Instant::now)
        })
        .await?;
        let served = ended - begun;
        println!("{offset}: the old token lived for {served:?} more");
        // What was served between the proof and this program's look at it is missing here.
        assert!(served >= Duration::from_secs(17), "{offset}: grace was {served:?}");
        clock.set("+0")?;
        nudge(&world, &format!("{}h", 24 * 30 - 10 - sequence)).await?;
        at_rest(&world).await?;
        in_order(&world, 2).await?;
        assert!(!world.accepts(&old).await?);
        sequence = world.tokens().get("api").await?.status.and_then(|status| status.sequence).unwrap_or(0);
        assert!(sequence <= 4, "a storm: {sequence} rotations");
    }
    world.assert_nobody_noticed().await
}

/// A pod holds the old token while the clock jumps: it is waited for.
#[tokio::test(flavor = "multi_thread")]
async fn a_clock_that_jumps_during_pickup_revokes_nothing() -> Outcome {
    let _alone = alone().await?;
    let Some((world, clock)) = world("clock-pickup").await? else { return Ok(()) };
    world.bare_pod("holder", json!({}), json!({})).await?;
    world.rotated_token(json!({})).await?;
    world.finished(1).await?;
    world.holders(&world.fingerprint().await?, 1).await?;
    let before = mark(&world)?;
    world.rotate_now("now").await?;
    world.status("pickup to wait", |status| status.sequence == Some(2) && status.pickup.is_some()).await?;
    for (number, offset) in ["+30d", "+0", "-30d", "+0", "+60d"].into_iter().enumerate() {
        clock.set(offset)?;
        nudge(&world, &format!("{}h", 24 * 30 - number)).await?;
        tokio::time::sleep(Duration::from_secs(8)).await;
        let (_, ended) = tokens_made_and_ended(&world, before)?;
        assert!(ended.is_empty(), "{offset}: revoked {ended:?}");
    }
    clock.set("+0")?;
    nudge(&world, "700h").await?;
    world.space.api::<Pod>().delete("holder", &DeleteParams::default()).await?;
    at_rest(&world).await?;
    let (made, _) = tokens_made_and_ended(&world, before)?;
    assert!(made.len() <= 2, "a storm: {made:?}");
    assert_eq!(world.live_tokens().await?.len(), 1);
    world.history.assert_never_refused(world.space.name());
    Ok(())
}
