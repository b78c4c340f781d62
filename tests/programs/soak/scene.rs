//! The control plane, a node, and namespaces with tokens and their consumers.

use std::time::Duration;

use futures::future::try_join_all;
use k8s_openapi::api::apps::v1::Deployment;
use kube::{
    Api, Client, ResourceExt,
    api::{Patch, PatchParams, PostParams},
};
use serde_json::json;
use tokenturn::{
    api::RotatedToken,
    testkit::{ControlPlane, ControlPlaneOptions, History, NodeOptions, SimulatedNode, chart, install, shared},
};

use super::{Failure, args::Plan, say};

/// Namespace of the operator and of the records.
pub const SYSTEM: &str = "tokenturn-system";

/// A pass lists the pods of its namespace, so a namespace holds some tokens and not all.
const TOKENS_PER_NAMESPACE: usize = 10;

const CONSUMERS: usize = 2;

pub struct Scene {
    // Dropped before the cluster that it talks to.
    _node: SimulatedNode,
    pub plane: ControlPlane,
    pub client: Client,
    pub history: History,
    pub namespaces: Vec<String>,
}

/// One RotatedToken; its Secret and its Deployment have the same name.
#[derive(Clone, Debug)]
pub struct Subject {
    pub namespace: String,
    pub name: String,
    pub uid: String,
}

impl Scene {
    pub async fn start(plan: &Plan) -> Result<Self, Failure> {
        say("starting etcd, kube-apiserver, kube-controller-manager, kube-scheduler");
        let options = ControlPlaneOptions {
            // One file for the whole run, because everything is counted in it.
            api_server_args: vec!["--audit-log-maxsize=8000".to_owned()],
            ..ControlPlaneOptions::default()
        };
        let plane = ControlPlane::start(options).await?;
        let client = plane.client("soak").await?;
        install::apply_yaml(&client, &format!("apiVersion: v1\nkind: Namespace\nmetadata: {{name: {SYSTEM}}}"), "")
            .await?;
        chart::install(&client, "tokenturn", SYSTEM, &[]).await?;
        let history = History::new();
        // Late, as a kubelet's cache is, and within the settle time.
        let secret_lag = Duration::from_millis(300);
        let options = NodeOptions { call_every: plan.call_every, secret_lag, ..NodeOptions::named("soak") };
        let node = SimulatedNode::start(&plane.config("node").await?, &history, options).await?;
        let mut namespaces = Vec::new();
        for _ in 0..plan.tokens.div_ceil(TOKENS_PER_NAMESPACE) {
            let namespace = shared::create_namespace(&client, "soak").await?;
            install::apply_yaml(&client, install::API_CLIENT, &namespace).await?;
            namespaces.push(namespace);
        }
        Ok(Self { _node: node, plane, client, history, namespaces })
    }

    /// Creates the tokens and their consumers.
    pub async fn subjects(&self, plan: &Plan) -> Result<Vec<Subject>, Failure> {
        try_join_all((0..plan.tokens).map(|number| self.subject(number))).await
    }

    async fn subject(&self, number: usize) -> Result<Subject, Failure> {
        let namespace = self.namespaces[number / TOKENS_PER_NAMESPACE].clone();
        let name = format!("token-{number:02}");
        let token = self.tokens(&namespace).create(&PostParams::default(), &rotated_token(&name)?).await?;
        let deployments: Api<Deployment> = Api::namespaced(self.client.clone(), &namespace);
        deployments.create(&PostParams::default(), &deployment(&name)?).await?;
        Ok(Subject { namespace, name, uid: token.uid().ok_or("a created object has no UID")? })
    }

    /// Asks for one rotation.
    pub async fn rotate(&self, subject: &Subject, number: usize) -> Result<(), Failure> {
        let patch = json!({"metadata": {"annotations": {"tokenturn.dev/rotate-now": number.to_string()}}});
        let tokens = self.tokens(&subject.namespace);
        tokens.patch(&subject.name, &PatchParams::default(), &Patch::Merge(patch)).await?;
        Ok(())
    }

    pub fn tokens(&self, namespace: &str) -> Api<RotatedToken> {
        Api::namespaced(self.client.clone(), namespace)
    }

    /// Containers that run.
    pub fn consumers(&self) -> usize {
        self.namespaces.iter().map(|namespace| self.history.holding(namespace).len()).sum()
    }

    /// How many containers there are when nothing is on its way.
    pub fn wanted_consumers(plan: &Plan) -> usize {
        plan.tokens * CONSUMERS
    }
}

fn rotated_token(name: &str) -> Result<RotatedToken, Failure> {
    Ok(serde_json::from_value(json!({
        "apiVersion": "tokenturn.dev/v1alpha1",
        "kind": "RotatedToken",
        "metadata": {"name": name},
        "spec": {
            "providerRef": {"name": "cluster"},
            "parameters": {"serviceAccount": "api-client"},
            "permissions": ["get configmaps", "list configmaps"],
            "interval": "30d",
            "gracePeriod": "0s",
            "secret": {"name": name},
        },
    }))?)
}

fn deployment(name: &str) -> Result<Deployment, Failure> {
    Ok(serde_json::from_value(json!({
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": name},
        "spec": {
            "replicas": CONSUMERS,
            "revisionHistoryLimit": 1,
            "selector": {"matchLabels": {"app": name}},
            "template": {
                "metadata": {"labels": {"app": name}},
                "spec": {
                    "automountServiceAccountToken": false,
                    "terminationGracePeriodSeconds": 5,
                    "containers": [{
                        "name": "app",
                        "image": "none",
                        "env": [{"name": "TOKEN", "valueFrom": {"secretKeyRef": {"name": name, "key": "token"}}}],
                    }],
                },
            },
        },
    }))?)
}
