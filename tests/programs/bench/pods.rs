//! Tokens beside pods and Secrets of others, which the operator has to look through or to leave alone.

use futures::{StreamExt, TryStreamExt, stream};
use http::Request;
use k8s_openapi::api::core::v1::Node;
use kube::{
    Api,
    api::{Patch, PatchParams, PostParams},
};
use serde_json::{Value, json};
use tokenturn::testkit::servers::random_hex;

use super::{
    Failure, SETTLE,
    args::Plan,
    crowd::{Crowd, simple},
    process,
    report::Figures,
    say,
    scene::{HANDS, Scene},
};

const TOKENS: usize = 20;

/// About as large as the pods of a service mesh with all that its webhooks add, as JSON.
const POD_SIZE: usize = 28_000;
const SECRET_SIZE: usize = 2_000;

/// The node of the foreign pods: an object without a kubelet.
const NODE: &str = "foreign";

pub async fn run(scene: &mut Scene, plan: &Plan, figures: &mut Figures) -> Result<(), Failure> {
    figures.part(&format!(
        "{TOKENS} tokens of one namespace, {} rotations each, all at once, beside what is not theirs",
        plan.pod_rounds
    ));
    let mut crowd = start(scene, "secrets").await?;
    let secrets = plan.foreign_secrets;
    fill(scene, &crowd.spaces()[0], "secrets", secrets, secret).await?;
    measure(scene, plan, &mut crowd, &format!("secrets_{secrets}"), figures).await?;

    scene.clear(SETTLE).await?;
    node(scene).await?;
    let mut crowd = start(scene, "pods").await?;
    measure(scene, plan, &mut crowd, "pods_0", figures).await?;
    let mut made = 0;
    for &pods in &plan.pods {
        fill(scene, &crowd.spaces()[0], "pods", pods - made, pod).await?;
        made = pods;
        measure(scene, plan, &mut crowd, &format!("pods_{pods}"), figures).await?;
    }
    if plan.pods_elsewhere > 0 {
        let elsewhere = scene.bare_namespace("elsewhere").await?;
        fill(scene, &elsewhere, "pods", plan.pods_elsewhere, pod).await?;
        measure(scene, plan, &mut crowd, &format!("pods_{made}_of_{}", made + plan.pods_elsewhere), figures).await?;
    }
    Ok(())
}

async fn start(scene: &Scene, stem: &str) -> Result<Crowd, Failure> {
    let mut crowd = Crowd::within(&scene.namespace(stem).await?, simple);
    crowd.grow(scene, TOKENS).await?;
    Ok(crowd)
}

async fn measure(
    scene: &Scene,
    plan: &Plan,
    crowd: &mut Crowd,
    beside: &str,
    figures: &mut Figures,
) -> Result<(), Failure> {
    process::reset_peak(scene.pid()?)?;
    let (before, rounds) = (scene.used()?, plan.pod_rounds);
    let mut took = 0.0;
    for _ in 0..rounds {
        took += crowd.rotate(scene).await?.as_secs_f64();
    }
    let rotations = TOKENS * rounds;
    let (operator, servers) = scene.used()?.millis_each(before, rotations);
    figures.put(&format!("rss_mib_{beside}"), "most resident memory meanwhile", scene.peak_mib()?);
    figures.put(&format!("cpu_ms_rotation_{beside}"), "CPU of the operator for each rotation", operator);
    figures.put(&format!("server_cpu_ms_rotation_{beside}"), "CPU of the servers for each", servers);
    figures.put(&format!("rotations_per_s_{beside}"), "rotations, settle time included", rotations as f64 / took);
    Ok(())
}

/// Creates objects as fast as the API server takes them.
async fn fill(
    scene: &Scene,
    namespace: &str,
    plural: &str,
    count: usize,
    object: fn(&str) -> Value,
) -> Result<(), Failure> {
    say(&format!("making {count} {plural} of others"));
    let creates = stream::iter(0..count).map(|_| async move {
        let body = serde_json::to_vec(&object(&format!("foreign-{}", random_hex())))?;
        let path = format!("/api/v1/namespaces/{namespace}/{plural}");
        let request = Request::post(path).header("content-type", "application/json").body(body)?;
        // The answer is not decoded: it is as large as the object.
        scene.client.request_text(request).await.map(drop).map_err(Failure::from)
    });
    creates.buffer_unordered(HANDS).try_for_each(|()| std::future::ready(Ok(()))).await
}

fn secret(name: &str) -> Value {
    json!({
        "apiVersion": "v1", "kind": "Secret",
        "metadata": {"name": name, "labels": {"app": "foreign"}},
        "stringData": {"value": "s".repeat(SECRET_SIZE)},
    })
}

/// Half of it is in annotations, half in the environment of its containers.
fn pod(name: &str) -> Value {
    let variable = |number: usize| json!({"name": format!("VARIABLE_{number}"), "value": "v".repeat(POD_SIZE / 40)});
    let environment: Vec<Value> = (0..20).map(variable).collect();
    json!({
        "apiVersion": "v1", "kind": "Pod",
        "metadata": {
            "name": name, "labels": {"app": "foreign"},
            "annotations": {"sidecar.example/status": "a".repeat(POD_SIZE / 2 - 1_000)},
        },
        "spec": {
            "nodeName": NODE, "automountServiceAccountToken": false, "enableServiceLinks": false,
            "tolerations": [{"operator": "Exists"}],
            "containers": [{"name": "app", "image": "none", "env": environment}],
        },
    })
}

/// Pods of a node that does not exist are removed by the control plane.
async fn node(scene: &Scene) -> Result<(), Failure> {
    let nodes: Api<Node> = Api::all(scene.client.clone());
    let node = json!({"apiVersion": "v1", "kind": "Node", "metadata": {"name": NODE}});
    nodes.create(&PostParams::default(), &serde_json::from_value(node)?).await?;
    let ready = json!({"status": {"conditions": [{"type": "Ready", "status": "True"}]}});
    nodes.patch_status(NODE, &PatchParams::default(), &Patch::Strategic(ready)).await?;
    Ok(())
}
