//! etcd goes back to a backup: records, Secrets of workloads, pods, and with the `kubernetes` provider the tokens too.
//!
//! What cannot be helped: the newest tokens are dead, because what they were bound to is gone, and containers that hold them
//! are refused until their kubelet notices that their pods are gone as well. What has to hold: everybody ends with a token
//! that works, nothing is revoked that somebody holds, and what is alive without need is revoked in the end.

use std::{collections::BTreeSet, time::Duration};

use k8s_openapi::api::core::v1::Pod;
use kube::api::DeleteParams;
use serde_json::json;
use tokenturn::testkit::{Backup, NodeOptions, Restore, SimulatedNode, wait::until};

use crate::{
    stage::{alone, finished_late, in_order, mark, rotate, tokens_made_and_ended},
    world::{Outcome, PATIENCE, World},
};

/// Three consumers, and two rotations behind them.
async fn world(stem: &str) -> Result<World, Box<dyn std::error::Error>> {
    let world = World::new(stem).await?;
    world.deployment("app", 3, json!({})).await?;
    world.rotated_token(json!({})).await?;
    world.finished(1).await?;
    rotate(&world, 2, 3).await?;
    Ok(world)
}

/// Restarts what etcd's manual says has to be restarted after a restore without moved revisions: operator and kubelet.
async fn restart_all(world: &mut World) -> Outcome {
    world.operators[0].kill().await?;
    world.operators.clear();
    restart_node(world).await?;
    world.start_operator().await
}

async fn restart_node(world: &mut World) -> Outcome {
    world.node.power_off();
    let mut options = NodeOptions::named(world.space.name());
    options.labels.insert("world".to_owned(), world.space.name().to_owned());
    world.node = SimulatedNode::start(&world.space.config("node").await?, &world.history, options).await?;
    Ok(())
}

/// Fingerprints of the tokens that were refused to a consumer.
fn refused(world: &World) -> BTreeSet<String> {
    world.history.refused_calls(world.space.name()).into_iter().map(|call| call.fingerprint).collect()
}

/// Goes back, and gives the fingerprint of the token that dies by it.
async fn go_back(
    world: &World,
    backup: &Backup,
    how: Restore,
    away: Duration,
) -> Result<String, Box<dyn std::error::Error>> {
    let newest = world.fingerprint().await?;
    world.space.kill_apiserver().await?;
    tokio::time::sleep(away).await;
    world.history.assert_never_refused(world.space.name());
    world.space.restore(backup, how).await?;
    Ok(newest)
}

