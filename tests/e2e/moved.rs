//! An operator that is moved to another namespace, and two installations that watch the same one.

use kube::ResourceExt;
use serde_json::json;
use tokenturn::testkit::{chart, shared};

use crate::world::{Outcome, World, condition};

/// An operator that had been moved knew nothing of the live token, minted another one beside it, and said that no older token was alive.
#[tokio::test(flavor = "multi_thread")]
async fn an_object_of_another_installation_is_named_and_moves_on_request() -> Outcome {
    let mut world = World::new("moved").await?;
    world.deployment("app", 1, json!({})).await?;
    world.rotated_token(json!({})).await?;
    world.finished(1).await?;
    world.holders(&world.fingerprint().await?, 1).await?;
    let (token, live) = (world.token().await?, world.live_tokens().await?);
    let annotations = world.tokens().get("api").await?.annotations().clone();
    let before = annotations.get("tokenturn.dev/install").ok_or("the object does not say whose it is")?.clone();
    assert!(live.iter().all(|name| name.contains(&before)), "{live:?}");

    world.operators.clear();
    let client = world.space.client().clone();
    let system = shared::create_namespace(&client, "moved-here").await?;
    let settings = [
        "crds.install=false".to_owned(),
        "userRoles.create=false".to_owned(),
        "serviceAccount.name=tokenturn".to_owned(),
        format!("watchNamespaces={{{}}}", world.space.name()),
    ];
    chart::install(&client, &system, &system, &settings).await?;
    world.system = system;
    world.start_operator().await?;
    world.rotate_now("moved").await?;
    let status = world
        .status("the other installation to be named", |status| condition(status, "Stalled").0 == "OtherInstallation")
        .await?;
    let (_, message) = condition(&status, "Stalled");
    assert!(message.contains(&format!("tokenturn.dev/take-over={before}")), "{message}");
    assert_eq!(world.live_tokens().await?, live, "nothing is minted beside what is alive");
    assert!(world.records().await?.is_empty());

    let request = json!({"metadata": {"annotations": {"tokenturn.dev/take-over": before}}});
    world.patch(request).await?;
    world.finished(1).await?;
    assert_eq!(world.token().await?, token, "what is published works and stays");
    let annotations = world.tokens().get("api").await?.annotations().clone();
    assert_ne!(annotations.get("tokenturn.dev/install"), Some(&before));
    world.rotate_now("here").await?;
    world.finished(2).await?;
    assert!(!world.accepts(&token).await?, "the old one is known here, and revoked");
    assert_eq!(world.live_tokens().await?.len(), 1);
    world.assert_nobody_noticed().await
}
