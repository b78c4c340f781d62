//! The control plane, a node, the operator's rights, the shared account, and the victims.

use std::{collections::BTreeSet, sync::Arc, time::Duration};

use kube::Client;
use serde_json::{Value, json};
use tokenturn::testkit::{
    ControlPlane, ControlPlaneOptions, History, NodeOptions, SimulatedNode, chart, consumer::ApiServerCalls, install,
};

use super::{
    Failure,
    account::{Account, Calls},
    rival::Rival,
    say,
    victims::{self, Victim},
};

/// Namespace of the operator and of the records.
pub const SYSTEM: &str = "tokenturn-system";

/// Settle time of the operator: the simulated cache is much faster.
pub const SETTLE: &str = "2s";

pub struct Scene {
    // Dropped before the cluster that it talks to.
    _node: SimulatedNode,
    pub plane: ControlPlane,
    pub client: Client,
    pub history: History,
    pub account: Account,
    pub rival: Rival,
    pub victims: Vec<Victim>,
}

impl Scene {
    pub async fn start() -> Result<Self, Failure> {
        say("starting etcd, kube-apiserver, kube-controller-manager, kube-scheduler");
        let options = ControlPlaneOptions {
            // One file for the whole run, because everything is looked through in it.
            api_server_args: vec!["--audit-log-maxsize=8000".to_owned()],
            ..ControlPlaneOptions::default()
        };
        let plane = ControlPlane::start(options).await?;
        let client = plane.client("hostile").await?;
        let system = format!("apiVersion: v1\nkind: Namespace\nmetadata: {{name: {SYSTEM}}}");
        install::apply_yaml(&client, &system, "").await?;
        // As it stands: a ClusterRole for the operator, and what `edit` may do besides.
        chart::install(&client, "tokenturn", SYSTEM, &[]).await?;
        let (account, rival) = (Account::start().await?, Rival::start().await?);
        let history = History::new();
        let config = plane.config("node").await?;
        let calls = Arc::new(Calls { account: account.clone(), cluster: ApiServerCalls::new(&config) });
        let options =
            NodeOptions { call_every: Duration::from_millis(250), calls: Some(calls), ..NodeOptions::named("hostile") };
        let node = SimulatedNode::start(&config, &history, options).await?;
        let victims = victims::create(&client, &account).await?;
        Ok(Self { _node: node, plane, client, history, account, rival, victims })
    }

    /// Those of victims.
    pub fn namespaces(&self) -> BTreeSet<&str> {
        self.victims.iter().map(|victim| victim.namespace.as_str()).collect()
    }
}

/// One request with a body, as it stands.
pub async fn send(client: &Client, method: http::Method, path: &str, body: &Value) -> Result<Value, kube::Error> {
    let kind = if method == http::Method::PATCH { "application/merge-patch+json" } else { "application/json" };
    let request = http::Request::builder().method(method).uri(path).header(http::header::CONTENT_TYPE, kind);
    let body = serde_json::to_vec(body).map_err(kube::Error::SerdeError)?;
    client.request(request.body(body).map_err(kube::Error::HttpError)?).await
}

/// The object at a path, if there is one.
pub async fn get(client: &Client, path: &str) -> Result<Option<Value>, kube::Error> {
    let request = http::Request::get(path).body(Vec::new()).map_err(kube::Error::HttpError)?;
    match client.request(request).await {
        Ok(object) => Ok(Some(object)),
        Err(kube::Error::Api(status)) if status.code == 404 => Ok(None),
        Err(error) => Err(error),
    }
}

/// The path of the objects of a kind in a namespace.
pub fn path(namespace: &str, kind: &str) -> String {
    let (group, plural) = match kind {
        "RotatedToken" => ("apis/tokenturn.dev/v1alpha1", "rotatedtokens"),
        "TokenProvider" => ("apis/tokenturn.dev/v1alpha1", "tokenproviders"),
        "Deployment" => ("apis/apps/v1", "deployments"),
        "Secret" => ("api/v1", "secrets"),
        "ServiceAccount" => ("api/v1", "serviceaccounts"),
        "Event" => ("api/v1", "events"),
        _ => ("api/v1", "pods"),
    };
    match namespace {
        "" => format!("/{group}/{plural}"),
        _ => format!("/{group}/namespaces/{namespace}/{plural}"),
    }
}

/// A RotatedToken whose Secret has its name.
pub fn rotated_token(name: &str, provider: &Value) -> Value {
    json!({
        "apiVersion": "tokenturn.dev/v1alpha1", "kind": "RotatedToken", "metadata": {"name": name},
        "spec": {"providerRef": provider, "interval": "30d", "gracePeriod": "0s", "secret": {"name": name}},
    })
}
