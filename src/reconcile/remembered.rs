//! What the process remembers of each object beyond the record. Losing it only delays.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use jiff::Timestamp;

use super::{
    queue::{Account, Priority},
    versions::Versions,
};
use crate::{
    api::{ProviderKind, ProviderRef, RotatedToken, TokenProviderSpec},
    core::{
        seen::memory::Memory,
        token::{Owner, Serial, Verification},
    },
};

/// Everything that is remembered of one object.
#[derive(Debug, Default)]
pub struct Remembered {
    /// What its reconciles need.
    pub looked: Looked,
    /// How often the same step was taken lately, and since when: somebody may undo it each time.
    pub repeated: HashMap<String, Repeated>,
    /// When the status was last written.
    pub status_written: Option<Duration>,
    /// What was last said of names at the provider that cannot be ours.
    pub refused_names: Option<String>,
    /// How urgent it is, as its last reconcile saw it; `None` if that has seen nothing.
    pub priority: Option<Priority>,
    /// What was last said in the log, so that a wait is reported once.
    pub logged: Option<String>,
}

/// What a reconcile remembers for the next one.
#[derive(Debug, Default)]
pub struct Looked {
    /// What decisions see.
    pub memory: Memory,
    /// For snapshot pods that are not listed: since when, and the readiness change of their node at that time.
    pub absent: HashMap<String, (Duration, Option<Timestamp>)>,
    /// Which versions were read of the object, its target and its record.
    pub versions: [Versions; 3],
    /// The last rotation of which this process has said that its pickup is complete.
    pub picked_up: Option<i64>,
    /// What of it was named when it was last read.
    pub names: Names,
    /// The UIDs of Secrets that its tokens are bound to, as its record knew them last.
    pub bound: BTreeMap<String, Serial>,
    /// What one reconcile reads once.
    pub read_once: ReadOnce,
}

/// What one reconcile reads once for several steps in a row: what somebody wants. What there is, target and record, is read for every step.
///
/// It counts for two seconds: a step may be based on something that old even where it has just been read, because rules ask providers before
/// the step is taken. A change of it wakes the object for another reconcile.
#[derive(Debug, Default)]
pub struct ReadOnce {
    pub object: Option<Option<RotatedToken>>,
    /// The provider object that this one names.
    pub provider: Option<Option<TokenProviderSpec>>,
    /// When the older of the two was read.
    pub at: Duration,
    /// The token that was verified last.
    works: Option<Works>,
}

/// A token that works, as the provider said.
#[derive(Clone, Debug)]
struct Works {
    serial: Serial,
    /// When it was asked.
    at: Duration,
    verification: Verification,
    unshown: Vec<String>,
}

/// How long it counts in the same reconcile what was read, and that a token was found to work.
const COUNTS_FOR: Duration = Duration::from_secs(2);

impl ReadOnce {
    /// Forgets what was read too long ago.
    pub fn age(&mut self, now: Duration) {
        if now.saturating_sub(self.at) >= COUNTS_FOR {
            (self.object, self.provider) = (None, None);
        }
    }

    /// The object was read just now, and nothing else.
    pub fn found(&mut self, object: Option<RotatedToken>, at: Duration) {
        (self.object, self.provider, self.at) = (Some(object), None, at);
    }

    /// Notes what was found out about a token that was asked about at a time of this process. Only that it works is kept.
    pub fn verified(&mut self, serial: Serial, at: Duration, verification: &Verification, unshown: &[String]) {
        let works = matches!(verification, Verification::Works { .. });
        self.works =
            works.then(|| Works { serial, at, verification: verification.clone(), unshown: unshown.to_owned() });
    }

    /// That a token works, with what could not be shown of it, if that was found out a moment ago.
    #[must_use]
    pub fn works(&self, serial: Serial, now: Duration) -> Option<(Verification, Vec<String>)> {
        let works = self.works.as_ref().filter(|works| works.serial == serial)?;
        (now.saturating_sub(works.at) < COUNTS_FOR).then(|| (works.verification.clone(), works.unshown.clone()))
    }

    /// A token is revoked: what is left is verified again.
    pub fn revokes(&mut self) {
        self.works = None;
    }
}

/// What an object depends on by name, so that a change there wakes it.
#[derive(Debug, Default)]
pub struct Names {
    /// The provider.
    pub provider: Option<ProviderRef>,
    /// Whether it may use that provider, as the last look found.
    pub may_use_provider: bool,
    /// The Secret of the credential of that provider, where that stands beside it.
    pub credential: Option<String>,
    /// The Secret that its token is published in.
    pub target: Option<String>,
}

impl Names {
    /// Whose slowness it has to bear: that of its provider. Who names one that it may not use has no part in it.
    #[must_use]
    pub fn account(&self) -> Option<Account> {
        let ProviderRef { kind, name } = self.provider.as_ref().filter(|_| self.may_use_provider)?;
        Some(match kind {
            ProviderKind::ClusterTokenProvider => Account::Shared(name.as_str().into()),
            ProviderKind::TokenProvider => Account::Own(name.as_str().into()),
        })
    }
}

