//! A thousand objects that cannot work: half of them are refused by the API server, the others wait for a person. None may
//! make the operator loop, leak a token or grow.

use std::time::Duration;

use futures::{StreamExt, TryStreamExt, stream};
use k8s_openapi::api::core::v1::Secret;
use kube::{
    ResourceExt,
    api::{DeleteParams, ListParams, PostParams},
};
use serde_json::{Value, json};
use tokenturn::testkit::wait::until;

use crate::{
    stage::{alone, mark, quiet, rss_mib, stored},
    world::{Outcome, World, is},
};

const OF_EACH: usize = 500;

/// How much more memory five hundred objects may need that wait: 40 KiB each, and buffers.
const ROOM_MIB: f64 = 40.0;

/// Specs that the API server refuses.
fn refused(number: usize) -> Value {
    match number % 8 {
        0 => json!({"interval": "10s"}),
        1 => json!({"interval": "soon"}),
        2 => json!({"gracePeriod": "-1h"}),
        3 => json!({"suspend": "perhaps"}),
        4 => json!({"secret": {"data": {"not a key": "token"}}}),
        5 => json!({"rollout": {"mode": "Listed"}}),
        6 => json!({"deletionPolicy": "Forget"}),
        _ => json!({"secret": {"labels": {"tokenturn.dev/role": "target"}}}),
    }
}

/// Specs that are admitted and cannot work, and what is said of them.
fn hopeless(number: usize) -> (Value, &'static str) {
    let secret = format!("secret-{number}");
    match number % 25 {
        0..6 => (json!({"providerRef": {"name": "nobody"}, "secret": {"name": secret}}), "ProviderMissing"),
        6..12 => (json!({"permissions": ["fly configmaps"], "secret": {"name": secret}}), "UnknownPermission"),
        12..18 => (json!({"secret": {"name": "foreign"}}), "ForeignSecret"),
        18..24 => (json!({"parameters": {"serviceAccount": "nobody"}, "secret": {"name": secret}}), "InvalidSpec"),
        // The account has no such right: minted, tried, never published, revoked, five times. Minutes for each, so few.
        _ => (json!({"permissions": ["delete nodes"], "secret": {"name": secret}}), "PermissionsMissing"),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_thousand_objects_that_cannot_work() -> Outcome {
    let _alone = alone().await?;
    let world = World::new("invalid").await?;
    let foreign: Secret =
        serde_json::from_value(json!({"metadata": {"name": "foreign"}, "stringData": {"token": "theirs"}}))?;
    world.space.api::<Secret>().create(&PostParams::default(), &foreign).await?;
    let start_mib = rss_mib(&world)?;
    let refusals: Vec<bool> = stream::iter(0..OF_EACH)
        .map(|number| {
            let world = &world;
            async move {
                let answer = world.named_token(&format!("refused-{number}"), refused(number)).await;
                matches!(answer, Err(kube::Error::Api(status)) if matches!(status.code, 400 | 422))
            }
        })
        .buffered(16)
        .collect()
        .await;
    let admitted: Vec<usize> =
        refusals.iter().enumerate().filter(|(_, refused)| !**refused).map(|(number, _)| number % 8).collect();
    assert!(admitted.is_empty(), "admitted: kinds {admitted:?}");
    stream::iter(0..OF_EACH)
        .map(|number| {
            let world = &world;
            async move { world.named_token(&format!("hopeless-{number}"), hopeless(number).0).await }
        })
        .buffered(16)
        .try_for_each(|()| std::future::ready(Ok(())))
        .await?;
    let reported = until("every object to be told what is wrong with it", Duration::from_secs(1200), async || {
        let tokens = world.tokens().list(&ListParams::default()).await.ok()?;
        let all = tokens.iter().all(|token| {
            let number = token.name_any().rsplit('-').next().and_then(|number| number.parse().ok()).unwrap_or(0);
            let stalled = token.status.as_ref().and_then(|status| {
                status.conditions.iter().find(|condition| condition.type_ == "Stalled" && condition.status == "True")
            });
            stalled.is_some_and(|stalled| stalled.reason == hopeless(number).1)
        });
        tokio::time::sleep(Duration::from_secs(2)).await;
        (all && tokens.items.len() == OF_EACH).then_some(())
    });
    if let Err(error) = reported.await {
        let tokens = world.tokens().list(&ListParams::default()).await?;
        let mut reasons = std::collections::BTreeMap::<(String, String, String), usize>::new();
        for token in tokens {
            let status = token.status.unwrap_or_default();
            let number: usize = token.metadata.name.unwrap_or_default().rsplit('-').next().unwrap_or("0").parse()?;
            let (reason, message) = crate::world::condition(&status, "Stalled");
            *reasons.entry((hopeless(number).1.to_owned(), reason, message)).or_default() += 1;
        }
        return Err(format!("{error}; wanted, found: {reasons:#?}").into());
    }
    assert!(world.live_tokens().await?.is_empty(), "a token that never worked is alive");
    let waiting_mib = rss_mib(&world)?;
    let before = mark(&world)?;
    quiet(&world, Duration::from_secs(60)).await?;
    println!("{} writes at rest in 80 s", stored(&world, before)?.len());
    assert!(waiting_mib < start_mib + ROOM_MIB, "{start_mib:.1} MiB before, {waiting_mib:.1} MiB with them");
    world.tokens().delete_collection(&DeleteParams::default(), &ListParams::default()).await?;
    until("all of them to be gone", Duration::from_secs(300), async || {
        let tokens = world.tokens().list_metadata(&ListParams::default()).await.ok()?;
        (tokens.items.is_empty() && world.records().await.ok()?.is_empty()).then_some(())
    })
    .await?;
    assert!(world.live_tokens().await?.is_empty());
    let theirs = world.space.api::<Secret>().get("foreign").await?;
    assert_eq!(theirs.data.unwrap_or_default()["token"].0, b"theirs");
    quiet(&world, Duration::from_secs(20)).await?;
    let end_mib = rss_mib(&world)?;
    println!("{start_mib:.1} MiB before, {waiting_mib:.1} MiB with them, {end_mib:.1} MiB after");
    assert!(end_mib <= waiting_mib + 4.0);
    // And one that can work still does.
    world.rotated_token(json!({})).await?;
    let status = world.finished(1).await?;
    assert!(is(&status, "Ready", "True"));
    Ok(())
}
