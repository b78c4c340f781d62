//! From a committed intent to the promotion: sweep, mint, verify, publish, settle, promote.
//!
//! A create is sent at most once per attempt, and only by the process that committed the attempt's intent: whoever finds an
//! intent that is not its own sweeps what it may have left behind and begins another attempt.

use std::time::Duration;

use super::decide::{STALLED_WAKE, intended, on_fault};
use super::observed::{Drift, Observed, Record, Resource, Target};
use super::pickup::{Consumers, missing_pods};
use super::record::{Failure, Intent, Ledger, Snapshot};
use super::revocable::Revocable;
use super::schedule;
use super::step::{Change, Decision, Ruling, Step};
use super::token::{Issued, Verification};
use super::transition;
use crate::api::RolloutMode;
use crate::api::conditions::Reason;

/// How often a token that is not usable yet is tried.
const ACTIVATION_POLL: Duration = Duration::from_secs(2);

/// How often a revoked token is tried until it is refused.
pub(super) const CONFIRM_POLL: Duration = Duration::from_secs(2);

/// Goes on with a rotation that has begun.
pub fn resume(observed: &Observed) -> Ruling {
    let (Some(resource), Some(record)) = (&observed.resource, &observed.record) else { return Ok(None) };
    let Some(intent) = &record.ledger.intent else { return Ok(None) };
    let carried = observed.target_generation();
    if let Some(refused) = &record.ledger.refused {
        return clear_refused(observed, record, refused);
    }
    match &record.ledger.pending {
        Some(pending) if carried == Some(pending.generation) => settle(observed, resource, record, pending),
        Some(pending) => verify(observed, resource, record, pending),
        None => mint(observed, resource, record, intent),
    }
}

/// 2. and 3.: left-overs of earlier attempts are revoked, then the token is minted.
///
/// Only under an intent of one's own: before it is committed, the token of another replica could be between its create and
/// its store, and a sweep would kill what is about to be pending. The commit makes that store fail.
fn mint(observed: &Observed, resource: &Resource, record: &Record, intent: &Intent) -> Ruling {
    let ledger = &record.ledger;
    if observed.memory.fresh != Some(intent.generation) {
        return another_attempt(observed, resource, ledger, intent);
    }
    let listed = match observed.listing(&intent.provider)? {
        Ok(listed) => listed,
        Err(fault) => return Ok(Some(on_fault(observed, fault))),
    };
    let target = observed.target_generation();
    if let Some(token) = listed.iter().find_map(|token| Revocable::unpublished(token, ledger, target)) {
        let message = format!("revoking {}, left over from an attempt whose answer was lost", token.id());
        let provider = intent.provider.clone();
        let step = Step::Revoke { token, provider, values: None, published: false };
        return Ok(Some(Decision::act(step, Reason::Minting, message)));
    }
    Ok(Some(create(resource, intent, listed.len())))
}

/// How long an intent of another replica may still be served by it. Longer than a create and its store take.
pub(super) const FOREIGN_INTENT: Duration = Duration::from_secs(45);

/// Time that another replica, which may be working, still has for its intent.
///
/// Taking it over earlier would be safe, but two replicas would take it from each other for ever.
pub(super) fn foreign_intent(observed: &Observed, intent: &Intent) -> Option<Duration> {
    if observed.settings.elected || observed.memory.own == Some(intent.generation) {
        return None;
    }
    let since = observed.memory.intent_since.filter(|(generation, _)| *generation == intent.generation);
    let known = since.map_or(Duration::ZERO, |(_, since)| observed.uptime.saturating_sub(since));
    FOREIGN_INTENT.checked_sub(known).filter(|left| !left.is_zero())
}

