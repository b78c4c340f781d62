//! Consumers in contact with the API server, and a node that is not.

use std::time::{Duration, Instant};

use k8s_openapi::api::{
    apps::v1::Deployment,
    authentication::v1::TokenRequest,
    core::v1::{Node, Pod, Secret, ServiceAccount},
};
use kube::{
    Api, ResourceExt,
    api::{DeleteParams, PostParams},
};
use serde_json::json;
use tokenturn::testkit::{Token, install::apply_yaml, wait::until};

use crate::scene::{Outcome, PATIENCE, Scene, env_container};

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
