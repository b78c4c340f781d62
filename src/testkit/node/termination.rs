//! The end of a pod: preStop hook, SIGTERM, lingering, last status, removal from the API.
//!
//! A container may use its token until its very end, whatever the deletion timestamp says.

use std::time::Duration;

use k8s_openapi::api::core::v1::Pod;
use kube::{
    Api,
    api::{DeleteParams, Preconditions},
};
use tokio::time::{Instant, sleep, sleep_until};

use super::{Shared, plan::Kind, worker::Worker};

/// Exit code of a process that was killed because its grace period was over.
const KILLED: i32 = 137;

/// What a process has between TERM and KILL at least, also when the preStop hook took the whole grace period.
const LAST_WINDOW: Duration = Duration::from_secs(2);

impl Worker {
    pub(super) async fn terminate(&mut self) {
        // A terminating pod gets no more volume updates.
        self.refresher = None;
        let mut orders = self.orders.clone();
        let vanished = async move {
            if orders.wait_for(|orders| orders.vanished).await.is_err() {
                std::future::pending::<()>().await;
            }
        };
        let forced = tokio::select! {
            biased;
            () = vanished => true,
            () = self.wind_down() => false,
        };
        if forced {
            // Somebody removed the pod from the API without waiting for this node.
            sleep(self.shared.options.orphan_kill).await;
            self.stop_all(KILLED).await;
            return;
        }
        self.report.ended();
        self.report.flush().await;
        remove(&self.shared, &self.namespace, &self.name, &self.uid).await;
    }

    /// Main containers end each in its own time, sidecars after the last of them.
    async fn wind_down(&mut self) {
        let asked = Instant::now();
        loop {
            let grace = self.orders.borrow_and_update().grace.unwrap_or_default();
            let Some((name, end, code)) = self.next_to_end(asked, grace) else {
                break;
            };
            tokio::select! {
                () = sleep_until(end) => self.stop(&name, code).await,
                // A second deletion can shorten the grace period.
                Ok(()) = self.orders.changed() => {}
            }
        }
        self.stop_all(0).await;
    }

    fn next_to_end(&self, asked: Instant, grace: Duration) -> Option<(String, Instant, i32)> {
        let main = self.running.values().filter(|running| running.plan.kind == Kind::Main);
        let ends = main.map(|running| {
            let hook = running.plan.pre_stop.min(grace);
            let window = (grace - hook).max(LAST_WINDOW);
            let code = if self.plan.linger > window { KILLED } else { 0 };
            (running.plan.name.clone(), asked + hook + self.plan.linger.min(window), code)
        });
        ends.min_by_key(|(_, end, _)| *end)
    }
}

/// Takes a pod whose containers have ended out of the API.
pub(super) async fn remove(shared: &Shared, namespace: &str, name: &str, uid: &str) {
    let pods: Api<Pod> = Api::namespaced(shared.client.clone(), namespace);
    let preconditions = Preconditions { uid: Some(uid.to_owned()), resource_version: None };
    let now =
        DeleteParams { grace_period_seconds: Some(0), preconditions: Some(preconditions), ..DeleteParams::default() };
    loop {
        shared.knobs.in_contact().await;
        match pods.delete(name, &now).await {
            Ok(_) => return,
            // Gone already, or another pod of that name.
            Err(kube::Error::Api(answer)) if matches!(answer.code, 404 | 409) => return,
            Err(_) => sleep(Duration::from_millis(200)).await,
        }
    }
}
