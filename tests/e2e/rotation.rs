//! Rotations under traffic: nobody is refused, one rollout each, the old token is verified to be rejected at the end.

use k8s_openapi::api::apps::v1::Deployment;
use kube::ResourceExt;
use serde_json::json;
use tokenturn::testkit::wait::until;

use crate::world::{Outcome, PATIENCE, World, condition, is};

#[tokio::test(flavor = "multi_thread")]
async fn two_rotations_under_traffic_refuse_no_call() -> Outcome {
    let world = World::new("two").await?;
    world.deployment("app", 3, json!({})).await?;
    world.rotated_token(json!({})).await?;
    world.finished(1).await?;
    world.holders(&world.fingerprint().await?, 3).await?;
    let mut tokens = vec![world.token().await?];
    for sequence in [2, 3] {
        world.rotate_now(&format!("request {sequence}")).await?;
        let status = world.finished(sequence).await?;
        assert!(is(&status, "PickedUp", "True"));
        let token = world.token().await?;
        world.holders(&world.fingerprint().await?, 3).await?;
        assert!(!tokens.contains(&token), "a new value each time");
        assert!(
            !world.accepts(tokens.last().ok_or("no token")?).await?,
            "the old token is verified to be rejected when it is forgotten"
        );
        tokens.push(token);
    }
    world.assert_nobody_noticed().await?;
    assert_eq!(world.live_tokens().await?.len(), 1, "one token at rest");
    let deployment = world.space.api::<Deployment>().get("app").await?;
    assert_eq!(deployment.metadata.generation, Some(3), "one stamp for each rotation");
    let round = ["Published", "RollingOut", "PickedUp", "Revoked"];
    let mut reasons = world.event_reasons().await?;
    reasons.sort();
    let mut expected = [&["Published"][..], &round, &round].concat();
    expected.sort_unstable();
    assert_eq!(reasons, expected, "four Events a rotation");
    let status = world.finished(3).await?;
    let history: Vec<i64> = status.history.iter().map(|entry| entry.sequence).collect();
    assert_eq!(history, [1, 2, 3]);
    assert!(status.history[1..].iter().all(|entry| entry.revoked_at.is_some()));
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_is_served_once_also_across_a_restart() -> Outcome {
    let mut world = World::new("once").await?;
    world.rotated_token(json!({})).await?;
    world.finished(1).await?;
    world.rotate_now("now").await?;
    world.finished(2).await?;
    world.operators[0].kill().await?;
    world.operators.clear();
    world.start_operator().await?;
    // Labels and other fields of the spec cause no rotation either.
    world.patch(json!({"metadata": {"labels": {"a": "b"}}, "spec": {"gracePeriod": "1s", "interval": "60d"}})).await?;
    let generation = world.tokens().get("api").await?.metadata.generation;
    world.status("the new generation to be seen", |status| status.observed_generation == generation).await?;
    let status = world.finished(2).await?;
    assert_eq!(status.sequence, Some(2));
    assert_eq!(world.live_tokens().await?.len(), 1);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_change_of_permissions_rotates_and_a_lost_right_is_told() -> Outcome {
    let world = World::new("spec").await?;
    world.rotated_token(json!({})).await?;
    world.finished(1).await?;
    world.patch(json!({"spec": {"permissions": ["get configmaps"]}})).await?;
    let status = world.finished(2).await?;
    assert_eq!(status.history.last().map(|entry| entry.reason.as_str()), Some("SpecChanged"));
    assert!(is(&status, "LeastPrivilege", "False"), "the account may also list");
    let (reason, message) = condition(&status, "LeastPrivilege");
    assert_eq!((reason.as_str(), message.contains("list configmaps")), ("SurplusPermissions", true), "{message}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_suspended_token_is_not_rotated_until_it_is_resumed() -> Outcome {
    let world = World::new("suspend").await?;
    world.rotated_token(json!({})).await?;
    world.finished(1).await?;
    world.patch(json!({"spec": {"suspend": true}})).await?;
    world.rotate_now("while suspended").await?;
    world.status("the suspension to be shown", |status| condition(status, "Ready").0 == "Suspended").await?;
    assert_eq!(world.finished(1).await?.sequence, Some(1));
    world.patch(json!({"spec": {"suspend": false}})).await?;
    world.finished(2).await?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn an_elapsed_interval_rotates_by_itself() -> Outcome {
    let world = World::new("interval").await?;
    world.rotated_token(json!({"interval": "1m"})).await?;
    let first = world.finished(1).await?;
    let status = world.finished(2).await?;
    assert_eq!(status.history.last().map(|entry| entry.reason.as_str()), Some("IntervalElapsed"));
    let issued = |status: &tokenturn::api::RotatedTokenStatus| status.current.as_ref().map(|token| token.issued_at.0);
    let (Some(first), Some(second)) = (issued(&first), issued(&status)) else { return Err("no times".into()) };
    assert!(second.duration_since(first).as_secs() >= 59, "not before its time");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn tokens_of_one_workload_are_stamped_together() -> Outcome {
    let world = World::new("batch").await?;
    let env = json!([
        {"name": "TOKEN", "valueFrom": {"secretKeyRef": {"name": "api-token", "key": "token"}}},
        {"name": "OTHER", "valueFrom": {"secretKeyRef": {"name": "other-token", "key": "token"}}},
    ]);
    let container = json!([{"name": "app", "image": "none", "env": env}]);
    world.deployment("app", 1, json!({"spec": {"template": {"spec": {"containers": container}}}})).await?;
    world.rotated_token(json!({})).await?;
    world.named_token("other", json!({"secret": {"name": "other-token"}})).await?;
    world.finished(1).await?;
    world.holders(&world.fingerprint().await?, 1).await?;
    let request = json!({"metadata": {"annotations": {"tokenturn.dev/rotate-now": "both"}}});
    for name in ["api", "other"] {
        let patch = kube::api::Patch::Merge(&request);
        world.tokens().patch(name, &kube::api::PatchParams::default(), &patch).await?;
    }
    world.finished(2).await?;
    until("the other token to be rotated", PATIENCE, async || {
        let other = world.tokens().get("other").await.ok()?.status?;
        (other.sequence == Some(2) && other.previous.is_none()).then_some(())
    })
    .await?;
    let deployment = world.space.api::<Deployment>().get("app").await?;
    let template = deployment.spec.as_ref().and_then(|spec| spec.template.metadata.as_ref());
    let annotations = template.and_then(|meta| meta.annotations.clone()).unwrap_or_default();
    assert!(["api", "other"].iter().all(|name| annotations.contains_key(&format!("rotation.tokenturn.dev/{name}"))));
    assert_eq!(deployment.metadata.generation, Some(2), "{} was rolled once", deployment.name_any());
    world.assert_nobody_noticed().await
}
