//! The status that people read: a view of the record and of what the last decision said.

use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};

use crate::{
    api::{
        HistoryEntry, PickupStatus, RotatedTokenStatus, TokenStatus,
        conditions::{
            LEAST_PRIVILEGE, OVERLAP, PICKED_UP, PROVIDER_READY, READY, RECIPE_PROVEN, RECONCILING, Reason, STALLED,
        },
        text,
    },
    core::{
        ledger::record::{Finished, Ledger, Snapshot, Superseded},
        plan::{Succession, Trouble},
        schedule,
        seen::{answers::Fault, observed::Observed},
        step::{Decision, Phase, Step},
        token::Issued,
    },
};

/// Most blockers that a status names.
const MAX_BLOCKERS: usize = 10;

/// What has to be known before the first rotation in place.
const REPLACED: &str = "this provider rotates in place: it ends the old token when it makes the new one, so a workload may be refused from then \
                        until it is restarted; there is no grace period and no way back. The first token ends what was there before tokenturn, and nothing restarts workloads for that";

const DISPLACED: &str = "this provider rotates in place: it keeps the old token when it makes the new one, but only for a time of its own, which has to be \
                         longer than the restart of all workloads takes; there is no way back. Workloads that hold a secret from before tokenturn have to be restarted by \
                         hand after the first one";

/// The status after a decision. `shown` is the status as it stands: times of conditions that do not change and what this
/// pass did not look at are kept from it, and nothing else is read from it.
#[must_use]
pub fn status(
    observed: &Observed,
    decision: &Decision,
    generation: Option<i64>,
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
        sequence: current.map(|current| current.token.generation.sequence),
        current: current.map(|current| token(&current.token)),
        previous: previous.map(|previous| token(&previous.token)),
        pickup: pickup(decision, previous, shown),
        next_rotation: next.map(seconds),
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
    let mut list = Conditions { now, generation, shown: &shown.conditions, list: Vec::new() };
    list.set(READY, false, reason, message);
    list.set(RECONCILING, false, reason, message);
    list.set(STALLED, true, reason, message);
    for kept in [PICKED_UP, PROVIDER_READY, LEAST_PRIVILEGE, RECIPE_PROVEN, OVERLAP] {
        list.keep(kept);
    }
    RotatedTokenStatus { conditions: list.list, observed_generation: generation, ..shown.clone() }
}

/// What makes two statuses the same for a reader who is in no hurry: everything but counts, sentences, and how far a
/// rotation that is on its way has come. Changes of the rest are written without delay, these at a pace.
///
/// The grace period can be long, so that it has begun is always told.
#[must_use]
pub fn signature(status: &RotatedTokenStatus) -> RotatedTokenStatus {
    let mut reduced = status.clone();
    reduced.pickup = None;
    let holds = |type_: &str| status.conditions.iter().find(|condition| condition.type_ == type_);
    let on_its_way = holds(RECONCILING)
        .is_some_and(|condition| condition.status == "True" && condition.reason != Reason::InGrace.as_str());
    if on_its_way {
        reduced.conditions.retain(|condition| condition.type_ != PICKED_UP);
    }
    for condition in &mut reduced.conditions {
        condition.message.clear();
        condition.last_transition_time = seconds(Timestamp::UNIX_EPOCH);
        if on_its_way {
            condition.reason.clear();
        }
    }
    reduced
}

/// Whether two statuses say the same, times of conditions aside.
#[must_use]
pub fn says_the_same(one: &RotatedTokenStatus, other: &RotatedTokenStatus) -> bool {
    let timeless = |status: &RotatedTokenStatus| {
        let mut status = status.clone();
        for condition in &mut status.conditions {
            condition.last_transition_time = seconds(Timestamp::UNIX_EPOCH);
        }
        status
    };
    timeless(one) == timeless(other)
}

