//! Watches the pods of a namespace while somebody there waits for pickup, and not otherwise.
//!
//! A watch wakes the objects that wait, and keeps the evidence that a list cannot show: a pod whose last version, in its
//! DELETED event, said that every container was terminated. Evidence that is lost only delays. Of a pod whose last version
//! did not say so, the watch keeps that it may still run.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use futures::StreamExt;
use kube::{
    Client, ResourceExt,
    api::DynamicObject,
    runtime::{WatchStreamExt, watcher},
};
use serde_json::json;
use tokio::{task::AbortHandle, time::Instant};

use super::{pod_news::PodNews, queue::Queue};
use crate::{
    core::token::Owner,
    kube_io::{pods, trouble},
};

/// Several changes of pods in a row cause one look.
const DEBOUNCE: Duration = Duration::from_millis(250);

/// How long a list may show a pod no longer before the watch has told why.
const LAG: Duration = Duration::from_secs(1);
const TICK: Duration = Duration::from_millis(50);

#[derive(Default)]
struct Namespace {
    /// Who waits for which UIDs.
    waiting: BTreeMap<Owner, BTreeSet<String>>,
    news: PodNews,
    /// Pods that run or will run, without their status.
    running: BTreeMap<String, DynamicObject>,
    /// The same, while the watch begins anew.
    listed: BTreeMap<String, DynamicObject>,
    /// Pods that were deleted by force while the watch ran, or while it was interrupted: their containers may still run.
    vanished: Vec<DynamicObject>,
    task: Option<AbortHandle>,
}

impl Namespace {
    /// The watch begins: what exists is told from the start.
    fn begins(&mut self) {
        self.listed.clear();
        self.news.begins();
    }

    /// A pod that exists at the beginning.
    fn exists(&mut self, pod: DynamicObject) {
        let Some(uid) = pod.uid() else { return };
        if pods::is_finished(&pod) {
            self.running.remove(&uid);
        } else {
            self.news.exists(uid.clone());
            self.listed.insert(uid, without_status(pod));
        }
    }

    /// Everything that exists at the beginning was told. How a pod ended that is not there any more nobody has seen.
    fn begun(&mut self) {
        self.news.begun();
        let before = std::mem::replace(&mut self.running, std::mem::take(&mut self.listed));
        let gone = before.into_iter().filter(|(uid, _)| !self.running.contains_key(uid));
        self.vanished.extend(gone.map(|(_, pod)| pod));
    }
}

/// The watches by namespace.
#[derive(Clone)]
pub struct PodWatches {
    client: Client,
    queue: Arc<Queue<Owner>>,
    namespaces: Arc<Mutex<HashMap<String, Namespace>>>,
}

impl PodWatches {
    /// Watches that wake objects through `queue`.
    #[must_use]
    pub fn new(client: Client, queue: Arc<Queue<Owner>>) -> Self {
        Self { client, queue, namespaces: Arc::default() }
    }

    /// Says which pods of its namespace an object waits for; `None` ends the wait.
    pub fn set(&self, owner: &Owner, uids: Option<BTreeSet<String>>) {
        let mut namespaces = self.lock();
        if let Some(uids) = uids {
            let entry = namespaces.entry(owner.namespace.clone()).or_default();
            entry.news.awaited(&uids);
            entry.waiting.insert(owner.clone(), uids);
            if entry.task.is_none() {
                let watch = self.clone().run(owner.namespace.clone());
                entry.task = Some(tokio::spawn(watch).abort_handle());
            }
        } else if let Some(entry) = namespaces.get_mut(&owner.namespace) {
            entry.waiting.remove(owner);
            if entry.waiting.is_empty()
                && let Some(entry) = namespaces.remove(&owner.namespace)
                && let Some(task) = entry.task
            {
                // A watch changes nothing, so ending it anywhere is safe.
                task.abort();
            }
        }
    }

    /// In how many namespaces pods are watched.
    #[must_use]
    pub fn len(&self) -> usize {
        self.lock().len()
    }

    /// No pods are watched.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Ends all watches.
    pub fn stop(&self) {
        for (_, namespace) in self.lock().drain() {
            if let Some(task) = namespace.task {
                task.abort();
            }
        }
    }

    /// UIDs of a namespace whose pods ended for sure.
    #[must_use]
    pub fn ended(&self, namespace: &str) -> BTreeSet<String> {
        self.lock().get(namespace).map(|entry| entry.news.all_ended().clone()).unwrap_or_default()
    }

    /// UIDs of pods of a namespace that exist as far as a watch has told; to be asked for before a list.
    #[must_use]
    pub fn alive(&self, namespace: &str) -> BTreeSet<String> {
        self.lock().get(namespace).map(|entry| entry.news.alive().clone()).unwrap_or_default()
    }

