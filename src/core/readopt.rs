//! The record is lost or older than what it speaks of: rebuild it from the Secret and the provider's list.
//!
//! Minting would be wrong (the token in the Secret works), and so would be revoking what is not known: an older token may
//! be held by pods. The newest of the others becomes the superseded one and goes the whole way of one; the rest is left
//! alone until that way has shown that no pod of today is left.

use std::collections::BTreeMap;

use super::{
    guards::Guard,
    observed::{Observed, Resource, TargetView},
    plan::Plan,
    record::{Current, Ledger},
    ruling::{Ruling, Stop},
    step::{Change, Decision, Step},
    token::{Generation, Handle, Issued, Listed},
    transition,
};
use crate::{api::conditions::Reason, secret_value::TokenSet};

const LOST_OR_OLDER: &str =
    "the record was lost or older than the Secret; rebuilt from the Secret and the provider's list";

const OLDER_THAN_LIST: &str = "the record is older than the tokens that the provider lists, as after a restore from a backup; \
                               rebuilt from the Secret and the provider's list";

const WENT_BACK: &str = "the record went back to an earlier rotation: the data of this cluster was restored from a backup. A \
                         token that was revoked since is valid again, so it is replaced now";

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
    Ok(Some(rebuild(observed, resource, plan, listed, base, (Reason::Readopted, LOST_OR_OLDER))))
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
    Ok(Some(rebuild(observed, resource, plan, listed, base, (Reason::Restored, WENT_BACK))))
}

/// The provider lists a token of an attempt to which the record has not come: somebody put an older record and an older Secret
/// in place, and nobody put the provider back. What pods hold is in that list and in no record.
///
/// A replica that is ahead of this look makes the same picture; then the record has changed, and writing it fails.
pub(super) fn ahead(observed: &Observed, ledger: &Ledger, listed: &[Listed]) -> Option<Decision> {
    let is_ahead = listed.iter().any(|token| token.generation.attempt > ledger.counter);
    let guarded = observed.guarded(Guard::StaleRecord) && observed.guarded(Guard::SweepKnownAttempts);
    if is_ahead && guarded { behind(observed, ledger, listed) } else { None }
}

/// A record that is behind what the provider lists is rebuilt.
pub(super) fn behind(observed: &Observed, ledger: &Ledger, listed: &[Listed]) -> Option<Decision> {
    let resource = observed.resource.as_ref()?;
    let plan = resource.plan.as_ref().ok()?;
    let base = from(observed, resource, ledger);
    Some(rebuild(observed, resource, plan, listed, base, (Reason::Readopted, OLDER_THAN_LIST)))
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
        frozen: ledger.frozen,
        ..transition::empty(&observed.owner, resource)
    }
}

fn is_serving_request(ledger: &Ledger) -> bool {
    ledger.intent.as_ref().is_some_and(|intent| intent.reason == Reason::RotateNow)
}

/// A record that is older than the target, as after a restore from a backup, must neither overwrite the target nor sweep
/// what it does not know. The target alone proves nothing, since anybody may annotate it; the provider's list does.
pub fn stale_record(observed: &Observed) -> Ruling {
    let (Some(resource), Some(record), Some(carried)) =
        (&observed.resource, &observed.record, observed.target_generation())
    else {
        return Ok(None);
    };
    let ledger = &record.ledger;
    let known = ledger.tokens().any(|token| token.generation == carried);
    if known || !observed.guarded(Guard::StaleRecord) {
        return Ok(None);
    }
    let (plan, listed) = plan_and_list(observed, resource)?;
    Ok(ahead(observed, ledger, listed).or_else(|| {
        // The target carries a live token that the record does not know: it was published later than the record was written.
        let unknown = listed.iter().any(|token| token.generation == carried);
        let base = || from(observed, resource, ledger);
        unknown.then(|| rebuild(observed, resource, plan, listed, base(), (Reason::Readopted, LOST_OR_OLDER)))
    }))
}

/// A record from what the target carries and the provider lists.
fn rebuild(
    observed: &Observed,
    resource: &Resource,
    plan: &Plan,
    listed: &[Listed],
    base: Ledger,
    (reason, message): (Reason, &str),
) -> Decision {
    let carried = observed.target_generation();
    let seen = || listed.iter().map(|token| token.generation).chain(carried);
    let mut ledger = base.clone();
    // Never back, whatever the record says: names of tokens and the order of what is published hang on it.
    ledger.counter =
        seen().map(|generation| generation.attempt).fold(base.counter.max(observed.memory.highest), i64::max);
    ledger.sequence = seen().map(|generation| generation.sequence).fold(base.sequence, i64::max);
    ledger.unknown_until = ledger.counter;
    let published = carried.and_then(|generation| listed.iter().find(|token| token.generation == generation));
    let values = observed.ours().and_then(|view| values(resource, view));
    let (Some(published), Some(values)) = (published, values) else {
        return unknown_value(ledger, plan, observed, listed, reason);
    };
    let token = Issued { fingerprint: values.fingerprint(), ..issued(published, plan, observed) };
    let others = listed.iter().filter(|token| token.generation != published.generation);
    let previous = others.max_by_key(|token| token.generation.attempt);
    if previous.is_none() {
        ledger.unknown_until = 0;
    }
    ledger.previous = previous.map(|token| transition::supersede(issued(token, plan, observed), None));
    // What the record knows of the token is still so: a token that was only named like one of ours must not put off its rotation.
    let is_same =
        |known: &Current| known.token.generation == token.generation && known.token.fingerprint == token.fingerprint;
    let known = base.current.filter(|known| reason != Reason::Restored && is_same(known));
    let uninspected = reason == Reason::Readopted;
    let found = |token| Current { uninspected, ..current(token, reason, observed) };
    ledger.current = Some(known.unwrap_or_else(|| found(token)));
    Decision::act(Step::Readopt { ledger: Box::new(ledger), values: Some(values) }, reason, message)
}