/// The one create of this attempt.
fn create(resource: &Resource, intent: &Intent, live: usize) -> Decision {
    let plan = match &resource.plan {
        Ok(plan) => plan,
        Err(trouble) => return Decision::stall(STALLED_WAKE, trouble.reason, trouble.message.clone()),
    };
    if live >= plan.max_live {
        let message = format!(
            "{live} tokens of this object are alive at the provider and its policy allows {}; nothing is minted until old \
             ones are revoked, see status.pickup",
            plan.max_live
        );
        return Decision::stall(STALLED_WAKE, Reason::TooManyLiveTokens, message);
    }
    let step = Step::Mint {
        generation: intent.generation,
        specification: intent.specification.clone(),
        provider: intent.provider.clone(),
        lifetime: plan.lifetime,
    };
    Decision::act(step, Reason::Minting, format!("minting a token for rotation {}", intent.generation.sequence))
}

/// The intent is not ours to serve, or its create is over: begin the next attempt, later each time.
fn another_attempt(observed: &Observed, resource: &Resource, ledger: &Ledger, intent: &Intent) -> Ruling {
    let plan = match &resource.plan {
        Ok(plan) => plan,
        Err(trouble) => return Ok(Some(Decision::stall(STALLED_WAKE, trouble.reason, trouble.message.clone()))),
    };
    if let Some(wait) = foreign_intent(observed, intent) {
        let message = format!("another replica is minting for rotation {}", intent.generation.sequence);
        return Ok(Some(Decision::wait(wait, Reason::Minting, message)));
    }
    if let Some(wait) = schedule::attempt_wait(intent.attempts, intent.at, observed.now) {
        return Ok(Some(exhausted(intent, observed.memory.mint_failure.as_ref(), wait)));
    }
    if let Err(fault) = observed.preflight()? {
        return Ok(Some(on_fault(observed, fault)));
    }
    let next =
        transition::intend(ledger, resource, plan, intent.reason, observed.memory.mint_failure.clone(), observed.now);
    Ok(Some(intended(next, intent.reason)))
}

/// Waiting between attempts; after the last one long, and said so.
fn exhausted(intent: &Intent, latest: Option<&Failure>, wait: Duration) -> Decision {
    let failure = latest.or(intent.failure.as_ref());
    let (cause, why) = match failure {
        Some(failure) => (failure.reason, failure.message.as_str()),
        None => (Reason::Minting, "the provider's answer was lost"),
    };
    if intent.attempts < schedule::MAX_ATTEMPTS {
        let message =
            format!("attempt {} of rotation {} did not succeed: {why}", intent.attempts, intent.generation.sequence);
        return Decision::wait(wait, cause, message);
    }
    let message = format!(
        "{} attempts of rotation {} did not succeed, the last one because: {why}; the next is made in {} min",
        intent.attempts,
        intent.generation.sequence,
        wait.as_secs() / 60 + 1
    );
    let reason = if failure.is_some() { cause } else { Reason::AttemptsExhausted };
    Decision::stall(wait, reason, message)
}

/// 5. and 6.: the pending token is tried until it works, then published.
fn verify(observed: &Observed, resource: &Resource, record: &Record, pending: &Issued) -> Ruling {
    let generation = pending.generation;
    if !record.values.contains_key(&generation) {
        let message = "the value of the new token is missing in the record".to_owned();
        return Ok(Some(refused(record, Reason::ValueLost, message)));
    }
    let wanted = resource.plan.as_ref().ok().map(|plan| &plan.specification);
    if wanted.is_some_and(|wanted| *wanted != pending.specification) {
        let message = "the spec was changed while the token was being minted".to_owned();
        return Ok(Some(refused(record, Reason::SpecChanged, message)));
    }
    let verification = match observed.verification(generation)? {
        Ok(verification) => verification,
        Err(fault) => return Ok(Some(on_fault(observed, fault))),
    };
    Ok(Some(match verification {
        Verification::Works { .. } => {
            let message = format!("publishing the token of rotation {}", generation.sequence);
            Decision::act(Step::Publish { generation, repair: false }, Reason::Verifying, message)
        }
        Verification::Insufficient { missing } => {
            let message = format!(
                "the token may not {}; grant it at the provider, or ask for less in spec.permissions",
                missing.join(", nor ")
            );
            refused(record, Reason::PermissionsMissing, message)
        }
        Verification::Dead { why } => {
            refused(record, Reason::ProviderRefused, format!("the new token is refused: {why}"))
        }
        Verification::NotYet { why } => not_yet(observed, record, pending, why),
    }))
}