    /// The UID of a pod that existed before a list was asked for, still does, and is not listed: the list is not whole, or
    /// older than what the watch has told.
    pub async fn missing(
        &self,
        namespace: &str,
        before: &BTreeSet<String>,
        listed: &BTreeSet<String>,
    ) -> Option<String> {
        let started = Instant::now();
        loop {
            let missing = self.lock().get_mut(namespace)?.news.missing(before, listed, Instant::now());
            if missing.is_none() || started.elapsed() >= LAG {
                return missing;
            }
            tokio::time::sleep(TICK).await;
        }
    }

    /// Pods of a namespace that vanished without a last report since the watch began.
    #[must_use]
    pub fn vanished(&self, namespace: &str) -> Vec<DynamicObject> {
        self.lock().get(namespace).map(|entry| entry.vanished.clone()).unwrap_or_default()
    }

    async fn run(self, namespace: String) {
        let api = pods::api(&self.client, &namespace);
        let api = match api.unnamed() {
            Ok(api) => api.clone(),
            Err(error) => {
                tracing::warn!(error = trouble::why(&error), "pods cannot be watched");
                return;
            }
        };
        let mut events = watcher(api, watcher::Config::default()).default_backoff().boxed();
        while let Some(event) = events.next().await {
            match event {
                Ok(watcher::Event::Init) => self.tell(&namespace, Namespace::begins),
                Ok(watcher::Event::InitApply(pod)) => self.tell(&namespace, |entry| entry.exists(pod)),
                Ok(watcher::Event::InitDone) => {
                    self.tell(&namespace, Namespace::begun);
                    self.wake_all(&namespace);
                }
                Ok(watcher::Event::Apply(pod)) => self.changed(&namespace, pod, false),
                Ok(watcher::Event::Delete(pod)) => self.changed(&namespace, pod, true),
                Err(error) => {
                    tracing::warn!(%namespace, error = trouble::of_watch(&error), "watch of pods was interrupted");
                }
            }
        }
    }

    fn tell(&self, namespace: &str, what: impl FnOnce(&mut Namespace)) {
        if let Some(entry) = self.lock().get_mut(namespace) {
            what(entry);
        }
    }

    fn changed(&self, namespace: &str, pod: DynamicObject, deleted: bool) {
        let mut namespaces = self.lock();
        let (Some(entry), Some(uid)) = (namespaces.get_mut(namespace), pod.uid()) else { return };
        let ended = if deleted { has_ended(&pod) } else { pods::is_finished(&pod) };
        // One that terminates is told as such, which can take long.
        let tells = deleted || ended || pod.metadata.deletion_timestamp.is_some();
        let waiting: Vec<&Owner> =
            entry.waiting.iter().filter(|(_, uids)| uids.contains(&uid)).map(|(owner, _)| owner).collect();
        for owner in waiting.iter().filter(|_| tells) {
            self.queue.add((*owner).clone(), DEBOUNCE);
        }
        if ended {
            entry.running.remove(&uid);
            entry.news.ended(uid, !waiting.is_empty(), Instant::now());
        } else if deleted {
            entry.running.remove(&uid);
            entry.news.gone(&uid);
            entry.vanished.push(without_status(pod));
        } else {
            entry.running.insert(uid.clone(), without_status(pod));
            entry.news.lives(uid);
        }
    }

    fn wake_all(&self, namespace: &str) {
        for owner in self.lock().get(namespace).iter().flat_map(|entry| entry.waiting.keys()) {
            self.queue.add(owner.clone(), DEBOUNCE);
        }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<String, Namespace>> {
        self.namespaces.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What a snapshot needs of a pod.
fn without_status(mut pod: DynamicObject) -> DynamicObject {
    pod.metadata.managed_fields = None;
    pod.data = json!({"spec": pod.data["spec"].take()});
    pod
}

/// Whether the last version of a deleted pod says that no container of it runs: all were reported as terminated, or it
/// never had a node.
fn has_ended(pod: &DynamicObject) -> bool {
    pods::is_finished(pod) || pod.data["spec"]["nodeName"].as_str().is_none_or(str::is_empty)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pod(uid: &str, phase: &str) -> DynamicObject {
        let pod = json!({
            "metadata": {"name": uid, "uid": uid}, "spec": {"nodeName": "node"}, "status": {"phase": phase},
        });
        serde_json::from_value(pod).expect("a pod")
    }

    /// A watch that is interrupted, and begins anew because its place is too old, tells nothing of what was deleted meanwhile.
    #[test]
    fn a_pod_that_went_while_the_watch_was_interrupted_may_still_run() {
        let mut entry = Namespace::default();
        let begin = |entry: &mut Namespace, pods: &[(&str, &str)]| {
            entry.begins();
            pods.iter().for_each(|(uid, phase)| entry.exists(pod(uid, phase)));
            entry.begun();
            entry.vanished.iter().filter_map(ResourceExt::uid).collect::<Vec<_>>()
        };
        assert!(begin(&mut entry, &[("stays", "Running"), ("goes", "Running"), ("ends", "Running")]).is_empty());
        assert_eq!(begin(&mut entry, &[("stays", "Running"), ("ends", "Succeeded")]), ["goes"]);
        assert_eq!(begin(&mut entry, &[("stays", "Running")]), ["goes"], "it is told once");
    }
}
