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

use futures::{FutureExt, future::BoxFuture};
use kube::api::WatchEvent;
use tokio::{task::AbortHandle, time::Instant};

use super::{
    super::{
        evidence::PodEvidence,
        metrics::Metrics,
        queue::{Priority, Queue},
    },
    interruption::{Cause, Interruption, Rights, Watched},
    pod_news::PodNews,
};
use crate::{
    core::token::Owner,
    kube_io::{
        Error, Reader,
        pods::{self, Pod},
        trouble,
    },
};

/// Several changes of pods in a row cause one reconcile.
const DEBOUNCE: Duration = Duration::from_millis(250);

/// How long a list may show a pod no longer before the watch has reported why.
const LAG: Duration = Duration::from_secs(1);
const TICK: Duration = Duration::from_millis(50);

/// How long a watch that ends in order pauses: what goes meanwhile is only seen to be gone.
const PAUSE: Duration = Duration::from_millis(500);

#[derive(Default)]
struct Namespace {
    /// Who waits for which UIDs.
    waiting: BTreeMap<Owner, BTreeSet<String>>,
    news: PodNews,
    /// Pods that run or will run.
    running: BTreeMap<String, Pod>,
    /// The same, while the watch begins anew.
    listed: BTreeMap<String, Pod>,
    /// Pods that were deleted by force while the watch ran, or while it was interrupted: their containers may still run.
    vanished: Vec<Arc<Pod>>,
    task: Option<AbortHandle>,
}

impl Namespace {
    /// The watch begins: what exists is reported from the start.
    fn begins(&mut self) {
        self.listed.clear();
        self.news.begins();
    }

    /// A pod that exists at the beginning.
    fn exists(&mut self, pod: Pod) {
        if pod.finished {
            self.running.remove(&pod.uid);
        } else {
            self.news.exists(pod.uid.clone());
            self.listed.insert(pod.uid.clone(), pod);
        }
    }

    /// Everything that exists at the beginning was reported. How a pod ended that is not there any more nobody has seen.
    fn begun(&mut self) {
        self.news.begun();
        let before = std::mem::replace(&mut self.running, std::mem::take(&mut self.listed));
        let gone = before.into_iter().filter(|(uid, _)| !self.running.contains_key(uid));
        self.vanished.extend(gone.map(|(_, pod)| Arc::new(pod)));
    }
}

/// The watches by namespace.
#[derive(Clone)]
pub struct PodWatches {
    cluster: Reader,
    queue: Arc<Queue<Owner>>,
    metrics: Arc<Metrics>,
    namespaces: Arc<Mutex<HashMap<String, Namespace>>>,
}

