//! Requests that are taken and never answered.

use std::time::{Duration, Instant};

use kube::api::{Patch, PatchParams};
use serde_json::json;
use tokenturn::testkit::{proxy::Fault, wait::until};

use super::scene::Scene;
use crate::world::{Outcome, PATIENCE};

/// One token whose every read hangs delays no other: each look has a place of its own and ends after 30 s.
#[tokio::test(flavor = "multi_thread")]
async fn a_token_whose_requests_hang_delays_no_other() -> Outcome {
    let scene = Scene::new("hangs").await?;
    let world = &scene.world;
    world.named_token("other", json!({"secret": {"name": "other-token"}})).await?;
    let other = async |sequence: i64| {
        let token = world.tokens().get("other").await.ok()?.status?;
        (token.sequence == Some(sequence) && token.previous.is_none()).then_some(())
    };
    until("the other token", PATIENCE, async || other(1).await).await?;
    let rotation = async |sequence: i64| {
        let started = Instant::now();
        let request = json!({"metadata": {"annotations": {"tokenturn.dev/rotate-now": sequence.to_string()}}});
        world.tokens().patch("other", &PatchParams::default(), &Patch::Merge(request)).await?;
        until("the other token to be rotated", PATIENCE, async || other(sequence).await).await?;
        Ok::<_, Box<dyn std::error::Error>>(started.elapsed())
    };
    let alone = rotation(2).await?;
    let hang = scene.proxy.rule(Fault::Hang, |asked| asked.reads("rotatedtokens", "api"));
    world.rotate_now("now").await?;
    until("its read to hang", PATIENCE, async || (hang.hits() > 0).then_some(())).await?;
    let beside = rotation(3).await?;
    // It has some six looks to wait for; behind one that hangs, each could take half a minute.
    assert!(beside < alone * 2 + Duration::from_secs(10), "{beside:?} instead of {alone:?}");
    assert_eq!(world.tokens().get("api").await?.status.and_then(|status| status.sequence), Some(1), "it still hangs");
    drop(hang);
    world.finished(2).await?;
    assert_eq!(world.live_tokens().await?.len(), 2, "one of each object");
    world.assert_nobody_noticed().await
}

/// Trying the token takes 13 s here, longer than a look may be old when its token is published.
#[tokio::test(flavor = "multi_thread")]
async fn a_provider_that_answers_slowly_does_not_keep_a_token_from_being_published() -> Outcome {
    let scene = Scene::new("slow").await?;
    let slow = Fault::Slow(Duration::from_millis(6_500));
    let reviews = ["tokenreviews", "selfsubjectrulesreviews"];
    let rule = scene.proxy.rule(slow, move |asked| reviews.iter().any(|review| asked.path.ends_with(review)));
    let old = scene.world.token().await?;
    scene.world.rotate_now("now").await?;
    until("the new token to be published", PATIENCE, async || {
        scene.world.token().await.ok().filter(|token| *token != old).map(drop)
    })
    .await?;
    assert!(rule.hits() >= 2, "{}", rule.hits());
    drop(rule);
    scene.rotated(2, PATIENCE).await
}
