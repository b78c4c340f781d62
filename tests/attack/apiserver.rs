//! The API server dies or hangs in the middle of every step. Shares its control plane with nobody: run it alone, with
//! `--ignored --test-threads 1 apiserver`.

use std::time::Duration;

use serde_json::json;
use tokenturn::testkit::wait::until;

use crate::{
    aftermath::{logs, one_token, pause, still_works},
    world::{Outcome, PATIENCE, World, is},
};

const STEPS: [&str; 6] = [
    "rotation begins",
    "token minted",
    "new token verified and published",
    "new token is current",
    "workload is being restarted",
    "old token revoked",
];

async fn at_every_step(world: &World, strike: impl AsyncFn(usize) -> Outcome) -> Outcome {
    world.deployment("app", 2, json!({})).await?;
    world.rotated_token(json!({})).await?;
    world.finished(1).await?;
    let mut sequence = 1;
    for (number, step) in STEPS.into_iter().enumerate() {
        let before = logs(world).len();
        world.rotate_now(&format!("step-{number}")).await?;
        until(step, PATIENCE, async || logs(world)[before..].contains(step).then_some(())).await?;
        strike(number).await?;
        // The end of a pod that no watch saw counts after 95 s of contact.
        let wanted = format!("rotation after {sequence} to end, struck at {step:?}");
        let status = until(&wanted, Duration::from_secs(240), async || {
            let status = world.tokens().get("api").await.ok()?.status?;
            (status.sequence > Some(sequence) && status.previous.is_none() && is(&status, "Reconciling", "False"))
                .then_some(status)
        })
        .await
        .map_err(|error| format!("{error}\n{}", logs(world)))?;
        sequence = status.sequence.unwrap_or_default();
        one_token(world).await?;
        world.history.assert_never_refused(world.space.name());
    }
    world.assert_nobody_noticed().await?;
    still_works(world).await
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "kills the API server that other tests share"]
async fn apiserver_is_killed_at_every_step() -> Outcome {
    let world = World::new("api-kill").await?;
    at_every_step(&world, async |_| {
        world.space.kill_apiserver().await?;
        pause(3).await;
        world.space.start_apiserver().await?;
        Ok(())
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "freezes the API server that other tests share"]
async fn apiserver_hangs_at_every_step() -> Outcome {
    let world = World::new("api-hang").await?;
    at_every_step(&world, async |number| {
        world.space.freeze_apiserver(true);
        tokio::time::sleep(Duration::from_secs([3, 12, 6, 12, 3, 12][number])).await;
        world.space.freeze_apiserver(false);
        Ok(())
    })
    .await
}
