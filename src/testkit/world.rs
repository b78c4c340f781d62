//! One test's world: a namespace with a simulated node, consumers with a history, and an operator of its own that may
//! touch that namespace and no other.

use std::{sync::Arc, time::Duration};

use crate::{
    api::{RotatedToken, RotatedTokenStatus},
    testkit::{
        Audit, ControlPlaneOptions, History, NodeOptions, OperatorOptions, OperatorProcess, SharedControlPlane,
        SimulatedNode, TestNamespace, Token, chart, consumer::TokenUse, install, shared, wait::until,
    },
};
use k8s_openapi::{
    api::{
        apps::v1::Deployment,
        core::v1::{Event, Pod, Secret},
    },
    apimachinery::pkg::apis::meta::v1::Condition,
};
use kube::{
    Api, ResourceExt,
    api::{ApiResource, DynamicObject, ListParams, Patch, PatchParams, PostParams},
};
use serde_json::{Value, json};
use tokio::sync::OnceCell;

pub type Outcome = Result<(), Box<dyn std::error::Error>>;

/// How long anything that has to happen may take on a busy machine.
pub const PATIENCE: Duration = Duration::from_secs(90);

/// Settle time of the tests: the simulated cache has no lag unless a test sets one.
pub const SETTLE: &str = "1s";

static CRDS: OnceCell<()> = OnceCell::const_new();

/// What an operator may touch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scope {
    /// The namespace of its world, by Roles there.
    Namespace,
    #[allow(dead_code, reason = "for the tests of a whole cluster, which share this file")]
    /// Everything. Only for a control plane on which no other operator runs.
    Cluster,
}

pub struct World {
    // Dropped in this order: the operator before the cluster that it talks to.
    pub operators: Vec<OperatorProcess>,
    pub node: SimulatedNode,
    pub history: History,
    pub space: TestNamespace,
    pub system: String,
    args: Vec<String>,
    env: Vec<(String, String)>,
    server: Option<String>,
}

impl World {
    /// A world with one operator running.
    pub async fn new(stem: &str) -> Result<Self, Box<dyn std::error::Error>> {
        let mut world = Self::without_operator(stem).await?;
        world.start_operator().await?;
        Ok(world)
    }

    /// A world whose operator is still to be started.
    pub async fn without_operator(stem: &str) -> Result<Self, Box<dyn std::error::Error>> {
        Self::in_scope(stem, Scope::Namespace).await
    }

    /// A world whose operator may touch one namespace, or all.
    pub async fn in_scope(stem: &str, scope: Scope) -> Result<Self, Box<dyn std::error::Error>> {
        Self::set_up(stem, scope, None).await
    }

    /// A world, without an operator yet, whose containers use their tokens at another service than the API server.
    #[allow(dead_code, reason = "for the tests of providers, which share this file")]
    pub async fn of_consumers(stem: &str, calls: Arc<dyn TokenUse>) -> Result<Self, Box<dyn std::error::Error>> {
        Self::set_up(stem, Scope::Namespace, Some(calls)).await
    }

    /// The same with an operator that may touch one namespace, or all.
    #[allow(dead_code, reason = "for the tests of a whole cluster, which share this file")]
    pub async fn of_consumers_in(
        stem: &str,
        scope: Scope,
        calls: Arc<dyn TokenUse>,
    ) -> Result<Self, Box<dyn std::error::Error>> {
        Self::set_up(stem, scope, Some(calls)).await
    }