fn conditions(
    observed: &Observed,
    decision: &Decision,
    ledger: Option<&Ledger>,
    generation: Option<i64>,
    shown: &RotatedTokenStatus,
) -> Vec<Condition> {
    let Decision { phase, reason, message, .. } = decision;
    let mut list = Conditions { now: observed.now, generation, shown: &shown.conditions, list: Vec::new() };
    list.set(READY, is_ready(observed, decision, ledger), *reason, message);
    list.set(RECONCILING, *phase == Phase::Progressing, *reason, message);
    list.set(STALLED, *phase == Phase::Stalled, *reason, message);
    let previous = ledger.and_then(|ledger| ledger.previous.as_ref());
    match previous {
        _ if ledger.is_none_or(|ledger| ledger.current.is_none()) => {}
        None if decision.pickup.as_ref().is_some_and(|pickup| pickup.remaining > 0) => {
            list.set(PICKED_UP, false, Reason::Deleting, message);
        }
        Some(previous) if !is_picked_up(decision, previous) => {
            list.set(PICKED_UP, false, Reason::AwaitingPickup, message)
        }
        _ => list.set(PICKED_UP, true, Reason::PickedUp, "no pod can hold an older token of this object"),
    }
    // That it was missing is over when it is there, whatever is wrong with it now.
    let is_over = |health: &Result<(), Trouble>| is_missing(Some(health)) && provider_exists(observed);
    match provider_health(observed).or_else(|| observed.memory.provider.clone().filter(|health| !is_over(health))) {
        Some(Err(trouble)) => list.set(PROVIDER_READY, false, trouble.reason, &trouble.message),
        Some(Ok(())) => list.set(PROVIDER_READY, true, Reason::ProviderAnswers, "the provider answers as needed"),
        None => list.keep_unless(PROVIDER_READY, |shown| {
            shown.reason == Reason::ProviderMissing.as_str() && provider_exists(observed)
        }),
    }
    let plan = observed.resource.as_ref().and_then(|resource| resource.plan.as_ref().ok());
    // Where nothing is compared there is nothing to be said.
    let is_seen = plan.is_none_or(|plan| plan.traits.shows_surplus);
    if let Some(current) = ledger.and_then(|ledger| ledger.current.as_ref()).filter(|_| is_seen) {
        let surplus = &current.token.surplus;
        if surplus.is_empty() {
            list.set(
                LEAST_PRIVILEGE,
                true,
                Reason::PermissionsExact,
                "the token may do what was asked for and nothing else",
            );
        } else {
            let message = format!(
                "the token may also: {}; narrow it at the provider, or ask for it in spec.permissions",
                shorten(surplus)
            );
            list.set(LEAST_PRIVILEGE, false, Reason::SurplusPermissions, &message);
        }
    }
    if let Some(current) = ledger.and_then(|ledger| ledger.current.as_ref()).filter(|one| !one.token.unshown.is_empty())
    {
        list.set(RECIPE_PROVEN, false, Reason::RecipeUnproven, &current.token.unshown.join("; "));
    }
    match plan.map(|plan| plan.traits.succession) {
        Some(Succession::Replaced) => list.set(OVERLAP, false, Reason::InPlace, REPLACED),
        Some(Succession::Displaced) => list.set(OVERLAP, false, Reason::InPlace, DISPLACED),
        Some(Succession::Overlap) | None => {}
    }
    list.list
}

/// The Secret holds a working token of the declared specification, and nothing stands in the way of the next one.
fn is_ready(observed: &Observed, decision: &Decision, ledger: Option<&Ledger>) -> bool {
    let Some(resource) = observed.resource.as_ref().filter(|resource| !resource.deleting) else { return false };
    let Some(current) = ledger.and_then(|ledger| ledger.current.as_ref()) else { return false };
    let wanted =
        resource.plan.as_ref().is_ok_and(|plan| plan.source.specification == current.token.source.specification);
    let expired = current.token.expires_at.is_some_and(|expires| expires <= observed.now);
    wanted && !expired && !current.token.is_unknown() && decision.phase != Phase::Stalled && observed.ours().is_some()
}

fn is_picked_up(decision: &Decision, previous: &Superseded) -> bool {
    previous.revoke.is_some() || decision.pickup.as_ref().is_some_and(|pickup| pickup.remaining == 0)
}