/// The token set that a target holds, if it has a value at all.
fn values(resource: &Resource, view: &TargetView) -> Option<TokenSet> {
    let fields: BTreeMap<_, _> = resource
        .target
        .data
        .iter()
        .filter_map(|(key, field)| Some((field.clone(), view.data.get(key)?.clone())))
        .collect();
    (!fields.is_empty()).then(|| TokenSet::new(fields))
}

/// No token that is listed is known by its value: a rotation replaces them, numbered after everything seen.
///
/// The newest token that is listed may be held by pods; it stands in as the current one, so that it is superseded and goes
/// the whole way. Where none is listed, what the Secret holds does: its pods are counted and restarted all the same.
fn unknown_value(mut ledger: Ledger, plan: &Plan, observed: &Observed, listed: &[Listed], cause: Reason) -> Decision {
    let (reason, message) = match cause {
        Reason::Restored => (Reason::Restored, WENT_BACK),
        _ => (
            Reason::ValueLost,
            "the record was lost and the Secret holds no token that the provider lists; it will be replaced",
        ),
    };
    let newest = listed.iter().max_by_key(|token| token.generation.attempt);
    let newest = newest.map(|token| issued(token, plan, observed));
    let stand_in = newest.or_else(|| ledger.current.take().map(|current| current.token));
    let stand_in = stand_in.or_else(|| in_the_secret(observed, plan).filter(|_| observed.guarded(Guard::LostHolders)));
    ledger.current = stand_in.map(|token| current(token, reason, observed));
    Decision::act(Step::Readopt { ledger: Box::new(ledger), values: None }, reason, message)
}

/// The token of a Secret of ours that no list names: whatever it is, pods may hold it, so it is superseded like any other.
fn in_the_secret(observed: &Observed, plan: &Plan) -> Option<Issued> {
    observed.ours().filter(|view| view.data.values().any(|value| !value.expose().is_empty()))?;
    Some(Issued {
        generation: observed.target_generation().unwrap_or(Generation { sequence: 0, attempt: 0 }),
        id: format!("the token that Secret {} held when its record was lost", plan_target(observed)),
        handle: Handle::Unknown {},
        fingerprint: String::new(),
        issued_at: observed.now,
        expires_at: None,
        source: plan.source.clone(),
        surplus: Vec::new(),
        flawed: false,
        unshown: Vec::new(),
    })
}

fn plan_target(observed: &Observed) -> String {
    let name = observed.resource.as_ref().map_or("", |resource| resource.target.name.as_str());
    format!("{}/{name}", observed.owner.namespace)
}

fn current(token: Issued, reason: Reason, observed: &Observed) -> Current {
    Current { token, reason, promoted_at: observed.now, revived: reason == Reason::Restored, uninspected: false }
}

/// What can be said of a token that is known from a list only.
pub(super) fn issued(listed: &Listed, plan: &Plan, observed: &Observed) -> Issued {
    Issued {
        generation: listed.generation,
        id: listed.id.clone(),
        handle: listed.handle.clone(),
        fingerprint: String::new(),
        issued_at: listed.created_at.unwrap_or(observed.now),
        expires_at: None,
        source: plan.source.clone(),
        flawed: false,
        unshown: Vec::new(),
        surplus: Vec::new(),
    }
}

/// The value of the current token is missing in the record, and the target still carries it: it is put back.
pub fn lost_value(observed: &Observed) -> Ruling {
    let (Some(resource), Some(record), Some(view)) = (&observed.resource, &observed.record, observed.ours()) else {
        return Ok(None);
    };
    let known = record.ledger.current.iter().map(|current| &current.token).chain(&record.ledger.pending);
    let missing =
        |token: &&Issued| !record.values.contains_key(&token.generation) && view.generation == Some(token.generation);
    let mut lost = known.filter(missing);
    Ok(lost.find_map(|token| {
        let values = values(resource, view).filter(|values| values.fingerprint() == token.fingerprint)?;
        let message = "the value of the token was missing in the record; put back from the Secret";
        let step = Step::RestoreValue { generation: token.generation, values };
        Some(Decision::act(step, Reason::Readopted, message))
    }))
}

/// What is not known of a re-adopted token is asked for: when it expires, and whether it works at all.
pub fn inspect(observed: &Observed) -> Ruling {
    let Some(record) = &observed.record else { return Ok(None) };
    let Some(current) = record.ledger.current.as_ref().filter(|current| current.uninspected) else {
        return Ok(None);
    };
    let generation: Generation = current.token.generation;
    Ok(match observed.try_verification(generation)? {
        Ok(super::token::Verification::Works { expires_at, .. }) => {
            let next = transition::note_expiry(&record.ledger, *expires_at);
            let step = Step::Save { ledger: Box::new(next), change: Change::Noted };
            Some(Decision::act(step, Reason::Readopted, "noted when the re-adopted token expires"))
        }
        // Whether it is dead is asked at rest; a provider that does not answer is asked again then.
        Ok(_) | Err(_) => None,
    })
}
