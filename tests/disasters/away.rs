//! The API server is away for long. The operator ends when its lease cannot be renewed, as a leader has to, and what runs it
//! starts it again; nobody else does anything.

use std::time::Duration;

use crate::{
    stage::{alone, finished_late, in_order, mark, quiet, rotate, tokens_made_and_ended},
    world::{Outcome, World},
};
use serde_json::json;

/// What a kubelet does with the operator's container: starts it again when it ends.
async fn supervise(world: &mut World, during: Duration) -> Result<usize, Box<dyn std::error::Error>> {
    let end = tokio::time::Instant::now() + during;
    let mut restarts = 0;
    while tokio::time::Instant::now() < end {
        if world.operators[0].ended().is_some() {
            restarts += 1;
            world.operators[0].restart(&world.space)?;
        }
        tokio::time::sleep(Duration::from_millis(500)).await;
    }
    Ok(restarts)
}

async fn is_away(stem: &str, minutes: f64) -> Outcome {
    let _alone = alone().await?;
    let mut world = World::new(stem).await?;
    world.deployment("app", 3, json!({})).await?;
    world.rotated_token(json!({})).await?;
    world.finished(1).await?;
    rotate(&world, 2, 3).await?;
    // In the middle of a rotation, with the old token still alive.
    world.rotate_now("away").await?;
    world.status("the promotion", |status| status.sequence == Some(3)).await?;
    let before = mark(&world)?;
    world.space.kill_apiserver().await?;
    let restarts = supervise(&mut world, Duration::from_secs_f64(minutes * 60.0)).await?;
    world.space.start_apiserver().await?;
    let back = supervise(&mut world, Duration::from_secs(20));
    let restarts = restarts + back.await?;
    assert!(restarts <= 1, "{restarts} restarts");
    finished_late(&world, 3).await?;
    in_order(&world, 3).await?;
    let (made, ended) = tokens_made_and_ended(&world, before)?;
    assert!(made.is_empty(), "minted although nothing was due: {made:?}");
    assert_eq!(ended.len(), 1, "{ended:?}");
    quiet(&world, Duration::from_secs(30)).await?;
    world.assert_nobody_noticed().await?;
    rotate(&world, 4, 3).await?;
    world.assert_nobody_noticed().await
}

#[tokio::test(flavor = "multi_thread")]
async fn the_api_server_is_away_for_a_minute() -> Outcome {
    is_away("away-short", 1.0).await
}

#[tokio::test(flavor = "multi_thread")]
async fn the_api_server_is_away_for_ten_minutes() -> Outcome {
    is_away("away-long", 10.0).await
}

/// Replicas that hold no lease have no reason to end.
#[tokio::test(flavor = "multi_thread")]
async fn without_a_lease_nothing_has_to_be_started_again() -> Outcome {
    let _alone = alone().await?;
    let mut world = World::without_operator("away-free").await?.with_args(&["--leader-election=false"]);
    world.start_operator().await?;
    world.deployment("app", 2, json!({})).await?;
    world.rotated_token(json!({})).await?;
    world.finished(1).await?;
    world.rotate_now("away").await?;
    world.status("the promotion", |status| status.sequence == Some(2)).await?;
    world.space.kill_apiserver().await?;
    assert_eq!(supervise(&mut world, Duration::from_secs(60)).await?, 0, "{}", world.operators[0].logs());
    world.space.start_apiserver().await?;
    finished_late(&world, 2).await?;
    assert_eq!(supervise(&mut world, Duration::from_secs(5)).await?, 0);
    in_order(&world, 2).await?;
    world.assert_nobody_noticed().await
}
