//! The record is lost or older than what it speaks of: rebuild it from the Secret and the provider's list.
//!
//! Minting would be wrong (the token in the Secret works), and so would be revoking what is not known: an older token may
//! be held by pods. The newest of the others becomes the superseded one and goes the whole way of one; the rest is left
//! alone until that way has shown that no pod of today is left.

use crate::{
    api::conditions::Reason,
    core::{
        guards::Guard,
        ledger::{record::Ledger, trigger::Trigger},
        plan::Plan,
        rules::rebuild::{Cause, rebuild, values},
        ruling::{Ruling, Stop},
        seen::{observed::Observed, views::Resource},
        step::{Change, Decision, Step},
        token::{Issued, Listed, Serial, Verification},
        transition,
    },
};

/// What the object asks for, and what its provider lists.
fn plan_and_list<'a>(observed: &'a Observed, resource: &'a Resource) -> Result<(&'a Plan, &'a [Listed]), Stop> {
    let plan = resource.planned()?;
    Ok((plan, observed.listing(&plan.source)?))
}

/// Rebuilds a lost record. Without a target of ours it is also lost if the provider still lists tokens.
pub fn lost_record(observed: &Observed) -> Ruling {
    let (Some(resource), None) = (&observed.resource, &observed.record) else { return Ok(None) };
    let (plan, listed) = plan_and_list(observed, resource)?;
    let nothing = listed.is_empty() && observed.ours().is_none();
    if nothing || !observed.guarded(Guard::LostRecord) {
        return Ok(None);
    }
    // Whether the last request was served nobody knows any more.
    let rotate_now_seen = resource.rotate_now.clone();
    let base = Ledger { rotate_now_seen, ..transition::empty(&observed.owner, resource) };
    Ok(Some(rebuild(observed, resource, plan, listed, base, Cause::LostOrOlder)))
}

/// A record that says less than this process has seen in it: everything went back together, Secret of the workloads and, with
/// a provider of the cluster itself, tokens too. Nothing contradicts, but what is published now was superseded once, and
/// may be known to somebody for that reason. It stays until its successor has taken its place, as with any rotation.
pub fn went_back(observed: &Observed) -> Ruling {
    let (Some(resource), Some(record)) = (&observed.resource, &observed.record) else { return Ok(None) };
    if observed.memory.highest <= record.ledger.counter || !observed.guarded(Guard::StaleRecord) {
        return Ok(None);
    }
    let (plan, listed) = plan_and_list(observed, resource)?;
    let base = from(observed, resource, &record.ledger);
    Ok(Some(rebuild(observed, resource, plan, listed, base, Cause::WentBack)))
}

/// The provider lists a token of an attempt to which the record has not come: somebody put an older record and an older Secret
/// in place, and nobody put the provider back. What pods hold is in that list and in no record.
///
/// A replica that is ahead of this reconcile makes the same picture; then the record has changed, and writing it fails.
pub(in crate::core) fn ahead(observed: &Observed, ledger: &Ledger, listed: &[Listed]) -> Option<Decision> {
    let is_ahead = listed.iter().any(|token| token.serial.attempt > ledger.counter);
    let guarded = observed.guarded(Guard::StaleRecord) && observed.guarded(Guard::SweepKnownAttempts);
    if is_ahead && guarded { behind(observed, ledger, listed) } else { None }
}

/// A record that is behind what the provider lists is rebuilt.
pub(in crate::core) fn behind(observed: &Observed, ledger: &Ledger, listed: &[Listed]) -> Option<Decision> {
    let resource = observed.resource.as_ref()?;
    let plan = resource.plan.as_ref().ok()?;
    let base = from(observed, resource, ledger);
    Some(rebuild(observed, resource, plan, listed, base, Cause::OlderThanList))
}

/// What is kept of a record that is no longer believed. Its current token stands in where nothing else is known, so that its
/// consumers are restarted.
fn from(observed: &Observed, resource: &Resource, ledger: &Ledger) -> Ledger {
    Ledger {
        install: ledger.install.clone(),
        history: ledger.history.clone(),
        counter: ledger.counter,
        sequence: ledger.sequence,
        current: ledger.current.clone(),
        // A request that this record has not served is not lost with it, and one whose rotation has only begun was not served.
        rotate_now_seen: ledger.rotate_now_seen.clone().filter(|_| !is_serving_request(ledger)),
        was_immutable: ledger.was_immutable,
        ..transition::empty(&observed.owner, resource)
    }
}

fn is_serving_request(ledger: &Ledger) -> bool {
    ledger.intent.as_ref().is_some_and(|intent| intent.trigger == Trigger::RotateNow)
}

/// A record that is older than the target, as after a restore from a backup, must neither overwrite the target nor sweep
/// what it does not know. The target alone proves nothing, since anybody may annotate it; the provider's list does.
pub fn stale_record(observed: &Observed) -> Ruling {
    let (Some(resource), Some(record), Some(carried)) =
        (&observed.resource, &observed.record, observed.target_serial())
    else {
        return Ok(None);
    };
    let ledger = &record.ledger;
    let known = ledger.tokens().any(|token| token.serial == carried);
    if known || !observed.guarded(Guard::StaleRecord) {
        return Ok(None);
    }
    let (plan, listed) = plan_and_list(observed, resource)?;
    Ok(ahead(observed, ledger, listed).or_else(|| {
        // The target carries a live token that the record does not know: it was published later than the record was written.
        let unknown = listed.iter().any(|token| token.serial == carried);
        let base = || from(observed, resource, ledger);
        unknown.then(|| rebuild(observed, resource, plan, listed, base(), Cause::LostOrOlder))
    }))
}

/// The value of the current token is missing in the record, and the target still carries it: it is put back.
pub fn lost_value(observed: &Observed) -> Ruling {
    let (Some(resource), Some(record), Some(view)) = (&observed.resource, &observed.record, observed.ours()) else {
        return Ok(None);
    };
    let known = record.ledger.current.iter().map(|current| &current.token).chain(&record.ledger.pending);
    let missing = |token: &&Issued| !record.values.contains_key(&token.serial) && view.serial == Some(token.serial);
    let mut lost = known.filter(missing);
    Ok(lost.find_map(|token| {
        let values = values(resource, view).filter(|values| values.fingerprint() == token.fingerprint)?;
        let message = "the value of the token was missing in the record; the operator restored it from the Secret";
        let step = Step::RestoreValue { serial: token.serial, values };
        Some(Decision::act(step, Reason::Readopted, message))
    }))
}

/// What is not known of a re-adopted token is asked for: when it expires, and whether it works at all.
pub fn inspect(observed: &Observed) -> Ruling {
    let Some(record) = &observed.record else { return Ok(None) };
    let Some(current) = record.ledger.current.as_ref().filter(|current| current.uninspected) else {
        return Ok(None);
    };
    let serial: Serial = current.token.serial;
    Ok(match observed.try_verification(serial)? {
        Ok(Verification::Works { expires_at, .. }) => {
            let next = transition::note_expiry(&record.ledger, *expires_at);
            let step = Step::Save { ledger: Box::new(next), change: Change::Noted };
            Some(Decision::act(step, Reason::Readopted, "recorded when the re-adopted token expires"))
        }
        // Whether it is dead is asked at rest; a provider that does not answer is asked again then.
        Ok(_) | Err(_) => None,
    })
}