impl PodWatches {
    /// Watches that wake objects through `queue`.
    #[must_use]
    pub fn new(cluster: Reader, queue: Arc<Queue<Owner>>, metrics: Arc<Metrics>) -> Self {
        Self { cluster, queue, metrics, namespaces: Arc::default() }
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

    async fn run(self, namespace: String) {
        let watched =
            Watched { watch: "pods", objects: "pods", namespace: Some(namespace.clone()), rights: Rights::Served };
        let mut interruption = Interruption::none(self.metrics.clone(), watched);
        loop {
            let pause = match self.follow(&namespace, &mut interruption).await {
                Ok(()) => PAUSE,
                Err(error) => interruption.failed(Cause::of_read(&error), error.describe()),
            };
            tokio::time::sleep(pause).await;
        }
    }

    /// Lists and then watches, until what was watched last is too old to go on from.
    async fn follow(&self, namespace: &str, interruption: &mut Interruption) -> Result<(), Error> {
        self.tell(namespace, Namespace::begins);
        let exists = |page: Vec<Pod>| self.tell(namespace, |entry| page.into_iter().for_each(|pod| entry.exists(pod)));
        let mut version = pods::list_into(&self.cluster, namespace, exists).await?;
        self.tell(namespace, Namespace::begun);
        self.wake_all(namespace);
        interruption.over();
        loop {
            let pause = match self.events(namespace, &mut version, interruption).await {
                Ok(()) => PAUSE,
                Err(kube::Error::Api(status)) if status.code == 410 => return Ok(()),
                Err(error) => interruption.failed(Cause::of(&error), trouble::why(&error)),
            };
            tokio::time::sleep(pause).await;
        }
    }

    /// One watch, from a resource version on, until the API server ends it.
    async fn events(
        &self,
        namespace: &str,
        version: &mut String,
        interruption: &mut Interruption,
    ) -> Result<(), kube::Error> {
        let mut events = std::pin::pin!(pods::watch(&self.cluster, namespace, version).await?);
        while let Some(event) = interruption.next(&mut events).await {
            let (pod, deleted) = match event? {
                WatchEvent::Added(pod) | WatchEvent::Modified(pod) => (pod, false),
                WatchEvent::Deleted(pod) => (pod, true),
                WatchEvent::Bookmark(bookmark) => {
                    *version = bookmark.metadata.resource_version;
                    interruption.over();
                    continue;
                }
                WatchEvent::Error(status) => return Err(kube::Error::Api(status)),
            };
            interruption.over();
            version.clone_from(&pod.resource_version);
            self.changed(namespace, pod, deleted);
        }
        interruption.over();
        Ok(())
    }

    fn tell(&self, namespace: &str, what: impl FnOnce(&mut Namespace)) {
        if let Some(entry) = self.lock().get_mut(namespace) {
            what(entry);
        }
    }

    fn changed(&self, namespace: &str, pod: Pod, deleted: bool) {
        let mut namespaces = self.lock();
        let Some(entry) = namespaces.get_mut(namespace) else { return };
        let ended = if deleted { pod.has_ended() } else { pod.finished };
        // One that terminates is reported as such, which can take long.
        let tells = deleted || ended || pod.terminating;
        let waiting: Vec<&Owner> =
            entry.waiting.iter().filter(|(_, uids)| uids.contains(&pod.uid)).map(|(owner, _)| owner).collect();
        for owner in waiting.iter().filter(|_| tells) {
            self.queue.add((*owner).clone(), Priority::Begun, DEBOUNCE);
        }
        if ended {
            entry.running.remove(&pod.uid);
            entry.news.ended(pod.uid, !waiting.is_empty(), Instant::now());
        } else if deleted {
            entry.running.remove(&pod.uid);
            entry.news.gone(&pod.uid);
            entry.vanished.push(Arc::new(pod));
        } else {
            entry.news.lives(pod.uid.clone());
            entry.running.insert(pod.uid.clone(), pod);
        }
    }

    /// What went while there was no watch is told by nobody: whoever waits looks once more.
    fn wake_all(&self, namespace: &str) {
        for owner in self.lock().get(namespace).iter().flat_map(|entry| entry.waiting.keys()) {
            self.queue.add(owner.clone(), Priority::Begun, DEBOUNCE);
        }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<String, Namespace>> {
        self.namespaces.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl PodEvidence for PodWatches {
    fn alive(&self, namespace: &str) -> BTreeSet<String> {
        self.lock().get(namespace).map(|entry| entry.news.alive().clone()).unwrap_or_default()
    }

    fn missing<'a>(
        &'a self,
        namespace: &'a str,
        before: &'a BTreeSet<String>,
        listed: &'a BTreeSet<&'a str>,
    ) -> BoxFuture<'a, Option<String>> {
        let started = Instant::now();
        async move {
            loop {
                let missing = self.lock().get_mut(namespace)?.news.missing(before, listed, Instant::now());
                if missing.is_none() || started.elapsed() >= LAG {
                    return missing;
                }
                tokio::time::sleep(TICK).await;
            }
        }
        .boxed()
    }

    fn vanished(&self, namespace: &str) -> Vec<Arc<Pod>> {
        self.lock().get(namespace).map(|entry| entry.vanished.clone()).unwrap_or_default()
    }

    fn ended(&self, namespace: &str) -> BTreeSet<String> {
        self.lock().get(namespace).map(|entry| entry.news.all_ended().clone()).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pod(uid: &str, phase: &str) -> Pod {
        let pod = serde_json::json!({
            "metadata": {"name": uid, "uid": uid}, "spec": {"nodeName": "node"}, "status": {"phase": phase},
        });
        serde_json::from_value(pod).expect("a pod")
    }

    /// A watch that is interrupted, and begins anew because its place is too old, reports nothing of what was deleted meanwhile.
    #[test]
    fn a_pod_that_went_while_the_watch_was_interrupted_may_still_run() {
        let mut entry = Namespace::default();
        let begin = |entry: &mut Namespace, pods: &[(&str, &str)]| {
            entry.begins();
            pods.iter().for_each(|(uid, phase)| entry.exists(pod(uid, phase)));
            entry.begun();
            entry.vanished.iter().map(|pod| pod.uid.clone()).collect::<Vec<_>>()
        };
        assert!(begin(&mut entry, &[("stays", "Running"), ("goes", "Running"), ("ends", "Running")]).is_empty());
        assert_eq!(begin(&mut entry, &[("stays", "Running"), ("ends", "Succeeded")]), ["goes"]);
        assert_eq!(begin(&mut entry, &[("stays", "Running")]), ["goes"], "it is told once");
    }
}
