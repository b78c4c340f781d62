//! Keys of one namespace and one priority, in a line for each account: who cannot begin is passed with its whole line.

use std::collections::{BTreeSet, HashMap};

use tokio::time::Instant;

use super::Account;

/// Waiting lines by account, each in the order in which its keys are due. Keys without an account have a line of their own.
#[derive(Debug)]
pub(super) struct Lines<K> {
    /// No line is empty.
    lines: HashMap<Option<Account>, BTreeSet<(Instant, K)>>,
    /// When the first key of each line is due.
    heads: BTreeSet<(Instant, Option<Account>)>,
}

impl<K> Default for Lines<K> {
    fn default() -> Self {
        Self { lines: HashMap::new(), heads: BTreeSet::new() }
    }
}

impl<K: Ord + Clone> Lines<K> {
    pub fn is_empty(&self) -> bool {
        self.lines.is_empty()
    }

    /// When its first key is due.
    pub fn head(&self) -> Option<Instant> {
        self.heads.first().map(|(at, _)| *at)
    }

    pub fn insert(&mut self, account: Option<&Account>, at: Instant, key: K) {
        self.change(account, |line| line.insert((at, key)));
    }

    pub fn remove(&mut self, account: Option<&Account>, at: Instant, key: &K) {
        self.change(account, |line| line.remove(&(at, key.clone())));
    }

    fn change(&mut self, account: Option<&Account>, change: impl FnOnce(&mut BTreeSet<(Instant, K)>) -> bool) {
        let account = account.cloned();
        let line = self.lines.entry(account.clone()).or_default();
        let head = |line: &BTreeSet<(Instant, K)>| line.first().map(|(at, _)| *at);
        let before = head(line);
        change(line);
        let after = head(line);
        if line.is_empty() {
            self.lines.remove(&account);
        }
        if before == after {
            return;
        }
        if let Some(before) = before {
            self.heads.remove(&(before, account.clone()));
        }
        if let Some(after) = after {
            self.heads.insert((after, account));
        }
    }

    /// The key that has been due for the longest time of those whose account has room, or when one will be due.
    ///
    /// Accounts without room have a worker each at least, so that no more lines are passed than there are workers.
    pub fn first(
        &self,
        now: Instant,
        has_room: impl Fn(Option<&Account>) -> bool,
    ) -> Result<(Instant, &K), Option<Instant>> {
        for (at, account) in &self.heads {
            if *at > now {
                return Err(Some(*at));
            }
            if has_room(account.as_ref())
                && let Some((at, key)) = self.lines.get(account).and_then(BTreeSet::first)
            {
                return Ok((*at, key));
            }
        }
        Err(None)
    }
}
