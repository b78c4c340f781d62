//! What waits and runs of one namespace: who of it is next.

use std::{
    collections::{HashMap, hash_map::Entry},
    sync::Arc,
    time::Duration,
};

use tokio::time::Instant;

use super::{
    Account,
    line::Lines,
    priority::{Asked, Priority},
};

/// What has been due for so long has its turn, whatever its priority. Longer than a rotation that is not held up and its steps, so that what is
/// begun is not interleaved with what is not, and as short as what a person who waits for it takes for slow.
pub(super) const OVERDUE: Duration = Duration::from_secs(60);

/// One begin of so many is the turn of what has been due for the longest time. Not each of them: when more is overdue than can be done, as after
/// a restart with many objects, what is urgent would wait behind all of it.
pub(super) const TURNS: u8 = 4;

/// Keys that are compared with each other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// Somebody asked for them.
    Asked,
    /// Looks that nobody asked for: [`Priority::Resync`].
    Resync,
}

impl Kind {
    pub const ALL: [Self; 2] = [Self::Asked, Self::Resync];
}

/// The keys of a namespace.
#[derive(Debug)]
pub(super) struct Group<K> {
    /// What waits, by priority.
    waiting: [Lines<K>; 4],
    /// How many workers it occupies.
    pub occupied: usize,
    /// The accounts that its keys are known to have.
    accounts: HashMap<Account, Use>,
    /// Begins by priority since what was overdue had its turn.
    since_turn: u8,
    /// Its [`Group::heads`], as they were noted last.
    pub noted: [Option<Instant>; 2],
}

/// Who names an account.
#[derive(Debug, Default)]
struct Use {
    /// Keys that are known to have it.
    keys: usize,
    /// Workers that it occupies for this namespace.
    occupied: usize,
}

/// Who of a namespace is next.
#[derive(Debug)]
pub(super) struct Candidate<'a, K> {
    pub key: &'a K,
    pub at: Instant,
    pub priority: Priority,
    /// It is the turn of what is overdue.
    pub is_turn: bool,
}

/// Workers that are free, and those that accounts occupy which namespaces share.
#[derive(Clone, Copy)]
pub(super) struct Room<'a> {
    pub free: usize,
    pub shared: &'a HashMap<Arc<str>, usize>,
}

impl<K> Default for Group<K> {
    fn default() -> Self {
        // The first that is overdue has its turn at once.
        Self { waiting: Default::default(), occupied: 0, accounts: HashMap::new(), since_turn: TURNS, noted: [None; 2] }
    }
}

impl<K: Ord + Clone> Group<K> {
    /// Nothing is known of it.
    pub fn is_empty(&self) -> bool {
        self.occupied == 0 && self.accounts.is_empty() && self.waiting.iter().all(Lines::is_empty)
    }

    /// When the first of its keys is due that somebody asked for, and the first look that nobody asked for.
    pub fn heads(&self) -> [Option<Instant>; 2] {
        Kind::ALL.map(|kind| self.of(kind).filter_map(|(_, lines)| lines.head()).min())
    }

    pub fn insert(&mut self, account: Option<&Account>, (priority, at): (Priority, Instant), key: K) {
        self.waiting[priority.place()].insert(account, at, key);
    }

    pub fn remove(&mut self, account: Option<&Account>, (priority, at): (Priority, Instant), key: &K) {
        self.waiting[priority.place()].remove(account, at, key);
    }

    pub fn insert_all(&mut self, account: Option<&Account>, asked: Asked, key: &K) {
        asked.iter().for_each(|ask| self.insert(account, ask, key.clone()));
    }

    pub fn remove_all(&mut self, account: Option<&Account>, asked: Asked, key: &K) {
        asked.iter().for_each(|ask| self.remove(account, ask, key));
    }

    /// One more key has an account.
    pub fn names(&mut self, account: &Account) {
        self.accounts.entry(account.clone()).or_default().keys += 1;
    }

    /// One key less has it.
    pub fn names_no_longer(&mut self, account: &Account) {
        self.change(account, |named| named.keys = named.keys.saturating_sub(1));
    }

    /// A worker is occupied.
    pub fn begin(&mut self, account: Option<&Account>, is_turn: bool) {
        self.since_turn = if is_turn { 0 } else { self.since_turn.saturating_add(1).min(TURNS) };
        self.occupied += 1;
        if let Some(account) = account {
            self.accounts.entry(account.clone()).or_default().occupied += 1;
        }
    }

    /// A worker that is occupied is occupied for another account.
    pub fn moves(&mut self, from: Option<&Account>, to: Option<&Account>) {
        if let Some(to) = to {
            self.accounts.entry(to.clone()).or_default().occupied += 1;
        }
        if let Some(from) = from {
            self.change(from, |named| named.occupied = named.occupied.saturating_sub(1));
        }
    }

    /// The worker is free again.
    pub fn end(&mut self, account: Option<&Account>) {
        self.occupied = self.occupied.saturating_sub(1);
        if let Some(account) = account {
            self.change(account, |named| named.occupied = named.occupied.saturating_sub(1));
        }
    }

    fn change(&mut self, account: &Account, change: impl FnOnce(&mut Use)) {
        if let Entry::Occupied(mut entry) = self.accounts.entry(account.clone()) {
            change(entry.get_mut());
            if entry.get().keys == 0 && entry.get().occupied == 0 {
                entry.remove();
            }
        }
    }

    fn of(&self, kind: Kind) -> impl Iterator<Item = (Priority, &Lines<K>)> {
        let all = Priority::ALL.into_iter().zip(&self.waiting);
        all.filter(move |(priority, _)| (*priority == Priority::Resync) == (kind == Kind::Resync))
    }

    /// Who is next of a kind, or when somebody will be due. What is due and has no room waits for a worker to be done.
    pub fn next(&self, kind: Kind, now: Instant, room: Room<'_>) -> Result<Candidate<'_, K>, Option<Instant>> {
        if room.free <= self.occupied {
            return Err(None);
        }
        let mut urgent: Option<Candidate<'_, K>> = None;
        let mut oldest: Option<Candidate<'_, K>> = None;
        let mut first: Option<Instant> = None;
        for (priority, lines) in self.of(kind) {
            match lines.first(now, |account| self.has_room(account, room)) {
                Ok((at, key)) => {
                    let candidate = |is_turn| Candidate { key, at, priority, is_turn };
                    urgent.get_or_insert_with(|| candidate(false));
                    if oldest.as_ref().is_none_or(|oldest| at < oldest.at) {
                        oldest = Some(candidate(true));
                    }
                }
                Err(at) => first = first.into_iter().chain(at).min(),
            }
        }
        let is_turn = |oldest: &Candidate<'_, K>| self.since_turn + 1 >= TURNS && now - oldest.at >= OVERDUE;
        oldest.filter(is_turn).or(urgent).ok_or(first)
    }

    /// Whether a key of an account may have another worker, where its namespace may.
    ///
    /// In a namespace with several accounts each gets half of what the others leave of the namespace's share, as namespaces do of all workers.
    /// One that is the only one named there has all of it.
    fn has_room(&self, account: Option<&Account>, Room { free, shared }: Room<'_>) -> bool {
        let Some(account) = account else { return true };
        if let Account::Shared(name) = account
            && free <= shared.get(name).copied().unwrap_or_default()
        {
            return false;
        }
        let left = free.saturating_sub(self.occupied).div_ceil(2);
        self.accounts.len() < 2 || left > self.accounts.get(account).map_or(0, |named| named.occupied)
    }
}
