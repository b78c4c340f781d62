//! What is to be looked at, and when: each key once, never twice at the same time, the earliest time counts.
//!
//! No namespace, and no provider account, takes the workers away from the others: a key begins only while more workers are free than its
//! namespace, and its account, already occupy. So one namespace gets half of them at most, a second one half of what is left, and a namespace
//! that occupies none begins at once while any worker is free. In the same way the accounts of one namespace share what it may have. What has
//! to wait for that stands in the line of its account, and costs nothing until a worker is done.
//!
//! Who occupies the least is first, however urgent the others are: whoever asks for many urgent things delays its own. Within a namespace the
//! [`Priority`] counts, and within that the time for which a key was asked.

mod group;
mod line;
#[cfg(test)]
mod many;
mod priority;
#[cfg(test)]
mod tests;

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    hash::Hash,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::{sync::Notify, time::Instant};

pub use self::priority::Priority;
use self::{
    group::{Candidate, Group, Kind, OVERDUE, Room, TURNS},
    priority::Asked,
};
use crate::core::token::Owner;

/// Nothing is asked for at a later time: sums of times have an end.
pub const FAR: Duration = Duration::from_secs(86_400 * 365);

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

/// At whom a key is looked at: what is slow there is slow for all that have it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Account {
    /// A ClusterTokenProvider, which namespaces share.
    Shared(Arc<str>),
    /// A TokenProvider of the key's namespace.
    Own(Arc<str>),
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
    /// Namespaces of which something waits, runs or has an account.
    groups: BTreeMap<String, Group<K>>,
    /// The same by the time at which the first of their keys is due, for each [`Kind`].
    heads: [BTreeSet<(Instant, String)>; 2],
    /// What was asked for keys that wait.
    waiting: HashMap<K, Asked>,
    /// Keys that are being worked on.
    running: HashMap<K, Running>,
    /// How many workers the accounts occupy that namespaces share; none of them is 0.
    shared: HashMap<Arc<str>, usize>,
    /// The accounts of keys, as far as they are known.
    accounts: HashMap<K, Account>,
    /// Begins since a look that nobody asked for, and that was overdue, was taken before what others of other namespaces asked for.
    since_turn: u8,
}

#[derive(Debug)]
struct Running {
    /// As how urgent it was taken.
    priority: Priority,
    /// What was asked for it meanwhile.
    again: Asked,
    /// The account that it occupies a worker for.
    account: Option<Account>,
}

impl<K: Grouped> Queue<K> {
    /// A queue for this many workers.
    #[must_use]
    pub fn new(workers: usize) -> Self {
        let state = State {
            workers: workers.max(1),
            groups: BTreeMap::new(),
            heads: [BTreeSet::new(), BTreeSet::new()],
            waiting: HashMap::new(),
            running: HashMap::new(),
            shared: HashMap::new(),
            accounts: HashMap::new(),
            since_turn: TURNS,
        };
        Self { state: Mutex::new(state), changed: Notify::new() }
    }

    /// Asks for a key to be looked at after a delay. What was asked for before stays: an earlier time, a higher priority.
    pub fn add(&self, key: K, priority: Priority, delay: Duration) {
        self.add_at(key, priority, Instant::now() + delay.min(FAR));
    }

    /// The same at a time.
    pub fn add_at(&self, key: K, priority: Priority, at: Instant) {
        self.lock().add(key, priority, at);
        self.changed.notify_one();
    }

    /// Asks again for a key that is worked on, at a time, as urgently as it was taken.
    pub fn retry_at(&self, key: K, at: Instant) {
        let mut state = self.lock();
        let priority = state.running.get(&key).map_or(Priority::Due, |running| running.priority);
        state.add(key, priority, at);
        drop(state);
        self.changed.notify_one();
    }

