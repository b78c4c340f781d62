//! Rotations of one token under the calls of three consumers, and what each wrote.

use std::time::Duration;

use k8s_openapi::{
    NamespaceResourceScope,
    api::{
        apps::v1::Deployment,
        core::v1::{Pod, Secret},
    },
};
use kube::{
    Api, Resource,
    api::{DeleteParams, ListParams, Patch, PatchParams, PostParams},
};
use serde_json::json;
use tokenturn::testkit::{History, NodeOptions, SimulatedNode, Token, wait};

use super::{
    Failure,
    args::Plan,
    calls::Calls,
    crowd::{is_finished, rotated_token},
    report::Figures,
    say,
    scene::{PATIENCE, Scene},
    tables,
};

const CONSUMERS: usize = 3;
const NAME: &str = "api-token";

pub struct Rotations {
    pub first_issue: Calls,
    /// One for each rotation.
    pub rotations: Vec<Calls>,
    pub accepted: usize,
}

/// Measures and reports.
pub async fn run(scene: &Scene, plan: &Plan, figures: &mut Figures) -> Result<(), Failure> {
    let rotations = measure(scene, plan).await?;
    if plan.trace {
        trace("first issue", &rotations.first_issue);
        rotations.rotations.iter().for_each(|calls| trace("one rotation", calls));
    }
    tables::rotations(&rotations, figures);
    Ok(())
}

fn trace(what: &str, calls: &Calls) {
    say(&format!("calls of {what}:"));
    calls.all().iter().for_each(|line| eprintln!("  {line}"));
}

/// Rotates as often as planned; an error if a consumer was ever refused.
async fn measure(scene: &Scene, plan: &Plan) -> Result<Rotations, Failure> {
    let history = History::new();
    let node = SimulatedNode::start(&scene.plane.config("node").await?, &history, NodeOptions::named("bench")).await?;
    let patience = PATIENCE + plan.settle_time.get() + plan.grace.get();
    let stage = Stage { scene, namespace: scene.namespace("rotations").await?, history, patience };
    let tokens = scene.tokens(&stage.namespace);
    let mut marks = vec![scene.mark()?];
    tokens.create(&PostParams::default(), &rotated_token(NAME, plan.grace)?).await?;
    stage.finished(1).await?;
    stage.begin().await?;
    stage.held().await?;
    scene.quiet(plan.quiet).await?;
    for number in 1..=plan.rotations {
        marks.push(scene.mark()?);
        say(&format!("rotation {number} of {}", plan.rotations));
        let patch = json!({"metadata": {"annotations": {"tokenturn.dev/rotate-now": number.to_string()}}});
        tokens.patch(NAME, &PatchParams::default(), &Patch::Merge(patch)).await?;
        stage.finished(i64::from(number) + 1).await?;
        stage.held().await?;
    }
    // What comes late belongs to the last rotation.
    scene.quiet(plan.quiet).await?;
    marks.push(scene.mark()?);
    let accepted = stage.accepted()?;
    stage.end().await?;
    node.remove().await?;
    let mut spans = marks.windows(2).map(|pair| scene.calls_between(pair[0], pair[1]));
    let first_issue = spans.next().ok_or("no first issue was counted")??;
    Ok(Rotations { first_issue, rotations: spans.collect::<Result<_, _>>()?, accepted })
}

/// The namespace of the token and its consumers.
struct Stage<'a> {
    scene: &'a Scene,
    namespace: String,
    history: History,
    patience: Duration,
}

impl Stage<'_> {
    /// Starts the consumers.
    async fn begin(&self) -> Result<(), Failure> {
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
        self.api::<Deployment>().create(&PostParams::default(), &serde_json::from_value(object)?).await?;
        Ok(())
    }

    /// Waits until a rotation is finished.
    async fn finished(&self, sequence: i64) -> Result<(), Failure> {
        let tokens = self.scene.tokens(&self.namespace);
        let what = format!("rotation {sequence} to be finished");
        let done = wait::until(&what, self.patience, async || {
            tokens.get(NAME).await.ok().filter(|token| is_finished(token, sequence)).map(drop)
        });
        let Err(error) = done.await else { return Ok(()) };
        let status = tokens.get(NAME).await?.status;
        let log = self.scene.operator.logs();
        Err(format!("{error}\nlast status: {status:#?}\nlog of the operator:\n{log}").into())
    }

    /// Waits until all consumers hold the value in the Secret.
    async fn held(&self) -> Result<(), Failure> {
        let secret = self.api::<Secret>().get(NAME).await?;
        let value = secret.data.and_then(|mut data| data.remove("token")).ok_or("the Secret has no key token")?;
        let fingerprint = Token::new(std::str::from_utf8(&value.0)?).fingerprint();
        wait::until("the consumers to hold the new token", self.patience, async || {
            (self.history.holders(&fingerprint).len() == CONSUMERS).then_some(())
        })
        .await?;
        Ok(())
    }

    /// How many calls of consumers were accepted, if none was refused.
    fn accepted(&self) -> Result<usize, Failure> {
        let refused = self.history.refused_calls(&self.namespace);
        if let Some(first) = refused.first() {
            return Err(format!("{} calls of consumers were refused, the first: {first:?}", refused.len()).into());
        }
        match self.history.accepted(&self.namespace) {
            0 => Err("no consumer called at all".into()),
            accepted => Ok(accepted),
        }
    }

    /// Takes the consumers away, so that they do not disturb what is measured next.
    async fn end(&self) -> Result<(), Failure> {
        self.api::<Deployment>().delete("consumer", &DeleteParams::background()).await?;
        let pods = self.api::<Pod>();
        wait::until("the consumers to end", self.patience, async || {
            pods.list(&ListParams::default()).await.ok().filter(|pods| pods.items.is_empty()).map(drop)
        })
        .await?;
        Ok(())
    }

    fn api<K>(&self) -> Api<K>
    where
        K: Resource<Scope = NamespaceResourceScope, DynamicType = ()>,
    {
        Api::namespaced(self.scene.client.clone(), &self.namespace)
    }
}
