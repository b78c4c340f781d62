//! Revoke every token, after nobody uses the Secret.

use std::time::Duration;

use crate::{
    api::conditions::Reason,
    core::{
        guards::Guard,
        ledger::{
            record::{Ledger, RevokeIntent},
            revocable::Revocable,
        },
        pods::pickup::PickupProof,
        rules::{
            retire::{ending::drop_record, users::nobody_left},
            revoking::{is_revocable, liveness_or_revoke, may_be_alive},
        },
        ruling::{Ruling, Stop},
        seen::{
            observed::Observed,
            views::{Record, Target},
        },
        step::{Change, Decision, Pickup, Step},
        transition,
    },
};

/// Revoke everything, after nobody uses it.
pub(in crate::core) fn revoke(observed: &Observed, record: &Record) -> Result<Decision, Stop> {
    let ledger = &record.ledger;
    if ledger.tokens().next().is_none() || !observed.guarded(Guard::RetireDead) {
        return Ok(drop_record(observed, record, Reason::Deleting, "no token of this object is alive"));
    }
    let proof = nobody_left(observed, ledger)?;
    let shown = |decision: Decision| decision.with_pickup(Pickup::proven());
    match unused(observed, record, proof) {
        Ok(decision) => Ok(shown(decision)),
        Err(Stop::Do(decision)) => Err(shown(*decision).into()),
        Err(Stop::Ask(question)) => Err(Stop::Ask(question)),
    }
}

/// What is done while nobody uses it.
fn unused(observed: &Observed, record: &Record, proof: PickupProof) -> Result<Decision, Stop> {
    let ledger = &record.ledger;
    if let Target::Ours(_) = &observed.target
        && observed.guarded(Guard::RetireTarget)
    {
        // One that came back after the decision to revoke may have given its value to a pod: decide anew.
        if let Some(retirement) = ledger.retirement.as_ref().filter(|retirement| retirement.revoke.is_some()) {
            let next = transition::retire(ledger, retirement.pods.clone(), retirement.crowd.clone());
            let step = Step::Save { ledger: Box::new(next), change: Change::Retiring };
            return Ok(Decision::act(
                step,
                Reason::Deleting,
                "the Secret exists again; the operator counts its consumers again",
            ));
        }
        let message = "no pod uses the Secret any more; deleting it";
        return Ok(Decision::act(Step::DeleteTarget, Reason::Deleting, message));
    }
    if let Some(left) = observed.unsettled() {
        let message = "the Secret is deleted; waiting until no pod can start with its value";
        return Ok(Decision::wait(left, Reason::Deleting, message));
    }
    let Some(committed) = ledger.retirement.as_ref().and_then(|retirement| retirement.revoke.as_ref()) else {
        if let Some(left) = still_published(observed) {
            let message = "waiting until no write from before the deletion can still arrive";
            return Ok(Decision::wait(left, Reason::Deleting, message));
        }
        let next = transition::intend_retirement(ledger, proof, observed.now);
        let step = Step::Save { ledger: Box::new(next), change: Change::RetirementIntended };
        return Ok(Decision::act(step, Reason::Deleting, "no pod uses the Secret any more; revoking its tokens"));
    };
    // Where one only waits for its end, what can be revoked does not wait for that.
    let mut tokens: Vec<_> = ledger.tokens().filter(|token| !token.is_unknown()).collect();
    tokens.sort_by_key(|token| !is_revocable(observed, token));
    for token in tokens {
        let revocable = || Some(Revocable::retired(token, committed));
        if let Some(decision) = liveness_or_revoke(observed, token, true, revocable)? {
            return Ok(decision);
        }
    }
    if let Some(decision) = rest_of_listed(observed, ledger, committed)? {
        return Ok(decision);
    }
    if let Some(unknown) = ledger.tokens().find(|token| token.is_unknown()) {
        return Ok(drop_record(observed, record, Reason::TokenMayRemain, &may_be_alive(unknown)));
    }
    Ok(drop_record(observed, record, Reason::Revoked, "every token of this object is verified to be rejected"))
}

/// Time in which another replica, which has not heard of the deletion, may still publish: the settle
/// time, which has to be longer than [`PUBLISH_WITHIN`](crate::core::timing::PUBLISH_WITHIN).
fn still_published(observed: &Observed) -> Option<Duration> {
    let since = observed.memory.retiring_since.filter(|_| observed.guarded(Guard::RetireSettle))?;
    let left = observed.settings.settle.checked_sub(observed.uptime.saturating_sub(since))?;
    (!left.is_zero()).then_some(left)
}

/// Tokens that the record does not know, of a past that it has lost: no consumer is left, so they go too.
fn rest_of_listed(observed: &Observed, ledger: &Ledger, committed: &RevokeIntent) -> Ruling {
    let Some(source) = transition::source(ledger).filter(|_| observed.guarded(Guard::RetireSweep)) else {
        return Ok(None);
    };
    let listed = observed.listing(source)?;
    let known = ledger.serials();
    let unknown = listed.iter().find(|token| !known.contains(&token.serial));
    Ok(unknown.map(|token| {
        let message = format!("revoking {}, which the record does not know", token.id);
        let token = Revocable::retired_listed(token, committed);
        let step = Step::Revoke { token, source: Box::new(source.clone()), values: None, published: false };
        Decision::act(step, Reason::Deleting, message)
    }))
}