    /// Says at which account of a provider a key is looked at; `None` if that is not known. A key that is worked on occupies its worker for that
    /// account from now on.
    pub fn at_account(&self, key: &K, account: Option<Account>) {
        if self.lock().at_account(key, account) {
            // Others may have room now.
            self.changed.notify_one();
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
        self.lock().done(key);
        self.changed.notify_one();
    }

    /// Nothing is left to be done for a key, which is not worked on or is just done.
    pub fn forget(&self, key: &K) {
        self.at_account(key, None);
    }

    /// What is due and has not begun.
    #[must_use]
    pub fn backlog(&self) -> Backlog {
        let (state, now) = (self.lock(), Instant::now());
        let mut backlog = Backlog::default();
        let due = state.waiting.values().filter_map(|asked| asked.earliest()).filter(|at| *at <= now);
        due.for_each(|at| {
            backlog.depth += 1;
            backlog.oldest = backlog.oldest.max(now - at);
        });
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
    fn add(&mut self, key: K, priority: Priority, at: Instant) {
        let at = at.min(Instant::now() + FAR);
        if let Some(running) = self.running.get_mut(&key) {
            let _ = running.again.note(priority, at);
            return;
        }
        let Some(before) = self.waiting.entry(key.clone()).or_default().note(priority, at) else { return };
        let account = self.accounts.get(&key);
        let group = self.groups.entry(key.group().to_owned()).or_default();
        if let Some(before) = before {
            group.remove(account, (priority, before), &key);
        }
        group.insert(account, (priority, at), key.clone());
        self.tidy(key.group());
    }

    /// Whether that was not known before.
    fn at_account(&mut self, key: &K, account: Option<Account>) -> bool {
        let before = self.accounts.get(key);
        if before == account.as_ref() {
            return false;
        }
        let asked = self.waiting.get(key).copied().unwrap_or_default();
        let group = self.groups.entry(key.group().to_owned()).or_default();
        group.remove_all(before, asked, key);
        if let Some(before) = before {
            group.names_no_longer(before);
        }
        if let Some(account) = &account {
            group.names(account);
        }
        group.insert_all(account.as_ref(), asked, key);
        self.works_at(key, account.clone());
        match account {
            Some(account) => drop(self.accounts.insert(key.clone(), account)),
            None => drop(self.accounts.remove(key)),
        }
        self.tidy(key.group());
        true
    }

    /// A key that is worked on occupies its worker for another account.
    fn works_at(&mut self, key: &K, account: Option<Account>) {
        let Some(running) = self.running.get_mut(key) else { return };
        let before = std::mem::replace(&mut running.account, account.clone());
        if let Some(group) = self.groups.get_mut(key.group()) {
            group.moves(before.as_ref(), account.as_ref());
        }
        if let Some(account) = &account {
            self.occupies(account);
        }
        if let Some(before) = &before {
            self.leaves(before);
        }
    }

    fn occupies(&mut self, account: &Account) {
        if let Account::Shared(name) = account {
            *self.shared.entry(name.clone()).or_default() += 1;
        }
    }

    fn leaves(&mut self, account: &Account) {
        if let Account::Shared(name) = account
            && let Some(occupied) = self.shared.get_mut(name)
        {
            *occupied -= 1;
            if *occupied == 0 {
                self.shared.remove(name);
            }
        }
    }

    /// A key that is due and may begin, or when the first one will be due. What is due and may not begin waits for a worker to be done.
    ///
    /// Namespaces are passed that occupy workers, or whose keys that are due may not begin, and no others.
    fn take(&mut self, now: Instant) -> Result<K, Option<Instant>> {
        let room = Room { free: self.workers.saturating_sub(self.running.len()), shared: &self.shared };
        let mut best: Option<((usize, bool, Instant), Candidate<'_, K>)> = None;
        let mut first: Option<Instant> = None;
        for (kind, heads) in Kind::ALL.into_iter().zip(&self.heads) {
            for (head, name) in heads {
                if *head > now {
                    first = first.into_iter().chain([*head]).min();
                    break;
                }
                let Some(group) = self.groups.get(name) else { continue };
                match group.next(kind, now, room) {
                    Ok(candidate) => {
                        // Between namespaces only looks that nobody asked for stand back, and have a turn when they are overdue: the rest is for
                        // tenants to say.
                        let is_turn = self.since_turn + 1 >= TURNS && now - candidate.at >= OVERDUE;
                        let stands_back = kind == Kind::Resync && !is_turn;
                        let rank = (group.occupied, stands_back, *head);
                        if best.as_ref().is_none_or(|(least, _)| rank < *least) {
                            best = Some((rank, candidate));
                        }
                        // The rest of these has been due for a shorter time.
                        if group.occupied == 0 {
                            break;
                        }
                    }
                    Err(at) => first = first.into_iter().chain(at).min(),
                }
            }
        }
        let Some(((_, stands_back, _), Candidate { key, priority, is_turn, .. })) = best else { return Err(first) };
        let key = key.clone();
        let had_turn = priority == Priority::Resync && !stands_back;
        self.since_turn = if had_turn { 0 } else { self.since_turn.saturating_add(1).min(TURNS) };
        self.begin(&key, priority, is_turn);
        Ok(key)
    }

    fn begin(&mut self, key: &K, priority: Priority, is_turn: bool) {
        let account = self.accounts.get(key).cloned();
        let asked = self.waiting.remove(key).unwrap_or_default();
        if let Some(group) = self.groups.get_mut(key.group()) {
            group.remove_all(account.as_ref(), asked, key);
            group.begin(account.as_ref(), is_turn);
        }
        if let Some(account) = &account {
            self.occupies(account);
        }
        self.running.insert(key.clone(), Running { priority, again: Asked::default(), account });
        self.tidy(key.group());
    }

    fn done(&mut self, key: &K) {
        let Some(Running { again, account, .. }) = self.running.remove(key) else { return };
        if let Some(group) = self.groups.get_mut(key.group()) {
            group.end(account.as_ref());
        }
        if let Some(account) = &account {
            self.leaves(account);
        }
        again.iter().for_each(|(priority, at)| self.add(key.clone(), priority, at));
        self.tidy(key.group());
    }

    /// Notes when the first key of a namespace is due, or forgets one of which nothing is known any more.
    fn tidy(&mut self, name: &str) {
        let Some(group) = self.groups.get_mut(name) else { return };
        let heads = group.heads();
        let noted = std::mem::replace(&mut group.noted, heads);
        for ((heads, before), after) in self.heads.iter_mut().zip(noted).zip(group.noted) {
            if before != after {
                before.map(|before| heads.remove(&(before, name.to_owned())));
                after.map(|after| heads.insert((after, name.to_owned())));
            }
        }
        if group.is_empty() {
            self.groups.remove(name);
        }
    }
}
