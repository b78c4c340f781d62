//! Secrets as the kubelet's watch mode sees them.
//!
//! The first pod of the node that names a Secret makes the kubelet read it live and watch it. As
//! long as any pod of the node names it, further pods are served from that watch, which may lag:
//! this is how a pod created after a change can start with the old value. An immutable Secret is
//! not watched on, so even its deletion and re-creation go unnoticed.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    pin::pin,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use futures::StreamExt;
use k8s_openapi::api::core::v1::Secret;
use kube::{Api, Client, runtime::watcher::watch_object};
use tokio::{
    sync::{mpsc, watch},
    time::{Instant, sleep, timeout},
};
use tokio_util::sync::{CancellationToken, DropGuard};

use super::knobs::Knobs;

/// How long the kubelet waits for the first answer before it fails a read.
const FIRST_READ: Duration = Duration::from_secs(1);

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct SecretRef {
    pub namespace: String,
    pub name: String,
}

/// Keys and values; values that are not text are left out, a token is always text.
pub(super) type Values = BTreeMap<String, String>;

/// What the cache knows.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Reading {
    NotYet,
    Absent,
    Present(Arc<Values>),
}

pub(super) struct SecretCache {
    client: Client,
    knobs: Knobs,
    stop: CancellationToken,
    entries: Mutex<HashMap<SecretRef, Entry>>,
}

struct Entry {
    pods: BTreeSet<String>,
    view: watch::Receiver<Reading>,
    _feeder: DropGuard,
}

impl SecretCache {
    pub(super) fn new(client: Client, knobs: Knobs, stop: CancellationToken) -> Self {
        Self { client, knobs, stop, entries: Mutex::default() }
    }

    /// Notes that a pod uses these Secrets; starts to watch those that no pod used before.
    pub(super) fn register<'a>(&self, pod: &str, secrets: impl IntoIterator<Item = &'a SecretRef>) {
        let mut entries = self.entries.lock().unwrap_or_else(PoisonError::into_inner);
        for secret in secrets {
            let entry = entries.entry(secret.clone()).or_insert_with(|| self.open(secret));
            entry.pods.insert(pod.to_owned());
        }
    }

    /// Forgets a pod, and every Secret that no other pod of the node uses.
    pub(super) fn release(&self, pod: &str) {
        let mut entries = self.entries.lock().unwrap_or_else(PoisonError::into_inner);
        entries.retain(|_, entry| {
            entry.pods.remove(pod);
            !entry.pods.is_empty()
        });
    }

    /// The value for a container that starts now.
    pub(super) async fn read(&self, secret: &SecretRef) -> Reading {
        let mut view = self.view(secret);
        let first = timeout(FIRST_READ, view.wait_for(|reading| *reading != Reading::NotYet)).await;
        match first {
            Ok(Ok(reading)) => reading.clone(),
            Ok(Err(_)) | Err(_) => Reading::NotYet,
        }
    }

    /// Follows a registered Secret.
    pub(super) fn view(&self, secret: &SecretRef) -> watch::Receiver<Reading> {
        let entries = self.entries.lock().unwrap_or_else(PoisonError::into_inner);
        entries.get(secret).map_or_else(|| watch::channel(Reading::NotYet).1, |entry| entry.view.clone())
    }

    fn open(&self, secret: &SecretRef) -> Entry {
        let (sender, view) = watch::channel(Reading::NotYet);
        let api = Api::namespaced(self.client.clone(), &secret.namespace);
        let stop = self.stop.child_token();
        let (knobs, name, stopped) = (self.knobs.clone(), secret.name.clone(), stop.clone());
        tokio::spawn(async move {
            stopped.run_until_cancelled(feed(api, name, knobs, sender)).await;
        });
        Entry { pods: BTreeSet::new(), view, _feeder: stop.drop_guard() }
    }
}

/// Takes changes as they come and shows them late; both go on at the same time, so that two changes
/// within one lag are each late by one lag.
async fn feed(api: Api<Secret>, name: String, knobs: Knobs, view: watch::Sender<Reading>) {
    let (arrivals, mut queue) = mpsc::unbounded_channel();
    let watching = async {
        knobs.in_contact().await;
        let mut changes = pin!(watch_object(api, &name));
        while let Some(change) = changes.next().await {
            match change {
                Ok(secret) => drop(arrivals.send((Instant::now(), secret))),
                Err(_) => sleep(Duration::from_millis(200)).await,
            }
        }
    };
    let showing = async {
        while let Some((arrived, secret)) = queue.recv().await {
            if *view.borrow() != Reading::NotYet {
                knobs.visible(arrived).await;
                knobs.in_contact().await;
            }
            let immutable = secret.as_ref().is_some_and(|secret| secret.immutable == Some(true));
            view.send_replace(secret.map_or(Reading::Absent, |secret| Reading::Present(Arc::new(values(secret)))));
            if immutable {
                break;
            }
        }
        // Keeps the last value readable until the last pod is gone.
        std::future::pending::<()>().await;
    };
    futures::future::join(watching, showing).await;
}

fn values(secret: Secret) -> Values {
    let data = secret.data.unwrap_or_default();
    data.into_iter().filter_map(|(key, value)| Some((key, String::from_utf8(value.0).ok()?))).collect()
}
