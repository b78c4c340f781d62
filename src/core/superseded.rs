//! From the promotion to the end of the old token: roll, wait for pickup, grace, revoke-intent, revoke, confirm, forget.

use std::{collections::BTreeSet, time::Duration};

use super::{
    guards::Guard,
    image_pull,
    last_use::still_in_use,
    life::{self, Life, Refusals},
    observed::{Drift, Observed, Record, Resource, Target},
    pickup::{Judgement, PickupProof, judge},
    record::{Current, Ledger, MAX_PRESUMED_DEAD, RevokeIntent, Snapshot, Superseded},
    revocable::Revocable,
    revoking::{ends, is_revocable, liveness_or_revoke, may_be_alive},
    rollout,
    ruling::{Ruling, STALLED_WAKE, adjust, intended, on_fault},
    schedule,
    settling::settled_snapshot,
    stamp,
    step::{Change, Decision, Phase, Pickup, Step},
    token::{Generation, Handle, Issued, Liveness, Verification},
    transition,
    verifying::insufficient,
};
use crate::api::{Blocker, WorkloadRef, conditions::Reason};

/// A wait for pods is woken by a watch; this is how long it lasts if the watch says nothing.
const PICKUP_WAKE: Duration = Duration::from_secs(30);

/// What is said of a target that is not as it was left.
pub(super) const DRIFT: &str = "the Secret was changed or deleted by somebody else; restored from the record";

/// Goes on with an old token that is not yet dead.
pub fn finish(observed: &Observed) -> Ruling {
    let (Some(resource), Some(record)) = (&observed.resource, &observed.record) else { return Ok(None) };
    let (Some(previous), Some(current)) = (&record.ledger.previous, &record.ledger.current) else { return Ok(None) };
    // The current token died and its successor is under way.
    if record.ledger.intent.is_some() {
        return Ok(None);
    }
    let doubt = match life::try_life(observed, current.token.generation)? {
        Ok(Life::Dead) if observed.guarded(Guard::NewWorks) => return replace_current(observed, resource, record),
        Ok(Life::Doubted(refusals)) if observed.guarded(Guard::NewWorks) => Some(refusals),
        Ok(Life::Alive | Life::Doubted(_) | Life::Dead) | Err(_) => None,
    };
    if observed.guarded(Guard::TargetStillNew)
        && let Some(decision) = hold_target(observed, resource, record, current, previous)
    {
        return Ok(Some(decision));
    }
    if let Some(decision) = expired(observed, record, previous)? {
        return Ok(Some(decision));
    }
    let ruling = match (&previous.revoke, &previous.snapshot, doubt) {
        // The old token may be all that the workloads could go back to.
        (Some(_), _, Some(refusals)) => Ok(Some(doubted(observed, &current.token, refusals))),
        (Some(_), _, None) => revoke(observed, resource, record, previous),
        (None, None, _) => snapshot(observed, resource, record),
        (None, Some(snapshot), _) => await_pickup(observed, resource, record, current, previous, snapshot),
    };
    if doubt.is_some() { adjust(ruling, sooner) } else { ruling }
}

/// A token that workloads use is refused, and not known to be dead: it is looked at again. What lasts is for a person.
pub(super) fn doubted(observed: &Observed, token: &Issued, refusals: Refusals) -> Decision {
    let message = life::told(&token.id, refusals, observed.uptime);
    if refusals.is_listed && refusals.is_lasting(observed.uptime) {
        return Decision::stall(STALLED_WAKE, Reason::TokenRefused, message);
    }
    let is_current = observed.record.as_ref().is_some_and(|Record { ledger, .. }| {
        let current = ledger.current.as_ref().map(|current| current.token.generation);
        current == Some(token.generation) && ledger.intent.is_none() && ledger.previous.is_none()
    });
    let phase = if is_current { Phase::AtRest } else { Phase::Progressing };
    Decision { phase, ..Decision::wait(life::LOOK_AGAIN, Reason::TokenRefused, message) }
}

