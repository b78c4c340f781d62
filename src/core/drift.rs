//! Labels and annotations of the target that somebody else writes. They say nothing about the token, so they hold up no rotation:
//! they are put back when nothing else is to be done, ever more seldom where somebody takes them away each time.

use std::{
    collections::BTreeMap,
    hash::{DefaultHasher, Hash, Hasher},
    time::Duration,
};

use super::{
    observed::{Drift, Observed, Resource},
    ruling::Ruling,
    schedule,
    step::{Decision, Step},
};
use crate::api::conditions::Reason;

/// Longest time between two repairs that somebody undoes.
pub(super) const MOST_BETWEEN: Duration = Duration::from_secs(3600);

/// After so many repairs in a row somebody is believed to undo them; until then they are made soon.
const CONTESTED: u32 = 3;

/// Repairs of labels and annotations, by the monotonic clock of this process.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Repairs {
    pub times: u32,
    pub last: Duration,
    /// What was asked for: another wish is fulfilled at once.
    pub wanted: u64,
}

impl Repairs {
    /// How long until the next one.
    fn left(self, observed: &Observed) -> Option<Duration> {
        if self.times == 0 || observed.resource.as_ref().map(wanted) != Some(self.wanted) {
            return None;
        }
        let pause = match self.times.checked_sub(CONTESTED) {
            None => Duration::from_secs(5),
            Some(more) => Duration::from_secs(30).saturating_mul(1 << more.min(8)).min(MOST_BETWEEN),
        };
        pause.checked_sub(observed.uptime.saturating_sub(self.last)).filter(|left| !left.is_zero())
    }

    /// With one more.
    pub(super) fn with(self, uptime: Duration, resource: &Resource) -> Self {
        let wanted = wanted(resource);
        let times = if self.wanted == wanted { self.times.saturating_add(1) } else { 1 };
        Self { times, last: uptime, wanted }
    }
}

/// A digest of the labels and annotations that are asked for.
fn wanted(resource: &Resource) -> u64 {
    let mut hasher = DefaultHasher::new();
    (&resource.target.labels, &resource.target.annotations).hash(&mut hasher);
    hasher.finish()
}

/// Somebody else has the last word about labels or annotations.
pub struct Contested {
    pub message: String,
    /// It was so several times.
    pub is_lasting: bool,
    /// How long until the next repair.
    pub left: Duration,
}

/// Whether only labels or annotations are not what the object says.
#[must_use]
pub fn is_of_metadata(observed: &Observed) -> bool {
    let (Some(resource), Some(record), Some(view)) = (&observed.resource, &observed.record, observed.ours()) else {
        return false;
    };
    let generation = record.ledger.current.as_ref().map(|current| current.token.generation);
    let drift =
        generation.and_then(|generation| view.drift(&resource.target, generation, record.values.get(&generation)?));
    drift == Some(Drift::Metadata)
}

/// Puts labels and annotations back.
pub fn repair_metadata(observed: &Observed) -> Ruling {
    if !is_of_metadata(observed) || observed.memory.repairs.left(observed).is_some() {
        return Ok(None);
    }
    let record = observed.record.as_ref();
    let Some(current) = record.and_then(|record| record.ledger.current.as_ref()) else { return Ok(None) };
    let generation = current.token.generation;
    let message = format!("{} changed by somebody else; restored from spec.secret", told(observed));
    Ok(Some(Decision::act(Step::Publish { generation, repair: true }, Reason::DriftRepaired, message)))
}

/// Somebody undoes the repairs: who, and when the next one is made.
#[must_use]
pub fn contested(observed: &Observed) -> Option<Contested> {
    let repairs = observed.memory.repairs;
    let left = repairs.left(observed).filter(|_| is_of_metadata(observed))?;
    let told = told(observed);
    let message = if repairs.times < CONTESTED {
        format!("{told} changed by somebody else, and will be restored")
    } else {
        let next = schedule::minute_after(observed.now, left);
        format!(
            "{told} changed again after {} repairs, the next of which is made at about {next}; ask for nothing there in spec.secret that \
             another tool or an admission policy decides",
            repairs.times
        )
    };
    Some(Contested { message, is_lasting: repairs.times >= CONTESTED, left })
}

/// Which labels and annotations differ, and who wrote them.
fn told(observed: &Observed) -> String {
    let (Some(resource), Some(view)) = (&observed.resource, observed.ours()) else { return String::new() };
    let of = |kind: &'static str, wanted: &BTreeMap<String, String>, actual: &BTreeMap<String, String>| {
        let wrong = wanted.iter().filter(|(key, value)| actual.get(*key) != Some(value));
        let named = wrong.map(|(key, _)| match view.managers.get(&format!("{kind}s/{key}")) {
            Some(manager) => format!("{kind} {key} (field manager {manager})"),
            None => format!("{kind} {key}"),
        });
        named.collect::<Vec<_>>()
    };
    let mut all = of("label", &resource.target.labels, &view.labels);
    all.extend(of("annotation", &resource.target.annotations, &view.annotations));
    let more = all.len().saturating_sub(5);
    all.truncate(5);
    let more = if more > 0 { format!(" and {more} more") } else { String::new() };
    format!("Secret {}: {}{more}", resource.target.name, all.join(", "))
}
