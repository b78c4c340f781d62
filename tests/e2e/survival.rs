//! Whatever dies, nothing is lost and nobody is refused.

use std::time::Duration;

use kube::api::{Patch, PatchParams};
use serde_json::json;
use tokenturn::testkit::wait::until;

use crate::world::{Outcome, PATIENCE, World, is};

/// Kills the operator as soon as its log shows a line, starts another, and expects the rotation to end as if nothing had
/// happened.
async fn killed_at(stem: &str, line: &str) -> Outcome {
    let mut world = World::new(stem).await?;
    world.deployment("app", 2, json!({})).await?;
    world.rotated_token(json!({})).await?;
    world.finished(1).await?;
    let first = world.token().await?;
    world.holders(&world.fingerprint().await?, 2).await?;
    world.rotate_now("now").await?;
    until(&format!("the log to say {line:?}"), PATIENCE, async || {
        world.operators[0].logs().contains(line).then_some(())
    })
    .await?;
    world.operators[0].kill().await?;
    world.operators.clear();
    tokio::time::sleep(Duration::from_secs(1)).await;
    world.start_operator().await?;
    world.finished(2).await?;
    world.holders(&world.fingerprint().await?, 2).await?;
    assert_eq!(world.live_tokens().await?.len(), 1, "no left-over");
    assert!(!world.accepts(&first).await?);
    world.assert_nobody_noticed().await
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_after_the_intent() -> Outcome {
    killed_at("kill-intent", "reason=RotateNow").await
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_after_the_mint() -> Outcome {
    killed_at("kill-mint", "-2-2\" fingerprint=").await
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_while_settling() -> Outcome {
    killed_at("kill-settle", "new token verified and published serial=2").await
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_after_the_promotion() -> Outcome {
    killed_at("kill-promote", "new token is current serial=2").await
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_after_the_revoke() -> Outcome {
    killed_at("kill-revoke", "token revoked").await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_clean_stop_takes_little_time_and_gives_the_lease_back() -> Outcome {
    let mut world = World::new("stop").await?;
    world.rotated_token(json!({})).await?;
    world.finished(1).await?;
    let status = world.operators[0].terminate(Duration::from_secs(10)).await?;
    assert!(status.success(), "{status}");
    world.operators.clear();
    let started = std::time::Instant::now();
    world.start_operator().await?;
    world.rotate_now("now").await?;
    world.finished(2).await?;
    assert!(started.elapsed() < Duration::from_secs(25), "the lease of the stopped one was waited for");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stand_by_takes_over_when_the_leader_is_killed() -> Outcome {
    let mut world = World::new("standby").await?;
    world.start_operator().await?;
    world.deployment("app", 2, json!({})).await?;
    world.rotated_token(json!({})).await?;
    world.finished(1).await?;
    world.holders(&world.fingerprint().await?, 2).await?;
    let leads = async |index: usize| {
        let metrics = world.operators[index].metrics().await.unwrap_or_default();
        metrics.lines().any(|line| line == "tokenturn_leader 1")
    };
    let leader = if leads(0).await { 0 } else { 1 };
    assert!(leads(leader).await && !leads(1 - leader).await, "one leads");
    for (replica, names_objects) in [(leader, true), (1 - leader, false)] {
        let metrics = world.operators[replica].metrics().await?;
        assert_eq!(metrics.contains("rotatedtoken=\"api\""), names_objects, "{metrics}");
        assert_eq!(metrics.contains("provider=\"cluster\""), names_objects, "{metrics}");
    }
    world.rotate_now("now").await?;
    world.operators[leader].kill().await?;
    world.finished(2).await?;
    assert_eq!(world.live_tokens().await?.len(), 1);
    world.assert_nobody_noticed().await
}

#[tokio::test(flavor = "multi_thread")]
async fn two_replicas_without_a_lease_do_no_harm() -> Outcome {
    let mut world = World::without_operator("two-leaders").await?.with_args(&["--leader-election=false"]);
    world.start_operator().await?;
    world.start_operator().await?;
    world.deployment("app", 2, json!({})).await?;
    world.rotated_token(json!({})).await?;
    world.finished(1).await?;
    world.holders(&world.fingerprint().await?, 2).await?;
    for sequence in 2..=4 {
        world.rotate_now(&sequence.to_string()).await?;
        let status = world.finished(sequence).await?;
        assert!(is(&status, "Stalled", "False"));
        world.holders(&world.fingerprint().await?, 2).await?;
    }
    until("one token at rest", PATIENCE, async || (world.live_tokens().await.ok()?.len() == 1).then_some(())).await?;
    assert!(world.accepts(&world.token().await?).await?);
    let metrics = [world.operators[0].metrics().await?, world.operators[1].metrics().await?];
    assert!(metrics.iter().all(|text| !text.contains("outcome=\"panicked\"")), "a pass panicked");
    world.assert_nobody_noticed().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_slow_kubelet_cache_within_the_settle_time_refuses_no_call() -> Outcome {
    let world = World::new("lag").await?;
    // The cache of the node is late by less than the settle time.
    world.node.set_secret_lag(Duration::from_millis(700));
    world.deployment("app", 3, json!({})).await?;
    world.rotated_token(json!({})).await?;
    world.finished(1).await?;
    let restarts = async |round: i64| {
        // Pods of the workload's own accord start while the token changes.
        let patch = json!({"spec": {"template": {"metadata": {"annotations": {"own": round.to_string()}}}}});
        let deployments = world.space.api::<k8s_openapi::api::apps::v1::Deployment>();
        deployments.patch("app", &PatchParams::default(), &Patch::Merge(patch)).await
    };
    for sequence in 2..=3 {
        world.rotate_now(&sequence.to_string()).await?;
        restarts(sequence).await?;
        world.finished(sequence).await?;
    }
    world.assert_nobody_noticed().await
}

#[tokio::test(flavor = "multi_thread")]
async fn the_chart_gives_every_right_that_is_needed_and_no_more() -> Outcome {
    let world = World::new("rights").await?;
    world.deployment("app", 1, json!({})).await?;
    world.rotated_token(json!({})).await?;
    world.finished(1).await?;
    world.rotate_now("now").await?;
    world.finished(2).await?;
    assert!(!world.operators[0].logs().contains("forbidden"), "a right is missing:\n{}", world.operators[0].logs());
    // Every request of the operator that the API server refused would be a missing right. The exact list of verbs is held by
    // the chart's own test.
    let user = format!("system:serviceaccount:{}:tokenturn", world.system);
    let refused: Vec<_> =
        world.space.audit_events()?.into_iter().filter(|event| event.user == user && event.code == 403).collect();
    assert!(refused.is_empty(), "{refused:?}");
    let token = tokenturn::testkit::operator::account_token(&world.space, &world.system, "tokenturn").await?;
    let client = world.space.client_with_token(&token, "probe").await?;
    let forbidden = |error: kube::Error| matches!(error, kube::Error::Api(status) if status.code == 403);
    let elsewhere: kube::Api<k8s_openapi::api::core::v1::Secret> = kube::Api::namespaced(client.clone(), "kube-system");
    assert!(
        elsewhere.list(&Default::default()).await.map(drop).map_err(forbidden) == Err(true),
        "reads Secrets elsewhere"
    );
    let pods: kube::Api<k8s_openapi::api::core::v1::Pod> = kube::Api::namespaced(client, world.space.name());
    assert!(pods.delete("any", &Default::default()).await.map(drop).map_err(forbidden) == Err(true), "may delete pods");
    Ok(())
}