    async fn set_up(
        stem: &str,
        scope: Scope,
        calls: Option<Arc<dyn TokenUse>>,
    ) -> Result<Self, Box<dyn std::error::Error>> {
        // What is shared by many would fill the log with reads.
        let audit = if scope == Scope::Cluster { Audit::Everything } else { Audit::Writes };
        let options = ControlPlaneOptions {
            audit,
            controller_manager_args: vec![
                "--node-monitor-grace-period=8s".to_owned(),
                "--node-monitor-period=1s".to_owned(),
            ],
            ..ControlPlaneOptions::default()
        };
        SharedControlPlane::get_with(options).await?;
        let space = SharedControlPlane::namespace(stem).await?;
        let client = space.client();
        let crds = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("crds");
        CRDS.get_or_try_init(|| install::install_crds(client, &crds)).await?;
        let system = shared::create_namespace(client, &format!("{stem}-system")).await?;
        let mut settings = vec![
            "crds.install=false".to_owned(),
            "userRoles.create=false".to_owned(),
            "serviceAccount.name=tokenturn".to_owned(),
        ];
        let mut args = vec![format!("--settle-time={SETTLE}"), "--image-pull-backoff=2s".to_owned()];
        if scope == Scope::Namespace {
            settings.push(format!("watchNamespaces={{{}}}", space.name()));
            args.push(format!("--watch-namespaces={}", space.name()));
        }
        chart::install(client, &system, &system, &settings).await?;
        let history = History::new();
        let mut options = NodeOptions { calls, ..NodeOptions::named(space.name()) };
        options.labels.insert("world".to_owned(), space.name().to_owned());
        let node = SimulatedNode::start(&space.config("node").await?, &history, options).await?;
        let world = Self { operators: Vec::new(), node, history, space, system, args, env: Vec::new(), server: None };
        world.api_client().await?;
        Ok(world)
    }

    /// Further arguments for operators that are started from now on.
    pub fn with_args(mut self, args: &[&str]) -> Self {
        self.args.extend(args.iter().map(|arg| (*arg).to_owned()));
        self
    }

    /// Without some of the arguments for operators that are started from now on.
    #[allow(dead_code, reason = "for the tests of providers, which share this file")]
    pub fn without_args(mut self, args: &[&str]) -> Self {
        self.args.retain(|arg| !args.contains(&arg.as_str()));
        self
    }

    /// Further variables in the environment of operators that are started from now on.
    #[allow(dead_code, reason = "for the tests of clocks, which share this file")]
    pub fn with_env(mut self, env: impl IntoIterator<Item = (String, String)>) -> Self {
        self.env.extend(env);
        self
    }

    /// The address at which operators that are started from now on find the API server.
    pub fn with_server(mut self, url: String) -> Self {
        self.server = Some(url);
        self
    }

    pub async fn start_operator(&mut self) -> Outcome {
        let named = std::env::var_os("TOKENTURN_BINARY").map(Into::into);
        let mut options = OperatorOptions::new(super::binary::operator(named)?);
        options.namespace = self.system.clone();
        options.name = format!("operator-{}", self.space.name());
        options.args.extend(self.args.iter().cloned());
        options.env.extend(self.env.iter().cloned());
        options.server = self.server.clone();
        let options = options.env("RUST_BACKTRACE", "1");
        let mut operator = OperatorProcess::start(&self.space, options).await?;
        operator.ready(PATIENCE).await?;
        self.operators.push(operator);
        Ok(())
    }

    /// The account that tokens speak for, with the rights that tokens ask for, and a provider.
    async fn api_client(&self) -> Outcome {
        self.apply(install::API_CLIENT).await
    }

    /// Applies YAML in the namespace of this world.
    pub async fn apply(&self, yaml: &str) -> Outcome {
        install::apply_yaml(self.space.client(), yaml, self.space.name()).await?;
        Ok(())
    }

    /// Creates the RotatedToken `api`, with a short grace and whatever a test changes.
    pub async fn rotated_token(&self, changes: Value) -> Result<(), kube::Error> {
        self.named_token("api", changes).await
    }

    /// Written as it stands, without our types, so that the API server is what refuses mistakes.
    pub async fn named_token(&self, name: &str, changes: Value) -> Result<(), kube::Error> {
        let mut object = json!({
            "apiVersion": "tokenturn.dev/v1alpha1",
            "kind": "RotatedToken",
            "metadata": {"name": name},
            "spec": {
                "providerRef": {"name": "cluster"},
                "parameters": {"serviceAccount": "api-client"},
                "permissions": ["get configmaps", "list configmaps"],
                "interval": "30d",
                "gracePeriod": "0s",
                "secret": {"name": "api-token"},
            },
        });
        merge(&mut object["spec"], changes);
        let object: DynamicObject = serde_json::from_value(object).map_err(kube::Error::SerdeError)?;
        let resource = ApiResource::erase::<RotatedToken>(&());
        let api: Api<DynamicObject> = Api::namespaced_with(self.space.client().clone(), self.space.name(), &resource);
        api.create(&PostParams::default(), &object).await.map(drop)
    }

