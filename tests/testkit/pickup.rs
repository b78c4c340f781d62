//! Which value a container gets, and when.

use std::time::Duration;

use k8s_openapi::api::core::v1::Pod;
use serde_json::json;
use tokenturn::testkit::wait::until;

use crate::scene::{Outcome, PATIENCE, Scene, env_container, file_container};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_running_pod_sees_a_new_value_only_in_its_volume() -> Outcome {
    let scene = Scene::new("pickup").await?;
    scene.secret("one").await?;
    let volume = json!([{"name": "api", "secret": {"secretName": "api"}}]);
    let containers = json!([
        env_container("env"),
        file_container("file", json!({"name": "api", "mountPath": "/api"})),
        file_container("sub-path", json!({"name": "api", "mountPath": "/token", "subPath": "token"})),
    ]);
    let reload = json!({"testkit.tokenturn.dev/reload": "true"});
    let uid = scene.pod("reloads", reload, json!({"containers": containers.clone(), "volumes": volume})).await?;
    scene.pod("keeps", json!({}), json!({"containers": containers, "volumes": volume})).await?;
    for container in ["env", "file", "sub-path"] {
        scene.holds("reloads", container, "one").await?;
        scene.holds("keeps", container, "one").await?;
    }
    scene.secret("two").await?;
    scene.holds("reloads", "file", "two").await?;
    tokio::time::sleep(Duration::from_millis(500)).await;
    for (pod, container) in [("reloads", "env"), ("reloads", "sub-path"), ("keeps", "file")] {
        scene.holds(pod, container, "one").await?;
    }
    // A restart in place reads again.
    assert!(scene.node.restart_container(&uid, "env"));
    scene.holds("reloads", "env", "two").await?;
    let pods = scene.space.api::<Pod>();
    let restarts = async || {
        let statuses = pods.get("reloads").await.ok()?.status?.container_statuses?;
        let counts: Vec<_> = statuses.iter().map(|status| (status.name.as_str(), status.restart_count)).collect();
        (counts == [("env", 1), ("file", 0), ("sub-path", 0)]).then_some(())
    };
    until("the restart to be reported", PATIENCE, restarts).await?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lagging_cache_gives_a_new_pod_the_old_value() -> Outcome {
    let scene = Scene::new("lag").await?;
    scene.secret("one").await?;
    scene.pod("first", json!({}), json!({"containers": [env_container("main")]})).await?;
    scene.holds("first", "main", "one").await?;
    scene.node.set_secret_lag(Duration::from_secs(3));
    scene.secret("two").await?;
    scene.pod("second", json!({}), json!({"containers": [env_container("main")]})).await?;
    scene.holds("second", "main", "one").await?;
    tokio::time::sleep(Duration::from_secs(3)).await;
    scene.pod("third", json!({}), json!({"containers": [env_container("main")]})).await?;
    scene.holds("third", "main", "two").await?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn init_containers_and_missing_secrets_behave_as_on_a_kubelet() -> Outcome {
    let scene = Scene::new("init").await?;
    let spec = json!({
        "initContainers": [env_container("fetch"), {"name": "proxy", "image": "proxy", "restartPolicy": "Always"}],
        "containers": [{"name": "main", "image": "consumer"}],
    });
    let uid = scene.pod("copy", json!({"testkit.tokenturn.dev/token-from-init": "fetch"}), spec).await?;
    let pods = scene.space.api::<Pod>();
    let waiting = async || {
        let statuses = pods.get("copy").await.ok()?.status?.init_container_statuses?;
        let reason = statuses.first()?.state.as_ref()?.waiting.as_ref()?.reason.clone()?;
        (reason == "CreateContainerConfigError").then_some(())
    };
    until("the missing Secret to be reported", PATIENCE, waiting).await?;
    scene.secret("one").await?;
    scene.holds("copy", "main", "one").await?;
    scene.secret("two").await?;
    tokio::time::sleep(Duration::from_millis(300)).await;
    // The init container is not run again, so the copy stays old.
    assert!(scene.node.restart_container(&uid, "main"));
    let restarted =
        async || (pods.get("copy").await.ok()?.status?.container_statuses?.first()?.restart_count == 1).then_some(());
    until("the restart", PATIENCE, restarted).await?;
    scene.holds("copy", "main", "one").await?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_way_to_name_a_secret_is_understood() -> Outcome {
    let scene = Scene::new("ways").await?;
    scene.secret("one").await?;
    let mount = |path: &str| json!({"name": path, "mountPath": format!("/{path}")});
    let missing =
        json!({"name": "TOKEN", "valueFrom": {"secretKeyRef": {"name": "absent", "key": "token", "optional": true}}});
    let spec = json!({
        "containers": [
            {"name": "from", "image": "consumer", "envFrom": [{"prefix": "API_", "secretRef": {"name": "api"}}]},
            file_container("projected", mount("projected")),
            file_container("renamed", mount("renamed")),
            {"name": "optional", "image": "consumer", "env": [missing]},
        ],
        "volumes": [
            {"name": "projected", "projected": {"sources": [{"secret": {"name": "api"}}, {"configMap": {"name": "kube-root-ca.crt"}}]}},
            {"name": "renamed", "secret": {"secretName": "api", "items": [{"key": "token", "path": "API_token"}]}},
        ],
    });
    let named =
        json!({"testkit.tokenturn.dev/token-env": "API_token", "testkit.tokenturn.dev/token-file": "API_token"});
    scene.pod("named", named, spec.clone()).await?;
    scene.pod("plain", json!({}), spec).await?;
    for (pod, container) in [("named", "from"), ("named", "renamed"), ("plain", "projected")] {
        scene.holds(pod, container, "one").await?;
    }
    // Containers start one after the other.
    until("the container that runs without a token", PATIENCE, async || {
        let running = scene.history.holding(scene.space.name());
        let optional = running.iter().find(|(seat, _)| &*seat.pod == "plain" && &*seat.container == "optional");
        optional.filter(|(_, held)| held.is_none()).map(drop)
    })
    .await?;
    Ok(())
}
