//! How pods end, and what can be seen of it.

use std::{
    pin::pin,
    time::{Duration, Instant},
};

use futures::StreamExt;
use k8s_openapi::api::core::v1::Pod;
use kube::api::{DeleteParams, WatchEvent, WatchParams};
use serde_json::json;
use tokenturn::testkit::{Event, Token, wait::until};

use crate::scene::{Outcome, PATIENCE, Scene, env_container};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_terminating_pod_uses_its_token_to_the_end_and_reports_it_before_it_disappears() -> Outcome {
    let scene = Scene::new("end").await?;
    scene.secret("one").await?;
    let mut container = env_container("main");
    container["lifecycle"] = json!({"preStop": {"sleep": {"seconds": 1}}});
    let annotations = json!({"testkit.tokenturn.dev/linger-ms": "1000"});
    scene.pod("slow", annotations, json!({"containers": [container], "terminationGracePeriodSeconds": 20})).await?;
    scene.holds("slow", "main", "one").await?;
    let pods = scene.space.api::<Pod>();
    let mut events = pin!(pods.watch(&WatchParams::default().timeout(60), "0").await?);
    let deleted = Instant::now();
    pods.delete("slow", &DeleteParams::default()).await?;
    let before = scene.calls("slow");
    let mut last = None;
    while let Some(event) = events.next().await {
        match event? {
            WatchEvent::Modified(pod) => last = Some(pod),
            WatchEvent::Deleted(_) => break,
            _ => {}
        }
    }
    assert!(deleted.elapsed() >= Duration::from_secs(2), "{:?}", deleted.elapsed());
    assert!(deleted.elapsed() < Duration::from_secs(8), "{:?}", deleted.elapsed());
    assert!(scene.calls("slow") >= before + 10, "{} calls, then {}", before, scene.calls("slow"));
    let status = last.and_then(|pod| pod.status).unwrap_or_default();
    assert_eq!(status.phase.as_deref(), Some("Succeeded"));
    let containers = status.container_statuses.unwrap_or_default();
    assert!(
        containers.iter().all(|container| container.state.as_ref().is_some_and(|state| state.terminated.is_some()))
    );
    assert_eq!(scene.history.holders(&Token::new("one").fingerprint()), []);
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_job_pod_ends_by_itself_and_a_forced_deletion_kills() -> Outcome {
    let scene = Scene::new("job").await?;
    scene.secret("one").await?;
    let once = json!({"containers": [env_container("main")], "restartPolicy": "Never"});
    scene.pod("once", json!({"testkit.tokenturn.dev/run-ms": "500"}), once).await?;
    let pods = scene.space.api::<Pod>();
    let succeeded = async || (pods.get("once").await.ok()?.status?.phase? == "Succeeded").then_some(());
    until("the pod to succeed", PATIENCE, succeeded).await?;
    assert_eq!(scene.held("once", "main"), None);

    scene.pod("forced", json!({}), json!({"containers": [env_container("main")]})).await?;
    scene.holds("forced", "main", "one").await?;
    let now = DeleteParams { grace_period_seconds: Some(0), ..DeleteParams::default() };
    let deleted = Instant::now();
    pods.delete("forced", &now).await?;
    until("the container to be killed", PATIENCE, async || scene.held("forced", "main").is_none().then_some(()))
        .await?;
    assert!(deleted.elapsed() < Duration::from_secs(3), "{:?}", deleted.elapsed());
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sidecars_start_before_and_end_after_main_containers() -> Outcome {
    let scene = Scene::new("sidecar").await?;
    scene.secret("one").await?;
    let mut sidecar = env_container("proxy");
    sidecar["restartPolicy"] = json!("Always");
    let spec = json!({"initContainers": [sidecar], "containers": [env_container("main")], "terminationGracePeriodSeconds": 30});
    scene.pod("pair", json!({"testkit.tokenturn.dev/linger-ms": "20000"}), spec).await?;
    scene.holds("pair", "main", "one").await?;
    let pods = scene.space.api::<Pod>();
    pods.delete("pair", &DeleteParams::default()).await?;
    tokio::time::sleep(Duration::from_millis(500)).await;
    // A second deletion shortens the time that is left.
    pods.delete("pair", &DeleteParams { grace_period_seconds: Some(2), ..DeleteParams::default() }).await?;
    let shortened = Instant::now();
    let gone = async || pods.get_opt("pair").await.ok()?.is_none().then_some(());
    until("the pod to be gone", PATIENCE, gone).await?;
    assert!(shortened.elapsed() < Duration::from_secs(5), "{:?}", shortened.elapsed());
    let order: Vec<String> = scene.history.events(scene.space.name()).iter().filter_map(step).collect();
    assert_eq!(order, ["start proxy", "start main", "stop main", "stop proxy"]);
    Ok(())
}

fn step(event: &Event) -> Option<String> {
    match event {
        Event::Started { seat, .. } => Some(format!("start {}", seat.container)),
        Event::Stopped { seat, .. } => Some(format!("stop {}", seat.container)),
        Event::Reloaded { .. } | Event::Called(_) => None,
    }
}
