//! The API server is away for long. The operator stands by when its lease cannot be renewed, and goes on by itself.

use std::time::Duration;

use crate::{
    stage::{alone, finished_late, in_order, mark, quiet, rotate, tokens_made_and_ended},
    world::{Outcome, World},
};
use serde_json::json;

/// Nothing starts the operator again: it must not end.
async fn lives(world: &mut World, during: Duration) -> Outcome {
    let end = tokio::time::Instant::now() + during;
    while tokio::time::Instant::now() < end {
        if let Some(status) = world.operators[0].ended() {
            return Err(format!("the operator ended: {status}\n{}", world.operators[0].logs()).into());
        }
        tokio::time::sleep(Duration::from_millis(500)).await;
    }
    Ok(())
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
    lives(&mut world, Duration::from_secs_f64(minutes * 60.0)).await?;
    world.space.start_apiserver().await?;
    finished_late(&world, 3).await?;
    in_order(&world, 3).await?;
    assert!(world.operators[0].ended().is_none(), "{}", world.operators[0].logs());
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

/// The same without a lease.
#[tokio::test(flavor = "multi_thread")]
async fn the_api_server_is_away_from_replicas_without_a_lease() -> Outcome {
    let _alone = alone().await?;
    let mut world = World::without_operator("away-free").await?.with_args(&["--leader-election=false"]);
    world.start_operator().await?;
    world.deployment("app", 2, json!({})).await?;
    world.rotated_token(json!({})).await?;
    world.finished(1).await?;
    world.rotate_now("away").await?;
    world.status("the promotion", |status| status.sequence == Some(2)).await?;
    world.space.kill_apiserver().await?;
    lives(&mut world, Duration::from_secs(60)).await?;
    world.space.start_apiserver().await?;
    finished_late(&world, 2).await?;
    in_order(&world, 2).await?;
    world.assert_nobody_noticed().await
}
