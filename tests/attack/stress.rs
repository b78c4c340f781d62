//! Kills, freezes and edits in the middle of rotations.

use std::time::Duration;

use k8s_openapi::api::apps::v1::Deployment;
use kube::api::{Patch, PatchParams};
use serde_json::json;
use tokenturn::testkit::wait::until;

use crate::{
    aftermath::{logs, one_token, still_works},
    world::{Outcome, PATIENCE, World, is},
};

fn dice(seed: &mut u64, from: u64, to: u64) -> u64 {
    *seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
    from + (*seed >> 33) % (to - from)
}

/// Kills replicas all the time through some rotations.
async fn killed_all_the_time(stem: &str, replicas: usize, args: &[&str]) -> Outcome {
    let mut world = World::without_operator(stem).await?.with_args(args);
    for _ in 0..replicas {
        world.start_operator().await?;
    }
    world.deployment("app", 3, json!({})).await?;
    world.rotated_token(json!({})).await?;
    let mut seed = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH)?.subsec_nanos().into();
    println!("seed {seed}");
    let mut kills = 0_i64;
    for sequence in 1..=5_i64 {
        if sequence > 1 {
            world.rotate_now(&sequence.to_string()).await?;
        }
        let end = tokio::time::Instant::now() + Duration::from_secs(240);
        loop {
            let status = world.tokens().get("api").await?.status.unwrap_or_default();
            if status.sequence >= Some(sequence) && status.previous.is_none() && is(&status, "Reconciling", "False") {
                break;
            }
            if tokio::time::Instant::now() > end {
                return Err(format!("rotation {sequence} does not end: {status:#?}\n{}", logs(&world)).into());
            }
            tokio::time::sleep(Duration::from_millis(dice(&mut seed, 200, 1500))).await;
            // A pod whose end nobody saw counts as gone only after its node was in contact for 95 s of one process's life.
            if kills < sequence * 12 {
                let victim = dice(&mut seed, 0, replicas as u64) as usize;
                world.operators[victim].kill().await?;
                drop(world.operators.remove(victim));
                world.start_operator().await?;
            } else {
                tokio::time::sleep(Duration::from_secs(4)).await;
            }
            kills += 1;
            world.history.assert_never_refused(world.space.name());
        }
    }
    println!("{kills} kills");
    one_token(&world).await?;
    world.assert_nobody_noticed().await?;
    still_works(&world).await
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "takes minutes"]
async fn one_replica_is_killed_all_the_time() -> Outcome {
    killed_all_the_time("kills-one", 1, &["--identity=same"]).await
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "takes minutes"]
async fn two_replicas_without_a_lease_are_killed_all_the_time() -> Outcome {
    killed_all_the_time("kills-two", 2, &["--leader-election=false"]).await
}

/// The leader is frozen when its log shows a line, another leads, and the first goes on.
async fn frozen_at(stem: &str, line: &str, seconds: u64) -> Outcome {
    let mut world = World::without_operator(stem).await?;
    world.start_operator().await?;
    world.deployment("app", 3, json!({})).await?;
    world.rotated_token(json!({})).await?;
    world.finished(1).await?;
    world.holders(&world.fingerprint().await?, 3).await?;
    world.start_operator().await?;
    world.rotate_now("now").await?;
    until(line, PATIENCE, async || world.operators[0].logs().contains(line).then_some(())).await?;
    world.operators[0].freeze(true);
    tokio::time::sleep(Duration::from_secs(seconds)).await;
    world.operators[0].freeze(false);
    world.finished(2).await?;
    tokio::time::sleep(Duration::from_secs(8)).await;
    one_token(&world).await?;
    let status = world.tokens().get("api").await?.status.unwrap_or_default();
    assert!(is(&status, "Reconciling", "False"), "{status:#?}");
    world.assert_nobody_noticed().await?;
    world.operators.remove(0);
    still_works(&world).await
}

#[tokio::test(flavor = "multi_thread")]
async fn frozen_after_the_intent() -> Outcome {
    frozen_at("froze-intent", "reason=RotateNow", 24).await
}

#[tokio::test(flavor = "multi_thread")]
async fn frozen_after_the_mint() -> Outcome {
    frozen_at("froze-mint", "-2-2\" fingerprint=", 24).await
}

#[tokio::test(flavor = "multi_thread")]
async fn frozen_while_settling() -> Outcome {
    frozen_at("froze-settle", "new token verified and published serial=2", 24).await
}

#[tokio::test(flavor = "multi_thread")]
async fn frozen_after_the_promotion() -> Outcome {
    frozen_at("froze-promote", "new token is current serial=2", 24).await
}

#[tokio::test(flavor = "multi_thread")]
async fn frozen_after_the_revoke() -> Outcome {
    frozen_at("froze-revoke", "token revoked", 24).await
}

