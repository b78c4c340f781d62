//! Nobody's token is revoked while a container may hold it.

use std::time::Duration;

use k8s_openapi::api::{
    apps::v1::{DaemonSet, Deployment, StatefulSet},
    core::v1::{PersistentVolume, Pod},
};
use kube::{
    Api,
    api::{DeleteParams, PostParams},
};
use serde_json::json;
use tokenturn::{api::RotatedTokenStatus, testkit::wait::until};

use crate::world::{Outcome, PATIENCE, World, condition, is};

fn blockers(status: &RotatedTokenStatus) -> String {
    let pickup = status.pickup.iter().flat_map(|pickup| &pickup.blockers);
    pickup
        .map(|blocker| format!("{} {}: {}\n", blocker.pod, blocker.container.as_deref().unwrap_or("-"), blocker.why))
        .collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_terminating_pod_with_long_grace_still_blocks_the_revoke() -> Outcome {
    let world = World::new("terminating").await?;
    // After TERM the container goes on using its token for 20 seconds.
    let slow = json!({"spec": {"template": {
        "metadata": {"annotations": {"testkit.tokenturn.dev/linger-ms": "20000"}},
        "spec": {"terminationGracePeriodSeconds": 60},
    }}});
    world.deployment("app", 2, slow).await?;
    world.rotated_token(json!({})).await?;
    world.finished(1).await?;
    let old = world.fingerprint().await?;
    let token = world.token().await?;
    world.holders(&old, 2).await?;
    world.rotate_now("now").await?;
    let status =
        world.status("a terminating pod to be named", |status| blockers(status).contains("terminating")).await?;
    assert!(is(&status, "PickedUp", "False"));
    until("the old token to be refused only after its last holder", PATIENCE, async || {
        let holders = world.history.holders(&old).len();
        let alive = world.accepts(&token).await.ok()?;
        assert!(alive || holders == 0, "{holders} containers hold a token that is refused");
        (!alive).then_some(())
    })
    .await?;
    world.finished(2).await?;
    world.assert_nobody_noticed().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bare_pod_blocks_and_is_named() -> Outcome {
    let world = World::new("bare").await?;
    world.rotated_token(json!({})).await?;
    world.finished(1).await?;
    let old = world.fingerprint().await?;
    world.bare_pod("lonely", json!({}), json!({})).await?;
    world.holders(&old, 1).await?;
    world.rotate_now("now").await?;
    let status = world.status("the bare pod to be named", |status| blockers(status).contains("lonely")).await?;
    assert!(blockers(&status).contains("lonely app: bare pod"), "{}", blockers(&status));
    assert!(is(&status, "PickedUp", "False") && is(&status, "Ready", "True") && is(&status, "Reconciling", "False"));
    let pickup = status.pickup.ok_or("no pickup in the status")?;
    assert_eq!((pickup.total, pickup.remaining, pickup.summary.as_str()), (1, 1, "0/1"));
    world
        .never("the revoke", Duration::from_secs(5), async || {
            world.live_tokens().await.is_ok_and(|live| live.len() < 2)
        })
        .await?;
    world.assert_nobody_noticed().await?;
    world.space.api::<Pod>().delete("lonely", &DeleteParams::default()).await?;
    world.finished(2).await?;
    world.history.assert_never_refused(world.space.name());
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_workload_scaled_to_zero_holds_nothing_up() -> Outcome {
    let world = World::new("zero").await?;
    world.deployment("app", 0, json!({})).await?;
    world.rotated_token(json!({})).await?;
    world.finished(1).await?;
    world.rotate_now("now").await?;
    world.finished(2).await?;
    assert_eq!(world.live_tokens().await?.len(), 1);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn every_kind_of_workload_is_found_and_rolled() -> Outcome {
    let world = World::new("kinds").await?;
    let template = |spec: serde_json::Value| json!({"metadata": {"labels": {"app": "w"}}, "spec": spec});
    let mount = json!({"volumes": [{"name": "token", "secret": {"secretName": "api-token"}}], "containers": [
        {"name": "app", "image": "none", "env": [], "volumeMounts": [{"name": "token", "mountPath": "/token"}]},
    ]});
    let mut mounted = world.pod_spec();
    crate::world::merge(&mut mounted, mount);
    let set = json!({"apiVersion": "apps/v1", "kind": "StatefulSet", "metadata": {"name": "set"}, "spec": {
        "replicas": 2, "serviceName": "set", "selector": {"matchLabels": {"app": "w"}}, "template": template(mounted),
    }});
    world.space.api::<StatefulSet>().create(&PostParams::default(), &serde_json::from_value(set)?).await?;
    let mut daemon = json!({"apiVersion": "apps/v1", "kind": "DaemonSet", "metadata": {"name": "daemon"}, "spec": {
        "selector": {"matchLabels": {"app": "d"}}, "template": template(world.pod_spec()),
    }});
    daemon["spec"]["template"]["metadata"]["labels"]["app"] = json!("d");
    world.space.api::<DaemonSet>().create(&PostParams::default(), &serde_json::from_value(daemon)?).await?;
    world.rotated_token(json!({})).await?;
    world.finished(1).await?;
    world.holders(&world.fingerprint().await?, 3).await?;
    world.rotate_now("now").await?;
    world.finished(2).await?;
    world.holders(&world.fingerprint().await?, 3).await?;
    world.assert_nobody_noticed().await
}

#[tokio::test(flavor = "multi_thread")]
async fn mode_none_restarts_nothing_and_listed_restarts_what_it_lists() -> Outcome {
    let world = World::new("modes").await?;
    world.deployment("app", 1, json!({})).await?;
    // Reads nothing from the Secret that a pod spec would show; only the list says that it is a consumer.
    let hidden = json!({"spec": {"template": {"spec": {"containers": [{"name": "app", "image": "none"}]}}}});
    world.deployment("hidden", 1, hidden).await?;
    world.rotated_token(json!({"rollout": {"mode": "None"}})).await?;
    world.finished(1).await?;
    world.holders(&world.fingerprint().await?, 1).await?;
    world.rotate_now("now").await?;
    let status = world.status("the pod to be waited for", |status| blockers(status).contains("app-")).await?;
    assert!(is(&status, "PickedUp", "False"));
    let generations = async || -> Result<Vec<Option<i64>>, kube::Error> {
        let api = world.space.api::<k8s_openapi::api::apps::v1::Deployment>();
        Ok(vec![api.get("app").await?.metadata.generation, api.get("hidden").await?.metadata.generation])
    };
    assert_eq!(generations().await?, [Some(1), Some(1)], "mode None stamps nothing");
    // Both are listed: the rotation under way goes on with the snapshot that it took, the next one rolls both.
    for pod in world.space.api::<Pod>().list(&Default::default()).await?.items {
        let name = pod.metadata.name.unwrap_or_default();
        world.space.api::<Pod>().delete(&name, &DeleteParams::default()).await?;
    }
    world.finished(2).await?;
    let targets = json!([{"kind": "Deployment", "name": "app"}, {"kind": "Deployment", "name": "hidden"}]);
    world.patch(json!({"spec": {"rollout": {"mode": "Listed", "targets": targets}}})).await?;
    world.rotate_now("again").await?;
    world.finished(3).await?;
    assert_eq!(generations().await?, [Some(2), Some(2)], "mode Listed stamps what it lists");
    world.assert_nobody_noticed().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_paused_deployment_is_named_and_waits() -> Outcome {
    let world = World::new("paused").await?;
    world.deployment("app", 1, json!({"spec": {"paused": false}})).await?;
    world.rotated_token(json!({})).await?;
    world.finished(1).await?;
    world.holders(&world.fingerprint().await?, 1).await?;
    let deployments = world.space.api::<k8s_openapi::api::apps::v1::Deployment>();
    let pause = async |paused: bool| {
        let patch = kube::api::Patch::Merge(json!({"spec": {"paused": paused}}));
        deployments.patch("app", &kube::api::PatchParams::default(), &patch).await
    };
    pause(true).await?;
    world.rotate_now("now").await?;
    let status = world.status("the pause to be named", |status| blockers(status).contains("paused")).await?;
    assert!(blockers(&status).contains("Deployment/app"), "{}", blockers(&status));
    pause(false).await?;
    world.finished(2).await?;
    world.assert_nobody_noticed().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pod_force_deleted_from_a_silent_node_still_counts() -> Outcome {
    let world = World::new("silent").await?;
    world.rotated_token(json!({})).await?;
    world.finished(1).await?;
    let (old, token) = (world.fingerprint().await?, world.token().await?);
    world.bare_pod("lost", json!({}), json!({})).await?;
    world.holders(&old, 1).await?;
    world.node.partition(true);
    world.rotate_now("now").await?;
    world.status("the pod to be waited for", |status| blockers(status).contains("lost")).await?;
    until("the node to be known as silent", PATIENCE, async || {
        let node = world.space.client().clone();
        let node = kube::Api::<k8s_openapi::api::core::v1::Node>::all(node).get(world.node.name()).await.ok()?;
        let conditions = node.status?.conditions?;
        conditions.iter().any(|c| c.type_ == "Ready" && c.status != "True").then_some(())
    })
    .await?;
    world.space.api::<Pod>().delete("lost", &DeleteParams::default().grace_period(0)).await?;
    let status = world.status("the suspect to be named", |status| blockers(status).contains("out of contact")).await?;
    assert_eq!(condition(&status, "PickedUp").0, "AwaitingPickup");
    world
        .never("the revoke", Duration::from_secs(5), async || world.accepts(&token).await.is_ok_and(|alive| !alive))
        .await?;
    assert_eq!(world.history.holders(&old).len(), 1, "the container runs on all the time");
    world.history.assert_never_refused(world.space.name());
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn the_grace_period_runs_after_pickup() -> Outcome {
    let world = World::new("grace").await?;
    world.deployment("app", 1, json!({})).await?;
    world.rotated_token(json!({"gracePeriod": "8s"})).await?;
    world.finished(1).await?;
    let (old, token) = (world.fingerprint().await?, world.token().await?);
    world.holders(&old, 1).await?;
    world.rotate_now("now").await?;
    world.status("pickup to be proven", |status| is(status, "PickedUp", "True") && status.previous.is_some()).await?;
    assert_eq!(world.history.holders(&old).len(), 0);
    world
        .never("the revoke", Duration::from_secs(5), async || {
            world.live_tokens().await.is_ok_and(|live| live.len() < 2)
        })
        .await?;
    assert!(world.accepts(&token).await?, "valid during grace");
    let said = async || {
        let reasons = world.event_reasons().await?;
        Ok::<_, kube::Error>(reasons.iter().filter(|reason| *reason == "PickedUp").count())
    };
    assert_eq!(said().await?, 1, "the Event does not wait for the grace period");
    world.finished(2).await?;
    assert_eq!(said().await?, 1, "once for each rotation");
    Ok(())
}

/// Such a pod does not name the Secret itself, so nobody counted it, and its token was revoked under it.
#[tokio::test(flavor = "multi_thread")]
async fn a_pod_that_gets_the_secret_by_a_persistent_volume_holds_the_old_token() -> Outcome {
    let world = World::new("volume").await?;
    world.rotated_token(json!({})).await?;
    world.finished(1).await?;
    let (space, volumes) = (world.space.name(), Api::<PersistentVolume>::all(world.space.client().clone()));
    let volume = json!({"metadata": {"name": space}, "spec": {
        "capacity": {"storage": "1Gi"}, "accessModes": ["ReadWriteMany"], "persistentVolumeReclaimPolicy": "Retain",
        "claimRef": {"namespace": space, "name": "data"},
        "csi": {"driver": "none", "volumeHandle": "v", "nodePublishSecretRef": {"name": "api-token", "namespace": space}},
    }});
    volumes.create(&PostParams::default(), &serde_json::from_value(volume)?).await?;
    let mounts = json!({
        "nodeName": space, "nodeSelector": null,
        "containers": [{"name": "app", "image": "none", "volumeMounts": [{"name": "data", "mountPath": "/data"}]}],
        "volumes": [{"name": "data", "persistentVolumeClaim": {"claimName": "data"}}],
    });
    world.bare_pod("mounts", json!({}), mounts).await?;
    world.rotate_now("now").await?;
    let status = world.status("the pod to be named", |status| blockers(status).contains("mounts")).await?;
    assert_eq!(status.pickup.map(|pickup| (pickup.total, pickup.remaining)), Some((1, 1)));
    world
        .never("the revoke", Duration::from_secs(3), async || {
            world.live_tokens().await.is_ok_and(|live| live.len() < 2)
        })
        .await?;
    world.space.api::<Pod>().delete("mounts", &DeleteParams::default()).await?;
    world.finished(2).await?;
    volumes.delete(space, &DeleteParams::default()).await?;
    Ok(())
}

/// It fits no node, so it had read nothing; it was waited for until somebody deleted it.
#[tokio::test(flavor = "multi_thread")]
async fn a_pod_that_fits_no_node_holds_nothing() -> Outcome {
    let world = World::new("nowhere").await?;
    world.rotated_token(json!({})).await?;
    world.finished(1).await?;
    world.bare_pod("nowhere", json!({}), json!({"nodeSelector": {"world": "of-nobody"}})).await?;
    world.bare_pod("gated", json!({}), json!({"schedulingGates": [{"name": "example.org/later"}]})).await?;
    world.rotate_now("now").await?;
    world.finished(2).await?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_listed_workload_that_does_not_exist_holds_the_old_token_until_the_list_is_right() -> Outcome {
    let world = World::new("listed-wrong").await?;
    let targets =
        |name: &str| json!({"rollout": {"mode": "Listed", "targets": [{"kind": "Deployment", "name": name}]}});
    world.deployment("app", 1, json!({})).await?;
    world.rotated_token(targets("does-not-exist")).await?;
    world.finished(1).await?;
    world.rotate_now("now").await?;
    let named = |status: &RotatedTokenStatus| blockers(status).contains("Deployment/does-not-exist");
    world.status("the missing workload to be named", named).await?;
    world
        .never("the revoke", Duration::from_secs(3), async || {
            world.live_tokens().await.is_ok_and(|live| live.len() < 2)
        })
        .await?;
    world.patch(json!({"spec": targets("app")})).await?;
    world.space.api::<Deployment>().restart("app").await?;
    world.finished(2).await?;
    world.assert_nobody_noticed().await
}
