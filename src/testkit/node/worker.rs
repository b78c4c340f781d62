//! One pod from its binding to the node until it is asked to end or has done its work.

use std::{
    collections::{BTreeMap, HashMap},
    sync::{Arc, PoisonError, atomic::Ordering},
    time::Duration,
};

use k8s_openapi::api::core::v1::Pod;
use kube::ResourceExt;
use tokio::{
    sync::{mpsc, watch},
    task::JoinHandle,
    time::{Instant, sleep, sleep_until},
};
use tokio_util::sync::DropGuard;

use super::{
    Shared,
    cache::Reading,
    files::{self, Files},
    plan::{ContainerPlan, Env, Kind, PodPlan, RestartPolicy},
    pods::Orders,
    report::Report,
};
use crate::testkit::{
    consumer::{Consumer, Source},
    history::{Seat, Token},
};

pub(super) struct Worker {
    pub(super) shared: Arc<Shared>,
    pub(super) namespace: String,
    pub(super) name: String,
    pub(super) uid: String,
    pub(super) plan: PodPlan,
    pub(super) orders: watch::Receiver<Orders>,
    pub(super) report: Report,
    pub(super) running: BTreeMap<String, Running>,
    /// Ends the refreshing of volumes when it is dropped.
    pub(super) refresher: Option<DropGuard>,
    restarts: mpsc::UnboundedReceiver<String>,
    files: watch::Sender<Files>,
    init_tokens: HashMap<String, Token>,
}

/// A container whose process runs.
pub(super) struct Running {
    pub(super) plan: ContainerPlan,
    stop: DropGuard,
    task: JoinHandle<()>,
}

impl Worker {
    pub(super) fn new(shared: &Arc<Shared>, pod: &Pod, orders: watch::Receiver<Orders>) -> Self {
        let plan = PodPlan::of(pod);
        let uid = pod.uid().unwrap_or_default();
        let (restart, restarts) = mpsc::unbounded_channel();
        shared
            .restarts
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .insert(uid.clone(), restart);
        let number = shared.addresses.fetch_add(1, Ordering::Relaxed);
        let address = format!(
            "10.{}.{}.{}",
            64 + (number >> 16) % 64,
            (number >> 8) % 256,
            number % 256
        );
        Self {
            report: Report::new(shared, pod, &plan, address),
            shared: shared.clone(),
            namespace: pod.namespace().unwrap_or_default(),
            name: pod.name_any(),
            uid,
            plan,
            orders,
            running: BTreeMap::new(),
            refresher: None,
            restarts,
            files: watch::Sender::default(),
            init_tokens: HashMap::new(),
        }
    }

    pub(super) async fn run(mut self) {
        self.shared.cache.register(&self.uid, &self.plan.secrets());
        let mut orders = self.orders.clone();
        let asked = async move {
            let asked = |orders: &Orders| orders.vanished || orders.grace.is_some();
            if orders.wait_for(asked).await.is_err() {
                std::future::pending::<()>().await;
            }
        };
        let finished = tokio::select! {
            biased;
            () = asked => false,
            () = self.live() => true,
        };
        if finished {
            self.report.ended();
            self.report.flush().await;
        } else {
            self.terminate().await;
        }
        self.shared.cache.release(&self.uid);
        self.shared
            .restarts
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .remove(&self.uid);
    }

    // The normal life.

    async fn live(&mut self) {
        sleep(self.shared.options.pod_start).await;
        self.mount().await;
        for container in self.plan.containers.clone() {
            match container.kind {
                Kind::Init => self.run_init(&container).await,
                Kind::Sidecar => self.start_until_running(&container).await,
                Kind::Main => {}
            }
        }
        self.run_main().await;
    }

    async fn mount(&mut self) {
        let files = loop {
            match files::mount(&self.shared, &self.plan).await {
                Ok(files) => break files,
                Err(message) => {
                    for container in self.plan.containers.clone() {
                        self.report
                            .waiting(&container.name, "ContainerCreating", message.clone());
                    }
                    self.report.publish();
                    sleep(self.shared.options.retry).await;
                }
            }
        };
        self.files.send_replace(files);
        let stop = self.shared.stop.child_token();
        let refresh = files::refresh(self.shared.clone(), self.plan.clone(), self.files.clone());
        tokio::spawn(stop.clone().run_until_cancelled_owned(refresh));
        self.refresher = Some(stop.drop_guard());
    }

    async fn run_init(&mut self, container: &ContainerPlan) {
        self.start_until_running(container).await;
        sleep(self.plan.init_time).await;
        self.stop(&container.name, 0).await;
        self.report.publish();
    }

    async fn start_until_running(&mut self, container: &ContainerPlan) {
        while !self.start(container).await {
            sleep(self.shared.options.retry).await;
        }
    }

    async fn run_main(&mut self) {
        let mut waiting = self.plan.of_kind(Kind::Main);
        let mut ready_at = None;
        let mut end_at = None;
        loop {
            for container in std::mem::take(&mut waiting) {
                if !self.start(&container).await {
                    waiting.push(container);
                }
            }
            if waiting.is_empty() {
                let now = Instant::now();
                self.report.phase("Running");
                self.report.publish();
                ready_at = ready_at.or(self.plan.ready_after.map(|after| now + after));
                end_at = end_at.or(self.plan.run_time.map(|time| now + time));
            }
            tokio::select! {
                Some(name) = self.restarts.recv() => waiting.extend(self.stop_for_restart(&name).await),
                () = sleep(self.shared.options.retry), if !waiting.is_empty() => {}
                () = at(ready_at), if waiting.is_empty() => {
                    self.report.ready(true);
                    // Once is enough; far away, so that `or` above does not set it again.
                    ready_at = Some(Instant::now() + Duration::from_secs(86_400));
                }
                () = at(end_at) => {
                    if self.plan.restart_policy != RestartPolicy::Always {
                        return self.stop_all(0).await;
                    }
                    end_at = None;
                    for container in self.plan.of_kind(Kind::Main) {
                        waiting.extend(self.stop_for_restart(&container.name).await);
                    }
                }
            }
        }
    }

