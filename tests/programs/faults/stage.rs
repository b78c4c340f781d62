//! What all runs share: one control plane, a folder for operators, the runner's own watches, the history of all consumers.

use std::{
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
};

use kube::{Client, Config};
use serde_json::{Value, json};
use tokenturn::testkit::{
    ControlPlane, ControlPlaneOptions, History, consumer::ApiServerCalls, install, workspace::Workspace,
};

use super::{Failure, eyes::Eyes};

/// What every token asks for, granted to all accounts at once: one binding instead of one for each run.
const GRANTED: &str = "
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRole
metadata: {name: api-client}
rules: [{apiGroups: [\"\"], resources: [configmaps], verbs: [get, list]}]
---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRoleBinding
metadata: {name: api-client}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: api-client}
subjects: [{apiGroup: rbac.authorization.k8s.io, kind: Group, name: \"system:serviceaccounts\"}]
";

pub struct Stage {
    pub eyes: Eyes,
    pub history: History,
    pub calls: Arc<ApiServerCalls>,
    pub client: Client,
    /// For the simulated nodes, each with connections of its own.
    pub config: Config,
    pub binary: PathBuf,
    numbers: AtomicU32,
    // Dropped in this order: operators and their files before the servers.
    pub workspace: Workspace,
    pub plane: ControlPlane,
}

impl Stage {
    pub async fn start(binary: PathBuf) -> Result<Self, Failure> {
        let options = ControlPlaneOptions {
            // Pods name their node.
            scheduler: false,
            controller_manager_args: [
                // A node is powered off at the end of its run, and nothing has to follow from that.
                "--node-monitor-grace-period=24h",
                // Pods run under an account of the run's own.
                "--controllers=-serviceaccount-controller,-root-ca-certificate-publisher-controller",
            ]
            .map(str::to_owned)
            .into(),
            ..ControlPlaneOptions::default()
        };
        let plane = ControlPlane::start(options).await?;
        let client = plane.client("faults").await?;
        let crds = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("crds");
        install::install_crds(&client, &crds).await?;
        install::apply_yaml(&client, GRANTED, "default").await?;
        let config = plane.config("node").await?;
        Ok(Self {
            eyes: Eyes::open(plane.client("faults-eyes").await?),
            history: History::new(),
            calls: Arc::new(ApiServerCalls::new(&config)),
            client,
            config,
            binary,
            numbers: AtomicU32::new(1),
            workspace: Workspace::create()?,
            plane,
        })
    }

    /// A name that no other run has.
    pub fn unique(&self, stem: &str) -> String {
        format!("{stem}-{}", self.numbers.fetch_add(1, Ordering::Relaxed))
    }

    /// One request with a body, as it stands.
    pub async fn send(&self, method: http::Method, path: &str, body: &Value) -> Result<Value, kube::Error> {
        let kind = if method == http::Method::PATCH { "application/merge-patch+json" } else { "application/json" };
        let request = http::Request::builder().method(method).uri(path).header(http::header::CONTENT_TYPE, kind);
        let body = serde_json::to_vec(body).map_err(kube::Error::SerdeError)?;
        self.client.request(request.body(body).map_err(kube::Error::HttpError)?).await
    }

    /// The object at a path, if there is one.
    pub async fn get(&self, path: &str) -> Result<Option<Value>, kube::Error> {
        let request = http::Request::get(path).body(Vec::new()).map_err(kube::Error::HttpError)?;
        match self.client.request(request).await {
            Ok(object) => Ok(Some(object)),
            Err(kube::Error::Api(status)) if status.code == 404 => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Whether the API server accepts a token now.
    pub async fn accepts(&self, token: &str) -> Result<bool, kube::Error> {
        let review = json!({"apiVersion": "authentication.k8s.io/v1", "kind": "TokenReview", "spec": {"token": token}});
        let answer = self.send(http::Method::POST, "/apis/authentication.k8s.io/v1/tokenreviews", &review).await?;
        Ok(answer["status"]["authenticated"] == json!(true))
    }
}
