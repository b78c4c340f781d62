//! Bound Secrets that nobody may forget.

use std::time::Duration;

use k8s_openapi::api::core::v1::{Secret, ServiceAccount};
use kube::api::{DeleteParams, Patch, PatchParams, PostParams};
use serde_json::json;
use tokenturn::testkit::wait::until;

use crate::{
    aftermath::{logs, one_token, pause, still_works},
    world::{Outcome, PATIENCE, World, condition},
};

async fn none_left(world: &World) -> Outcome {
    let gone = until("nothing to be left", PATIENCE, async || {
        let empty = world.live_tokens().await.ok()?.is_empty() && world.records().await.ok()?.is_empty();
        (empty && world.tokens().get_opt("api").await.ok()?.is_none()).then_some(())
    })
    .await;
    gone.map_err(|error| format!("{error}\n{}", logs(world)).into()).map(drop)
}

#[tokio::test(flavor = "multi_thread")]
async fn the_account_goes_before_the_object() -> Outcome {
    let world = World::new("account-first").await?;
    world.rotated_token(json!({})).await?;
    world.finished(1).await?;
    world.space.api::<ServiceAccount>().delete("api-client", &DeleteParams::default()).await?;
    pause(12).await;
    world.tokens().delete("api", &DeleteParams::default()).await?;
    until("the object to go", PATIENCE, async || world.tokens().get_opt("api").await.ok()?.is_none().then_some(()))
        .await?;
    assert_eq!(world.live_tokens().await?, Vec::<String>::new(), "left behind");
    none_left(&world).await
}

/// What an attempt left behind comes late, as a create does that an API server had in its queue.
#[tokio::test(flavor = "multi_thread")]
async fn a_left_over_that_comes_late_is_swept() -> Outcome {
    let world = World::new("late").await?;
    world.rotated_token(json!({})).await?;
    world.finished(1).await?;
    world.rotate_now("now").await?;
    world.finished(2).await?;
    let secrets = world.space.api::<Secret>();
    let name = world.live_tokens().await?.remove(0);
    let mut copy = secrets.get(&name).await?;
    copy.metadata.name = Some(name.replace("-2-2", "-1-1"));
    copy.metadata.uid = None;
    copy.metadata.resource_version = None;
    pause(2).await;
    secrets.create(&PostParams::default(), &copy).await?;
    one_token(&world).await?;
    still_works(&world).await
}

/// Somebody holds a revoked token's Secret with a finalizer.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "takes minutes"]
async fn a_foreign_finalizer_on_a_bound_secret_stops_no_rotation() -> Outcome {
    let world = World::new("held").await?;
    world.rotated_token(json!({})).await?;
    world.finished(1).await?;
    let name = world.live_tokens().await?.remove(0);
    let hold = Patch::Merge(json!({"metadata": {"finalizers": ["example.com/hold"]}}));
    world.space.api::<Secret>().patch(&name, &PatchParams::default(), &hold).await?;
    world.rotate_now("two").await?;
    world.status("the second", |status| status.sequence == Some(2)).await?;
    // A token whose Secret is being deleted is refused after a minute.
    let ended = tokio::time::timeout(Duration::from_secs(150), async {
        loop {
            if let Ok(token) = world.tokens().get("api").await
                && token.status.is_some_and(|status| status.previous.is_none())
            {
                return;
            }
            pause(1).await;
        }
    })
    .await;
    assert!(ended.is_ok(), "the old token is not given up\n{}", logs(&world));
    world.rotate_now("three").await?;
    let done = world.finished(3).await;
    let free = Patch::Merge(json!({"metadata": {"finalizers": null}}));
    world.space.api::<Secret>().patch(&name, &PatchParams::default(), &free).await?;
    done.map(drop)
}