/// Everything that a user may edit is edited while a rotation is under way.
#[tokio::test(flavor = "multi_thread")]
async fn the_spec_is_edited_in_mid_rotation() -> Outcome {
    let world = World::new("edits").await?;
    world.deployment("app", 3, json!({})).await?;
    world.rotated_token(json!({})).await?;
    world.finished(1).await?;
    let edits = [
        json!({"secret": {"data": {"token": "token", "MORE": "token"}}}),
        json!({"interval": "1m"}),
        json!({"suspend": true}),
        json!({"rollout": {"mode": "None"}}),
        json!({"rollout": {"mode": "Auto"}, "interval": "30d", "suspend": false}),
        json!({"permissions": ["get configmaps"]}),
        json!({"gracePeriod": "2s"}),
        json!({"secret": {"labels": {"team": "shop"}, "annotations": {"note": "x"}}}),
    ];
    let deployments = world.space.api::<Deployment>();
    for (round, edit) in edits.into_iter().enumerate() {
        world.rotate_now(&format!("edit-{round}")).await?;
        tokio::time::sleep(Duration::from_millis(300 + 350 * round as u64)).await;
        world.patch(json!({"spec": edit})).await?;
        let replicas = 1 + (round * 2) % 5;
        let patch = Patch::Merge(json!({"spec": {"replicas": replicas, "paused": round % 3 == 1}}));
        deployments.patch("app", &PatchParams::default(), &patch).await?;
    }
    let resume = Patch::Merge(json!({"spec": {"replicas": 3, "paused": false}}));
    deployments.patch("app", &PatchParams::default(), &resume).await?;
    world
        .status("rest", |status| {
            status.previous.is_none() && is(status, "Reconciling", "False") && is(status, "Ready", "True")
        })
        .await?;
    one_token(&world).await?;
    world.assert_nobody_noticed().await?;
    still_works(&world).await
}

/// Init containers, Jobs and lingering pods under traffic.
#[tokio::test(flavor = "multi_thread")]
async fn all_sorts_of_consumers() -> Outcome {
    let world = World::new("sorts").await?;
    world.rotated_token(json!({})).await?;
    world.finished(1).await?;
    let env = json!([{"name": "TOKEN", "valueFrom": {"secretKeyRef": {"name": "api-token", "key": "token"}}}]);
    let init = json!({"spec": {"template": {
        "metadata": {"annotations": {"testkit.tokenturn.dev/token-from-init": "fetch", "testkit.tokenturn.dev/linger-ms": "4000"}},
        "spec": {"containers": [{"name": "app", "image": "none"}], "initContainers": [{"name": "fetch", "image": "none", "env": env}]},
    }}});
    world.deployment("init", 2, init).await?;
    let mut job = json!({"apiVersion": "batch/v1", "kind": "Job", "metadata": {"name": "job"}, "spec": {
        "template": {"metadata": {"annotations": {"testkit.tokenturn.dev/run-ms": "12000"}}, "spec": world.pod_spec()},
    }});
    job["spec"]["template"]["spec"]["restartPolicy"] = json!("Never");
    let jobs = world.space.api::<k8s_openapi::api::batch::v1::Job>();
    jobs.create(&Default::default(), &serde_json::from_value(job)?).await?;
    until("three consumers", PATIENCE, async || (world.history.holding(world.space.name()).len() >= 3).then_some(()))
        .await?;
    world.rotate_now("now").await?;
    world.finished(2).await?;
    world.assert_nobody_noticed().await?;
    still_works(&world).await
}

/// At the most talkative level no log shows a token.
#[tokio::test(flavor = "multi_thread")]
async fn the_most_talkative_log_shows_no_token() -> Outcome {
    let mut world = World::without_operator("talk").await?.with_args(&["--log-level=trace"]);
    world.start_operator().await?;
    world.deployment("app", 1, json!({})).await?;
    world.rotated_token(json!({})).await?;
    world.finished(1).await?;
    still_works(&world).await
}

/// Limits of what can be written in a spec.
#[tokio::test(flavor = "multi_thread")]
async fn specs_at_their_limits() -> Outcome {
    let world = World::new("limits").await?;
    let long: String = "ü".repeat(250);
    let permissions: Vec<String> = (0..64).map(|n| format!("get {long}{n}")).collect();
    world.named_token("wide", json!({"permissions": permissions, "secret": {"name": "w"}})).await?;
    world.named_token(&"n".repeat(63), json!({"interval": "9999d99999h", "gracePeriod": "9999d99999h9999999m999999999s", "secret": {"name": "s".repeat(253)}})).await?;
    world.named_token("dots", json!({"secret": {"name": "a..b"}})).await?;
    world.named_token("typed", json!({"secret": {"name": "typed", "type": "kubernetes.io/tls"}})).await?;
    world.named_token("rtwo", json!({"renewBefore": "29d", "secret": {"name": "rtwo"}})).await?;
    world.rotated_token(json!({"parameters": {"serviceAccount": "api-client"}})).await?;
    world.finished(1).await?;
    crate::aftermath::pause(5).await;
    for token in world.tokens().list(&Default::default()).await?.items {
        let status = token.status.clone().unwrap_or_default();
        println!(
            "{}: {:?} {}",
            token.metadata.name.unwrap_or_default(),
            crate::world::condition(&status, "Ready").0,
            crate::world::condition(&status, "Ready").1.chars().take(150).collect::<String>()
        );
        assert!(!status.conditions.is_empty());
    }
    world.rotate_now("x".repeat(200_000).as_str()).await?;
    world.finished(2).await?;
    crate::aftermath::clean(&world, &[world.token().await?]).await
}
