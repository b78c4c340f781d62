//! Pods that the API server no longer shows and whose containers run on.

use std::time::Duration;

use k8s_openapi::api::{apps::v1::Deployment, core::v1::Pod};
use kube::api::{DeleteParams, Patch, PatchParams};
use serde_json::json;
use tokenturn::testkit::{NodeOptions, SimulatedNode, wait::until};

use crate::{
    aftermath::pause,
    world::{Outcome, PATIENCE, World},
};

fn force() -> DeleteParams {
    DeleteParams { grace_period_seconds: Some(0), ..DeleteParams::default() }
}

/// A second node of the world that is slow to end pods which were taken away from it.
async fn slow_node(
    world: &World,
    orphan_kill: Duration,
) -> Result<(SimulatedNode, serde_json::Value), Box<dyn std::error::Error>> {
    let name = format!("{}-slow", world.space.name());
    let mut options = NodeOptions::named(&name);
    options.labels.insert("world".to_owned(), name.clone());
    options.orphan_kill = orphan_kill;
    let node = SimulatedNode::start(&world.space.config("node").await?, &world.history, options).await?;
    Ok((node, json!({"nodeSelector": {"world": name}, "terminationGracePeriodSeconds": 60})))
}

/// Fails as soon as a consumer is refused.
async fn watch_refusals(world: &World, seconds: u64) -> Outcome {
    world
        .never("a refused call", Duration::from_secs(seconds), async || world.history.refused(world.space.name()) > 0)
        .await
}

#[tokio::test(flavor = "multi_thread")]
async fn forced_away_from_a_ready_node_during_pickup() -> Outcome {
    let world = World::new("forced-during").await?;
    let (_node, spec) = slow_node(&world, Duration::from_secs(30)).await?;
    world.rotated_token(json!({})).await?;
    world.finished(1).await?;
    world.bare_pod("holder", json!({}), spec).await?;
    world.holders(&world.fingerprint().await?, 1).await?;
    world.rotate_now("now").await?;
    world.status("pickup to wait", |status| status.sequence == Some(2) && status.pickup.is_some()).await?;
    world.space.api::<Pod>().delete("holder", &force()).await?;
    watch_refusals(&world, 35).await
}

/// The container has its grace period still before it when the rotation counts who may hold the token.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "open: pods that vanished before the snapshot are not known"]
async fn forced_away_from_a_ready_node_before_the_rotation() -> Outcome {
    let world = World::new("forced-before").await?;
    let (_node, spec) = slow_node(&world, Duration::from_secs(50)).await?;
    world.rotated_token(json!({})).await?;
    world.finished(1).await?;
    world.bare_pod("holder", json!({}), spec).await?;
    world.holders(&world.fingerprint().await?, 1).await?;
    world.space.api::<Pod>().delete("holder", &force()).await?;
    world.rotate_now("now").await?;
    watch_refusals(&world, 40).await
}

/// The pod was forced away while its node was cut off; its container goes on for as long as the node does.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "open: pods that vanished before the snapshot are not known"]
async fn forced_away_from_a_silent_node_before_the_rotation() -> Outcome {
    let world = World::new("silent-before").await?;
    let (node, spec) = slow_node(&world, Duration::from_secs(1)).await?;
    world.rotated_token(json!({})).await?;
    world.finished(1).await?;
    world.bare_pod("holder", json!({}), spec).await?;
    world.holders(&world.fingerprint().await?, 1).await?;
    node.set_ready(false).await?;
    pause(1).await;
    world.space.api::<Pod>().delete("holder", &force()).await?;
    world.rotate_now("now").await?;
    watch_refusals(&world, 40).await
}

