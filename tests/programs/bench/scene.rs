//! The control plane and the operator that are measured.

use std::{
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

use futures::{StreamExt, TryStreamExt, stream};
use jiff::Timestamp;
use k8s_openapi::api::core::v1::{Pod, Secret};
use kube::{
    Api, Client, Resource, ResourceExt,
    api::{DeleteParams, ListParams, Patch, PatchParams},
    core::NamespaceResourceScope,
};
use serde::de::DeserializeOwned;
use serde_json::json;
use tokenturn::{
    api::RotatedToken,
    testkit::{
        Audit, AuditEvent, ControlPlane, ControlPlaneOptions, OperatorOptions, OperatorProcess, chart, install, shared,
    },
};

use super::{Failure, args::Plan, calls::Calls, process, say};

/// Namespace of the operator and of the records.
pub const SYSTEM: &str = "tokenturn-system";

/// What the operator's requests are known by, also those that it makes with a new token.
const USER_AGENT: &str = "tokenturn/";

/// How long anything that has to happen may take on a busy machine.
pub const PATIENCE: Duration = Duration::from_secs(180);

/// How long it may take to remove the objects of one kind from a namespace.
const REMOVAL: Duration = Duration::from_secs(900);

/// Requests of the bench on their way at the same time.
pub const HANDS: usize = 16;

pub struct Scene {
    // Dropped in this order: the operator before the cluster that it talks to.
    pub operator: OperatorProcess,
    pub plane: ControlPlane,
    pub client: Client,
    options: OperatorOptions,
    /// How many operators were started: each has a name of its own, as a new pod has.
    started: usize,
    /// Namespaces with something in them.
    spaces: Mutex<Vec<String>>,
}

/// A moment in the audit log.
#[derive(Clone, Copy)]
pub struct Mark(u64);

impl Mark {
    /// The end of the log, wherever it is when it is read.
    pub const END: Self = Self(u64::MAX);
}

/// CPU time used so far.
#[derive(Clone, Copy)]
pub struct Used {
    pub operator: Duration,
    /// etcd, API server, controller manager and scheduler together.
    pub servers: Duration,
}

impl Scene {
    /// Starts the servers and the operator under its chart's account and rules.
    pub async fn start(plan: &Plan) -> Result<Self, Failure> {
        say("starting etcd, kube-apiserver, kube-controller-manager, kube-scheduler");
        let options = ControlPlaneOptions {
            // One file for the whole run, because everything is counted in it.
            audit: Audit::Everything,
            api_server_args: ["--audit-log-maxsize=20000", "--delete-collection-workers=8"].map(str::to_owned).to_vec(),
            // More than 50,000 pods of 28 KB need.
            etcd_args: vec!["--quota-backend-bytes=8589934592".to_owned()],
            ..ControlPlaneOptions::default()
        };
        let plane = ControlPlane::start(options).await?;
        let client = plane.client("bench").await?;
        install::apply_yaml(&client, &format!("apiVersion: v1\nkind: Namespace\nmetadata: {{name: {SYSTEM}}}"), "")
            .await?;
        chart::install(&client, "tokenturn", SYSTEM, &[]).await?;
        let mut options = OperatorOptions::new(&plan.binary)
            .arg(format!("--concurrency={}", plan.concurrency))
            // For the HTTP provider of one part; the others are not at such an address.
            .arg("--allow-loopback-providers")
            .arg("--allow-plain-http");
        options.namespace = SYSTEM.to_owned();
        let named = with_name(&options, "1s", 1);
        let mut operator = OperatorProcess::start(&plane, named).await?;
        operator.ready(PATIENCE).await?;
        Ok(Self { operator, plane, client, options, started: 1, spaces: Mutex::default() })
    }

    /// One more replica; the caller waits until it is ready.
    pub async fn replica(&mut self, settle_time: &str) -> Result<OperatorProcess, Failure> {
        self.started += 1;
        let options = with_name(&self.options, settle_time, self.started);
        Ok(OperatorProcess::start(&self.plane, options).await?)
    }

    /// Ends the operator as a rollout does.
    pub async fn stop_operator(&mut self) -> Result<(), Failure> {
        if self.operator.ended().is_none() {
            self.operator.terminate(PATIENCE).await?;
        }
        Ok(())
    }

    /// A cluster without tokens, and a new operator that has seen none.
    pub async fn clear(&mut self, settle_time: &str) -> Result<(), Failure> {
        self.stop_operator().await?;
        let spaces = std::mem::take(&mut *self.spaces.lock().unwrap_or_else(PoisonError::into_inner));
        for space in &spaces {
            self.remove::<RotatedToken>(space).await?;
            self.remove::<Pod>(space).await?;
            self.remove::<Secret>(space).await?;
        }
        self.remove::<Secret>(SYSTEM).await?;
        self.start_operator(settle_time).await
    }

    /// A new operator in the place of the one that has ended.
    pub async fn start_operator(&mut self, settle_time: &str) -> Result<(), Failure> {
        self.operator = self.replica(settle_time).await?;
        Ok(self.operator.ready(PATIENCE).await?)
    }

    /// Removes all objects of a kind at once. No operator runs, so nobody takes its finalizer off.
    async fn remove<K>(&self, namespace: &str) -> Result<(), Failure>
    where
        K: Resource<Scope = NamespaceResourceScope, DynamicType = ()> + Clone + DeserializeOwned + std::fmt::Debug,
    {
        let api: Api<K> = Api::namespaced(self.client.clone(), namespace);
        let params = DeleteParams { grace_period_seconds: Some(0), ..DeleteParams::default() };
        // Ends early where it takes longer than the API server gives to a request.
        let started = Instant::now();
        while let Err(error) = api.delete_collection(&params, &ListParams::default()).await {
            if started.elapsed() > REMOVAL {
                return Err(error.into());
            }
            say(&format!("removing objects of {namespace} goes on: {error}"));
        }
        let left = api.list_metadata(&ListParams::default()).await?;
        let names = left.items.iter().filter(|left| !left.finalizers().is_empty()).map(ResourceExt::name_any);
        let patch = Patch::Merge(json!({"metadata": {"finalizers": null}}));
        let patches = stream::iter(names).map(|name| {
            let (api, patch) = (&api, &patch);
            async move { api.patch_metadata(&name, &PatchParams::default(), patch).await.map(drop) }
        });
        patches.buffer_unordered(HANDS).try_for_each(|()| std::future::ready(Ok(()))).await?;
        Ok(())
    }

    /// A namespace with an account and a provider.
    pub async fn namespace(&self, stem: &str) -> Result<String, Failure> {
        let namespace = self.bare_namespace(stem).await?;
        install::apply_yaml(&self.client, install::API_CLIENT, &namespace).await?;
        Ok(namespace)
    }

    /// A namespace with nothing in it.
    pub async fn bare_namespace(&self, stem: &str) -> Result<String, Failure> {
        let namespace = shared::create_namespace(&self.client, stem).await?;
        self.spaces.lock().unwrap_or_else(PoisonError::into_inner).push(namespace.clone());
        Ok(namespace)
    }

    pub fn tokens(&self, namespace: &str) -> Api<RotatedToken> {
        Api::namespaced(self.client.clone(), namespace)
    }

    /// A client with the operator's own account.
    pub async fn as_operator(&self) -> Result<Client, Failure> {
        let account = &self.options.service_account;
        let token = tokenturn::testkit::operator::account_token(&self.plane, SYSTEM, account).await?;
        Ok(self.plane.client_with_token(&token, "bench-writer").await?)
    }

    pub fn mark(&self) -> Result<Mark, Failure> {
        Ok(Mark(self.plane.audit_end()?))
    }

    /// What the operator called since a moment.
    pub fn calls_since(&self, mark: Mark) -> Result<Calls, Failure> {
        self.calls_between(mark, Mark::END)
    }

    /// What the operator called between two moments.
    pub fn calls_between(&self, from: Mark, to: Mark) -> Result<Calls, Failure> {
        Ok(Calls::sort(self.events_between(from, to)?, SYSTEM))
    }

    /// The same as it is in the audit log, without watches and reads of the lease.
    pub fn events_between(&self, from: Mark, to: Mark) -> Result<Vec<AuditEvent>, Failure> {
        let user = format!("system:serviceaccount:{SYSTEM}:{}", self.options.service_account);
        let events = self.plane.audit_events_within(from.0..to.0)?.into_iter();
        let ours = events.filter(|event| event.user == user || event.user_agent.starts_with(USER_AGENT));
        let one_by_one =
            ours.filter(|event| event.verb != "watch" && event.resource != "leases" || event.verb == "update");
        Ok(one_by_one.collect())
    }

    /// When the operator first called anything that a test finds, after a moment.
    pub fn first_call(
        &self,
        mark: Mark,
        after: Timestamp,
        wanted: impl Fn(&AuditEvent) -> bool,
    ) -> Result<Option<Timestamp>, Failure> {
        let events = self.events_between(mark, Mark::END)?;
        let times = events.iter().filter(|event| wanted(event)).filter_map(|event| event.received.parse().ok());
        Ok(times.filter(|time| *time >= after).min())
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

    /// CPU time so far.
    pub fn used(&self) -> Result<Used, Failure> {
        Ok(Used { operator: process::cpu(self.pid()?)?, servers: self.servers_cpu()? })
    }

    /// CPU time of the servers so far.
    pub fn servers_cpu(&self) -> Result<Duration, Failure> {
        self.plane.pids().into_iter().map(process::cpu).sum()
    }

    pub fn pid(&self) -> Result<u32, Failure> {
        Ok(self.operator.pid().ok_or("the operator has ended")?)
    }

    /// Resident memory of the operator.
    pub fn rss_mib(&self) -> Result<f64, Failure> {
        mib(self.operator.rss_kib())
    }

    /// Most resident memory since [`process::reset_peak`].
    pub fn peak_mib(&self) -> Result<f64, Failure> {
        mib(self.operator.peak_rss_kib())
    }
}

impl Used {
    /// Milliseconds of the operator and of the servers for each of `count` things since an earlier moment.
    pub fn millis_each(self, before: Self, count: usize) -> (f64, f64) {
        let each = |used: Duration| 1_000.0 * used.as_secs_f64() / count.max(1) as f64;
        (each(self.operator.saturating_sub(before.operator)), each(self.servers.saturating_sub(before.servers)))
    }
}

fn with_name(options: &OperatorOptions, settle_time: &str, number: usize) -> OperatorOptions {
    let name = format!("operator-{number}");
    let options = options.clone().arg(format!("--settle-time={settle_time}")).arg(format!("--identity={name}"));
    OperatorOptions { name, ..options }
}

fn mib(kib: Option<u64>) -> Result<f64, Failure> {
    Ok(f64::from(u32::try_from(kib.ok_or("the operator has ended")?)?) / 1024.0)
}
