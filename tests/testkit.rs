//! The test kit itself: if the simulated node were wrong, every other end-to-end test would be.

use std::{
    path::Path,
    pin::pin,
    process::{Command, Stdio},
    time::{Duration, Instant},
};

use futures::StreamExt;
use k8s_openapi::api::{
    apps::v1::Deployment,
    authentication::v1::TokenRequest,
    core::v1::{Node, Pod, Secret, ServiceAccount},
};
use kube::{
    Api, ResourceExt,
    api::{DeleteParams, Patch, PatchParams, PostParams, WatchEvent, WatchParams},
};
use serde_json::{Value, json};
use tokenturn::testkit::{
    ControlPlane, ControlPlaneOptions, Error, Event, History, NodeOptions, OperatorOptions, OperatorProcess,
    SharedControlPlane, SimulatedNode, TestNamespace, Token, install::apply_yaml, wait::until,
};

const PATIENCE: Duration = Duration::from_secs(30);

type Outcome = Result<(), Box<dyn std::error::Error>>;

/// A namespace with one simulated node of its own.
struct Scene {
    space: TestNamespace,
    node: SimulatedNode,
    history: History,
}

impl Scene {
    async fn new(stem: &str) -> Result<Self, Error> {
        let options = ControlPlaneOptions {
            controller_manager_args: vec![
                "--node-monitor-grace-period=8s".to_owned(),
                "--node-monitor-period=1s".to_owned(),
            ],
            ..ControlPlaneOptions::default()
        };
        SharedControlPlane::get_with(options).await?;
        let space = SharedControlPlane::namespace(stem).await?;
        let history = History::new();
        let mut options = NodeOptions::named(space.name());
        options.labels.insert("testkit".to_owned(), space.name().to_owned());
        let node = SimulatedNode::start(&space.config("node").await?, &history, options).await?;
        Ok(Self { space, node, history })
    }

    /// A Secret `api` whose values are text, not tokens: the history shows fingerprints all the same.
    async fn secret(&self, token: &str) -> Result<(), kube::Error> {
        let secret =
            json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "api"}, "stringData": {"token": token}});
        self.space
            .api::<Secret>()
            .patch("api", &PatchParams::apply("test").force(), &Patch::Apply(secret))
            .await
            .map(drop)
    }

    /// A pod bound to this scene's node, without the scheduler.
    async fn pod(&self, name: &str, annotations: Value, mut spec: Value) -> Result<String, Box<dyn std::error::Error>> {
        spec["nodeName"] = json!(self.node.name());
        let pod = json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name, "annotations": annotations}, "spec": spec});
        let pod: Pod = serde_json::from_value(pod)?;
        Ok(self.space.api::<Pod>().create(&PostParams::default(), &pod).await?.uid().unwrap_or_default())
    }

    /// Waits until the container has made a call and holds `token`.
    async fn holds(&self, pod: &str, container: &str, token: &str) -> Result<(), Error> {
        let fingerprint = Token::new(token).fingerprint();
        until(&format!("{pod}/{container} to hold {token}"), PATIENCE, async || {
            self.held(pod, container).filter(|held| *held == fingerprint)
        })
        .await
        .map(drop)
    }

    fn held(&self, pod: &str, container: &str) -> Option<String> {
        let holding = self.history.holding(self.space.name());
        holding
            .into_iter()
            .find(|(seat, _)| &*seat.pod == pod && &*seat.container == container)
            .and_then(|(_, held)| held)
    }

    fn calls(&self, pod: &str) -> usize {
        self.history.calls(self.space.name()).iter().filter(|call| &*call.seat.pod == pod).count()
    }
}

fn env_container(name: &str) -> Value {
    json!({"name": name, "image": "consumer", "env": [{"name": "TOKEN", "valueFrom": {"secretKeyRef": {"name": "api", "key": "token"}}}]})
}