/// The new token is in the Secret, and the pod goes before the settle time is over: it was there when the rotation began, and
/// is not when its holders are counted.
#[tokio::test(flavor = "multi_thread")]
async fn forced_away_from_a_silent_node_in_the_settle_time() -> Outcome {
    let world = World::new("silent-settle").await?;
    let (node, spec) = slow_node(&world, Duration::from_secs(1)).await?;
    world.rotated_token(json!({})).await?;
    world.finished(1).await?;
    world.bare_pod("holder", json!({}), spec).await?;
    let old = world.fingerprint().await?;
    world.holders(&old, 1).await?;
    node.set_ready(false).await?;
    world.rotate_now("now").await?;
    until("the new token in the Secret", PATIENCE, async || {
        world.fingerprint().await.ok().filter(|now| *now != old).map(drop)
    })
    .await?;
    world.space.api::<Pod>().delete("holder", &force()).await?;
    watch_refusals(&world, 40).await
}

/// The same, and it is the object that goes instead of a rotation.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "open: pods that vanished before the snapshot are not known"]
async fn forced_away_from_a_silent_node_before_the_deletion() -> Outcome {
    let world = World::new("silent-delete").await?;
    let (node, spec) = slow_node(&world, Duration::from_secs(1)).await?;
    world.rotated_token(json!({})).await?;
    world.finished(1).await?;
    world.bare_pod("holder", json!({}), spec).await?;
    world.holders(&world.fingerprint().await?, 1).await?;
    node.set_ready(false).await?;
    pause(1).await;
    world.space.api::<Pod>().delete("holder", &force()).await?;
    world.tokens().delete("api", &DeleteParams::default()).await?;
    watch_refusals(&world, 40).await
}

/// A workload that is listed because its pods do not name the Secret is deleted; its pods take their time to end.
#[tokio::test(flavor = "multi_thread")]
async fn pods_of_a_listed_workload_outlive_it() -> Outcome {
    let world = World::new("listed-gone").await?;
    world
        .rotated_token(json!({"rollout": {"mode": "Listed", "targets": [{"kind": "Deployment", "name": "hidden"}]}}))
        .await?;
    world.finished(1).await?;
    let token = world.token().await?;
    // Has the token from somewhere that its spec does not show.
    let hidden = json!({"spec": {"template": {
        "metadata": {"annotations": {"testkit.tokenturn.dev/linger-ms": "45000"}},
        "spec": {"terminationGracePeriodSeconds": 60,
            "containers": [{"name": "app", "image": "none", "env": [{"name": "TOKEN", "value": token}]}]},
    }}});
    world.deployment("hidden", 1, hidden).await?;
    world.holders(&world.fingerprint().await?, 1).await?;
    world.space.api::<Deployment>().delete("hidden", &DeleteParams::background()).await?;
    until("the Deployment to be gone and its pod to end", PATIENCE, async || {
        let gone = world.space.api::<Deployment>().get_opt("hidden").await.ok()?.is_none();
        let pods = world.space.api::<Pod>().list(&Default::default()).await.ok()?;
        (gone && pods.items.iter().all(|pod| pod.metadata.deletion_timestamp.is_some())).then_some(())
    })
    .await?;
    world.rotate_now("now").await?;
    watch_refusals(&world, 35).await
}

/// A node that is cut off and comes back in mid-pickup.
#[tokio::test(flavor = "multi_thread")]
async fn a_partition_that_heals() -> Outcome {
    let world = World::new("heals").await?;
    world.deployment("app", 3, json!({})).await?;
    world.rotated_token(json!({})).await?;
    world.finished(1).await?;
    world.holders(&world.fingerprint().await?, 3).await?;
    world.rotate_now("now").await?;
    world.status("the promotion", |status| status.sequence == Some(2)).await?;
    world.node.partition(true);
    watch_refusals(&world, 14).await?;
    let patch = Patch::Merge(json!({"spec": {"replicas": 4}}));
    world.space.api::<Deployment>().patch("app", &PatchParams::default(), &patch).await?;
    world.node.partition(false);
    world.finished(2).await?;
    world.assert_nobody_noticed().await?;
    crate::aftermath::still_works(&world).await
}
