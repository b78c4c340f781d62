//! Rotations of one token under the calls of three consumers, and what each wrote.

use std::time::Duration;

use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::core::v1::{Pod, Secret};
use kube::Api;
use kube::api::{DeleteParams, ListParams, Patch, PatchParams, PostParams};
use serde_json::json;
use tokenturn::testkit::{History, NodeOptions, SimulatedNode, Token, wait};

use super::args::Plan;
use super::scene::{PATIENCE, Scene, is_finished, rotated_token};
use super::writes::Writes;
use super::{Failure, say};

const CONSUMERS: usize = 3;
const NAME: &str = "api-token";

pub struct Rotations {
    pub first_issue: Writes,
    /// One for each rotation.
    pub rotations: Vec<Writes>,
    pub accepted: usize,
}

/// Rotates as often as planned; an error if a consumer was ever refused.
pub async fn run(scene: &Scene, plan: &Plan) -> Result<Rotations, Failure> {
    let namespace = scene.namespace("rotations").await?;
    let history = History::new();
    let node = SimulatedNode::start(&scene.plane.config("node").await?, &history, NodeOptions::named("bench")).await?;
    let mut marks = vec![scene.mark()?];
    scene.tokens(&namespace).create(&PostParams::default(), &rotated_token(NAME)?).await?;
    finished(scene, &namespace, &history, 1, 0).await?;
    consumers(scene, &namespace).await?;
    held(scene, &namespace, &history, CONSUMERS).await?;
    scene.quiet(plan.quiet).await?;
    for number in 1..=plan.rotations {
        marks.push(scene.mark()?);
        say(&format!("rotation {number} of {}", plan.rotations));
        let patch = json!({"metadata": {"annotations": {"tokenturn.dev/rotate-now": number.to_string()}}});
        scene.tokens(&namespace).patch(NAME, &PatchParams::default(), &Patch::Merge(patch)).await?;
        finished(scene, &namespace, &history, i64::from(number) + 1, CONSUMERS).await?;
    }
    // What comes late belongs to the last rotation.
    scene.quiet(plan.quiet).await?;
    marks.push(scene.mark()?);
    judge(&history, &namespace)?;
    dismiss(scene, &namespace).await?;
    node.remove().await?;
    let mut spans = marks.windows(2).map(|pair| scene.writes_between(pair[0], pair[1]));
    let first_issue = spans.next().ok_or("no first issue was counted")??;
    Ok(Rotations { first_issue, rotations: spans.collect::<Result<_, _>>()?, accepted: history.accepted(&namespace) })
}

async fn finished(
    scene: &Scene,
    namespace: &str,
    history: &History,
    sequence: i64,
    holders: usize,
) -> Result<(), Failure> {
    let tokens = scene.tokens(namespace);
    let what = format!("rotation {sequence} to be finished");
    let done = wait::until(&what, PATIENCE, async || {
        tokens.get(NAME).await.ok().filter(|token| is_finished(token, sequence)).map(drop)
    })
    .await;
    if let Err(error) = done {
        let status = tokens.get(NAME).await?.status;
        return Err(
            format!("{error}\nlast status: {status:#?}\nlog of the operator:\n{}", scene.operator.logs()).into()
        );
    }
    held(scene, namespace, history, holders).await
}

/// Waits until so many containers hold the value in the Secret.
async fn held(scene: &Scene, namespace: &str, history: &History, holders: usize) -> Result<(), Failure> {
    let secret = Api::<Secret>::namespaced(scene.client.clone(), namespace).get(NAME).await?;
    let value = secret.data.and_then(|mut data| data.remove("token")).ok_or("the Secret has no key token")?;
    let fingerprint = Token::new(std::str::from_utf8(&value.0)?).fingerprint();
    wait::until("the consumers to hold the new token", PATIENCE, async || {
        (history.holders(&fingerprint).len() == holders).then_some(())
    })
    .await?;
    Ok(())
}

async fn consumers(scene: &Scene, namespace: &str) -> Result<(), Failure> {
    let object = json!({
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": "consumer"},
        "spec": {
            "replicas": CONSUMERS,
            "selector": {"matchLabels": {"app": "consumer"}},
            "template": {
                "metadata": {"labels": {"app": "consumer"}},
                "spec": {
                    "automountServiceAccountToken": false,
                    "terminationGracePeriodSeconds": 5,
                    "containers": [{
                        "name": "app",
                        "image": "none",
                        "env": [{"name": "TOKEN", "valueFrom": {"secretKeyRef": {"name": NAME, "key": "token"}}}],
                    }],
                },
            },
        },
    });
    let deployments: Api<Deployment> = Api::namespaced(scene.client.clone(), namespace);
    deployments.create(&PostParams::default(), &serde_json::from_value(object)?).await?;
    Ok(())
}

fn judge(history: &History, namespace: &str) -> Result<(), Failure> {
    let refused = history.refused_calls(namespace);
    if let Some(first) = refused.first() {
        return Err(format!("{} calls of consumers were refused, the first: {first:?}", refused.len()).into());
    }
    if history.accepted(namespace) == 0 {
        return Err("no consumer called at all".into());
    }
    Ok(())
}

/// Takes the consumers away, so that they do not disturb what is measured next.
async fn dismiss(scene: &Scene, namespace: &str) -> Result<(), Failure> {
    let deployments: Api<Deployment> = Api::namespaced(scene.client.clone(), namespace);
    deployments.delete("consumer", &DeleteParams::background()).await?;
    let pods: Api<Pod> = Api::namespaced(scene.client.clone(), namespace);
    wait::until("the consumers to end", Duration::from_secs(60), async || {
        pods.list(&ListParams::default()).await.ok().filter(|pods| pods.items.is_empty()).map(drop)
    })
    .await?;
    Ok(())
}