fn not_yet(observed: &Observed, record: &Record, pending: &Issued, why: &str) -> Decision {
    let since = observed.memory.pending_since.filter(|(generation, _)| *generation == pending.generation);
    let waited = since.map_or(Duration::ZERO, |(_, since)| observed.uptime.saturating_sub(since));
    let activation = observed.delays.activation;
    if waited < activation {
        let message = format!("the new token is not usable yet: {why}");
        return Decision::wait(ACTIVATION_POLL, Reason::Verifying, message);
    }
    let message = format!("the new token was still not usable after {} s: {why}", waited.as_secs());
    refused(record, Reason::ProviderRefused, message)
}

fn refused(record: &Record, reason: Reason, message: String) -> Decision {
    let generation = record.ledger.pending.as_ref().map(|pending| pending.generation);
    let next = transition::refuse(&record.ledger, reason, message.clone());
    match generation {
        Some(generation) => {
            Decision::act(Step::Save { ledger: Box::new(next), change: Change::Refused(generation) }, reason, message)
        }
        None => Decision::wait(STALLED_WAKE, Reason::InternalError, "nothing pending to refuse"),
    }
}

/// A refused token is revoked only after no replica can publish it any more: the fence changes the target's version.
fn clear_refused(observed: &Observed, record: &Record, refused: &Issued) -> Ruling {
    let generation = refused.generation;
    let save = |ledger: Ledger, change: Change, message: &str| {
        Ok(Some(Decision::act(Step::Save { ledger: Box::new(ledger), change }, Reason::Verifying, message)))
    };
    if observed.target_generation() == Some(generation) {
        let message = "another replica had verified and published the token before it was refused";
        return save(transition::reinstate(&record.ledger), Change::Reinstated(generation), message);
    }
    if observed.ours().is_some_and(|view| view.fence != Some(generation.attempt)) {
        let message = "fencing off the refused token";
        return Ok(Some(Decision::act(Step::Fence { attempt: generation.attempt }, Reason::Verifying, message)));
    }
    match liveness_or_revoke(observed, refused, false, || {
        Revocable::refused(&record.ledger, observed.target_generation())
    })? {
        Some(decision) => Ok(Some(decision)),
        None => {
            save(transition::drop_refused(&record.ledger), Change::RefusedGone(generation), "the refused token is dead")
        }
    }
}

/// Revokes a token and tries it until it is refused; `None` when it is dead.
pub(super) fn liveness_or_revoke(
    observed: &Observed,
    token: &Issued,
    published: bool,
    revocable: impl FnOnce() -> Option<Revocable>,
) -> Ruling {
    let generation = token.generation;
    let sent = observed.memory.revoke_sent.filter(|(sent, _)| *sent == generation).map(|(_, at)| at);
    let propagation = observed.delays.propagation;
    if let Some(at) = sent {
        let waited = observed.uptime.saturating_sub(at);
        if waited < propagation {
            let message = format!("{} was revoked; waiting until the provider refuses it", token.id);
            return Ok(Some(Decision::wait(propagation - waited, Reason::Revoking, message)));
        }
    }
    match observed.liveness(generation)? {
        Err(fault) => Ok(Some(on_fault(observed, fault))),
        Ok(super::token::Liveness::Dead) => Ok(None),
        Ok(super::token::Liveness::Alive) => {
            // Asked before and still accepted: look again for a while, then ask again.
            let patience = propagation.saturating_mul(3).max(Duration::from_secs(30));
            if sent.is_some_and(|at| observed.uptime.saturating_sub(at) < patience) {
                let message = format!("{} was revoked and is still accepted", token.id);
                return Ok(Some(Decision::wait(CONFIRM_POLL, Reason::Revoking, message)));
            }
            let Some(revocable) = revocable() else {
                return Ok(Some(Decision::wait(CONFIRM_POLL, Reason::Revoking, "the token is in use again")));
            };
            let step = Step::Revoke {
                token: revocable,
                provider: token.provider.clone(),
                values: Some(generation),
                published,
            };
            Ok(Some(Decision::act(step, Reason::Revoking, format!("revoking {}", token.id))))
        }
    }
}