/// While the current token is in doubt, a wait lasts no longer than until it is looked at again.
fn sooner(mut decision: Decision) -> Decision {
    if let Step::Wait { wake: Some(wake), .. } = &mut decision.step {
        *wake = (*wake).min(life::LOOK_AGAIN);
    }
    decision
}

/// The current token is dead before the old one is: the next rotation replaces it and takes over who holds the old one.
fn replace_current(observed: &Observed, resource: &Resource, record: &Record) -> Ruling {
    let plan = match &resource.plan {
        Ok(plan) => plan,
        Err(trouble) => return Ok(Some(Decision::stall(PICKUP_WAKE, trouble.reason, trouble.message.clone()))),
    };
    if record.ledger.presumed_dead.len() >= MAX_PRESUMED_DEAD {
        let message = format!(
            "{MAX_PRESUMED_DEAD} tokens were refused by the provider one after the other while pods held an older one; no further one is \
             made before those pods are gone, see status.pickup; look why the provider refuses what it has just made"
        );
        return Ok(Some(Decision::stall(STALLED_WAKE, Reason::TooManyLiveTokens, message)));
    }
    let census = observed.preflight()?;
    let next = transition::intend(&record.ledger, resource, plan, Reason::ValueLost, None, observed.now, census);
    Ok(Some(intended(next, Reason::ValueLost)))
}

/// The target has to hold the new token all the time. If it did not, what pods may hold is open again: that is written
/// down first, then the target is repaired. A target that is gone, or lacks a key, gave no pod an old value.
fn hold_target(
    observed: &Observed,
    resource: &Resource,
    record: &Record,
    current: &Current,
    previous: &Superseded,
) -> Option<Decision> {
    let generation = current.token.generation;
    let values = record.values.get(&generation)?;
    let drift = match &observed.target {
        // Labels and annotations are put back at rest.
        Target::Ours(view) => {
            view.drift(&resource.target, generation, values).filter(|drift| *drift != Drift::Metadata)?
        }
        Target::Absent => Drift::Missing,
        Target::Adoptable | Target::Foreign(_) => Drift::Values,
    };
    if drift == Drift::Values
        && observed.guarded(Guard::Reopen)
        && let Some(decision) = reopen(record, previous)
    {
        return Some(decision);
    }
    Some(Decision::act(Step::Publish { generation, repair: true }, Reason::DriftRepaired, DRIFT))
}

/// Writes down that pods may have started with something else; `None` if that is written already.
pub(super) fn reopen(record: &Record, previous: &Superseded) -> Option<Decision> {
    (previous.snapshot.is_some() || previous.revoke.is_some()).then(|| {
        let step = Step::Save { ledger: Box::new(transition::reopen(&record.ledger)), change: Change::Reopened };
        Decision::act(step, Reason::DriftRepaired, DRIFT)
    })
}

/// An old token that has expired needs no revoke, only the proof that it is dead.
fn expired(observed: &Observed, record: &Record, previous: &Superseded) -> Ruling {
    if previous.revoke.is_some() || previous.token.expires_at.is_none_or(|expires| expires > observed.now) {
        return Ok(None);
    }
    Ok(match observed.try_liveness(previous.token.generation)? {
        Ok(Liveness::Dead | Liveness::Gone) => Some(forget(observed, record, previous, "it has expired")),
        Ok(Liveness::Alive | Liveness::Ending | Liveness::StillListed) | Err(_) => None,
    })
}

fn forget(observed: &Observed, record: &Record, previous: &Superseded, how: &str) -> Decision {
    let next = transition::forget(&record.ledger, observed.now);
    let step = Step::Save { ledger: Box::new(next), change: Change::Forgotten(previous.token.generation) };
    let message = format!("{} is dead: {how}", previous.token.id);
    Decision::act(step, Reason::Revoked, message).with_pickup(Pickup::proven())
}

/// The snapshot has to be taken again.
fn snapshot(observed: &Observed, resource: &Resource, record: &Record) -> Ruling {
    let snapshot = settled_snapshot(observed, resource, record.ledger.sequence)?;
    let next = stamp::renew(observed, transition::snapshot(&record.ledger, snapshot))?;
    let step = Step::Save { ledger: Box::new(next), change: Change::Snapshot };
    Ok(Some(Decision::act(step, Reason::AwaitingPickup, "noted the pods that may hold the old token")))
}

