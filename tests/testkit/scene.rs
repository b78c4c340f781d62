//! A namespace with one simulated node of its own, and short ways to say what runs on it.

use std::time::Duration;

use k8s_openapi::api::core::v1::{Pod, Secret};
use kube::{
    ResourceExt,
    api::{Patch, PatchParams, PostParams},
};
use serde_json::{Value, json};
use tokenturn::testkit::{
    ControlPlaneOptions, Error, History, NodeOptions, SharedControlPlane, SimulatedNode, TestNamespace, Token,
    wait::until,
};

pub const PATIENCE: Duration = Duration::from_secs(30);

pub type Outcome = Result<(), Box<dyn std::error::Error>>;

/// A namespace with one simulated node of its own.
pub struct Scene {
    pub space: TestNamespace,
    pub node: SimulatedNode,
    pub history: History,
}

impl Scene {
    pub async fn new(stem: &str) -> Result<Self, Error> {
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
    pub async fn secret(&self, token: &str) -> Result<(), kube::Error> {
        let secret =
            json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "api"}, "stringData": {"token": token}});
        self.space
            .api::<Secret>()
            .patch("api", &PatchParams::apply("test").force(), &Patch::Apply(secret))
            .await
            .map(drop)
    }

    /// A pod bound to this scene's node, without the scheduler.
    pub async fn pod(
        &self,
        name: &str,
        annotations: Value,
        mut spec: Value,
    ) -> Result<String, Box<dyn std::error::Error>> {
        spec["nodeName"] = json!(self.node.name());
        let pod = json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name, "annotations": annotations}, "spec": spec});
        let pod: Pod = serde_json::from_value(pod)?;
        Ok(self.space.api::<Pod>().create(&PostParams::default(), &pod).await?.uid().unwrap_or_default())
    }

    /// Waits until the container has made a call and holds `token`.
    pub async fn holds(&self, pod: &str, container: &str, token: &str) -> Result<(), Error> {
        let fingerprint = Token::new(token).fingerprint();
        until(&format!("{pod}/{container} to hold {token}"), PATIENCE, async || {
            self.held(pod, container).filter(|held| *held == fingerprint)
        })
        .await
        .map(drop)
    }

    pub fn held(&self, pod: &str, container: &str) -> Option<String> {
        let holding = self.history.holding(self.space.name());
        holding
            .into_iter()
            .find(|(seat, _)| &*seat.pod == pod && &*seat.container == container)
            .and_then(|(_, held)| held)
    }

    pub fn calls(&self, pod: &str) -> usize {
        self.history.calls(self.space.name()).iter().filter(|call| &*call.seat.pod == pod).count()
    }
}

pub fn env_container(name: &str) -> Value {
    json!({"name": name, "image": "consumer", "env": [{"name": "TOKEN", "valueFrom": {"secretKeyRef": {"name": "api", "key": "token"}}}]})
}

pub fn file_container(name: &str, mount: Value) -> Value {
    json!({"name": name, "image": "consumer", "volumeMounts": [mount]})
}
