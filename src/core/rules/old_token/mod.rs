//! From the promotion to the end of the old token: roll, wait for pickup, grace, revoke-intent, revoke, confirm, forget.

mod grace;
mod image_pull;
mod last_use;
mod overdue;
mod pickup;
mod revoke;
mod rollout;

use crate::{
    api::conditions::Reason,
    core::{
        guards::Guard,
        ledger::{
            record::{Current, MAX_PRESUMED_DEAD, Superseded},
            trigger::Trigger,
        },
        rules::{
            life::{self, Life, doubted},
            old_token::{
                pickup::{PICKUP_WAKE, await_pickup},
                revoke::{expired, revoke},
            },
            snapshot::settled_snapshot,
        },
        ruling::{Ruling, adjust, intended},
        seen::{
            observed::Observed,
            views::{Drift, Record, Resource, Target},
        },
        stamp,
        step::{Change, Decision, Step},
        timing::STALLED_WAKE,
        transition,
    },
};

/// What is said of a target that is not as it was left.
const DRIFT: &str = "another client changed or deleted the Secret; the operator restored it from the record";

/// Goes on with an old token that is not yet dead.
pub fn finish(observed: &Observed) -> Ruling {
    let (Some(resource), Some(record)) = (&observed.resource, &observed.record) else { return Ok(None) };
    let (Some(previous), Some(current)) = (&record.ledger.previous, &record.ledger.current) else { return Ok(None) };
    // The current token died and its successor is under way.
    if record.ledger.intent.is_some() {
        return Ok(None);
    }
    let doubt = match life::try_life(observed, current.token.serial)? {
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
    let next = transition::intend(&record.ledger, resource, plan, Trigger::ValueLost, None, observed.now, census);
    Ok(Some(intended(next)))
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
    let serial = current.token.serial;
    let values = record.values.get(&serial)?;
    let drift = match &observed.target {
        // Labels and annotations are put back at rest.
        Target::Ours(view) => view.drift(&resource.target, serial, values).filter(|drift| *drift != Drift::Metadata)?,
        Target::Absent => Drift::Missing,
        Target::Adoptable | Target::Foreign(_) => Drift::Values,
    };
    if drift == Drift::Values
        && observed.guarded(Guard::Reopen)
        && let Some(decision) = reopen(record, previous)
    {
        return Some(decision);
    }
    Some(Decision::act(Step::Publish { serial, repair: true }, Reason::DriftRepaired, DRIFT))
}

/// Writes down that pods may have started with something else; `None` if that is written already.
pub(in crate::core) fn reopen(record: &Record, previous: &Superseded) -> Option<Decision> {
    (previous.snapshot.is_some() || previous.revoke.is_some()).then(|| {
        let step = Step::Save { ledger: Box::new(transition::reopen(&record.ledger)), change: Change::Reopened };
        Decision::act(step, Reason::DriftRepaired, DRIFT)
    })
}

/// The snapshot has to be taken again.
fn snapshot(observed: &Observed, resource: &Resource, record: &Record) -> Ruling {
    let snapshot = settled_snapshot(observed, resource, record.ledger.sequence)?;
    let next = stamp::renew(observed, transition::snapshot(&record.ledger, snapshot))?;
    let step = Step::Save { ledger: Box::new(next), change: Change::Snapshot };
    Ok(Some(Decision::act(step, Reason::AwaitingPickup, "recorded the pods that may hold the old token")))
}
