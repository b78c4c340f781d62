//! Writes the published statuses of one pod to the API server, one after the other.

use std::{sync::Arc, time::Duration};

use k8s_openapi::api::core::v1::Pod;
use kube::{
    Api,
    api::{Patch, PatchParams},
};
use serde_json::Value;
use tokio::{sync::watch, time::sleep};

use super::{Shared, pods::Orders};

/// How long another readiness may stand in the API: mostly it is our own, not yet seen to be changed.
const DOUBT: Duration = Duration::from_secs(1);

pub(super) struct Writer {
    pub shared: Arc<Shared>,
    pub pods: Api<Pod>,
    pub name: String,
    pub queue: watch::Receiver<(u64, Value)>,
    pub done: watch::Sender<u64>,
    pub orders: watch::Receiver<Orders>,
}

pub(super) async fn run(mut writer: Writer) {
    // Ends when the worker is gone.
    while writer.needed().await {
        writer.write_newest().await;
        if writer.orders.borrow().vanished {
            return;
        }
    }
}

impl Writer {
    /// Waits until there is something to write; false if there never will be.
    async fn needed(&mut self) -> bool {
        let report = self.queue.borrow().1.clone();
        let contradicted = async {
            loop {
                if self.orders.wait_for(|orders| contradicts(&report, *orders)).await.is_err() {
                    std::future::pending::<()>().await;
                }
                sleep(DOUBT).await;
                if contradicts(&report, *self.orders.borrow()) {
                    return;
                }
            }
        };
        tokio::select! {
            changed = self.queue.changed() => changed.is_ok(),
            // Somebody else has written another readiness: say again how it is.
            () = contradicted => true,
        }
    }

    async fn write_newest(&mut self) {
        loop {
            self.shared.knobs.in_contact().await;
            let (version, status) = self.queue.borrow_and_update().clone();
            match self.pods.patch_status(&self.name, &PatchParams::default(), &Patch::Strategic(status)).await {
                // 404 and 409 (another UID): the pod is no longer in the API.
                Err(kube::Error::Api(answer)) if matches!(answer.code, 404 | 409) => {}
                // 422 is a mistake of this node. Trying again would hide it behind a time-out.
                Err(kube::Error::Api(answer)) if answer.code == 422 => {
                    eprintln!("status of {} was refused: {}", self.name, answer.message);
                }
                Err(_) => {
                    sleep(Duration::from_millis(200)).await;
                    continue;
                }
                Ok(_) => {}
            }
            self.done.send_replace(version);
            return;
        }
    }
}

fn contradicts(report: &Value, orders: Orders) -> bool {
    let conditions = report.pointer("/status/conditions").and_then(Value::as_array);
    let mut ready = conditions.into_iter().flatten().filter(|condition| condition["type"] == "Ready");
    let mine = ready.next().map(|condition| condition["status"] == "True");
    mine.is_some() && orders.ready.is_some() && mine != orders.ready
}