/// 9. and 10.: roll, wait until every pod of the snapshot is gone, then for the grace period.
fn await_pickup(
    observed: &Observed,
    resource: &Resource,
    record: &Record,
    current: &Current,
    previous: &Superseded,
    snapshot: &Snapshot,
) -> Ruling {
    let consumers = observed.consumers()?;
    let generation = current.token.generation;
    let stamp = stamp::value(generation, previous.round);
    let nobody = Snapshot::default();
    let (counted, carried) = match observed.guarded(Guard::Pickup) {
        true => (snapshot, &previous.carried),
        false => (&nobody, &nobody.pods),
    };
    match judge(&counted.pods, &counted.crowd, carried, consumers, observed.settings.contact) {
        Judgement::Clear(proof) => {
            let missing = rollout::missing(resource, consumers);
            if !missing.is_empty() {
                return Ok(Some(unlisted(observed, resource, record, current, missing)));
            }
            match image_pull::under_way(observed, consumers, PICKUP_WAKE) {
                Some((wake, message, pickup)) => {
                    Ok(Some(awaiting(observed, resource, record, current, wake, message).with_pickup(pickup)))
                }
                None => serve_grace(observed, resource, record, current, previous, proof),
            }
        }
        Judgement::Held { remaining, mut blockers } => {
            let workloads = rollout::unstamped(observed, consumers, snapshot, &stamp);
            if !workloads.is_empty() {
                return roll(observed, generation, stamp, workloads, Pickup { remaining, blockers });
            }
            blockers.splice(0..0, rollout::obstacles(observed, resource, consumers, snapshot, &stamp));
            Ok(Some(
                held(observed, resource, record, current, previous, snapshot)
                    .with_pickup(Pickup { remaining, blockers }),
            ))
        }
    }
}

/// 9.: workloads are only rolled onto a token that works now.
fn roll(
    observed: &Observed,
    generation: Generation,
    stamp: String,
    workloads: BTreeSet<WorkloadRef>,
    pickup: Pickup,
) -> Ruling {
    let why = match observed.try_verification(generation)? {
        Ok(Verification::Works { .. }) => {
            let names: Vec<String> = workloads.iter().map(WorkloadRef::to_string).collect();
            let message = format!("restarting {}", names.join(", "));
            let step = Step::Stamp { workloads, generation, stamp };
            return Ok(Some(Decision::act(step, Reason::RollingOut, message).with_pickup(pickup)));
        }
        Err(fault) => return Ok(Some(on_fault(observed, fault).with_pickup(pickup))),
        Ok(Verification::Insufficient { missing }) => insufficient(missing),
        Ok(Verification::NotYet { why } | Verification::Dead { why } | Verification::Misread { why, .. }) => {
            why.clone()
        }
    };
    let message = format!("no workload is restarted because the new token does not work at the provider: {why}");
    Ok(Some(retry_stalled(observed, Reason::ProviderRefused, message).with_pickup(pickup)))
}

/// Waiting for pods.
fn held(
    observed: &Observed,
    resource: &Resource,
    record: &Record,
    current: &Current,
    previous: &Superseded,
    snapshot: &Snapshot,
) -> Decision {
    let total = snapshot.pods.union(&previous.carried).count() + snapshot.crowd.len();
    let message = format!("of {total} pods some may still hold the old token; see status.pickup.blockers");
    awaiting(observed, resource, record, current, PICKUP_WAKE, message)
}

fn awaiting(
    observed: &Observed,
    resource: &Resource,
    record: &Record,
    current: &Current,
    wake: Duration,
    message: String,
) -> Decision {
    let wait = in_the_way(observed, resource, record, current, wake, message);
    wait.unwrap_or_else(|(wake, message)| Decision::wait(wake, Reason::AwaitingPickup, message))
}