/// The memories of all objects. An entry is locked by the pass of its object; the queue runs one at a time.
#[derive(Clone, Debug, Default)]
pub struct Memories {
    entries: Arc<Mutex<HashMap<Owner, Arc<tokio::sync::Mutex<Remembered>>>>>,
    /// Whose tokens' Secrets have changed since the last reconcile.
    unswept: Arc<Mutex<BTreeSet<Owner>>>,
}

/// How often a step was taken, since when, and how often it was found to change nothing.
#[derive(Clone, Copy, Debug, Default)]
pub struct Repeated {
    times: u32,
    since: Duration,
    undone: u32,
}

/// The same step so often within [`REPEAT_WINDOW`] means that somebody undoes it.
const REPEATS: u32 = 5;
const REPEAT_WINDOW: Duration = Duration::from_secs(60);

/// The longest wait between two tries of a step that somebody undoes each time.
const LONGEST_WAIT: Duration = Duration::from_secs(3600);

impl Repeated {
    /// How long it waits, twice as long each time that it was undone.
    fn window(&self) -> Duration {
        REPEAT_WINDOW.saturating_mul(1 << self.undone.saturating_sub(1).min(6)).min(LONGEST_WAIT)
    }

    fn is_over(&self, uptime: Duration) -> bool {
        let kept = if self.undone == 0 { REPEAT_WINDOW } else { self.window() * 2 };
        uptime.saturating_sub(self.since) >= kept
    }
}

impl Remembered {
    /// Notes that a step is about to be taken.
    ///
    /// # Errors
    /// How long to wait: it was taken so often lately that it changes nothing.
    pub fn may_repeat(&mut self, label: String, uptime: Duration) -> Result<(), Duration> {
        self.repeated.retain(|_, repeated| !repeated.is_over(uptime));
        let repeated = self.repeated.entry(label).or_insert(Repeated { since: uptime, ..Repeated::default() });
        let waited = uptime.saturating_sub(repeated.since);
        if repeated.undone > 0 && waited >= repeated.window() {
            // One try; if it is undone again, the next wait is longer.
            (repeated.times, repeated.since) = (REPEATS - 1, uptime);
        }
        repeated.times = repeated.times.saturating_add(1);
        if repeated.times <= REPEATS {
            return Ok(());
        }
        if repeated.times == REPEATS + 1 {
            repeated.undone = repeated.undone.saturating_add(1);
            repeated.since = uptime;
        }
        Err(repeated.window().saturating_sub(uptime.saturating_sub(repeated.since)))
    }
}

impl Memories {
    /// What is kept when somebody else may have worked meanwhile: only what was seen of the records, since what they say never
    /// goes back.
    #[must_use]
    pub async fn next_term(&self) -> Self {
        let next = Self::default();
        let entries: Vec<_> = self.lock().iter().map(|(owner, entry)| (owner.clone(), entry.clone())).collect();
        for (owner, entry) in entries {
            let memory = entry.lock().await.looked.memory.next_term();
            let looked = Looked { memory, ..Looked::default() };
            let remembered = Remembered { looked, ..Remembered::default() };
            next.lock().insert(owner, Arc::new(tokio::sync::Mutex::new(remembered)));
        }
        next
    }

    /// What is remembered of an object.
    #[must_use]
    pub fn of(&self, owner: &Owner) -> Arc<tokio::sync::Mutex<Remembered>> {
        self.lock().entry(owner.clone()).or_default().clone()
    }

    /// What is remembered of an object, if anything is.
    #[must_use]
    pub fn known(&self, owner: &Owner) -> Option<Arc<tokio::sync::Mutex<Remembered>>> {
        self.lock().get(owner).cloned()
    }

    /// A Secret of a token has changed: the next reconcile at rest lists them again.
    pub fn unswept(&self, owner: &Owner) {
        self.lock_unswept().insert(owner.clone());
    }

    /// Whether that was noted since the last time.
    #[must_use]
    pub fn take_unswept(&self, owner: &Owner) -> bool {
        self.lock_unswept().remove(owner)
    }

    fn lock_unswept(&self) -> std::sync::MutexGuard<'_, BTreeSet<Owner>> {
        self.unswept.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Forgets an object that is gone.
    pub fn forget(&self, owner: &Owner) {
        self.lock().remove(owner);
        self.lock_unswept().remove(owner);
    }

    /// Every object of which something is remembered.
    #[must_use]
    pub fn owners(&self) -> Vec<Owner> {
        self.lock().keys().cloned().collect()
    }

    /// How many objects something is remembered of.
    #[must_use]
    pub fn len(&self) -> usize {
        self.lock().len()
    }

    /// Nothing is remembered.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Objects that name a provider: those of its namespace, if it has one. One whose reconcile runs now may.
    #[must_use]
    pub fn using(&self, namespace: Option<&str>, provider: &ProviderRef) -> BTreeSet<Owner> {
        let entries = self.lock();
        let may = entries.iter().filter(|(owner, _)| namespace.is_none_or(|namespace| *namespace == owner.namespace));
        let using = may.filter(|(_, entry)| match entry.try_lock() {
            Ok(remembered) => remembered.looked.names.provider.as_ref().is_none_or(|named| named == provider),
            Err(_) => true,
        });
        using.map(|(owner, _)| owner.clone()).collect()
    }

