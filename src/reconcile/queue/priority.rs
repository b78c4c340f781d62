//! How urgent a look at a key is, and what was asked for it.

use tokio::time::Instant;

use crate::core::{
    ledger::trigger::Trigger,
    seen::observed::Observed,
    step::{Decision, Phase},
};

/// How urgent it is to look at a key, the most urgent first. Within a namespace the more urgent is taken first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Priority {
    /// A person asked for it, which may be because of a leak, or consumers are refused: a deletion, a requested rotation, a token that died.
    Urgent,
    /// Work that has begun is finished before other work begins: each rotation between has two live tokens.
    Begun,
    /// Something is due to begin, or has changed.
    Due,
    /// A look at what is there, after a start or when a watch has begun anew.
    Resync,
}

impl Priority {
    /// All of them, the most urgent first.
    pub const ALL: [Self; 4] = [Self::Urgent, Self::Begun, Self::Due, Self::Resync];

    /// How urgent the next look is at an object of which this was decided. What waits for a person gains nothing by being first.
    #[must_use]
    pub fn after(observed: &Observed, decision: &Decision) -> Self {
        if decision.phase != Phase::Progressing {
            return Self::Due;
        }
        if observed.resource.as_ref().is_none_or(|resource| resource.deleting) {
            return Self::Urgent;
        }
        let Some(ledger) = observed.record.as_ref().map(|record| &record.ledger) else { return Self::Due };
        let urgent = [Trigger::RotateNow, Trigger::ValueLost];
        // The old token of a rotation that was asked for because of a leak is what has to end.
        let ending = ledger.current.as_ref().filter(|_| ledger.previous.is_some()).map(|current| current.reason);
        match (&ledger.intent, ending) {
            (Some(intent), _) if urgent.contains(&intent.trigger) => Self::Urgent,
            (_, Some(reason)) if urgent.iter().any(|trigger| reason == (*trigger).into()) => Self::Urgent,
            (Some(_), _) | (_, Some(_)) => Self::Begun,
            (None, None) => Self::Due,
        }
    }

    /// Its place in [`Priority::ALL`].
    pub(super) const fn place(self) -> usize {
        self as usize
    }
}

/// What was asked for a key: for each priority the earliest time.
///
/// One time and one priority would not do: of a key that is due in a month and looked at now, the look would count as due, or a change of which
/// one waits a moment for more would be as late as a look after a restart.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Asked([Option<Instant>; 4]);

impl Asked {
    /// Notes a time, and gives back the later one that stood there. `None` if a look that is as urgent was asked for by then.
    pub fn note(&mut self, priority: Priority, at: Instant) -> Option<Option<Instant>> {
        let is_covered = self.0[..=priority.place()].iter().flatten().any(|earlier| *earlier <= at);
        (!is_covered).then(|| self.0[priority.place()].replace(at))
    }

    pub fn iter(self) -> impl Iterator<Item = (Priority, Instant)> {
        Priority::ALL.into_iter().zip(self.0).filter_map(|(priority, at)| Some((priority, at?)))
    }

    pub fn earliest(self) -> Option<Instant> {
        self.0.into_iter().flatten().min()
    }
}