fn file_container(name: &str, mount: Value) -> Value {
    json!({"name": name, "image": "consumer", "volumeMounts": [mount]})
}

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
        return std::future::pending().await;
    }
    let folder = tempfile::tempdir()?;
    let report = folder.path().join("report");
    let mut owner = Command::new(std::env::current_exe()?)
        .args(["--exact", "control_plane_leaves_nothing_behind_when_its_owner_is_killed"])
        .env(OWNER, &report)
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

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn consumers_of_a_deployment_use_a_token_until_it_is_revoked() -> Outcome {
    let scene = Scene::new("deployment").await?;
    let (space, ns) = (&scene.space, scene.space.name());
    let rules = r#"
apiVersion: v1
kind: ServiceAccount
metadata: {name: client}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: Role
metadata: {name: client}
rules: [{apiGroups: [""], resources: [configmaps], verbs: [get, list]}]
---
apiVersion: rbac.authorization.k8s.io/v1
kind: RoleBinding
metadata: {name: client}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: Role, name: client}
subjects: [{kind: ServiceAccount, name: client}]
---
apiVersion: v1
kind: Secret
metadata: {name: anchor}
"#;
    apply_yaml(space.client(), rules, ns).await?;
    let anchor = space.api::<Secret>().get("anchor").await?;
    let request: TokenRequest = serde_json::from_value(json!({"spec": {"audiences": [], "boundObjectRef": {
        "kind": "Secret", "apiVersion": "v1", "name": "anchor", "uid": anchor.uid()}}}))?;
    let answer = space.api::<ServiceAccount>().create_token_request("client", &PostParams::default(), &request).await?;
    let token = answer.status.map(|status| status.token).unwrap_or_default();
    scene.secret(&token).await?;
    let deployment: Deployment = serde_json::from_value(json!({
        "metadata": {"name": "shop"},
        "spec": {"replicas": 3, "selector": {"matchLabels": {"app": "shop"}}, "template": {
            "metadata": {"labels": {"app": "shop"}},
            "spec": {"nodeSelector": {"testkit": ns}, "containers": [env_container("main")]}}},
    }))?;
    let deployments = space.api::<Deployment>();
    let started = Instant::now();
    deployments.create(&PostParams::default(), &deployment).await?;
    let ready = async || (deployments.get("shop").await.ok()?.status?.ready_replicas == Some(3)).then_some(());
    until("three ready replicas", PATIENCE, ready).await?;
    eprintln!("deployment ready in {:?}", started.elapsed());
    let fingerprint = Token::new(&token).fingerprint();
    until("accepted calls", PATIENCE, async || (scene.history.accepted(ns) > 20).then_some(())).await?;
    assert_eq!(scene.history.holders(&fingerprint).len(), 3);
    scene.history.assert_never_refused(ns);

    let revoked = Instant::now();
    space.api::<Secret>().delete("anchor", &DeleteParams::default()).await?;
    until("a refused call", PATIENCE, async || (scene.history.refused(ns) > 0).then_some(())).await?;
    eprintln!("refused after {:?}", revoked.elapsed());
    assert!(revoked.elapsed() < Duration::from_secs(13));

    let writes = space.audit_events()?;
    assert!(
        writes
            .iter()
            .any(|event| event.user_agent == "test" && event.verb == "create" && event.resource == "deployments")
    );
    assert!(writes.iter().all(|event| event.verb != "get"));
    Ok(())
}

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
async fn a_cut_off_node_turns_not_ready_while_its_containers_go_on() -> Outcome {
    let scene = Scene::new("cut").await?;
    scene.secret("one").await?;
    scene.pod("forced", json!({}), json!({"containers": [env_container("main")]})).await?;
    scene.holds("forced", "main", "one").await?;
    scene.pod("stays", json!({}), json!({"containers": [env_container("main")]})).await?;
    let pods = scene.space.api::<Pod>();
    let is_ready = async |expected: &str| {
        let conditions = pods.get("stays").await.ok()?.status?.conditions?;
        conditions.iter().any(|condition| condition.type_ == "Ready" && condition.status == expected).then_some(())
    };
    until("the pod to be ready", PATIENCE, async || is_ready("True").await).await?;
    scene.node.partition(true);
    let nodes: Api<Node> = Api::all(scene.space.client().clone());
    let unknown = async || {
        let conditions = nodes.get(scene.node.name()).await.ok()?.status?.conditions?;
        conditions.iter().any(|condition| condition.type_ == "Ready" && condition.status == "Unknown").then_some(())
    };
    let cut = Instant::now();
    until("the node to turn unknown", PATIENCE, unknown).await?;
    eprintln!("node unknown after {:?}", cut.elapsed());
    until("the controller manager to call its pod not ready", PATIENCE, async || is_ready("False").await).await?;
    let now = DeleteParams { grace_period_seconds: Some(0), ..DeleteParams::default() };
    pods.delete("forced", &now).await?;
    let before = scene.calls("forced");
    tokio::time::sleep(Duration::from_secs(2)).await;
    assert!(scene.calls("forced") > before + 10);
    scene.holds("forced", "main", "one").await?;
    scene.node.partition(false);
    until("the container to be killed", PATIENCE, async || scene.held("forced", "main").is_none().then_some(()))
        .await?;
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
    let running = scene.history.holding(scene.space.name());
    let optional = running.iter().find(|(seat, _)| &*seat.pod == "plain" && &*seat.container == "optional");
    assert_eq!(optional.map(|(_, held)| held), Some(&None), "runs without a token");
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

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_that_reports_not_ready_is_tainted_and_comes_back() -> Outcome {
    let scene = Scene::new("ready").await?;
    let nodes: Api<Node> = Api::all(scene.space.client().clone());
    let tainted = async || Some(!nodes.get(scene.node.name()).await.ok()?.spec?.taints.unwrap_or_default().is_empty());
    scene.node.set_ready(false).await?;
    until("the taint", PATIENCE, async || tainted().await?.then_some(())).await?;
    scene.node.set_ready(true).await?;
    until("the taint to go", PATIENCE, async || (!tainted().await?).then_some(())).await?;
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
    let mut options = OperatorOptions::new(&program).arg("--settle=1s");
    options.namespace = space.name().to_owned();
    let mut operator = OperatorProcess::start(&space, options.clone()).await?;
    until("the first line", PATIENCE, async || operator.logs().contains("--settle=1s").then_some(())).await?;
    assert!(operator.logs().contains(&space.url()), "the log of the stand-in shows its kubeconfig");
    assert!(operator.rss_kib().is_some_and(|kib| kib > 100));
    assert!(operator.metrics().await.is_err());
    assert_eq!(operator.terminate(PATIENCE).await?.code(), Some(0));
    assert!(operator.logs().contains("asked to end"));

    let mut operator = OperatorProcess::start(&space, options).await?;
    until("the first line", PATIENCE, async || operator.logs().contains("--settle=1s").then_some(())).await?;
    assert_eq!(operator.kill().await?.code(), Some(128 + 9));
    assert!(operator.ready(PATIENCE).await.is_err(), "an ended operator is an error at once");
    Ok(())
}

/// Those processes that still exist.
fn alive(pids: &[u32]) -> Vec<u32> {
    pids.iter().copied().filter(|pid| Path::new(&format!("/proc/{pid}")).exists()).collect()
}
