//! What is done to which requests.

use std::{
    sync::{
        Arc, Mutex, MutexGuard, PoisonError, Weak,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use super::request::Asked;

/// What a rule does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fault {
    /// It is passed on after this time; a watch starts late.
    Slow(Duration),
    /// It is taken and never answered. The API server does not see it.
    Hang,
    /// The API server acts on it, and its answer is never given.
    HangAnswer,
    /// It is answered with what was answered in the past (see [`super::Proxy::remember`]), if it was asked then.
    Past,
    /// A watch breaks after this time.
    Cut(Duration),
    /// A watch stays open and brings nothing. When the rule is lifted, it brings what it held back.
    Freeze,
    /// A watch leaves out the events of this type: `DELETED`.
    Lose(&'static str),
    /// A watch starts at this revision, whatever was asked for.
    From(String),
}

type Applies = dyn Fn(&Asked) -> bool + Send + Sync;

struct Entry {
    fault: Fault,
    applies: Box<Applies>,
    hits: AtomicUsize,
}

/// A rule in force; dropping it lifts it.
pub struct Rule {
    entry: Arc<Entry>,
}

impl Rule {
    /// How often it did something: to requests, or to events of a watch.
    pub fn hits(&self) -> usize {
        self.entry.hits.load(Ordering::Relaxed)
    }
}

/// All rules in force.
#[derive(Default)]
pub(super) struct Rules(Mutex<Vec<Weak<Entry>>>);

impl Rules {
    pub(super) fn add(&self, fault: Fault, applies: impl Fn(&Asked) -> bool + Send + Sync + 'static) -> Rule {
        let entry = Arc::new(Entry { fault, applies: Box::new(applies), hits: AtomicUsize::new(0) });
        let mut rules = self.lock();
        rules.retain(|rule| rule.strong_count() > 0);
        rules.push(Arc::downgrade(&entry));
        Rule { entry }
    }

    /// Whether a fault is in force for a request, without counting it.
    pub(super) fn is_set(&self, asked: &Asked, fault: &Fault) -> bool {
        self.in_force().iter().any(|rule| rule.fault == *fault && (rule.applies)(asked))
    }

    /// The first thing that `pick` finds among the faults of a request; its rule counts a hit.
    pub(super) fn find<T>(&self, asked: &Asked, pick: impl Fn(&Fault) -> Option<T>) -> Option<T> {
        self.in_force().iter().find_map(|rule| {
            let found = pick(&rule.fault).filter(|_| (rule.applies)(asked))?;
            rule.hits.fetch_add(1, Ordering::Relaxed);
            Some(found)
        })
    }

    /// Whether a fault is in force for a request.
    pub(super) fn has(&self, asked: &Asked, fault: &Fault) -> bool {
        self.find(asked, |known| (known == fault).then_some(())).is_some()
    }

    /// Taken out of the lock: what applies is asked without it.
    fn in_force(&self) -> Vec<Arc<Entry>> {
        self.lock().iter().filter_map(Weak::upgrade).collect()
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Weak<Entry>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
