//! A watch says where to look and nothing else: whatever becomes of its events, they only cost time.

use std::time::Duration;

use k8s_openapi::api::core::v1::Pod;
use kube::api::ListParams;
use tokenturn::testkit::proxy::Fault;

use super::scene::Scene;
use crate::world::{Outcome, PATIENCE};

/// A rotation and a deletion while every watch suffers from a fault.
async fn suffered(stem: &str, fault: Fault) -> Outcome {
    let scene = Scene::new(stem).await?;
    let rule = scene.proxy.rule(fault, |asked| asked.is_watch());
    scene.rotates(2, PATIENCE).await?;
    scene.goes(PATIENCE).await?;
    assert!(rule.hits() > 0, "no watch was touched");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn watches_break_every_second() -> Outcome {
    suffered("cut", Fault::Cut(Duration::from_secs(1))).await
}

#[tokio::test(flavor = "multi_thread")]
async fn watches_start_late() -> Outcome {
    suffered("late", Fault::Slow(Duration::from_secs(3))).await
}

/// The last version of a pod, with its end, was told before.
#[tokio::test(flavor = "multi_thread")]
async fn deletions_are_never_told() -> Outcome {
    suffered("lost", Fault::Lose("DELETED")).await
}

/// What happened long ago is told again, to watches that break all the time so that they start again.
#[tokio::test(flavor = "multi_thread")]
async fn watches_start_at_an_old_revision() -> Outcome {
    let scene = Scene::new("old").await?;
    let list = scene.world.space.api::<Pod>().list(&ListParams::default()).await?;
    let revision = list.metadata.resource_version.ok_or("a list has a revision")?;
    scene.rotates(2, PATIENCE).await?;
    let cut = scene.proxy.rule(Fault::Cut(Duration::from_secs(2)), |asked| asked.is_watch());
    let old = scene.proxy.rule(Fault::From(revision), |asked| asked.is_watch());
    scene.rotates(3, PATIENCE).await?;
    scene.goes(PATIENCE).await?;
    assert!(old.hits() > 0 && cut.hits() > 0, "no watch was touched");
    Ok(())
}
