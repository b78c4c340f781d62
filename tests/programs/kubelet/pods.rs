//! What the API showed of every pod: when it was asked to end, and with which last report it went.

use std::{
    collections::BTreeMap,
    pin::pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use futures::StreamExt;
use jiff::Timestamp;
use k8s_openapi::api::core::v1::Pod;
use kube::{
    Api, Client, ResourceExt,
    api::{ApiResource, DynamicObject},
    runtime::watcher::{Config, Event, watcher},
};
use tokio_util::sync::{CancellationToken, DropGuard};

/// A pod as the watch saw it.
#[derive(Clone, Debug)]
pub struct Seen {
    pub namespace: String,
    pub name: String,
    /// When a deletion timestamp was first seen.
    pub asked_to_end: Option<Timestamp>,
    /// When it went, and the version of it that went.
    pub removed: Option<(Timestamp, DynamicObject)>,
}

impl Seen {
    /// Whether its last version said that every container was terminated, in the operator's own judgement.
    pub fn went_with_report(&self) -> bool {
        self.removed.as_ref().is_some_and(|(_, last)| is_finished(last))
    }
}

/// Whether the operator takes a pod for one that has ended.
pub fn is_finished(pod: &DynamicObject) -> bool {
    let read = serde_json::to_value(pod).and_then(serde_json::from_value::<tokenturn::kube_io::pods::Pod>);
    read.is_ok_and(|pod| pod.finished)
}

pub struct PodWatch {
    seen: Arc<Mutex<BTreeMap<String, Seen>>>,
    _stop: DropGuard,
}

impl PodWatch {
    pub fn start(client: &Client) -> Self {
        let api: Api<DynamicObject> = Api::all_with(client.clone(), &ApiResource::erase::<Pod>(&()));
        let seen = Arc::<Mutex<BTreeMap<String, Seen>>>::default();
        let stop = CancellationToken::new();
        tokio::spawn(stop.clone().run_until_cancelled_owned(follow(api, seen.clone())));
        Self { seen, _stop: stop.drop_guard() }
    }

    /// Pods of a namespace by UID.
    pub fn of(&self, namespace: &str) -> BTreeMap<String, Seen> {
        let seen = lock(&self.seen);
        let inside = seen.iter().filter(|(_, pod)| pod.namespace == namespace);
        inside.map(|(uid, pod)| (uid.clone(), pod.clone())).collect()
    }
}

async fn follow(api: Api<DynamicObject>, seen: Arc<Mutex<BTreeMap<String, Seen>>>) {
    let mut events = pin!(watcher(api, Config::default()));
    while let Some(event) = events.next().await {
        match event {
            Ok(Event::InitApply(pod) | Event::Apply(pod)) => note(&seen, pod, false),
            Ok(Event::Delete(pod)) => note(&seen, pod, true),
            Ok(Event::Init | Event::InitDone) => {}
            Err(_) => tokio::time::sleep(Duration::from_millis(200)).await,
        }
    }
}

fn note(seen: &Mutex<BTreeMap<String, Seen>>, pod: DynamicObject, removed: bool) {
    let mut seen = lock(seen);
    let entry = seen.entry(pod.uid().unwrap_or_default()).or_insert_with(|| Seen {
        namespace: pod.namespace().unwrap_or_default(),
        name: pod.name_any(),
        asked_to_end: None,
        removed: None,
    });
    if pod.metadata.deletion_timestamp.is_some() {
        entry.asked_to_end.get_or_insert_with(Timestamp::now);
    }
    if removed {
        entry.removed = Some((Timestamp::now(), pod));
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
