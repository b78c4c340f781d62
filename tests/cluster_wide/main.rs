//! An operator that serves the whole cluster, as the chart installs it by default. It has a control plane to itself, because
//! it would serve the objects of every other test too.

#[allow(dead_code, reason = "shared with the end-to-end tests, which use more of it")]
#[path = "../e2e/world.rs"]
mod world;

use k8s_openapi::api::core::v1::Namespace;
use kube::api::DeleteParams;
use serde_json::json;
use tokenturn::testkit::wait::until;
use world::{Outcome, PATIENCE, Scope, World};

#[tokio::test(flavor = "multi_thread")]
async fn a_deleted_namespace_is_not_held_up() -> Outcome {
    let mut world = World::in_scope("namespace", Scope::Cluster).await?;
    world.start_operator().await?;
    world.deployment("app", 1, json!({})).await?;
    world.rotated_token(json!({})).await?;
    world.finished(1).await?;
    world.holders(&world.fingerprint().await?, 1).await?;
    let namespaces: kube::Api<Namespace> = kube::Api::all(world.space.client().clone());
    namespaces.delete(world.space.name(), &DeleteParams::default()).await?;
    until("the namespace to be gone", PATIENCE, async || {
        matches!(namespaces.get_opt(world.space.name()).await, Ok(None)).then_some(())
    })
    .await
    .map_err(|error| format!("{error}\n{}", world.operators[0].logs()))?;
    until("the record to be gone", PATIENCE, async || world.records().await.ok()?.is_empty().then_some(())).await?;
    Ok(())
}