/// 7. and 8.: the target carries the new token. After the settle time, every pod that exists may hold the old one and no
/// later pod can.
fn settle(observed: &Observed, resource: &Resource, record: &Record, pending: &Issued) -> Ruling {
    let generation = pending.generation;
    let Some(values) = record.values.get(&generation) else {
        return Ok(Some(Decision::stall(
            STALLED_WAKE,
            Reason::ValueLost,
            "the value of the new token is missing in the record",
        )));
    };
    let drift = match &observed.target {
        Target::Ours(view) => view.drift(&resource.target, generation, values),
        Target::Absent | Target::Adoptable | Target::Foreign(_) => Some(Drift::Values),
    };
    if drift == Some(Drift::Values) {
        let step = Step::Publish { generation, repair: true };
        return Ok(Some(Decision::act(step, Reason::DriftRepaired, "the Secret was changed by somebody else")));
    }
    let surplus = match observed.verification(generation)? {
        Ok(Verification::Works { surplus, .. }) => surplus.clone(),
        Ok(_) => Vec::new(),
        Err(fault) => return Ok(Some(on_fault(observed, fault))),
    };
    let first = record.ledger.current.is_none();
    let snapshot = if first {
        None
    } else {
        match settled_snapshot(observed, resource, generation.sequence)? {
            Ok(snapshot) => Some(snapshot),
            Err(decision) => return Ok(Some(decision)),
        }
    };
    let next = transition::promote(&record.ledger, surplus, snapshot, observed.now);
    let step = Step::Save { ledger: Box::new(next), change: Change::Promoted(generation) };
    Ok(Some(Decision::act(step, Reason::Published, format!("rotation {} is published", generation.sequence))))
}

/// The snapshot of who may hold the old token, from a fresh list, no earlier than the settle time after the write.
pub(super) fn settled_snapshot(
    observed: &Observed,
    resource: &Resource,
    sequence: i64,
) -> Result<Result<Snapshot, Decision>, super::observed::Question> {
    if let Some(left) = observed.unsettled() {
        let message = format!("rotation {sequence} is published; waiting until no pod can start with the old value");
        return Ok(Err(Decision::wait(left, Reason::Settling, message)));
    }
    let consumers = match observed.consumers()? {
        Ok(consumers) => consumers,
        Err(fault) => return Ok(Err(on_fault(observed, fault))),
    };
    if let Some(workload) = missing_pods(consumers) {
        let message = format!("{workload} wants pods and the API server lists none of them; waiting for a whole list");
        return Ok(Err(Decision::wait(Duration::from_secs(5), Reason::AwaitingPickup, message)));
    }
    Ok(Ok(Snapshot { pods: consumers.holders(), workloads: workloads(resource, consumers) }))
}

/// The workloads to restart.
fn workloads(resource: &Resource, consumers: &Consumers) -> std::collections::BTreeSet<crate::api::WorkloadRef> {
    match resource.rollout.mode {
        RolloutMode::None => Default::default(),
        RolloutMode::Listed => resource.rollout.targets.iter().cloned().collect(),
        RolloutMode::Auto => {
            consumers.workloads.iter().filter(|view| view.uses).map(|view| view.workload.clone()).collect()
        }
    }
}
