//! Somebody brings Secrets back from a backup: records and Secrets of workloads, while the provider stays as it is.

use std::time::Duration;

use k8s_openapi::api::core::v1::Secret;
use kube::{
    Api, ResourceExt,
    api::{Patch, PatchParams},
};
use serde_json::json;

use crate::world::{Outcome, World};

async fn bring_back(api: &Api<Secret>, old: &Secret) -> Outcome {
    let (data, annotations) = (&old.data, &old.metadata.annotations);
    let back = Patch::Merge(json!({"data": data, "metadata": {"annotations": annotations}}));
    api.patch(&old.name_any(), &PatchParams::default(), &back).await?;
    Ok(())
}

/// Bug: the token that all pods held was in no record and no Secret any more. It was not revoked, and not even noticed, until
/// two rotations later.
#[tokio::test(flavor = "multi_thread")]
async fn record_and_secret_go_back_and_the_provider_does_not() -> Outcome {
    let mut world = World::new("backup").await?;
    world.deployment("app", 2, json!({})).await?;
    world.rotated_token(json!({})).await?;
    world.finished(1).await?;
    let records: Api<Secret> = Api::namespaced(world.space.client().clone(), &world.system);
    let (record, target) = (world.records().await?.remove(0), world.space.api::<Secret>().get("api-token").await?);
    for sequence in 2..=3 {
        world.rotate_now(&sequence.to_string()).await?;
        world.finished(sequence).await?;
    }
    let newest = world.token().await?;
    world.holders(&world.fingerprint().await?, 2).await?;
    world.operators[0].terminate(Duration::from_secs(10)).await?;
    world.operators.clear();
    bring_back(&records, &record).await?;
    bring_back(&world.space.api(), &target).await?;
    world.start_operator().await?;
    let status = world
        .status("the dead token to be replaced", |status| status.sequence >= Some(4) && status.previous.is_none())
        .await?;
    assert_eq!(status.sequence, Some(4), "a storm: {status:#?}");
    world.holders(&world.fingerprint().await?, 2).await?;
    assert!(world.accepts(&world.token().await?).await?);
    assert_eq!(world.live_tokens().await?.len(), 1, "what the pods held is left alive");
    assert!(!world.accepts(&newest).await?);
    world.assert_nobody_noticed().await
}
