//! What is to be looked at, and when: each key once, never twice at the same time, the earliest time counts.

use std::{
    collections::{BTreeSet, HashMap},
    hash::Hash,
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::{sync::Notify, time::Instant};

/// A queue of keys with due times.
#[derive(Debug)]
pub struct Queue<K> {
    state: Mutex<State<K>>,
    changed: Notify,
}

#[derive(Debug)]
struct State<K> {
    due: BTreeSet<(Instant, K)>,
    /// When a waiting key is due.
    waiting: HashMap<K, Instant>,
    /// Keys that are being worked on, with the time for which they were asked again meanwhile.
    running: HashMap<K, Option<Instant>>,
}

impl<K: Clone + Ord + Hash> Default for Queue<K> {
    fn default() -> Self {
        let state = State { due: BTreeSet::new(), waiting: HashMap::new(), running: HashMap::new() };
        Self { state: Mutex::new(state), changed: Notify::new() }
    }
}

impl<K: Clone + Ord + Hash> Queue<K> {
    /// Asks for a key to be looked at after a delay. An earlier time that was asked for stays.
    pub fn add(&self, key: K, delay: Duration) {
        let at = Instant::now() + delay.min(Duration::from_secs(86_400 * 365));
        self.lock().add(key, at);
        self.changed.notify_one();
    }

    /// The next key that is due. It is not given out again until [`Queue::done`].
    pub async fn next(&self) -> K {
        loop {
            let first = match self.lock().take(Instant::now()) {
                Ok(key) => {
                    // Another worker may wait for what is due next.
                    self.changed.notify_one();
                    return key;
                }
                Err(first) => first,
            };
            let changed = self.changed.notified();
            match first {
                Some(at) => {
                    let _ = tokio::time::timeout_at(at, changed).await;
                }
                None => changed.await,
            }
        }
    }

    /// The work on a key is over.
    pub fn done(&self, key: &K) {
        let mut state = self.lock();
        if let Some(Some(at)) = state.running.remove(key) {
            state.add(key.clone(), at);
        }
        drop(state);
        self.changed.notify_one();
    }

    /// How many keys wait or are worked on.
    #[must_use]
    pub fn len(&self) -> usize {
        let state = self.lock();
        state.waiting.len() + state.running.len()
    }

    /// Nothing waits and nothing is worked on.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    fn lock(&self) -> MutexGuard<'_, State<K>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<K: Clone + Ord + Hash> State<K> {
    fn add(&mut self, key: K, at: Instant) {
        if let Some(again) = self.running.get_mut(&key) {
            *again = Some(again.map_or(at, |earlier| earlier.min(at)));
            return;
        }
        match self.waiting.get(&key).copied() {
            Some(earlier) if earlier <= at => return,
            Some(later) => {
                self.due.remove(&(later, key.clone()));
            }
            None => {}
        }
        self.waiting.insert(key.clone(), at);
        self.due.insert((at, key));
    }

    /// A key that is due, or when the first one will be.
    fn take(&mut self, now: Instant) -> Result<K, Option<Instant>> {
        match self.due.first() {
            Some((at, _)) if *at <= now => {}
            first => return Err(first.map(|(at, _)| *at)),
        }
        let Some((_, key)) = self.due.pop_first() else { return Err(None) };
        self.waiting.remove(&key);
        self.running.insert(key.clone(), None);
        Ok(key)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn ready(queue: &Queue<&'static str>) -> Option<&'static str> {
        tokio::time::timeout(Duration::from_millis(1), queue.next()).await.ok()
    }

    #[tokio::test(start_paused = true)]
    async fn the_earliest_time_counts() {
        let queue = Queue::default();
        queue.add("a", Duration::from_secs(60));
        queue.add("a", Duration::from_secs(5));
        queue.add("a", Duration::from_secs(30));
        let start = Instant::now();
        assert_eq!(queue.next().await, "a");
        assert_eq!(start.elapsed().as_secs(), 5);
        queue.done(&"a");
        assert_eq!(ready(&queue).await, None, "asked for once, given once");
        assert!(queue.is_empty());
    }

    #[tokio::test(start_paused = true)]
    async fn a_key_is_never_worked_on_twice_at_the_same_time() {
        let queue = Queue::default();
        queue.add("a", Duration::ZERO);
        assert_eq!(queue.next().await, "a");
        queue.add("a", Duration::ZERO);
        assert_eq!(ready(&queue).await, None);
        queue.done(&"a");
        assert_eq!(ready(&queue).await, Some("a"), "what was asked for meanwhile is not lost");
    }

    #[tokio::test(start_paused = true)]
    async fn every_waiting_worker_gets_work() {
        let queue = std::sync::Arc::new(Queue::default());
        let workers: Vec<_> = (0..3)
            .map(|_| {
                let queue = queue.clone();
                tokio::spawn(async move { queue.next().await })
            })
            .collect();
        tokio::task::yield_now().await;
        for key in ["a", "b", "c"] {
            queue.add(key, Duration::ZERO);
        }
        let mut keys = futures::future::try_join_all(workers).await.unwrap();
        keys.sort_unstable();
        assert_eq!(keys, ["a", "b", "c"]);
    }
}
