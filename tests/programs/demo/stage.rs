//! Sets the stage: control plane, CRDs and rights from the chart, node, operator.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use kube::{Api, Client};
use serde_json::{Value, json};
use tokenturn::{
    api::RotatedToken,
    testkit::{
        ControlPlane, ControlPlaneOptions, History, NodeOptions, OperatorOptions, OperatorProcess, SimulatedNode,
        chart, install,
    },
};
use tokio::sync::Mutex;

use crate::{
    Error,
    terminal::{Terminal, Voice},
    tokens::Tokens,
};

/// Namespace of the operator, as in the README.
const SYSTEM: &str = "tokenturn-system";
/// Namespace of the example.
pub const NAMESPACE: &str = "shop";
/// The RotatedToken of the example.
pub const NAME: &str = "api";
/// Instead of the example's hour.
const GRACE: &str = "5s";

pub struct Stage {
    // Dropped in this order: what uses a server before the server.
    pub operator: Mutex<OperatorProcess>,
    _node: SimulatedNode,
    pub history: History,
    pub tokens: Arc<Tokens>,
    pub client: Client,
    pub plane: ControlPlane,
}

impl Stage {
    pub async fn set(terminal: &Terminal) -> Result<Self, Error> {
        let operator = operator_binary()?;
        terminal.say(Voice::Demo, "starting etcd, kube-apiserver, kube-controller-manager and kube-scheduler");
        let plane = ControlPlane::start(ControlPlaneOptions::default()).await?;
        let client = plane.client("demo").await?;
        let version = client.apiserver_version().await?.git_version;
        terminal.say(Voice::Demo, &format!("Kubernetes {version} answers at {}", plane.url()));
        let history = History::new();
        match Self::fill(terminal, &plane, &client, &history, operator).await {
            Ok((node, operator)) => {
                let (operator, tokens) = (Mutex::new(operator), Arc::default());
                Ok(Self { operator, _node: node, history, tokens, client, plane })
            }
            Err(error) => {
                plane.keep_logs();
                Err(error)
            }
        }
    }

    async fn fill(
        terminal: &Terminal,
        plane: &ControlPlane,
        client: &Client,
        history: &History,
        binary: PathBuf,
    ) -> Result<(SimulatedNode, OperatorProcess), Error> {
        let namespace = json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": SYSTEM}});
        install::apply_yaml(client, &namespace.to_string(), SYSTEM).await?;
        chart::install(client, "tokenturn", SYSTEM, &[]).await?;
        terminal.say(Voice::Demo, "applied CRDs, ServiceAccount and roles of charts/tokenturn");

        let options = NodeOptions { pod_start: Duration::from_secs(1), ..NodeOptions::named("simulated-node") };
        let node = SimulatedNode::start(&plane.config("node").await?, history, options).await?;

        // No --settle-time: the operator's default is part of what is shown.
        let mut operator = OperatorProcess::start(plane, OperatorOptions::new(binary)).await?;
        operator.ready(Duration::from_secs(60)).await?;
        let account = format!("system:serviceaccount:{SYSTEM}:tokenturn");
        terminal.say(Voice::Demo, &format!("the operator runs as {account}, settle time 15s (the default)"));
        Ok((node, operator))
    }

    /// Applies the example as it is, but for the grace period.
    pub async fn apply_example(&self, terminal: &Terminal) -> Result<(), Error> {
        let folder = project().join("examples/kubernetes");
        let mut files: Vec<_> = std::fs::read_dir(&folder)?.filter_map(|entry| Some(entry.ok()?.path())).collect();
        files.sort();
        let mut kinds = Vec::new();
        for file in files {
            for mut object in install::documents(&std::fs::read_to_string(&file)?)? {
                let kind = object.types.as_ref().map(|types| types.kind.clone()).unwrap_or_default();
                if kind == "RotatedToken" {
                    object.data["spec"]["gracePeriod"] = Value::from(GRACE);
                }
                install::apply_yaml(&self.client, &serde_json::to_string(&object)?, NAMESPACE).await?;
                kinds.push(kind);
            }
        }
        terminal.say(Voice::Demo, &format!("applied examples/kubernetes: {}", kinds.join(", ")));
        terminal.say(Voice::Demo, &format!("(with gracePeriod {GRACE} instead of 1h, so that you need not wait)"));
        Ok(())
    }

    pub fn rotated_tokens(&self) -> Api<RotatedToken> {
        Api::namespaced(self.client.clone(), NAMESPACE)
    }

    /// What the RotatedToken says about itself, for a message about a wait that was in vain.
    pub async fn last_words(&self) -> String {
        let token = self.rotated_tokens().get(NAME).await;
        let conditions = token.ok().and_then(|token| token.status).map(|status| status.conditions).unwrap_or_default();
        let reported = |condition: &Condition| {
            let Condition { type_, status, reason, message, .. } = condition;
            format!("\n  {type_}={status} {reason}: {message}")
        };
        format!("the RotatedToken says:{}", conditions.iter().map(reported).collect::<String>())
    }
}

/// The operator to show: first argument, else `TOKENTURN`, else the one beside the folder of this program.
fn operator_binary() -> Result<PathBuf, Error> {
    let given = std::env::args_os().nth(1).or_else(|| std::env::var_os("TOKENTURN")).map(PathBuf::from);
    let binary = match given {
        Some(given) => given,
        None => {
            let own = std::env::current_exe()?;
            let folder = own.parent().and_then(Path::parent).ok_or("the demo has no folder")?;
            folder.join("tokenturn")
        }
    };
    if !binary.is_file() {
        return Err(format!("no operator at {}; build it with: cargo build", binary.display()).into());
    }
    Ok(binary)
}

fn project() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}
