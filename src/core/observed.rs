//! What one pass has seen: the only input of a decision.
//!
//! The base (resource, target, record, in this order) is read in every pass. What only some decisions need is asked for:
//! a rule that lacks an answer returns the [`Question`], the pass looks it up, live, and decides again.

use std::{collections::BTreeMap, time::Duration};

use jiff::Timestamp;

use super::{
    census::Census,
    consumers::Consumers,
    countable,
    guards::{Guard, Guards},
    memory::Memory,
    plan::{Plan, TargetPlan, Trouble},
    record::{Ledger, Values},
    token::{Generation, Listed, Liveness, Owner, Source, Verification},
};
use crate::{
    api::{DeletionPolicy, RolloutSpec, conditions::Reason},
    secret_value::{SecretValue, TokenSet, digest},
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

/// The `RotatedToken`.
#[derive(Clone, Debug, PartialEq)]
pub struct Resource {
    pub deleting: bool,
    /// It carries our finalizer, and says that it is of this installation or of none.
    pub finalizer: bool,
    /// The other installation that it, or its Secret, says it belongs to, unless somebody asked to take it over.
    pub elsewhere: Option<String>,
    /// The installation by whose id its tokens are named when there is no record yet.
    pub named_by: Option<String>,
    pub suspend: bool,
    pub rotate_now: Option<String>,
    pub deletion_policy: DeletionPolicy,
    pub grace: Duration,
    pub rollout: RolloutSpec,
    /// Its status shows that a token was issued for it once.
    pub was_issued: bool,
    /// The provider object is another one than it was when the rotation under way began.
    pub is_recipe_changed: bool,
    pub target: TargetPlan,
    pub plan: Result<Plan, Trouble>,
}

/// The Secret that workloads read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Target {
    Absent,
    /// It belongs to somebody else.
    Foreign(Foreign),
    /// Its owner handed it to us by annotation; nothing of it is ours yet.
    Adoptable,
    Ours(TargetView),
}

/// Whose a target is that is not ours.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Foreign {
    /// tokenturn did not make it.
    Unmanaged,
    /// It belongs to a RotatedToken of this name.
    Token(String),
    /// It belonged to a RotatedToken of this name that no longer exists, or to one of another installation.
    Leftover,
}

/// A target of ours.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TargetView {
    /// UID of the Secret: one that was deleted and made anew is another one.
    pub uid: String,
    /// What it says it carries; `None` if the annotation was tampered with.
    pub generation: Option<Generation>,
    /// Attempt that was refused and that no write based on an older read may publish any more.
    pub fence: Option<i64>,
    pub orphaned: bool,
    /// Somebody made it immutable: kubelets do not look at it again.
    pub immutable: bool,
    pub type_: String,
    pub data: BTreeMap<String, SecretValue>,
    pub labels: BTreeMap<String, String>,
    pub annotations: BTreeMap<String, String>,
    /// Who wrote which label and annotation: `labels/team`.
    pub managers: BTreeMap<String, String>,
}

/// The record as read.
#[derive(Clone, Debug)]
pub struct Record {
    pub ledger: Ledger,
    pub values: Values,
    /// Somebody deleted it; our finalizer holds it.
    pub deleting: bool,
}

/// Something that only some decisions need, looked up live.
#[derive(Clone, Debug, PartialEq)]
pub enum Question {
    /// The tokens of this owner at a provider.
    Listing(Box<Source>),
    /// Could a new token be minted and published now?
    Preflight,
    /// Does this token work, and what may it do?
    Verify(Generation),
    /// Does the provider still accept this token?
    Liveness(Generation),
    /// When was this token used last?
    LastUse(Generation),
    /// The pods, nodes and workloads.
    Consumers,
    /// Is the namespace of the object being deleted?
    NamespaceEnds,
}

/// A look that failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    pub reason: Reason,
    pub message: String,
    /// A person has to act; until then trying often is no use.
    pub needs_person: bool,
    /// The provider said when to come back.
    pub retry_after: Option<Duration>,
}

/// How long a provider takes for things.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Delays {
    pub activation: Duration,
    pub propagation: Duration,
}

/// The answers so far.
#[derive(Clone, Debug, Default)]
pub struct Answers {
    pub listing: Option<Result<Vec<Listed>, Fault>>,
    /// Names that were listed and are not believed to be ours.
    pub refused_names: Vec<String>,
    pub preflight: Option<Result<Option<Census>, Fault>>,
    pub verification: BTreeMap<Generation, Result<Verification, Fault>>,
    pub liveness: BTreeMap<Generation, Result<Liveness, Fault>>,
    pub last_use: BTreeMap<Generation, Result<Option<Timestamp>, Fault>>,
    pub consumers: Option<Result<Consumers, Fault>>,
    /// What the recipe of the token that was verified could not show.
    pub unshown: Vec<String>,
    pub namespace_ends: Option<Result<bool, Fault>>,
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
    pub fn try_verification(&self, generation: Generation) -> Result<Result<&Verification, &Fault>, Question> {
        let answer = self.answers.verification.get(&generation).ok_or(Question::Verify(generation))?;
        Ok(answer.as_ref())
    }

    /// Whether the provider still accepts a token, or the question.
    pub fn try_liveness(&self, generation: Generation) -> Result<Result<Liveness, &Fault>, Question> {
        let answer = self.answers.liveness.get(&generation).ok_or(Question::Liveness(generation))?;
        Ok(answer.as_ref().copied())
    }

    /// When a token was used last, if the provider knows of it, or the question.
    pub fn try_last_use(&self, generation: Generation) -> Result<Result<Option<Timestamp>, &Fault>, Question> {
        let answer = self.answers.last_use.get(&generation).ok_or(Question::LastUse(generation))?;
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
    pub fn target_generation(&self) -> Option<Generation> {
        let carried = self.ours().and_then(|view| view.generation);
        carried.filter(|carried| countable::is_countable(self.counted(), *carried))
    }

    /// The values of a token, from the record.
    #[must_use]
    pub fn values(&self, generation: Generation) -> Option<&TokenSet> {
        self.record.as_ref().and_then(|record| record.values.get(&generation))
    }
}

/// How a target of ours differs from what it should be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Drift {
    /// Another value, or it says that it carries another token: a pod that starts now may get an old one.
    Values,
    /// A key is missing: a pod that starts now gets nothing wrong.
    Missing,
    /// Only labels or annotations differ.
    Metadata,
}

impl TargetView {
    /// A digest of what it holds.
    #[must_use]
    pub fn digest(&self) -> String {
        digest(self.data.iter().map(|(key, value)| (key.as_str(), value)))
    }

    /// Whether it carries exactly the values of a token under its generation, with the planned labels and annotations.
    #[must_use]
    pub fn drift(&self, plan: &TargetPlan, generation: Generation, values: &TokenSet) -> Option<Drift> {
        let planned = || plan.data.iter().filter_map(|(key, field)| Some((self.data.get(key), values.get(field)?)));
        if self.generation != Some(generation) || planned().any(|(held, value)| held.is_some_and(|held| held != value))
        {
            return Some(Drift::Values);
        }
        if planned().any(|(held, _)| held.is_none()) {
            return Some(Drift::Missing);
        }
        let has = |wanted: &BTreeMap<String, String>, actual: &BTreeMap<String, String>| {
            wanted.iter().all(|(key, value)| actual.get(key) == Some(value))
        };
        let metadata = has(&plan.labels, &self.labels) && has(&plan.annotations, &self.annotations);
        (!metadata).then_some(Drift::Metadata)
    }
}