    // Containers.

    /// Starts a container, or reports why that is not possible.
    async fn start(&mut self, container: &ContainerPlan) -> bool {
        let environment = match self.environment(container).await {
            Ok(environment) => environment,
            Err(message) => {
                self.report
                    .waiting(&container.name, "CreateContainerConfigError", message);
                self.report.publish();
                return false;
            }
        };
        let source = self.source(container, &environment);
        if let (Kind::Init, Some(token)) = (container.kind, source.token()) {
            self.init_tokens.insert(container.name.clone(), token);
        }
        let consumer = Consumer {
            seat: Seat {
                namespace: self.namespace.as_str().into(),
                pod: self.name.as_str().into(),
                uid: self.uid.as_str().into(),
                container: container.name.as_str().into(),
                node: self.shared.options.name.as_str().into(),
            },
            source,
            call_every: self.plan.call_every.unwrap_or(self.shared.options.call_every),
            calls: self.shared.calls.clone(),
            history: self.shared.history.clone(),
        };
        let stop = self.shared.stop.child_token();
        let task = tokio::spawn(consumer.run(stop.clone()));
        self.running.insert(
            container.name.clone(),
            Running {
                plan: container.clone(),
                stop: stop.drop_guard(),
                task,
            },
        );
        self.report.running(&container.name);
        self.report.publish();
        true
    }

    /// Ends the process of a container and notes the exit code.
    pub(super) async fn stop(&mut self, container: &str, code: i32) {
        let Some(Running { stop, task, .. }) = self.running.remove(container) else {
            return;
        };
        drop(stop);
        // A panic in a consumer has been printed already; the container has ended either way.
        let _ = task.await;
        self.report.terminated(container, code);
    }

    pub(super) async fn stop_all(&mut self, code: i32) {
        for name in self.running.keys().cloned().collect::<Vec<_>>() {
            self.stop(&name, code).await;
        }
    }

    async fn stop_for_restart(&mut self, name: &str) -> Option<ContainerPlan> {
        let plan = self.running.get(name)?.plan.clone();
        self.stop(name, 0).await;
        self.report.restarted(name);
        Some(plan)
    }

    // Where a token comes from.

    fn source(&self, container: &ContainerPlan, environment: &BTreeMap<String, String>) -> Source {
        if let Some(value) = environment.get(&self.plan.token_env) {
            return Source::Fixed(Token::new(value));
        }
        let mounted = files::token(&self.files.borrow(), &container.mounts, &self.plan.token_file);
        match mounted {
            Some((_, true)) if self.plan.reload => {
                let (files, mounts, name) = (
                    self.files.subscribe(),
                    container.mounts.clone(),
                    self.plan.token_file.clone(),
                );
                Source::Live(Arc::new(move || {
                    files::token(&files.borrow(), &mounts, &name).map(|(token, _)| token)
                }))
            }
            Some((token, _)) => Source::Fixed(token),
            None => {
                let copied = self
                    .plan
                    .token_from_init
                    .as_ref()
                    .filter(|_| container.kind == Kind::Main);
                copied
                    .and_then(|init| self.init_tokens.get(init))
                    .map_or(Source::Nothing, |token| Source::Fixed(token.clone()))
            }
        }
    }

    /// The environment as it is now; the message is the kubelet's.
    async fn environment(&self, container: &ContainerPlan) -> Result<BTreeMap<String, String>, String> {
        let mut environment = BTreeMap::new();
        for env in &container.env {
            let (secret, optional) = match env {
                Env::Literal { name, value } => {
                    environment.insert(name.clone(), value.clone());
                    continue;
                }
                Env::Key { secret, optional, .. } | Env::All { secret, optional, .. } => (secret, *optional),
            };
            let values = match self.shared.cache.read(secret).await {
                Reading::Present(values) => values,
                Reading::Absent if optional => continue,
                Reading::Absent => return Err(format!("secret \"{}\" not found", secret.name)),
                Reading::NotYet => {
                    return Err("failed to sync secret cache: timed out waiting for the condition".to_owned());
                }
            };
            match env {
                Env::Literal { .. } => {}
                Env::All { prefix, .. } => environment.extend(
                    values
                        .iter()
                        .map(|(key, value)| (format!("{prefix}{key}"), value.clone())),
                ),
                Env::Key { name, key, .. } => match values.get(key) {
                    Some(value) => drop(environment.insert(name.clone(), value.clone())),
                    None if optional => {}
                    None => {
                        return Err(format!(
                            "couldn't find key {key} in Secret {}/{}",
                            secret.namespace, secret.name
                        ));
                    }
                },
            }
        }
        Ok(environment)
    }
}

/// Waits for a time that may not be set.
async fn at(time: Option<Instant>) {
    match time {
        Some(time) => sleep_until(time).await,
        None => std::future::pending().await,
    }
}
