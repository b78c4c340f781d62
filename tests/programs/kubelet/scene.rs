//! Control plane, operator and two real nodes. One of the nodes is there to be lost.

use std::{
    path::{Path, PathBuf},
    time::Duration,
};

use kube::Client;
use tokenturn::testkit::{
    ControlPlane, ControlPlaneOptions, History, KubeletNode, OperatorOptions, OperatorProcess, chart, install,
};
use tokio::sync::Mutex;

use super::{Failure, pods::PodWatch, say};

/// Namespace of the operator and of the records.
const SYSTEM: &str = "tokenturn-system";

/// How long anything that has to happen may take. A pod that vanished counts as gone after a minute and a half of contact
/// with its node and its grace period.
pub const PATIENCE: Duration = Duration::from_secs(300);

pub struct Scene {
    // Dropped in this order: what uses a server before the server.
    operator: OperatorProcess,
    pub node: KubeletNode,
    pub lost: Mutex<KubeletNode>,
    pub pods: PodWatch,
    pub history: History,
    pub client: Client,
    pub plane: ControlPlane,
}

impl Scene {
    pub async fn start(binary: Option<PathBuf>, consumer: &Path) -> Result<Self, Failure> {
        let binary = tokenturn::testkit::binary::operator(binary)?;
        say(&format!("operator under test: {}", binary.display()));
        let options = ControlPlaneOptions {
            controller_manager_args: vec![
                "--node-monitor-grace-period=12s".to_owned(),
                "--node-monitor-period=1s".to_owned(),
            ],
            ..ControlPlaneOptions::default()
        };
        let plane = ControlPlane::start(options).await?;
        let filled = Self::fill(&plane, binary, consumer).await;
        let (operator, node, lost, pods, history, client) = filled.inspect_err(|_| plane.keep_logs())?;
        Ok(Self { operator, node, lost: Mutex::new(lost), pods, history, client, plane })
    }

    #[allow(clippy::type_complexity, reason = "the parts of the scene, named where they are taken")]
    async fn fill(
        plane: &ControlPlane,
        binary: PathBuf,
        consumer: &Path,
    ) -> Result<(OperatorProcess, KubeletNode, KubeletNode, PodWatch, History, Client), Failure> {
        let client = plane.client("kubelet-test").await?;
        install::apply_yaml(&client, &format!("apiVersion: v1\nkind: Namespace\nmetadata: {{name: {SYSTEM}}}"), "")
            .await?;
        chart::install(&client, "tokenturn", SYSTEM, &[]).await?;
        let history = History::new();
        let pods = PodWatch::start(&client);
        let (node, lost) = futures::try_join!(
            KubeletNode::start(plane, "node", consumer, &history),
            KubeletNode::start(plane, "lost", consumer, &history),
        )?;
        // No --settle-time: the operator's default is what is shown.
        let mut operator = OperatorProcess::start(plane, OperatorOptions::new(binary)).await?;
        operator.ready(PATIENCE).await?;
        say("control plane, two kubelets and the operator run");
        Ok((operator, node, lost, pods, history, client))
    }

    /// An error if something that should run has ended.
    pub async fn check(&mut self) -> Result<(), Failure> {
        self.node.check()?;
        self.lost.lock().await.check()?;
        self.plane.check()?;
        match self.operator.ended() {
            Some(status) => Err(format!("the operator ended ({status}):\n{}", self.operator.logs()).into()),
            None => Ok(()),
        }
    }
}