    pub fn tokens(&self) -> Api<RotatedToken> {
        self.space.api()
    }

    /// Changes the RotatedToken `api` by a merge patch.
    pub async fn patch(&self, patch: Value) -> Result<RotatedToken, kube::Error> {
        self.tokens().patch("api", &PatchParams::default(), &Patch::Merge(patch)).await
    }

    /// Asks for one rotation.
    pub async fn rotate_now(&self, value: &str) -> Result<RotatedToken, kube::Error> {
        self.patch(json!({"metadata": {"annotations": {"tokenturn.dev/rotate-now": value}}})).await
    }

    /// A Deployment whose pods read the token from the environment.
    pub async fn deployment(&self, name: &str, replicas: i32, changes: Value) -> Result<Deployment, kube::Error> {
        let mut object = json!({
            "apiVersion": "apps/v1",
            "kind": "Deployment",
            "metadata": {"name": name},
            "spec": {
                "replicas": replicas,
                "selector": {"matchLabels": {"app": name}},
                "template": {
                    "metadata": {"labels": {"app": name}, "annotations": {}},
                    "spec": self.pod_spec(),
                },
            },
        });
        merge(&mut object, changes);
        let object = serde_json::from_value(object).map_err(kube::Error::SerdeError)?;
        self.space.api::<Deployment>().create(&PostParams::default(), &object).await
    }

    /// The spec of a pod that reads the token from the environment and runs on this world's node.
    pub fn pod_spec(&self) -> Value {
        json!({
            "nodeSelector": {"world": self.space.name()},
            "automountServiceAccountToken": false,
            "terminationGracePeriodSeconds": 5,
            "containers": [{
                "name": "app",
                "image": "none",
                "env": [{"name": "TOKEN", "valueFrom": {"secretKeyRef": {"name": "api-token", "key": "token"}}}],
            }],
        })
    }

