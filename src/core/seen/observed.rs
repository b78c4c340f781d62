//! What one pass has seen: the only input of a decision.
//!
//! The base (resource, target, record, in this order) is read in every pass. What only some decisions need is asked for:
//! a rule that lacks an answer returns the [`Question`], the pass looks it up, live, and decides again.

use std::{collections::BTreeSet, time::Duration};

use jiff::Timestamp;

use crate::{
    core::{
        guards::{Guard, Guards},
        pods::consumers::Consumers,
        seen::{
            answers::{Answers, Fault, Question},
            countable,
            memory::Memory,
            views::{Record, Resource, Target, TargetView},
        },
        token::{Census, Listed, Liveness, Owner, Serial, Source, Verification},
    },
    secret_value::TokenSet,
};

/// Everything that a decision may depend on.
#[derive(Clone, Debug)]
pub struct Observed {
    pub owner: Owner,
    /// Wall clock: for due times and what is shown, never for safety.
    pub now: Timestamp,
    /// Monotonic clock of this process: for settle time, grace and contact.
    pub uptime: Duration,
    pub settings: Settings,
    /// The object; `None` when no object with this UID exists.
    pub resource: Option<Resource>,
    pub target: Target,
    pub record: Option<Record>,
    pub memory: Memory,
    /// How long the provider of the newest token takes for things.
    pub delays: Delays,
    pub answers: Answers,
}

/// Times that the operator was started with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Settings {
    /// D: how long after a write of the target a starting pod may still be given the old value.
    pub settle: Duration,
    /// How long a kubelet must have been in contact to believe that it ended a pod which is no longer listed.
    pub contact: Duration,
    /// How long a kubelet pauses at most before it tries again to pull an image.
    pub image_pull_backoff: Duration,
    /// Replicas agree on one that works, so an intent of another process is a left-over. Nothing but speed rests on it.
    pub elected: bool,
    /// Which guards of the protocol hold: all, except where the model takes one away.
    pub guards: Guards,
}

/// How long a provider takes for things.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Delays {
    pub activation: Duration,
    pub propagation: Duration,
}

impl Observed {
    /// The highest attempt that record and memory know of.
    #[must_use]
    pub fn counted(&self) -> i64 {
        self.record.as_ref().map_or(0, |record| record.ledger.counter).max(self.memory.highest)
    }

    /// Notes the answer about the provider's list; the names that cannot be ours are kept apart.
    pub fn note_listing(&mut self, listing: Result<Vec<Listed>, Fault>) {
        let known = self.counted();
        self.answers.listing = Some(listing.map(|listed| {
            let (believed, refused) = countable::part(known, listed);
            self.answers.refused_names = refused;
            believed
        }));
    }

    /// The answer about the provider's list, or the question.
    pub fn try_listing(&self, source: &Source) -> Result<Result<&[Listed], &Fault>, Question> {
        let answer = self.answers.listing.as_ref().ok_or_else(|| Question::Listing(Box::new(source.clone())))?;
        Ok(answer.as_deref())
    }

    /// Whether a token could be minted and published, and what the account has where tokens have no names; or the question.
    pub fn try_preflight(&self) -> Result<Result<Option<&Census>, &Fault>, Question> {
        let answer = self.answers.preflight.as_ref().ok_or(Question::Preflight)?;
        Ok(answer.as_ref().map(Option::as_ref))
    }

    /// Whether a token works, or the question.
    pub fn try_verification(&self, serial: Serial) -> Result<Result<&Verification, &Fault>, Question> {
        let answer = self.answers.verification.get(&serial).ok_or(Question::Verify(serial))?;
        Ok(answer.as_ref())
    }

    /// Whether the provider still accepts a token, or the question.
    pub fn try_liveness(&self, serial: Serial) -> Result<Result<Liveness, &Fault>, Question> {
        let answer = self.answers.liveness.get(&serial).ok_or(Question::Liveness(serial))?;
        Ok(answer.as_ref().copied())
    }

    /// When a token was used last, if the provider knows of it, or the question.
    pub fn try_last_use(&self, serial: Serial) -> Result<Result<Option<Timestamp>, &Fault>, Question> {
        let answer = self.answers.last_use.get(&serial).ok_or(Question::LastUse(serial))?;
        Ok(answer.as_ref().copied())
    }

    /// The pods, nodes and workloads, or the question.
    pub fn try_consumers(&self) -> Result<Result<&Consumers, &Fault>, Question> {
        Ok(self.answers.consumers.as_ref().ok_or(Question::Consumers)?.as_ref())
    }

    /// Whether the namespace is being deleted, or the question.
    pub fn try_namespace_ends(&self) -> Result<Result<bool, &Fault>, Question> {
        Ok(self.answers.namespace_ends.as_ref().ok_or(Question::NamespaceEnds)?.as_ref().copied())
    }

    /// UIDs of the pods whose end the object waits for; `None` if it waits for none. Before they are known there are none to name, but
    /// their namespace has to be watched already, so that no end is missed.
    #[must_use]
    pub fn awaited_pods(&self) -> Option<BTreeSet<String>> {
        let ledger = &self.record.as_ref()?.ledger;
        let deleting = self.resource.as_ref().is_none_or(|resource| resource.deleting);
        let rotating = ledger.intent.is_some() && ledger.current.is_some();
        let waits = ledger.previous.is_some() || rotating || (deleting && ledger.current.is_some());
        waits.then(|| ledger.snapshot_pods().map(|pod| pod.uid.clone()).collect())
    }

    /// Whether a guard of the protocol holds.
    #[must_use]
    pub fn guarded(&self, guard: Guard) -> bool {
        self.settings.guards.hold(guard)
    }

    /// How long the target has been as it is, as far as this process knows.
    #[must_use]
    pub fn settled_for(&self) -> Duration {
        self.uptime.saturating_sub(self.memory.target_since)
    }

    /// What is still missing of the settle time.
    #[must_use]
    pub fn unsettled(&self) -> Option<Duration> {
        let left = self.settings.settle.checked_sub(self.settled_for());
        left.filter(|left| !left.is_zero() && self.guarded(Guard::Settle))
    }

    /// The target, if it is ours.
    #[must_use]
    pub fn ours(&self) -> Option<&TargetView> {
        match &self.target {
            Target::Ours(view) => Some(view),
            Target::Absent | Target::Foreign(_) | Target::Adoptable => None,
        }
    }

    /// What the target carries; `None` also if it says a number that nobody can have counted to.
    #[must_use]
    pub fn target_serial(&self) -> Option<Serial> {
        let carried = self.ours().and_then(|view| view.serial);
        carried.filter(|carried| countable::is_countable(self.counted(), *carried))
    }

    /// The values of a token, from the record.
    #[must_use]
    pub fn values(&self, serial: Serial) -> Option<&TokenSet> {
        self.record.as_ref().and_then(|record| record.values.get(&serial))
    }
}
