//! The control plane and the operator as processes: start, end, what is left behind.

use std::{
    path::Path,
    process::{Command, Stdio},
    time::{Duration, Instant},
};

use serde_json::{Value, json};
use tokenturn::testkit::{
    ControlPlane, ControlPlaneOptions, History, NodeOptions, OperatorOptions, OperatorProcess, SharedControlPlane,
    SimulatedNode, install::apply_yaml, wait::until,
};

use crate::scene::{Outcome, PATIENCE, env_container};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn control_plane_leaves_nothing_behind() -> Outcome {
    let started = Instant::now();
    let plane = ControlPlane::start(ControlPlaneOptions::default()).await?;
    eprintln!("control plane started in {:?}", started.elapsed());
    let (dir, pids) = (plane.dir().to_owned(), plane.pids());
    assert_eq!(pids.len(), 4, "etcd, API server, controller manager, scheduler");

    let (history, config) = (History::new(), plane.config("node").await?);
    let _node = SimulatedNode::start(&config, &history, NodeOptions::named("survivor")).await?;
    plane.kill_apiserver().await?;
    assert!(plane.client("test").await?.apiserver_version().await.is_err());
    plane.start_apiserver().await?;
    plane.check()?;
    let client = plane.client("test").await?;
    let secret =
        json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "api"}, "stringData": {"token": "one"}});
    apply_yaml(&client, &secret.to_string(), "default").await?;
    let pod = json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "late"},
        "spec": {"nodeName": "survivor", "containers": [env_container("main")]}});
    let created = async || apply_yaml(&client, &pod.to_string(), "default").await.ok();
    until("pods to be admitted", PATIENCE, created).await?;
    until("a pod after the restart to run", PATIENCE, async || (!history.calls("default").is_empty()).then_some(()))
        .await?;

    let started = Instant::now();
    plane.stop();
    eprintln!("control plane stopped in {:?}", started.elapsed());
    assert!(!dir.exists());
    assert_eq!(alive(&pids), Vec::<u32>::new());
    Ok(())
}

/// The owner is this test binary, run again; it starts a control plane, says so and waits.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn control_plane_leaves_nothing_behind_when_its_owner_is_killed() -> Outcome {
    const OWNER: &str = "TESTKIT_OWNER_REPORT";
    if let Ok(report) = std::env::var(OWNER) {
        let plane = ControlPlane::start(ControlPlaneOptions::default()).await?;
        let facts = json!({"dir": plane.dir(), "pids": plane.pids()});
        std::fs::write(format!("{report}.new"), facts.to_string())?;
        std::fs::rename(format!("{report}.new"), report)?;
        // Until it is killed, or until the test that started it is gone.
        tokio::task::spawn_blocking(|| std::io::copy(&mut std::io::stdin(), &mut std::io::sink())).await??;
        return Ok(());
    }
    let folder = tempfile::tempdir()?;
    let report = folder.path().join("report");
    let mut owner = Command::new(std::env::current_exe()?)
        .args(["--exact", "servers::control_plane_leaves_nothing_behind_when_its_owner_is_killed"])
        .env(OWNER, &report)
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()?;
    let text =
        until("the owner's control plane", Duration::from_secs(90), async || std::fs::read_to_string(&report).ok())
            .await;
    owner.kill()?;
    owner.wait()?;
    let facts: Value = serde_json::from_str(&text?)?;
    let pids: Vec<u32> = serde_json::from_value(facts["pids"].clone())?;
    let dir = facts["dir"].as_str().unwrap_or_default().to_owned();
    assert!(!pids.is_empty());
    let gone = async || (!Path::new(&dir).exists() && alive(&pids).is_empty()).then_some(());
    until("the watchdogs to clean up", Duration::from_secs(15), gone).await?;
    Ok(())
}

/// The program under test is a stand-in, so that the kit can be tested without an operator.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_operator_process_can_be_killed_terminated_and_measured() -> Outcome {
    let space = SharedControlPlane::namespace("operator").await?;
    apply_yaml(space.client(), "{apiVersion: v1, kind: ServiceAccount, metadata: {name: tokenturn}}", space.name())
        .await?;
    let folder = tempfile::tempdir()?;
    let program = folder.path().join("stand-in");
    std::fs::write(
        &program,
        "#!/bin/sh\ntrap 'echo asked to end; exit 0' TERM\necho \"$@\"\ncat \"$KUBECONFIG\"\nwhile :; do sleep 0.1; done\n",
    )?;
    std::fs::set_permissions(&program, std::os::unix::fs::PermissionsExt::from_mode(0o755))?;
    let mut options = OperatorOptions::new(&program).arg("--settle-time=1s");
    options.namespace = space.name().to_owned();
    let mut operator = OperatorProcess::start(&space, options.clone()).await?;
    until("the first line", PATIENCE, async || operator.logs().contains("--settle-time=1s").then_some(())).await?;
    until("its kubeconfig in the log", PATIENCE, async || operator.logs().contains(&space.url()).then_some(())).await?;
    assert!(operator.rss_kib().is_some_and(|kib| kib > 100));
    assert!(operator.metrics().await.is_err());
    assert_eq!(operator.terminate(PATIENCE).await?.code(), Some(0));
    assert!(operator.logs().contains("asked to end"));

    let mut operator = OperatorProcess::start(&space, options).await?;
    until("the first line", PATIENCE, async || operator.logs().contains("--settle-time=1s").then_some(())).await?;
    assert_eq!(operator.kill().await?.code(), Some(128 + 9));
    assert!(operator.ready(PATIENCE).await.is_err(), "an ended operator is an error at once");
    Ok(())
}

/// Those processes that still exist.
fn alive(pids: &[u32]) -> Vec<u32> {
    pids.iter().copied().filter(|pid| Path::new(&format!("/proc/{pid}")).exists()).collect()
}