/// What this pass learned about the provider: nothing, that it answers, or what is wrong.
#[must_use]
pub fn provider_health(observed: &Observed) -> Option<Result<(), Trouble>> {
    if let Some(Err(trouble)) = observed.resource.as_ref().map(|resource| resource.plan.as_ref())
        && trouble.reason == Reason::ProviderMissing
    {
        return Some(Err(trouble.clone()));
    }
    let answers = &observed.answers;
    let mut looks: Vec<Result<(), &Fault>> = Vec::new();
    looks.extend(answers.preflight.as_ref().map(|answer| answer.as_ref().map(|_| ())));
    looks.extend(answers.listing.as_ref().map(|answer| answer.as_ref().map(|_| ())));
    looks.extend(answers.verification.values().map(|answer| answer.as_ref().map(|_| ())));
    looks.extend(answers.liveness.values().map(|answer| answer.as_ref().map(|_| ())));
    looks.extend(answers.last_use.values().map(|answer| answer.as_ref().map(|_| ())));
    if looks.is_empty() {
        return None;
    }
    let fault = looks.into_iter().find_map(Result::err).filter(|fault| is_of_provider(fault.reason));
    Some(fault.map_or(Ok(()), |fault| Err(Trouble::new(fault.reason, fault.message.clone()))))
}

/// Whether a look showed that the provider object does not exist.
#[must_use]
pub fn is_missing(health: Option<&Result<(), Trouble>>) -> bool {
    matches!(health, Some(Err(trouble)) if trouble.reason == Reason::ProviderMissing)
}

/// Whether the provider object is there, whatever else is wrong.
#[must_use]
pub fn provider_exists(observed: &Observed) -> bool {
    let plan = observed.resource.as_ref().map(|resource| resource.plan.as_ref());
    plan.is_some_and(|plan| plan.err().is_none_or(|trouble| trouble.reason != Reason::ProviderMissing))
}

fn is_of_provider(reason: Reason) -> bool {
    matches!(
        reason,
        Reason::ProviderUnavailable
            | Reason::AnswerLost
            | Reason::CredentialRejected
            | Reason::CredentialMissing
            | Reason::ProviderRefused
            | Reason::QuotaExceeded
            | Reason::AccountSuspended
            | Reason::ProviderMissing
    )
}

struct Conditions<'a> {
    now: Timestamp,
    generation: Option<i64>,
    shown: &'a [Condition],
    list: Vec<Condition>,
}

impl Conditions<'_> {
    fn set(&mut self, type_: &str, holds: bool, reason: Reason, message: &str) {
        let status = if holds { "True" } else { "False" };
        let before = self.shown.iter().find(|condition| condition.type_ == type_ && condition.status == status);
        self.list.push(Condition {
            type_: type_.to_owned(),
            status: status.to_owned(),
            reason: reason.as_str().to_owned(),
            message: text::line(message, text::CONDITION),
            observed_generation: self.generation,
            last_transition_time: before
                .map_or_else(|| seconds(self.now), |before| before.last_transition_time.clone()),
        });
    }

    fn keep(&mut self, type_: &str) {
        self.keep_unless(type_, |_| false);
    }

    fn keep_unless(&mut self, type_: &str, is_over: impl Fn(&Condition) -> bool) {
        let shown = self.shown.iter().find(|condition| condition.type_ == type_);
        self.list.extend(shown.filter(|condition| !is_over(condition)).cloned());
    }
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
        blockers: pickup.blockers.iter().take(MAX_BLOCKERS).cloned().collect(),
    })
}

fn token(issued: &Issued) -> TokenStatus {
    TokenStatus {
        id: issued.id.clone(),
        fingerprint: issued.fingerprint.clone(),
        issued_at: seconds(issued.issued_at),
        expires_at: issued.expires_at.map(seconds),
        permissions: issued.source.specification.permissions.clone(),
    }
}

fn history(entry: &Finished) -> HistoryEntry {
    HistoryEntry {
        sequence: entry.sequence,
        reason: entry.reason.as_str().to_owned(),
        at: seconds(entry.at),
        revoked_at: entry.revoked_at.map(seconds),
    }
}

/// The API's times have whole seconds.
fn seconds(at: Timestamp) -> Time {
    Time(Timestamp::from_second(at.as_second()).unwrap_or(at))
}

fn shorten(list: &[String]) -> String {
    const SHOWN: usize = 9;
    let mut text = list.iter().take(SHOWN).map(String::as_str).collect::<Vec<_>>().join(", ");
    if list.len() > SHOWN {
        text.push_str(&format!(" and {} more", list.len() - SHOWN));
    }
    text
}

/// Whether a decision waits because a look failed.
#[must_use]
pub fn failed(decision: &Decision) -> bool {
    matches!(decision.step, Step::Wait { failed: true, .. })
}