/// A listed workload that does not exist: its pods are counted by nobody, and a name that was misspelt is one of another
/// workload. So the old token is kept until the list is put right.
fn unlisted(
    observed: &Observed,
    resource: &Resource,
    record: &Record,
    current: &Current,
    missing: Vec<Blocker>,
) -> Decision {
    let names: Vec<&str> = missing.iter().map(|blocker| blocker.pod.as_str()).collect();
    let message = format!(
        "the old token is kept because spec.rollout.targets names {}, which does not exist; correct the name, create the \
         workload, or take it off the list",
        names.join(", ")
    );
    awaiting(observed, resource, record, current, PICKUP_WAKE, message).with_pickup(Pickup::held(missing))
}

/// The old token stands in the way of the next rotation. When that is due it is said, and when the current token runs out
/// meanwhile a person has to act; `Err` gives back how long to wait and what to say.
///
/// The grace period is not cut short: by a clock that jumps ahead it would be cut for every token at once.
pub(super) fn in_the_way(
    observed: &Observed,
    resource: &Resource,
    record: &Record,
    current: &Current,
    wake: Duration,
    message: String,
) -> Result<Decision, (Duration, String)> {
    let Ok(plan) = &resource.plan else { return Err((wake, message)) };
    let until = |at| schedule::until(observed.now, at);
    let (next, _) = schedule::next(plan, current);
    // Looks again when something changes by itself: the next rotation is due, one of the tokens expires.
    let expiries = record.ledger.tokens().filter_map(|token| token.expires_at);
    let wake = expiries.chain([next]).map(until).filter(|left| !left.is_zero()).fold(wake, Duration::min);
    let Some(reason) = schedule::due(observed, resource, plan, Some(&record.ledger)) else {
        return Err((wake, message));
    };
    let sequence = record.ledger.sequence + 1;
    let message = format!("{message}; rotation {sequence} ({reason}) is due and begins when the old token is dead");
    match current.token.expires_at {
        Some(expires) if reason == Reason::ExpiresSoon => {
            let message = format!(
                "the current token expires at {expires}. {message}: end those pods or shorten spec.gracePeriod"
            );
            Ok(Decision::stall(wake, Reason::ExpiresSoon, message))
        }
        _ => Err((wake, message)),
    }
}

/// Waiting for a person, looking again by itself.
fn retry_stalled(observed: &Observed, reason: Reason, message: String) -> Decision {
    let wake = schedule::backoff(observed.memory.failures);
    Decision { step: Step::Wait { wake: Some(wake), failed: true }, ..Decision::stall(wake, reason, message) }
}

/// The rest of the grace period, by the monotonic clock; then the evidence is committed.
fn serve_grace(
    observed: &Observed,
    resource: &Resource,
    record: &Record,
    current: &Current,
    previous: &Superseded,
    proof: PickupProof,
) -> Ruling {
    let earlier = Duration::from_secs(u64::try_from(previous.grace_served).unwrap_or(0));
    let here = observed.memory.proven_since.map_or(Duration::ZERO, |since| observed.uptime.saturating_sub(since));
    let served = earlier.saturating_add(here);
    // Its successor has ended it already.
    let is_over = previous.token.handle == Handle::Replaced {};
    let grace = if observed.guarded(Guard::Grace) && !is_over { resource.grace } else { Duration::ZERO };
    match proof.after_grace(served, grace) {
        Err(left) => {
            let checkpoint = schedule::grace_checkpoint(resource.grace);
            if here >= checkpoint {
                let next = transition::serve_grace(&record.ledger, served);
                let step = Step::Save { ledger: Box::new(next), change: Change::GraceServed };
                return Ok(Some(
                    Decision::act(step, Reason::InGrace, "noted the grace served").with_pickup(Pickup::proven()),
                ));
            }
            let ends = schedule::minute_after(observed.now, left);
            let message =
                format!("no pod can hold the old token; it stays valid for its grace period, until about {ends}");
            let wait =
                in_the_way(observed, resource, record, current, left.min(checkpoint.saturating_sub(here)), message);
            let wait = wait.unwrap_or_else(|(wake, message)| Decision::wait(wake, Reason::InGrace, message));
            Ok(Some(wait.with_pickup(Pickup::proven())))
        }
        Ok(proof) if !observed.guarded(Guard::Evidence) => {
            let committed = RevokeIntent::commit(proof, observed.now);
            revoke_committed(observed, record, previous, Some(&committed))
        }
        Ok(proof) => match still_in_use(observed, resource, record, current, previous, served)? {
            Some(held) => Ok(Some(held.with_pickup(Pickup::proven()))),
            None => intend_revoke(observed, &record.ledger, current, proof),
        },
    }
}

