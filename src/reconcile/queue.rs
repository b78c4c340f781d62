//! What is to be looked at, and when: each key once, never twice at the same time, the earliest time counts.
//!
//! No namespace, and no provider account, takes the workers away from the others: a key begins only while more workers are free than its
//! namespace, and its account, already occupy. So one namespace gets half of them at most, a second one half of what is left, and a namespace
//! that occupies none begins at once while any worker is free. What has to wait for that is parked, and costs nothing until a worker is done.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    hash::Hash,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::{sync::Notify, time::Instant};

use crate::core::token::Owner;

/// Keys of one namespace that are looked through for one whose account is not held up.
const LOOKED_THROUGH: usize = 64;

/// A key that shares the workers with others.
pub trait Grouped: Clone + Ord + Hash {
    /// Whose it is: the namespace.
    fn group(&self) -> &str;
}

impl Grouped for Owner {
    fn group(&self) -> &str {
        &self.namespace
    }
}

/// A queue of keys with due times.
#[derive(Debug)]
pub struct Queue<K> {
    state: Mutex<State<K>>,
    changed: Notify,
}

/// Keys that are due and wait for a worker.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Backlog {
    pub depth: usize,
    /// For how long the first of them has been due.
    pub oldest: Duration,
}

#[derive(Debug)]
struct State<K> {
    workers: usize,
    /// By group, in the order in which they are due. No group is empty.
    due: BTreeMap<String, BTreeSet<(Instant, K)>>,
    /// When a waiting key is due.
    waiting: HashMap<K, Instant>,
    /// Keys that are being worked on, with the time for which they were asked again meanwhile.
    running: HashMap<K, Running>,
    /// How many workers groups and accounts occupy; none of them is 0.
    occupied: HashMap<Holder, usize>,
    /// The accounts of keys, as far as they are known.
    accounts: HashMap<K, Arc<str>>,
}

#[derive(Debug)]
struct Running {
    again: Option<Instant>,
    holders: Vec<Holder>,
}

/// Who occupies workers.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum Holder {
    Group(String),
    Account(Arc<str>),
}

impl<K: Grouped> Queue<K> {
    /// A queue for this many workers.
    #[must_use]
    pub fn new(workers: usize) -> Self {
        let state = State {
            workers: workers.max(1),
            due: BTreeMap::new(),
            waiting: HashMap::new(),
            running: HashMap::new(),
            occupied: HashMap::new(),
            accounts: HashMap::new(),
        };
        Self { state: Mutex::new(state), changed: Notify::new() }
    }

    /// Asks for a key to be looked at after a delay. An earlier time that was asked for stays.
    pub fn add(&self, key: K, delay: Duration) {
        let at = Instant::now() + delay.min(Duration::from_secs(86_400 * 365));
        self.lock().add(key, at);
        self.changed.notify_one();
    }

    /// Says at which account of a provider a key is looked at; `None` if at none that others share.
    pub fn at_account(&self, key: &K, account: Option<&str>) {
        let mut state = self.lock();
        match account {
            None => drop(state.accounts.remove(key)),
            Some(account) if state.accounts.get(key).is_some_and(|known| **known == *account) => {}
            Some(account) => drop(state.accounts.insert(key.clone(), account.into())),
        }
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
        if let Some(Running { again, holders }) = state.running.remove(key) {
            state.release(&holders);
            if let Some(at) = again {
                state.add(key.clone(), at);
            }
        }
        drop(state);
        self.changed.notify_one();
    }

    /// Nothing is left to be done for a key, which is not worked on or is just done.
    pub fn forget(&self, key: &K) {
        self.lock().accounts.remove(key);
    }

