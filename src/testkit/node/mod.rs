//! A simulated node: does with the pods bound to it what a kubelet does, as far as tokens go.
//!
//! What is simulated: container processes, volumes, the kubelet's Secret cache. What is real: the
//! Node object, its lease, every pod status, every deletion, and the calls of the containers.
//!
//! - [`cache`]: Secrets as the kubelet's watch mode sees them, with a settable lag
//! - [`plan`]: what a pod spec says about Secrets, probes and hooks
//! - [`files`]: secret volumes and how they are refreshed
//! - [`worker`]: one pod from its binding on; [`container`]: its processes; [`termination`]: the end
//! - [`report`]: pod statuses; [`writer`]: written in order, held back while the node is cut off
//! - [`heartbeat`]: Node object and lease; [`pods`]: the watch that starts and ends workers

mod cache;
mod container;
mod files;
mod heartbeat;
mod knobs;
mod plan;
mod pods;
mod report;
mod termination;
mod worker;
mod writer;

use std::{
    collections::{BTreeMap, HashMap},
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use cache::SecretCache;
use knobs::Knobs;
use kube::{Api, Client, api::DeleteParams};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use super::{
    Error, History,
    consumer::{ApiServerCalls, TokenUse},
    control_plane,
};

/// Annotations on a pod that say what its processes do.
pub mod annotation {
    /// Time between two calls of a consumer.
    pub const CALL_EVERY_MS: &str = "testkit.tokenturn.dev/call-every-ms";
    /// `true`: processes read their token file again before each call.
    pub const RELOAD: &str = "testkit.tokenturn.dev/reload";
    /// Name of the environment variable with the token, `TOKEN` without it.
    pub const TOKEN_ENV: &str = "testkit.tokenturn.dev/token-env";
    /// Name of the file with the token, `token` without it.
    pub const TOKEN_FILE: &str = "testkit.tokenturn.dev/token-file";
    /// Main containers without a token of their own use what this init container read.
    pub const TOKEN_FROM_INIT: &str = "testkit.tokenturn.dev/token-from-init";
    /// How long an init container takes.
    pub const INIT_MS: &str = "testkit.tokenturn.dev/init-ms";
    /// Main containers end by themselves with code 0 after this time, as a Job's do.
    pub const RUN_MS: &str = "testkit.tokenturn.dev/run-ms";
    /// Main containers go on with their work for this time after SIGTERM.
    pub const LINGER_MS: &str = "testkit.tokenturn.dev/linger-ms";
    /// Length of the preStop hook of every main container, instead of what the spec says.
    pub const PRE_STOP_MS: &str = "testkit.tokenturn.dev/pre-stop-ms";
    /// Time from the start of the main containers until the pod is Ready; `never` for not at all.
    pub const READY_AFTER_MS: &str = "testkit.tokenturn.dev/ready-after-ms";
}

/// How a simulated node behaves. The defaults are fast.
#[derive(Clone)]
pub struct NodeOptions {
    pub name: String,
    pub labels: BTreeMap<String, String>,
    /// How late the Secret cache sees a change; can be changed while the node runs.
    pub secret_lag: Duration,
    /// How long after the cache the files of a volume are changed.
    pub volume_sync: Duration,
    /// Time from the binding of a pod to the start of its first container.
    pub pod_start: Duration,
    /// Time between two attempts to start a container that could not be started.
    pub retry: Duration,
    /// Lease renewal and node status.
    pub heartbeat: Duration,
    /// Time until containers of a pod that is no longer in the API are killed.
    pub orphan_kill: Duration,
    /// Time between two calls of a consumer, unless its pod says otherwise.
    pub call_every: Duration,
    /// What containers do with their token; without it they call the API server.
    pub calls: Option<Arc<dyn TokenUse>>,
}

impl NodeOptions {
    pub fn named(name: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            labels: BTreeMap::new(),
            secret_lag: Duration::ZERO,
            volume_sync: Duration::from_millis(300),
            pod_start: Duration::from_millis(100),
            retry: Duration::from_millis(300),
            heartbeat: Duration::from_secs(1),
            orphan_kill: Duration::from_millis(500),
            call_every: Duration::from_millis(100),
            calls: None,
        }
    }
}