    /// A pod that nobody recreates.
    pub async fn bare_pod(&self, name: &str, annotations: Value, changes: Value) -> Result<Pod, kube::Error> {
        let mut spec = self.pod_spec();
        merge(&mut spec, changes);
        let object = json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name, "annotations": annotations}, "spec": spec});
        let object = serde_json::from_value(object).map_err(kube::Error::SerdeError)?;
        self.space.api::<Pod>().create(&PostParams::default(), &object).await
    }

    /// Waits until the status says what a test looks for.
    pub async fn status(
        &self,
        what: &str,
        says: impl Fn(&RotatedTokenStatus) -> bool,
    ) -> Result<RotatedTokenStatus, Box<dyn std::error::Error>> {
        let tokens = self.tokens();
        let found = until(what, PATIENCE, async || {
            tokens.get("api").await.ok().and_then(|token| token.status).filter(|status| says(status))
        });
        match found.await {
            Ok(status) => Ok(status),
            Err(error) => {
                let last = tokens.get("api").await.ok().and_then(|token| token.status);
                let logs: String = self.operators.iter().map(OperatorProcess::logs).collect();
                Err(format!("{error}\nlast status: {last:#?}\nlog:\n{logs}").into())
            }
        }
    }

    /// Waits until a rotation is finished: its token is current and no older one is alive.
    pub async fn finished(&self, sequence: i64) -> Result<RotatedTokenStatus, Box<dyn std::error::Error>> {
        self.status(&format!("rotation {sequence} to be finished"), |status| {
            status.sequence == Some(sequence) && status.previous.is_none() && is(status, "Reconciling", "False")
        })
        .await
    }

    /// The value in the Secret.
    pub async fn token(&self) -> Result<String, Box<dyn std::error::Error>> {
        let secret = self.space.api::<Secret>().get("api-token").await?;
        let value = secret.data.and_then(|mut data| data.remove("token")).ok_or("the Secret has no key token")?;
        Ok(String::from_utf8(value.0)?)
    }

    pub async fn fingerprint(&self) -> Result<String, Box<dyn std::error::Error>> {
        Ok(Token::new(&self.token().await?).fingerprint())
    }

    /// Waits until so many containers hold a token with this fingerprint.
    pub async fn holders(&self, fingerprint: &str, wanted: usize) -> Outcome {
        until(&format!("{wanted} containers to hold {fingerprint}"), PATIENCE, async || {
            (self.history.holders(fingerprint).len() == wanted).then_some(())
        })
        .await?;
        Ok(())
    }

    /// Names of the Secrets that tokens of this world are bound to: what is alive at the provider.
    pub async fn live_tokens(&self) -> Result<Vec<String>, kube::Error> {
        let params = ListParams::default().labels("tokenturn.dev/role=bound-token");
        Ok(self.space.api::<Secret>().list(&params).await?.iter().map(ResourceExt::name_any).collect())
    }

    /// The records of this world's operator.
    pub async fn records(&self) -> Result<Vec<Secret>, kube::Error> {
        let api: Api<Secret> = Api::namespaced(self.space.client().clone(), &self.system);
        Ok(api.list(&ListParams::default().labels("tokenturn.dev/role=record")).await?.items)
    }

    /// Reasons of the Events on RotatedTokens of this world, oldest first.
    pub async fn event_reasons(&self) -> Result<Vec<String>, kube::Error> {
        let mut events = self.space.api::<Event>().list(&ListParams::default()).await?.items;
        events.retain(|event| event.involved_object.kind.as_deref() == Some("RotatedToken"));
        events.sort_by_key(|event| event.metadata.creation_timestamp.as_ref().map(|at| at.0));
        Ok(events.into_iter().filter_map(|event| event.reason).collect())
    }

    /// Whether the API server accepts a token now.
    pub async fn accepts(&self, token: &str) -> Result<bool, Box<dyn std::error::Error>> {
        use k8s_openapi::api::core::v1::ConfigMap;
        let client = self.space.client_with_token(token, "probe").await?;
        match Api::<ConfigMap>::namespaced(client, self.space.name()).list(&ListParams::default()).await {
            Ok(_) => Ok(true),
            Err(kube::Error::Api(status)) if status.code == 401 => Ok(false),
            Err(error) => Err(error.into()),
        }
    }

    /// Consumers go on calling, and no call of theirs was ever refused.
    pub async fn assert_nobody_noticed(&self) -> Outcome {
        let before = self.history.accepted(self.space.name());
        until("further calls of consumers", PATIENCE, async || {
            (self.history.accepted(self.space.name()) > before).then_some(())
        })
        .await?;
        self.history.assert_never_refused(self.space.name());
        Ok(())
    }

    /// Watches for a while that something does not happen.
    pub async fn never(&self, what: &str, during: Duration, happens: impl AsyncFn() -> bool) -> Outcome {
        let end = tokio::time::Instant::now() + during;
        while tokio::time::Instant::now() < end {
            if happens().await {
                return Err(format!("{what} happened").into());
            }
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
        Ok(())
    }
}

/// Whether a condition has a status.
pub fn is(status: &RotatedTokenStatus, type_: &str, value: &str) -> bool {
    status.conditions.iter().any(|condition| condition.type_ == type_ && condition.status == value)
}

/// Reason and message of a condition.
pub fn condition(status: &RotatedTokenStatus, type_: &str) -> (String, String) {
    let found = status.conditions.iter().find(|condition| condition.type_ == type_);
    found.map(|condition| (condition.reason.clone(), condition.message.clone())).unwrap_or_default()
}

/// Reason and sentence of what goes on: of the condition among `Stalled`, `Reconciling` and `Ready` that is the reason.
#[allow(dead_code, reason = "for some of the tests that share this file")]
pub fn said(conditions: &[Condition]) -> (String, String) {
    let holds = |one: &&Condition| matches!(one.type_.as_str(), "Stalled" | "Reconciling") && one.status == "True";
    let ready = || conditions.iter().find(|one| one.type_ == "Ready");
    let found = conditions.iter().find(holds).or_else(ready);
    found.map(|one| (one.reason.clone(), one.message.clone())).unwrap_or_default()
}

/// Puts `changes` over `value`, objects field by field.
pub fn merge(value: &mut Value, changes: Value) {
    match (value, changes) {
        (Value::Object(fields), Value::Object(changes)) => {
            for (key, change) in changes {
                merge(fields.entry(key).or_insert(Value::Null), change);
            }
        }
        (value, change) => *value = change,
    }
}