    /// What is due and has not begun.
    #[must_use]
    pub fn backlog(&self) -> Backlog {
        let (state, now) = (self.lock(), Instant::now());
        let mut backlog = Backlog::default();
        for keys in state.due.values() {
            for (at, _) in keys.iter().take_while(|(at, _)| *at <= now) {
                backlog.depth += 1;
                backlog.oldest = backlog.oldest.max(now - *at);
            }
        }
        backlog
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

impl<K: Grouped> State<K> {
    fn add(&mut self, key: K, at: Instant) {
        if let Some(Running { again, .. }) = self.running.get_mut(&key) {
            *again = Some(again.map_or(at, |earlier| earlier.min(at)));
            return;
        }
        match self.waiting.get(&key).copied() {
            Some(earlier) if earlier <= at => return,
            Some(later) => self.unqueue(&key, later),
            None => {}
        }
        self.waiting.insert(key.clone(), at);
        self.due.entry(key.group().to_owned()).or_default().insert((at, key));
    }

    fn unqueue(&mut self, key: &K, at: Instant) {
        if let Some(keys) = self.due.get_mut(key.group()) {
            keys.remove(&(at, key.clone()));
            if keys.is_empty() {
                self.due.remove(key.group());
            }
        }
    }

    /// A key that is due and may begin, or when the first one will be due. What is due and may not begin waits for a worker to be done.
    fn take(&mut self, now: Instant) -> Result<K, Option<Instant>> {
        let mut best: Option<(usize, Instant, K)> = None;
        let mut first: Option<Instant> = None;
        for (group, keys) in &self.due {
            let occupied = self.occupied(&Holder::Group(group.clone()));
            let is_free = self.may_begin(occupied);
            for (looked, (at, key)) in keys.iter().enumerate() {
                if *at > now {
                    first = Some(first.map_or(*at, |known| known.min(*at)));
                    break;
                }
                if !is_free || looked >= LOOKED_THROUGH {
                    break;
                }
                let account = self.accounts.get(key).cloned().map(Holder::Account);
                if account.is_some_and(|account| !self.may_begin(self.occupied(&account))) {
                    continue;
                }
                if best.as_ref().is_none_or(|(least, earliest, _)| (occupied, *at) < (*least, *earliest)) {
                    best = Some((occupied, *at, key.clone()));
                }
                break;
            }
        }
        let Some((_, at, key)) = best else { return Err(first) };
        self.unqueue(&key, at);
        self.waiting.remove(&key);
        let account = self.accounts.get(&key).cloned().map(Holder::Account);
        let holders: Vec<Holder> = [Holder::Group(key.group().to_owned())].into_iter().chain(account).collect();
        for holder in &holders {
            *self.occupied.entry(holder.clone()).or_default() += 1;
        }
        self.running.insert(key.clone(), Running { again: None, holders });
        Ok(key)
    }

    fn occupied(&self, holder: &Holder) -> usize {
        self.occupied.get(holder).copied().unwrap_or_default()
    }

    /// Whether somebody who occupies some of the workers may have another one.
    fn may_begin(&self, occupied: usize) -> bool {
        self.workers.saturating_sub(self.running.len()) > occupied
    }

    fn release(&mut self, holders: &[Holder]) {
        for holder in holders {
            if let Some(occupied) = self.occupied.get_mut(holder) {
                *occupied -= 1;
                if *occupied == 0 {
                    self.occupied.remove(holder);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    impl Grouped for &'static str {
        fn group(&self) -> &str {
            self.split_once('/').map_or(self, |(group, _)| group)
        }
    }

    async fn ready(queue: &Queue<&'static str>) -> Option<&'static str> {
        tokio::time::timeout(Duration::from_millis(1), queue.next()).await.ok()
    }

    async fn all(queue: &Queue<&'static str>) -> Vec<&'static str> {
        let mut taken = Vec::new();
        while let Some(key) = ready(queue).await {
            taken.push(key);
        }
        taken
    }

    #[tokio::test(start_paused = true)]
    async fn the_earliest_time_counts() {
        let queue = Queue::new(2);
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
        let queue = Queue::new(2);
        queue.add("a", Duration::ZERO);
        assert_eq!(queue.next().await, "a");
        queue.add("a", Duration::ZERO);
        assert_eq!(ready(&queue).await, None);
        queue.done(&"a");
        assert_eq!(ready(&queue).await, Some("a"), "what was asked for meanwhile is not lost");
    }

    #[tokio::test(start_paused = true)]
    async fn every_waiting_worker_gets_work() {
        let queue = Arc::new(Queue::new(3));
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

    /// 24 objects whose provider was slow took all 16 workers, and another namespace waited for a quarter of an hour.
    #[tokio::test(start_paused = true)]
    async fn a_namespace_whose_keys_hang_leaves_workers_to_the_others() {
        let queue = Queue::new(8);
        for key in ["evil/1", "evil/2", "evil/3", "evil/4", "evil/5", "evil/6", "evil/7", "evil/8", "evil/9"] {
            queue.add(key, Duration::ZERO);
        }
        assert_eq!(all(&queue).await.len(), 4, "half of the workers");
        queue.add("victim/1", Duration::ZERO);
        assert_eq!(ready(&queue).await, Some("victim/1"), "begins at once");
        queue.done(&"victim/1");
        // Others that hang get half of what is left each, so that many of them are needed to take everything.
        for key in ["bad/1", "bad/2", "bad/3", "worse/1", "worse/2"] {
            queue.add(key, Duration::ZERO);
        }
        assert_eq!(all(&queue).await, ["bad/1", "worse/1", "bad/2"]);
        queue.add("victim/1", Duration::ZERO);
        assert_eq!(ready(&queue).await, Some("victim/1"));
        queue.done(&"victim/1");
        // What is parked goes on when workers are done, whoever was first.
        queue.done(&"evil/1");
        queue.done(&"evil/2");
        assert_eq!(all(&queue).await, ["worse/2"]);
        queue.done(&"evil/3");
        assert_eq!(all(&queue).await, ["evil/5"]);
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_due_and_waits_is_counted_with_its_age() {
        let queue = Queue::new(1);
        for (key, seconds) in [("a/1", 0), ("a/2", 10), ("b/1", 20), ("b/2", 60)] {
            queue.add(key, Duration::from_secs(seconds));
        }
        assert_eq!(queue.next().await, "a/1");
        assert_eq!(queue.backlog(), Backlog::default(), "one is worked on, the others are not due");
        tokio::time::advance(Duration::from_secs(30)).await;
        assert_eq!(queue.backlog(), Backlog { depth: 2, oldest: Duration::from_secs(20) });
    }

    #[tokio::test(start_paused = true)]
    async fn one_worker_serves_all_in_turn() {
        let queue = Queue::new(1);
        for key in ["a/1", "a/2", "b/1"] {
            queue.add(key, Duration::ZERO);
        }
        let mut order = Vec::new();
        while let Some(key) = ready(&queue).await {
            order.push(key);
            queue.done(&key);
        }
        assert_eq!(order, ["a/1", "a/2", "b/1"]);
    }

    /// Whoever shares a cluster-wide provider shares the workers that wait for it.
    #[tokio::test(start_paused = true)]
    async fn an_account_that_hangs_is_shared_by_namespaces() {
        let queue = Queue::new(4);
        for key in ["a/1", "b/1", "c/1", "d/1"] {
            queue.at_account(&key, Some("slow"));
            queue.add(key, Duration::ZERO);
        }
        assert_eq!(all(&queue).await, ["a/1", "b/1"]);
        queue.add("c/2", Duration::ZERO);
        assert_eq!(
            ready(&queue).await,
            Some("c/2"),
            "another account, also where the first key of the namespace has to wait"
        );
        queue.done(&"a/1");
        assert_eq!(all(&queue).await, ["d/1"]);
        queue.at_account(&"c/1", None);
        queue.done(&"b/1");
        assert_eq!(ready(&queue).await, Some("c/1"));
        for key in ["b/1", "c/1", "c/2", "d/1"] {
            queue.done(&key);
            queue.forget(&key);
        }
        queue.forget(&"a/1");
        let state = queue.lock();
        assert!(
            state.occupied.is_empty() && state.accounts.is_empty() && state.due.is_empty() && state.running.is_empty()
        );
    }
}
