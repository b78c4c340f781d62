//! The control plane and the operator that are measured.

use std::time::{Duration, Instant};

use kube::{Api, Client};
use serde_json::{Value, json};
use tokenturn::{
    api::{GoDuration, RotatedToken},
    testkit::{Audit, ControlPlane, ControlPlaneOptions, OperatorOptions, OperatorProcess, chart, install, shared},
};

use super::{Failure, args::Plan, calls::Calls, say};

/// Namespace of the operator and of the records.
const SYSTEM: &str = "tokenturn-system";

/// What the operator's requests are known by, also those that it makes with a new token.
const USER_AGENT: &str = "tokenturn/";

/// How long anything that has to happen may take on a busy machine.
pub const PATIENCE: Duration = Duration::from_secs(180);

pub struct Scene {
    // Dropped in this order: the operator before the cluster that it talks to.
    pub operator: OperatorProcess,
    pub plane: ControlPlane,
    pub client: Client,
    options: OperatorOptions,
}

/// A moment in the audit log.
#[derive(Clone, Copy)]
pub struct Mark(u64);

impl Scene {
    /// Starts the servers and the operator under its chart's account and rules.
    pub async fn start(plan: &Plan) -> Result<Self, Failure> {
        say("starting etcd, kube-apiserver, kube-controller-manager, kube-scheduler");
        let options = ControlPlaneOptions {
            // One file for the whole run, because everything is counted in it.
            audit: Audit::Everything,
            api_server_args: vec!["--audit-log-maxsize=4000".to_owned()],
            ..ControlPlaneOptions::default()
        };
        let plane = ControlPlane::start(options).await?;
        let client = plane.client("bench").await?;
        install::apply_yaml(&client, &format!("apiVersion: v1\nkind: Namespace\nmetadata: {{name: {SYSTEM}}}"), "")
            .await?;
        chart::install(&client, "tokenturn", SYSTEM, &[]).await?;
        let mut options = OperatorOptions::new(&plan.binary).arg(format!("--settle-time={}", plan.settle_time));
        options.namespace = SYSTEM.to_owned();
        let mut operator = OperatorProcess::start(&plane, options.clone()).await?;
        operator.ready(PATIENCE).await?;
        Ok(Self { operator, plane, client, options })
    }

    /// Ends the operator as a rollout does and starts it again.
    pub async fn restart_operator(&mut self) -> Result<(), Failure> {
        self.operator.terminate(PATIENCE).await?;
        self.operator = OperatorProcess::start(&self.plane, self.options.clone()).await?;
        Ok(self.operator.ready(PATIENCE).await?)
    }

    /// A namespace with an account and a provider.
    pub async fn namespace(&self, stem: &str) -> Result<String, Failure> {
        let namespace = shared::create_namespace(&self.client, stem).await?;
        install::apply_yaml(&self.client, install::API_CLIENT, &namespace).await?;
        Ok(namespace)
    }

    pub fn tokens(&self, namespace: &str) -> Api<RotatedToken> {
        Api::namespaced(self.client.clone(), namespace)
    }

    pub fn mark(&self) -> Result<Mark, Failure> {
        Ok(Mark(self.plane.audit_end()?))
    }

    /// What the operator called since a moment.
    pub fn calls_since(&self, mark: Mark) -> Result<Calls, Failure> {
        self.calls_between(mark, Mark(u64::MAX))
    }

    /// What the operator called between two moments.
    pub fn calls_between(&self, from: Mark, to: Mark) -> Result<Calls, Failure> {
        let user = format!("system:serviceaccount:{SYSTEM}:{}", self.options.service_account);
        let events = self.plane.audit_events_within(from.0..to.0)?.into_iter();
        let ours = events.filter(|event| event.user == user || event.user_agent.starts_with(USER_AGENT));
        let one_by_one =
            ours.filter(|event| event.verb != "watch" && event.resource != "leases" || event.verb == "update");
        Ok(Calls::sort(one_by_one.collect(), SYSTEM))
    }

    /// Waits until the operator has written nothing but its lease for a while.
    pub async fn quiet(&self, span: Duration) -> Result<(), Failure> {
        let started = Instant::now();
        let (mut since, mut mark) = (started, self.mark()?);
        while since.elapsed() < span {
            let calls = self.calls_since(mark)?;
            if calls.writes_besides_lease() > 0 {
                (since, mark) = (Instant::now(), self.mark()?);
            }
            if started.elapsed() > PATIENCE + span {
                let last: Vec<String> = calls.lines().collect();
                let last = last[last.len().saturating_sub(20)..].join("\n  ");
                return Err(format!("the operator does not become quiet, its last writes:\n  {last}").into());
            }
            tokio::time::sleep(Duration::from_secs(1)).await;
        }
        Ok(())
    }

    /// Resident memory of the operator.
    pub fn rss_mib(&self) -> Result<f64, Failure> {
        let kib = self.operator.rss_kib().ok_or("the operator has ended")?;
        Ok(f64::from(u32::try_from(kib)?) / 1024.0)
    }
}

/// A RotatedToken as in README.md.
pub fn rotated_token(name: &str, grace: GoDuration) -> Result<RotatedToken, Failure> {
    let object: Value = json!({
        "apiVersion": "tokenturn.dev/v1alpha1",
        "kind": "RotatedToken",
        "metadata": {"name": name},
        "spec": {
            "providerRef": {"name": "cluster"},
            "parameters": {"serviceAccount": "api-client"},
            "permissions": ["get configmaps", "list configmaps"],
            "interval": "30d",
            "gracePeriod": grace,
            "secret": {"name": name},
        },
    });
    Ok(serde_json::from_value(object)?)
}

/// Whether a rotation is finished: its token is current and no older one is alive.
pub fn is_finished(token: &RotatedToken, sequence: i64) -> bool {
    token.status.as_ref().is_some_and(|status| {
        status.sequence == Some(sequence)
            && status.previous.is_none()
            && status.conditions.iter().any(|condition| condition.type_ == "Reconciling" && condition.status == "False")
    })
}