    /// Whether a RotatedToken or a record has made this owner known, and it was looked at since.
    #[must_use]
    pub fn knows(&self, owner: &Owner) -> bool {
        self.lock().contains_key(owner)
    }

    /// Objects that publish in a Secret of their namespace, or whose tokens are minted with what it holds.
    #[must_use]
    pub fn concerned(&self, namespace: &str, secret: &str) -> BTreeSet<Owner> {
        let entries = self.lock();
        let concerned = entries.iter().filter(|(owner, entry)| {
            let is_it = |remembered: &Remembered| {
                [&remembered.looked.names.target, &remembered.looked.names.credential]
                    .into_iter()
                    .any(|name| name.as_deref() == Some(secret))
            };
            owner.namespace == namespace && entry.try_lock().map_or(true, |remembered| is_it(&remembered))
        });
        concerned.map(|(owner, _)| owner.clone()).collect()
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<Owner, Arc<tokio::sync::Mutex<Remembered>>>> {
        self.entries.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn owner(namespace: &str, name: &str, uid: &str) -> Owner {
        Owner { namespace: namespace.to_owned(), name: name.to_owned(), uid: uid.to_owned() }
    }

    /// A Secret with the labels of another's target made an owner that nobody had declared, and it was looked at as one that is gone.
    #[test]
    fn only_who_was_looked_at_is_known_and_by_namespace_name_and_uid() {
        let memories = Memories::default();
        let victim = owner("shop", "api", "uid-1");
        assert!(!memories.knows(&victim));
        drop(memories.of(&victim));
        assert!(memories.knows(&victim));
        for forged in
            [owner("attacker", "api", "uid-1"), owner("shop", "other", "uid-1"), owner("shop", "api", "uid-2")]
        {
            assert!(!memories.knows(&forged), "{forged:?}");
        }
    }

    #[tokio::test]
    async fn a_secret_concerns_who_publishes_in_it_or_is_minted_with_it_in_its_namespace() {
        let memories = Memories::default();
        let owners = [owner("shop", "api", "uid-1"), owner("shop", "web", "uid-2"), owner("other", "api", "uid-3")];
        for (owner, target, credential) in [
            (&owners[0], "api-token", None),
            (&owners[1], "web-token", Some("api-token")),
            (&owners[2], "api-token", None),
        ] {
            let entry = memories.of(owner);
            let mut remembered = entry.lock().await;
            let names = &mut remembered.looked.names;
            (names.target, names.credential) = (Some(target.to_owned()), credential.map(str::to_owned));
        }
        assert_eq!(memories.concerned("shop", "api-token"), owners[..2].iter().cloned().collect());
        assert_eq!(memories.concerned("shop", "web-token"), BTreeSet::from([owners[1].clone()]));
        assert!(memories.concerned("attacker", "api-token").is_empty());
    }

    #[test]
    fn that_a_token_works_counts_for_two_seconds_and_until_one_is_revoked() {
        let (one, two) = (Serial { sequence: 1, attempt: 1 }, Serial { sequence: 2, attempt: 2 });
        let at = Duration::from_millis;
        let works = Verification::Works { surplus: vec!["list pods".to_owned()], expires_at: None };
        let mut read = ReadOnce::default();
        assert_eq!(read.works(one, at(0)), None);
        read.verified(one, at(1_000), &works, &["a list".to_owned()]);
        assert_eq!(read.works(one, at(2_999)), Some((works.clone(), vec!["a list".to_owned()])));
        assert_eq!((read.works(two, at(1_000)), read.works(one, at(3_000))), (None, None));
        read.revokes();
        assert_eq!(read.works(one, at(1_000)), None);
        // Anything else takes back what was known.
        read.verified(one, at(1_000), &works, &[]);
        read.verified(one, at(1_001), &Verification::NotYet { why: "not yet".to_owned() }, &[]);
        assert_eq!(read.works(one, at(1_002)), None);
    }

    #[test]
    fn a_step_that_somebody_undoes_each_time_is_not_repeated_for_ever() {
        let mut remembered = Remembered::default();
        let mut at = |seconds| {
            let answer = remembered.may_repeat("publish 1.1".to_owned(), Duration::from_secs(seconds));
            answer.err().map(|wait| wait.as_secs())
        };
        assert_eq!([at(0), at(1), at(2), at(3), at(4), at(5)], [None, None, None, None, None, Some(60)]);
        assert_eq!(at(30), Some(35));
        assert_eq!((at(65), at(66)), (None, Some(120)), "one try after a while, and then a longer wait");
        assert_eq!((at(185), at(186), at(187)), (Some(1), None, Some(240)));
        assert_eq!((at(1000), at(1001)), (None, None), "what was left alone for long is new");
    }
}
