//! Labels and annotations of the target that somebody else writes. They say nothing about the token, so they hold up no rotation:
//! they are put back when nothing else is to be done, ever more seldom where somebody takes them away each time.

use std::{collections::BTreeMap, time::Duration};

use crate::{
    api::conditions::Reason,
    core::{
        ruling::Ruling,
        schedule,
        seen::{observed::Observed, repairs::CONTESTED, views::Drift},
        step::{Decision, Step},
    },
};

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
    let serial = record.ledger.current.as_ref().map(|current| current.token.serial);
    let drift = serial.and_then(|serial| view.drift(&resource.target, serial, record.values.get(&serial)?));
    drift == Some(Drift::Metadata)
}

/// Puts labels and annotations back.
pub fn repair_metadata(observed: &Observed) -> Ruling {
    if !is_of_metadata(observed) || left(observed).is_some() {
        return Ok(None);
    }
    let record = observed.record.as_ref();
    let Some(current) = record.and_then(|record| record.ledger.current.as_ref()) else { return Ok(None) };
    let serial = current.token.serial;
    let message = format!("{} changed by another client; restored from spec.secret", describe(observed));
    Ok(Some(Decision::act(Step::Publish { serial, repair: true }, Reason::DriftRepaired, message)))
}

/// How long until the next repair.
fn left(observed: &Observed) -> Option<Duration> {
    observed.memory.repairs.left(observed.uptime, observed.resource.as_ref()?)
}

/// Somebody undoes the repairs: who, and when the next one is made.
#[must_use]
pub fn contested(observed: &Observed) -> Option<Contested> {
    let repairs = observed.memory.repairs;
    let left = left(observed).filter(|_| is_of_metadata(observed))?;
    let reported = describe(observed);
    let message = if repairs.times < CONTESTED {
        format!("{reported} changed by another client; the operator will restore them")
    } else {
        let next = schedule::minute_after(observed.now, left);
        format!(
            "{reported} changed again after {} repairs, the next of which is made at about {next}; ask for nothing there in spec.secret that \
             another tool or an admission policy decides",
            repairs.times
        )
    };
    Some(Contested { message, is_lasting: repairs.times >= CONTESTED, left })
}

/// Which labels and annotations differ, and who wrote them.
fn describe(observed: &Observed) -> String {
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
