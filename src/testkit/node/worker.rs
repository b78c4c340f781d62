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
    time::{Instant, sleep, sleep_until},
};
use tokio_util::sync::DropGuard;

use super::{
    Shared,
    container::Running,
    files::{self, Files},
    plan::{ContainerPlan, Kind, PodPlan, RestartPolicy},
    pods::Orders,
    report::Report,
};
use crate::testkit::event::Token;

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
    pub(super) files: watch::Sender<Files>,
    pub(super) init_tokens: HashMap<String, Token>,
}

impl Worker {
    pub(super) fn new(shared: &Arc<Shared>, pod: &Pod, orders: watch::Receiver<Orders>) -> Self {
        let plan = PodPlan::of(pod);
        let uid = pod.uid().unwrap_or_default();
        let (restart, restarts) = mpsc::unbounded_channel();
        shared.restarts.lock().unwrap_or_else(PoisonError::into_inner).insert(uid.clone(), restart);
        let number = shared.addresses.fetch_add(1, Ordering::Relaxed);
        let known = pod.status.as_ref().and_then(|status| status.pod_ip.clone());
        // A pod that ran here before a restart of the node keeps its address.
        let address = known
            .unwrap_or_else(|| format!("10.{}.{}.{}", 64 + (number >> 16) % 64, (number >> 8) % 256, number % 256));
        Self {
            report: Report::new(shared, pod, &plan, address, orders.clone()),
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
        self.shared.restarts.lock().unwrap_or_else(PoisonError::into_inner).remove(&self.uid);
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
        self.report.publish();
        let files = loop {
            match files::mount(&self.shared, &self.plan).await {
                Some(files) => break files,
                // A kubelet tells the reason in an Event only; in the status the containers wait as before.
                None => sleep(self.shared.options.retry).await,
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
}

/// Waits for a time that may not be set.
async fn at(time: Option<Instant>) {
    match time {
        Some(time) => sleep_until(time).await,
        None => std::future::pending().await,
    }
}
