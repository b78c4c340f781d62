//! The status that people read: a view of the record and of what the last decision said.

mod conditions;
mod health;
mod interval;
mod kstatus;
mod list;
mod requests;

use jiff::Timestamp;

use self::{
    conditions::conditions,
    list::{Conditions, holds},
};
pub use self::{
    health::{is_missing, learned, provider_exists, provider_health},
    interval::long_grace,
};
use crate::{
    api::{
        Blocker, HistoryEntry, PickupStatus, RotatedTokenStatus, TokenStatus,
        conditions::{KEPT, PICKED_UP, READY, RECONCILING, Reason, STALLED},
        text,
    },
    core::{
        ledger::record::{Finished, Snapshot, Superseded},
        schedule,
        seen::observed::Observed,
        step::{Decision, Step},
        token::Issued,
    },
};

/// Most blockers that a status names.
const MAX_BLOCKERS: usize = 10;

/// Most permissions that a status names: as many as a spec may have.
const MAX_PERMISSIONS: usize = 64;

/// The status after a decision, by the installation `install`. `shown` is the status as it stands: times of conditions
/// that do not change and what this reconcile did not observe are kept from it, and nothing else is read from it.
#[must_use]
pub fn status(
    observed: &Observed,
    decision: &Decision,
    generation: Option<i64>,
    install: &str,
    shown: &RotatedTokenStatus,
) -> RotatedTokenStatus {
    let ledger = observed.record.as_ref().map(|record| &record.ledger);
    let plan = observed.resource.as_ref().and_then(|resource| resource.plan.as_ref().ok());
    let current = ledger.and_then(|ledger| ledger.current.as_ref()).filter(|current| !current.token.is_unknown());
    let previous = ledger.and_then(|ledger| ledger.previous.as_ref());
    let next = current.zip(plan).map(|(current, plan)| schedule::next(plan, current).0);
    RotatedTokenStatus {
        conditions: conditions(observed, decision, ledger, generation, shown),
        observed_generation: generation,
        install: Some(shown_text(requests::served_by(observed, install))),
        last_handled_rotate_now: requests::last_handled(observed, decision, shown),
        sequence: current.map(|current| current.token.serial.sequence),
        current: current.map(|current| token(&current.token)),
        previous: previous.map(|previous| token(&previous.token)),
        pickup: pickup(decision, previous, shown),
        next_rotation: next.map(list::seconds),
        history: ledger.map(|ledger| ledger.history.iter().map(history).collect()).unwrap_or_default(),
    }
}

/// The status when nothing could be seen: what was known stays, the conditions say that it may be true no more.
#[must_use]
pub fn unseen(
    shown: &RotatedTokenStatus,
    generation: Option<i64>,
    reason: Reason,
    message: &str,
    now: Timestamp,
) -> RotatedTokenStatus {
    let mut list = Conditions::new(now, generation, &shown.conditions);
    kstatus::unseen(&mut list, reason, message);
    KEPT.iter().for_each(|kept| list.keep(kept));
    RotatedTokenStatus { conditions: list.list, observed_generation: generation, ..shown.clone() }
}

/// What makes two statuses the same for a reader who is in no hurry: everything but counts, sentences, and how far a
/// rotation that is on its way has come. Changes of the rest are written without delay, these at a pace.
///
/// The grace period can be long, so that it has begun is always reported.
#[must_use]
pub fn signature(status: &RotatedTokenStatus) -> RotatedTokenStatus {
    let mut reduced = status.clone();
    reduced.pickup = None;
    let on_its_way = is_on_its_way(status);
    if on_its_way {
        reduced.conditions.retain(|condition| condition.type_ != PICKED_UP);
    }
    for condition in &mut reduced.conditions {
        condition.message.clear();
        condition.last_transition_time = list::seconds(Timestamp::UNIX_EPOCH);
        if on_its_way {
            condition.reason.clear();
        }
    }
    reduced
}

/// Whether a rotation is between its intent and the end of the old token, and nothing of it lasts long.
fn is_on_its_way(status: &RotatedTokenStatus) -> bool {
    let in_grace = status.conditions.iter().any(|one| one.type_ == READY && one.reason == Reason::InGrace.as_str());
    let waits = status.previous.is_some() && !in_grace && !holds(&status.conditions, STALLED);
    holds(&status.conditions, RECONCILING) || waits
}

/// Whether two statuses say the same, times of conditions aside.
#[must_use]
pub fn says_the_same(one: &RotatedTokenStatus, other: &RotatedTokenStatus) -> bool {
    let timeless = |status: &RotatedTokenStatus| {
        let mut status = status.clone();
        for condition in &mut status.conditions {
            condition.last_transition_time = list::seconds(Timestamp::UNIX_EPOCH);
        }
        status
    };
    timeless(one) == timeless(other)
}

fn pickup(decision: &Decision, previous: Option<&Superseded>, shown: &RotatedTokenStatus) -> Option<PickupStatus> {
    let Some(pickup) = &decision.pickup else {
        return previous.and(shown.pickup.clone());
    };
    let snapshot = previous.and_then(|previous| previous.snapshot.as_ref()).map(Snapshot::len);
    let total = i64::try_from(snapshot.unwrap_or(0)).unwrap_or(i64::MAX).max(pickup.remaining);
    Some(PickupStatus {
        total,
        remaining: pickup.remaining,
        summary: format!("{}/{total}", total - pickup.remaining),
        blockers: pickup.blockers.iter().take(MAX_BLOCKERS).map(shown_blocker).collect(),
    })
}

fn token(issued: &Issued) -> TokenStatus {
    let permissions = issued.source.specification.permissions.iter().take(MAX_PERMISSIONS);
    TokenStatus {
        id: shown_text(&issued.id),
        fingerprint: shown_text(&issued.fingerprint),
        issued_at: list::seconds(issued.issued_at),
        expires_at: issued.expires_at.map(list::seconds),
        permissions: permissions.map(|permission| shown_text(permission)).collect(),
    }
}

/// A text of a record or of another object. Nobody bounds what is written there, and a status that is too large cannot be written at all.
fn shown_text(text: &str) -> String {
    text::line(text, text::SENTENCE)
}

/// A blocker as the status and a condition show it: its names are cut by themselves, so that what to do is not cut away.
fn shown_blocker(blocker: &Blocker) -> Blocker {
    Blocker {
        pod: shown_text(&blocker.pod),
        container: blocker.container.as_deref().map(shown_text),
        why: text::line(&blocker.why, text::NOTE),
        action_needed: blocker.action_needed,
    }
}

fn history(entry: &Finished) -> HistoryEntry {
    HistoryEntry {
        sequence: entry.sequence,
        reason: entry.reason.as_str().to_owned(),
        at: list::seconds(entry.at),
        revoked_at: entry.revoked_at.map(list::seconds),
    }
}

/// Whether a decision waits because a reconcile failed.
#[must_use]
pub fn failed(decision: &Decision) -> bool {
    matches!(decision.step, Step::Wait { failed: true, .. })
}