/// 11., first half: only while the provider accepts the new token. That it may do less than is asked for since it was
/// published is no reason to keep the old one: every pod is on the new one already.
fn intend_revoke(observed: &Observed, ledger: &Ledger, current: &Current, proof: PickupProof) -> Ruling {
    let generation = current.token.generation;
    let why = match observed.try_verification(generation)? {
        Ok(Verification::NotYet { why } | Verification::Dead { why }) if observed.guarded(Guard::NewWorks) => {
            why.clone()
        }
        Ok(_) => {
            let next = transition::intend_revoke(ledger, proof, observed.now);
            let step = Step::Save { ledger: Box::new(next), change: Change::RevokeIntended(generation) };
            let message = "every pod that could hold the old token is gone";
            return Ok(Some(Decision::act(step, Reason::PickedUp, message).with_pickup(Pickup::proven())));
        }
        Err(fault) => return Ok(Some(on_fault(observed, fault).with_pickup(Pickup::proven()))),
    };
    let message = format!("the old token is kept because the new one does not work at the provider: {why}");
    Ok(Some(retry_stalled(observed, Reason::ProviderRefused, message).with_pickup(Pickup::proven())))
}

/// 11., second half, and 12.: revoke until the provider refuses the old token, then forget it.
///
/// One that nothing revokes is known until it expires, but stands in nobody's way: when the next rotation is due, it is let go.
fn revoke(observed: &Observed, resource: &Resource, record: &Record, previous: &Superseded) -> Ruling {
    if previous.token.is_unknown() {
        let change = Change::Unknown(previous.token.generation);
        let step = Step::Save { ledger: Box::new(transition::let_go(&record.ledger)), change };
        let message = may_be_alive(&previous.token);
        return Ok(Some(Decision::act(step, Reason::LeftBehind, message).with_pickup(Pickup::proven())));
    }
    let due = || schedule::due(observed, resource, resource.plan.as_ref().ok()?, Some(&record.ledger));
    if !is_revocable(observed, &previous.token) && due().is_some() {
        let next = transition::let_go(&record.ledger);
        let step = Step::Save { ledger: Box::new(next), change: Change::LetGo(previous.token.generation) };
        let message = format!("{} cannot be revoked at its provider; {}", previous.token.id, ends(&previous.token));
        return Ok(Some(Decision::act(step, Reason::AwaitingExpiry, message).with_pickup(Pickup::proven())));
    }
    let ruling = revoke_committed(observed, record, previous, previous.revoke.as_ref())?;
    Ok(ruling.map(|decision| before_the_next(observed, resource, record, previous, decision)))
}

/// A wait for an expiry ends when the next rotation is due, if that is sooner.
fn before_the_next(
    observed: &Observed,
    resource: &Resource,
    record: &Record,
    previous: &Superseded,
    mut decision: Decision,
) -> Decision {
    if !is_revocable(observed, &previous.token)
        && let Step::Wait { wake: Some(wake), .. } = &mut decision.step
        && let (Ok(plan), Some(current)) = (&resource.plan, &record.ledger.current)
    {
        let (at, _) = schedule::next(plan, current);
        *wake = (*wake).min(schedule::until(observed.now, at));
    }
    decision
}

fn revoke_committed(
    observed: &Observed,
    record: &Record,
    previous: &Superseded,
    committed: Option<&RevokeIntent>,
) -> Ruling {
    let revocable = || committed.map(|committed| Revocable::superseded(previous, committed));
    let ruling = liveness_or_revoke(observed, &previous.token, true, revocable)?;
    let decision = ruling.unwrap_or_else(|| forget(observed, record, previous, "the provider refuses it"));
    Ok(Some(decision.with_pickup(Pickup::proven())))
}