/// A running node. Dropping it ends its containers and leaves its objects in the API, as when a
/// machine loses power; [`Self::remove`] takes the Node object away as well.
pub struct SimulatedNode {
    shared: Arc<Shared>,
}

/// What all parts of one node use.
struct Shared {
    options: NodeOptions,
    client: Client,
    history: History,
    calls: Arc<dyn TokenUse>,
    cache: SecretCache,
    knobs: Knobs,
    stop: CancellationToken,
    beat: tokio::sync::Mutex<()>,
    restarts: Mutex<HashMap<String, mpsc::UnboundedSender<String>>>,
    addresses: std::sync::atomic::AtomicU32,
}

impl SimulatedNode {
    /// Registers the node and returns when it is Ready in the API.
    ///
    /// `config` is an administrator's; the calls of containers take only its address.
    pub async fn start(config: &kube::Config, history: &History, options: NodeOptions) -> Result<Self, Error> {
        let client = control_plane::client(config.clone())?;
        let knobs = Knobs::new(options.secret_lag);
        let stop = CancellationToken::new();
        let shared = Arc::new(Shared {
            calls: options.calls.clone().unwrap_or_else(|| Arc::new(ApiServerCalls::new(config))),
            cache: SecretCache::new(client.clone(), knobs.clone(), stop.clone()),
            history: history.clone(),
            client,
            knobs,
            stop,
            beat: tokio::sync::Mutex::default(),
            restarts: Mutex::default(),
            addresses: std::sync::atomic::AtomicU32::new(1),
            options,
        });
        heartbeat::register(&shared).await?;
        shared.spawn(heartbeat::run(shared.clone()));
        shared.spawn(pods::run(shared.clone()));
        Ok(Self { shared })
    }

    pub fn name(&self) -> &str {
        &self.shared.options.name
    }

    /// How late the Secret cache sees changes from now on.
    pub fn set_secret_lag(&self, lag: Duration) {
        self.shared.knobs.set_lag(lag);
    }

    /// Cuts the node off from the API server, or lets it back. Containers go on meanwhile, and so do
    /// their calls: it is the node agent that has lost contact, not the workload.
    pub fn partition(&self, cut: bool) {
        self.shared.knobs.set_contact(!cut);
    }

    /// With `false`, reports the node as not ready and then does nothing more with the API, as a node
    /// whose container runtime hangs; containers go on.
    pub async fn set_ready(&self, ready: bool) -> Result<(), Error> {
        self.shared.knobs.set_contact(false);
        {
            // No heartbeat that has begun before may come after this report.
            let _beat = self.shared.beat.lock().await;
            heartbeat::report(&self.shared, ready).await?;
        }
        self.shared.knobs.set_contact(ready);
        Ok(())
    }

    /// Ends one container and starts it again in the same pod; false if no such pod runs here.
    pub fn restart_container(&self, pod_uid: &str, container: &str) -> bool {
        let restarts = self.shared.restarts.lock().unwrap_or_else(PoisonError::into_inner);
        restarts.get(pod_uid).is_some_and(|worker| worker.send(container.to_owned()).is_ok())
    }

    /// Ends everything on the node at once.
    pub fn power_off(&self) {
        self.shared.stop.cancel();
    }

    /// Powers off and deletes the Node object, as an autoscaler does.
    pub async fn remove(self) -> Result<(), Error> {
        self.power_off();
        let nodes: Api<k8s_openapi::api::core::v1::Node> = Api::all(self.shared.client.clone());
        nodes.delete(self.name(), &DeleteParams::default()).await.map_err(Error::kube("delete the node"))?;
        Ok(())
    }
}

impl Drop for SimulatedNode {
    fn drop(&mut self) {
        self.power_off();
    }
}

impl Shared {
    /// Runs a task that ends with the node.
    fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) {
        let stop = self.stop.clone();
        tokio::spawn(async move {
            stop.run_until_cancelled_owned(task).await;
        });
    }
}