/// From here on nobody is refused, and rotations go on.
async fn goes_on(world: &World, lost: &str) -> Outcome {
    assert!(refused(world).iter().all(|token| token == lost), "refused: {:?}, lost: {lost}", refused(world));
    let before = world.history.refused(world.space.name());
    let sequence = world.tokens().get("api").await?.status.and_then(|status| status.sequence).unwrap_or(0);
    world.rotate_now("after the restore").await?;
    world.status("a further rotation", |status| status.sequence > Some(sequence) && status.previous.is_none()).await?;
    in_order(world, 3).await?;
    assert_eq!(world.history.refused(world.space.name()), before, "refused after everything was in order");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn etcd_goes_back_three_rotations_and_everything_is_restarted() -> Outcome {
    let _alone = alone().await?;
    let mut world = world("back-restart").await?;
    let second = world.fingerprint().await?;
    let backup = world.space.back_up()?;
    for sequence in 3..=5 {
        rotate(&world, sequence, 3).await?;
    }
    let before = mark(&world)?;
    let lost = go_back(&world, &backup, Restore::SameRevisions, Duration::ZERO).await?;
    restart_all(&mut world).await?;
    in_order(&world, 3).await?;
    // Of all that the cluster remembers nothing contradicts: it is the token of the backup, which is valid again.
    assert_eq!(world.fingerprint().await?, second);
    let (made, ended) = tokens_made_and_ended(&world, before)?;
    assert!(made.is_empty() && ended.is_empty(), "minted {made:?}, revoked {ended:?}");
    goes_on(&world, &lost).await
}

/// The operator has seen more than the record now says: it knows that the token of the backup was revoked once, says so, and
/// replaces it.
async fn the_operator_lives_on(stem: &str, how: Restore) -> Outcome {
    let _alone = alone().await?;
    let mut world = world(stem).await?;
    let (second, bound) = (world.token().await?, world.live_tokens().await?);
    let backup = world.space.back_up()?;
    for sequence in 3..=5 {
        rotate(&world, sequence, 3).await?;
    }
    assert!(!world.accepts(&second).await?);
    let before = mark(&world)?;
    // With the same revisions longer than the lease lasts, so that a new term lists everything. After less, watches with
    // versions that the API server has not reached yet show nothing, and the operator has to be restarted.
    let away = Duration::from_secs(if how == Restore::SameRevisions { 20 } else { 0 });
    let lost = go_back(&world, &backup, how, away).await?;
    if how == Restore::SameRevisions {
        restart_node(&mut world).await?;
    }
    until("the token of the backup to be replaced", 2 * PATIENCE, async || {
        (world.token().await.ok()? != second).then_some(())
    })
    .await
    .map_err(|error| format!("{error}\n{}", world.operators[0].logs()))?;
    finished_late(&world, 3).await?;
    in_order(&world, 3).await?;
    let reasons = world.event_reasons().await?;
    assert!(reasons.iter().any(|reason| reason == "Restored"), "nothing is said of it: {reasons:?}");
    let (made, ended) = tokens_made_and_ended(&world, before)?;
    assert_eq!((made.len(), ended), (1, bound.into_iter().collect()), "one minted, that of the backup revoked");
    assert!(!world.accepts(&second).await?);
    goes_on(&world, &lost).await
}

#[tokio::test(flavor = "multi_thread")]
async fn etcd_goes_back_three_rotations_and_the_operator_lives_on() -> Outcome {
    the_operator_lives_on("back-alive", Restore::BumpedRevisions).await
}

#[tokio::test(flavor = "multi_thread")]
async fn etcd_goes_back_with_the_same_revisions_and_the_operator_lives_on() -> Outcome {
    the_operator_lives_on("back-blind", Restore::SameRevisions).await
}

/// The backup is of a rotation's middle: its old token is alive again, and so is the pod that held it.
#[tokio::test(flavor = "multi_thread")]
async fn etcd_goes_back_into_the_middle_of_a_rotation() -> Outcome {
    let _alone = alone().await?;
    let mut world = world("back-middle").await?;
    world.bare_pod("holder", json!({}), json!({})).await?;
    world.holders(&world.fingerprint().await?, 4).await?;
    world.rotate_now("third").await?;
    world.status("pickup to wait", |status| status.sequence == Some(3) && status.pickup.is_some()).await?;
    let backup = world.space.back_up()?;
    world.space.api::<Pod>().delete("holder", &DeleteParams::default()).await?;
    world.finished(3).await?;
    rotate(&world, 4, 3).await?;
    let before = mark(&world)?;
    let lost = go_back(&world, &backup, Restore::SameRevisions, Duration::ZERO).await?;
    restart_all(&mut world).await?;
    // The holder is back. It reads the Secret anew, but counts as holding the old token until it ends.
    world.holders(&world.fingerprint().await?, 4).await?;
    tokio::time::sleep(Duration::from_secs(15)).await;
    let (_, ended) = tokens_made_and_ended(&world, before)?;
    assert!(ended.is_empty(), "revoked while a pod of the snapshot is there: {ended:?}");
    world.space.api::<Pod>().delete("holder", &DeleteParams::default()).await?;
    finished_late(&world, 3).await?;
    in_order(&world, 3).await?;
    goes_on(&world, &lost).await
}
