//! Watches the pods of a namespace while somebody there waits for pickup, and not otherwise.
//!
//! A watch wakes the objects that wait, and keeps the evidence that a list cannot show: a pod whose last version, in its
//! DELETED event, said that every container was terminated. Evidence that is lost only delays.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap, VecDeque},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use futures::StreamExt;
use kube::{
    Client, ResourceExt,
    api::DynamicObject,
    runtime::{WatchStreamExt, watcher},
};
use tokio::{task::AbortHandle, time::Instant};

use super::queue::Queue;
use crate::{core::token::Owner, kube_io::pods};

/// Several changes of pods in a row cause one look.
const DEBOUNCE: Duration = Duration::from_millis(250);

/// How long an end is kept that nobody waits for yet: between the list that finds a pod and the record that names it are a
/// few calls, and its end would cost the whole time that a node has to be in contact.
const RECENT: Duration = Duration::from_secs(300);

#[derive(Default)]
struct Namespace {
    /// Who waits for which UIDs.
    waiting: BTreeMap<Owner, BTreeSet<String>>,
    /// UIDs that ended for sure, of those that somebody waits for.
    ended: BTreeSet<String>,
    /// UIDs that ended for sure within the last minutes, whether or not somebody waits for them.
    recent: VecDeque<(Instant, String)>,
    task: Option<AbortHandle>,
}

impl Namespace {
    fn awaits(&mut self, owner: &Owner, uids: BTreeSet<String>) {
        let ended = self.recent.iter().map(|(_, uid)| uid).filter(|uid| uids.contains(*uid)).cloned();
        self.ended.extend(ended);
        self.waiting.insert(owner.clone(), uids);
    }

    fn has_ended(&mut self, uid: String, now: Instant) {
        while self.recent.front().is_some_and(|(at, _)| now.duration_since(*at) > RECENT) {
            self.recent.pop_front();
        }
        if self.waiting.values().any(|uids| uids.contains(&uid)) {
            self.ended.insert(uid);
        } else {
            self.recent.push_back((now, uid));
        }
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
            entry.awaits(owner, uids);
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

    /// UIDs of a namespace whose pods ended for sure.
    #[must_use]
    pub fn ended(&self, namespace: &str) -> BTreeSet<String> {
        self.lock().get(namespace).map(|entry| entry.ended.clone()).unwrap_or_default()
    }

    async fn run(self, namespace: String) {
        let api = pods::api(&self.client, &namespace);
        let mut events = watcher(api, watcher::Config::default()).default_backoff().boxed();
        while let Some(event) = events.next().await {
            match event {
                Ok(watcher::Event::Delete(pod)) => self.changed(&namespace, pod.uid(), has_ended(&pod)),
                Ok(watcher::Event::Apply(pod)) if pods::is_finished(&pod) => self.changed(&namespace, pod.uid(), true),
                // It is told as terminating, which can take long.
                Ok(watcher::Event::Apply(pod)) if pod.metadata.deletion_timestamp.is_some() => {
                    self.changed(&namespace, pod.uid(), false);
                }
                // A relist: what was deleted meanwhile is seen by the fresh list of the next look.
                Ok(watcher::Event::InitDone) => self.wake_all(&namespace),
                Ok(watcher::Event::Apply(_) | watcher::Event::Init | watcher::Event::InitApply(_)) => {}
                Err(error) => tracing::warn!(%namespace, %error, "watch of pods was interrupted"),
            }
        }
    }

    fn changed(&self, namespace: &str, uid: Option<String>, ended: bool) {
        let mut namespaces = self.lock();
        let (Some(entry), Some(uid)) = (namespaces.get_mut(namespace), uid) else { return };
        for owner in entry.waiting.iter().filter(|(_, uids)| uids.contains(&uid)).map(|(owner, _)| owner) {
            self.queue.add(owner.clone(), DEBOUNCE);
        }
        if ended {
            entry.has_ended(uid, Instant::now());
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

/// Whether the last version of a deleted pod says that no container of it runs: all were reported as terminated, or it
/// never had a node.
fn has_ended(pod: &DynamicObject) -> bool {
    pods::is_finished(pod) || pod.data["spec"]["nodeName"].as_str().is_none_or(str::is_empty)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn owner() -> Owner {
        Owner { namespace: "shop".into(), name: "api".into(), uid: "1".into() }
    }

    /// Pods that ended between the list that found them and the record that named them were waited for until their node
    /// had been in contact for one and a half minutes.
    #[test]
    fn an_end_that_comes_before_it_is_waited_for_counts() {
        let (mut namespace, now) = (Namespace::default(), Instant::now());
        namespace.awaits(&owner(), BTreeSet::new());
        namespace.has_ended("early".to_owned(), now);
        namespace.has_ended("of-nobody".to_owned(), now);
        assert!(namespace.ended.is_empty());
        namespace.awaits(&owner(), BTreeSet::from(["early".to_owned(), "late".to_owned()]));
        namespace.has_ended("late".to_owned(), now);
        assert_eq!(namespace.ended, BTreeSet::from(["early".to_owned(), "late".to_owned()]));
    }

    #[test]
    fn what_nobody_asks_for_is_forgotten() {
        let (mut namespace, now) = (Namespace::default(), Instant::now());
        namespace.has_ended("old".to_owned(), now);
        namespace.has_ended("new".to_owned(), now + RECENT + Duration::from_secs(1));
        assert_eq!(namespace.recent.len(), 1);
    }
}