/// The record is lost in the middle of a rotation and the object goes.
#[tokio::test(flavor = "multi_thread")]
async fn the_record_is_lost_in_mid_rotation_and_the_object_goes() -> Outcome {
    let mut world = World::new("lost-all").await?;
    world.bare_pod("holder", json!({}), json!({})).await?;
    world.rotated_token(json!({})).await?;
    world.finished(1).await?;
    world.rotate_now("now").await?;
    world.status("the promotion", |status| status.sequence == Some(2)).await?;
    world.operators[0].kill().await?;
    world.operators.clear();
    let records: kube::Api<Secret> = kube::Api::namespaced(world.space.client().clone(), &world.system);
    let name = world.records().await?.remove(0).metadata.name.unwrap_or_default();
    // A third token, of an attempt whose answer was lost.
    let secrets = world.space.api::<Secret>();
    let bound = world.live_tokens().await?.into_iter().find(|name| name.ends_with("-2-2")).unwrap_or_default();
    let mut copy = secrets.get(&bound).await?;
    copy.metadata.name = Some(bound.replace("-2-2", "-3-3"));
    (copy.metadata.uid, copy.metadata.resource_version) = (None, None);
    secrets.create(&PostParams::default(), &copy).await?;
    records.patch(&name, &PatchParams::default(), &Patch::Merge(json!({"metadata": {"finalizers": null}}))).await?;
    records.delete(&name, &DeleteParams::default()).await?;
    world.start_operator().await?;
    until("the record to be made anew", PATIENCE, async || (world.records().await.ok()?.len() == 1).then_some(()))
        .await?;
    world.tokens().delete("api", &DeleteParams::default()).await?;
    pause(3).await;
    world.space.api::<k8s_openapi::api::core::v1::Pod>().delete("holder", &DeleteParams::default()).await?;
    none_left(&world).await
}

/// Two objects for one Secret, made at the same moment: one gets it, the other says why not, and it can be deleted again.
#[tokio::test(flavor = "multi_thread")]
async fn two_objects_for_one_secret() -> Outcome {
    let world = World::new("two").await?;
    world.deployment("app", 2, json!({})).await?;
    let (one, two) =
        futures::future::join(world.named_token("api", json!({})), world.named_token("other", json!({}))).await;
    one?;
    two?;
    let winner = until("one to have it", PATIENCE, async || {
        let secret = world.space.api::<Secret>().get_opt("api-token").await.ok()??;
        secret.metadata.annotations?.remove("tokenturn.dev/rotated-token").or(Some(String::new()))
    })
    .await?;
    pause(3).await;
    let mut loser = None;
    for name in ["api", "other"] {
        let status = world.tokens().get(name).await?.status.unwrap_or_default();
        if condition(&status, "Stalled").0 == "ForeignSecret" {
            loser = Some(name);
        }
    }
    let loser = loser.ok_or_else(|| format!("nobody is told, {winner:?} has it\n{}", logs(&world)))?;
    world.tokens().delete(loser, &DeleteParams::default()).await?;
    let gone = until("the other to go", Duration::from_secs(60), async || {
        world.tokens().get_opt(loser).await.ok()?.is_none().then_some(())
    })
    .await;
    let status = world.tokens().get_opt(loser).await?.and_then(|token| token.status);
    assert!(gone.is_ok(), "{status:#?}");
    one_token(&world).await?;
    world.assert_nobody_noticed().await
}

/// The same name again and again, each time before the one before it is finished.
#[tokio::test(flavor = "multi_thread")]
async fn deleted_and_created_twenty_times() -> Outcome {
    let world = World::new("twenty").await?;
    for round in 0..20_u64 {
        let end = tokio::time::Instant::now() + PATIENCE;
        loop {
            match world.rotated_token(json!({})).await {
                Ok(()) => break,
                Err(kube::Error::Api(answer)) if answer.code == 409 && tokio::time::Instant::now() < end => {
                    tokio::time::sleep(Duration::from_millis(50)).await;
                }
                Err(error) => return Err(format!("round {round}: {error}\n{}", logs(&world)).into()),
            }
        }
        tokio::time::sleep(Duration::from_millis(round * 60 % 700)).await;
        if round < 19 {
            world.tokens().delete("api", &DeleteParams::default()).await?;
            if round % 5 == 4 {
                let strip = Patch::Merge(json!({"metadata": {"finalizers": null}}));
                let _ = world.tokens().patch("api", &PatchParams::default(), &strip).await;
            }
        }
    }
    world.status("the last to be ready", |status| crate::world::is(status, "Ready", "True")).await?;
    one_token(&world).await?;
    until("one record", PATIENCE, async || (world.records().await.ok()?.len() == 1).then_some(())).await?;
    still_works(&world).await
}
