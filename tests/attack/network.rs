//! A bad network, where it takes minutes: watches that say nothing, requests whose answers never come.

use std::{
    sync::atomic::{AtomicBool, Ordering},
    time::Duration,
};

use kube::api::{Patch, PatchParams};
use serde_json::json;
use tokenturn::testkit::{
    proxy::{Asked, Fault},
    wait::until,
};

use crate::{aftermath::pause, scene::Scene, world::Outcome};

/// A pod of whose end no watch tells is found gone by a look that comes every 30 s. For 30 s the watch is believed, which
/// still shows it; then its node has to be in contact for 65 s.
const UNSEEN: Duration = Duration::from_secs(30 + 65 + 2 * 30 + 60);

/// A request that gets no answer is given up after 30 s; then it is found out what became of it.
const UNANSWERED: Duration = Duration::from_secs(30 + 90);

#[tokio::test(flavor = "multi_thread")]
async fn no_watch_tells_of_the_end_of_a_pod() -> Outcome {
    let scene = Scene::new("unseen").await?;
    let changed = scene.proxy.rule(Fault::Lose("MODIFIED"), |asked| asked.watches("pods"));
    let deleted = scene.proxy.rule(Fault::Lose("DELETED"), |asked| asked.watches("pods"));
    scene.rotates(2, UNSEEN).await?;
    scene.goes(UNSEEN).await?;
    assert!(changed.hits() > 0 && deleted.hits() > 0, "no event was lost");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn the_watch_of_pods_is_frozen() -> Outcome {
    let scene = Scene::new("frozen-pods").await?;
    let was_immutable = scene.proxy.rule(Fault::Freeze, |asked| asked.watches("pods"));
    scene.rotates(2, UNSEEN).await?;
    scene.goes(UNSEEN).await?;
    assert!(was_immutable.hits() > 0, "no watch was frozen");
    Ok(())
}

/// Nothing wakes the operator but its own clocks: when the interval is over it rotates all the same.
#[tokio::test(flavor = "multi_thread")]
async fn every_watch_is_frozen() -> Outcome {
    let scene = Scene::new("frozen").await?;
    scene.world.patch(json!({"spec": {"interval": "1m"}})).await?;
    let generation = scene.world.tokens().get("api").await?.metadata.generation;
    scene.world.status("the interval to be seen", |status| status.observed_generation == generation).await?;
    let was_immutable = scene.proxy.rule(Fault::Freeze, Asked::is_watch);
    // The third begins when the second has ended: its token is a minute old by then.
    until("a third rotation", Duration::from_secs(60) + UNSEEN, async || {
        (scene.world.tokens().get("api").await.ok()?.status?.sequence >= Some(3)).then_some(())
    })
    .await
    .map_err(|error| format!("{error}\n{}", scene.logs()))?;
    assert!(was_immutable.hits() > 0, "no watch was frozen");
    drop(was_immutable);
    let patch = Patch::Merge(json!({"spec": {"interval": "30d"}}));
    scene.world.tokens().patch("api", &PatchParams::default(), &patch).await?;
    scene.rotated(3, UNSEEN).await?;
    scene.goes(UNSEEN).await
}

/// Nothing is answered for longer than a request may take, except that the lease is kept.
#[tokio::test(flavor = "multi_thread")]
async fn every_request_hangs_in_mid_rotation() -> Outcome {
    let scene = Scene::new("all-hang").await?;
    for (sequence, step) in [(2, "token minted"), (3, "workload is being restarted")] {
        let from = scene.logs().len();
        scene.world.rotate_now(&format!("request {sequence}")).await?;
        scene.logged(from, step).await?;
        let hang = scene.proxy.rule(Fault::Hang, |asked| !asked.path.contains("/leases/") && !asked.is_watch());
        pause(40).await;
        assert!(hang.hits() > 0, "nothing was asked");
        drop(hang);
        scene.rotated(sequence, UNSEEN).await?;
    }
    scene.goes(UNSEEN).await
}

/// The API server acts on one request of a kind in the middle of a rotation, and nobody hears of it.
async fn unanswered(stem: &str, kind: fn(&Asked) -> bool) -> Outcome {
    let scene = Scene::new(stem).await?;
    let first = AtomicBool::new(true);
    let rule = scene.proxy.rule(Fault::HangAnswer, move |asked| kind(asked) && first.swap(false, Ordering::Relaxed));
    scene.rotates(2, UNANSWERED + UNSEEN).await?;
    assert_eq!(rule.hits(), 1, "no such request");
    drop(rule);
    scene.goes(UNSEEN).await
}

fn is_dry_run(asked: &Asked) -> bool {
    asked.query.iter().any(|(name, _)| name == "dryRun")
}

#[tokio::test(flavor = "multi_thread")]
async fn the_secret_of_a_new_token_is_made_and_nobody_hears_of_it() -> Outcome {
    unanswered("made", |asked| asked.method == "POST" && asked.path.ends_with("/secrets") && !is_dry_run(asked)).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_is_minted_and_nobody_hears_of_it() -> Outcome {
    unanswered("minted", |asked| asked.method == "POST" && asked.path.ends_with("/serviceaccounts/api-client/token"))
        .await
}

#[tokio::test(flavor = "multi_thread")]
async fn the_record_is_written_and_nobody_hears_of_it() -> Outcome {
    unanswered("written", |asked| asked.method == "PUT" && asked.path.contains("/secrets/record-")).await
}

#[tokio::test(flavor = "multi_thread")]
async fn the_target_is_written_and_nobody_hears_of_it() -> Outcome {
    unanswered("published", |asked| {
        asked.method == "PATCH" && asked.path.ends_with("/secrets/api-token") && !is_dry_run(asked)
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_workload_is_stamped_and_nobody_hears_of_it() -> Outcome {
    unanswered("stamped", |asked| asked.method == "PATCH" && asked.path.contains("/deployments/")).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_is_revoked_and_nobody_hears_of_it() -> Outcome {
    unanswered("revoked", |asked| asked.method == "DELETE" && asked.path.contains("/secrets/tokenturn-")).await
}
