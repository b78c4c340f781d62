//! Watches the pods that are bound to the node, and starts and informs their workers.

use std::{
    collections::{HashMap, HashSet},
    pin::pin,
    sync::Arc,
    time::Duration,
};

use futures::StreamExt;
use k8s_openapi::api::core::v1::Pod;
use kube::{
    Api, ResourceExt,
    runtime::watcher::{Config, Event, watcher},
};
use tokio::{sync::watch, time::sleep};

use super::{Shared, termination, worker::Worker};

/// What the API server wants of a pod that runs here.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Orders {
    /// Graceful deletion, with the time it may take.
    pub grace: Option<Duration>,
    /// What the API says about readiness. The controller manager changes it when a node is silent.
    pub ready: Option<bool>,
    /// The pod is no longer in the API.
    pub vanished: bool,
}

pub(super) async fn run(shared: Arc<Shared>) {
    let mut workers = Workers { shared: shared.clone(), orders: HashMap::new(), listed: HashSet::new() };
    loop {
        shared.knobs.in_contact().await;
        tokio::select! {
            () = shared.knobs.cut_off() => {}
            () = workers.follow() => {}
        }
    }
}

struct Workers {
    shared: Arc<Shared>,
    orders: HashMap<String, watch::Sender<Orders>>,
    listed: HashSet<String>,
}

impl Workers {
    async fn follow(&mut self) {
        let pods: Api<Pod> = Api::all(self.shared.client.clone());
        let mine = Config::default().fields(&format!("spec.nodeName={}", self.shared.options.name));
        let mut events = pin!(watcher(pods, mine));
        while let Some(event) = events.next().await {
            match event {
                Ok(Event::Init) => self.listed.clear(),
                Ok(Event::InitApply(pod)) => {
                    self.listed.extend(pod.uid());
                    self.apply(pod);
                }
                // Whatever runs here and is not in the list was deleted while nobody watched.
                Ok(Event::InitDone) => {
                    let listed = &self.listed;
                    let gone = self.orders.extract_if(|uid, _| !listed.contains(uid));
                    gone.for_each(|(_, orders)| vanish(&orders));
                }
                Ok(Event::Apply(pod)) => self.apply(pod),
                Ok(Event::Delete(pod)) => {
                    let orders = pod.uid().and_then(|uid| self.orders.remove(&uid));
                    orders.iter().for_each(vanish);
                }
                Err(_) => sleep(Duration::from_millis(200)).await,
            }
        }
    }

    fn apply(&mut self, pod: Pod) {
        let Some(uid) = pod.uid() else { return };
        let grace = pod.metadata.deletion_timestamp.as_ref().map(|_| {
            let seconds = pod.metadata.deletion_grace_period_seconds.unwrap_or_default();
            Duration::from_secs(seconds.unsigned_abs())
        });
        let phase = pod.status.as_ref().and_then(|status| status.phase.as_deref());
        let conditions = pod.status.iter().flat_map(|status| status.conditions.iter().flatten());
        let mut ready = conditions.filter(|condition| condition.type_ == "Ready");
        let ready = ready.next().map(|condition| condition.status == "True");
        let finished = matches!(phase, Some("Succeeded" | "Failed"));
        let (shared, key) = (&self.shared, uid.clone());
        let orders = self.orders.entry(uid).or_insert_with(|| {
            let (sender, orders) = watch::channel(Orders { grace, ready, vanished: false });
            match (finished, grace) {
                (false, _) => shared.spawn(Worker::new(shared, &pod, orders).run()),
                // Finished in an earlier life of this node, which did not get as far as the removal.
                (true, Some(_)) => {
                    let (shared, namespace, name) =
                        (self.shared.clone(), pod.namespace().unwrap_or_default(), pod.name_any());
                    self.shared.spawn(async move { termination::remove(&shared, &namespace, &name, &key).await });
                }
                (true, None) => {}
            }
            sender
        });
        orders.send_if_modified(|orders| {
            let next = Orders { grace, ready, ..*orders };
            std::mem::replace(orders, next) != next
        });
    }
}

fn vanish(orders: &watch::Sender<Orders>) {
    orders.send_modify(|orders| orders.vanished = true);
}
