//! Revoke the old token until the provider refuses it, then forget it.

use crate::{
    api::conditions::Reason,
    core::{
        ledger::{
            record::{RevokeIntent, Superseded},
            revocable::Revocable,
        },
        rules::revoking::{ends, is_revocable, liveness_or_revoke, may_be_alive},
        ruling::Ruling,
        schedule,
        seen::{
            observed::Observed,
            views::{Record, Resource},
        },
        step::{Change, Decision, Pickup, Step},
        token::Liveness,
        transition,
    },
};

/// An old token that has expired needs no revoke, only the proof that it is dead.
pub(in crate::core) fn expired(observed: &Observed, record: &Record, previous: &Superseded) -> Ruling {
    if previous.revoke.is_some() || previous.token.expires_at.is_none_or(|expires| expires > observed.now) {
        return Ok(None);
    }
    Ok(match observed.try_liveness(previous.token.serial)? {
        Ok(Liveness::Dead | Liveness::Gone) => Some(forget(observed, record, previous, "it has expired")),
        Ok(Liveness::Alive | Liveness::Ending | Liveness::StillListed) | Err(_) => None,
    })
}

fn forget(observed: &Observed, record: &Record, previous: &Superseded, how: &str) -> Decision {
    let next = transition::forget(&record.ledger, observed.now);
    let step = Step::Save { ledger: Box::new(next), change: Change::Forgotten(previous.token.serial) };
    let message = format!("{} is verified to be rejected: {how}", previous.token.id);
    Decision::act(step, Reason::Revoked, message).with_pickup(Pickup::proven())
}

/// 11., second half, and 12.: revoke until the provider refuses the old token, then forget it.
///
/// One that nothing revokes is known until it expires, but stands in nobody's way: when the next rotation is due, it is let go.
pub(in crate::core) fn revoke(
    observed: &Observed,
    resource: &Resource,
    record: &Record,
    previous: &Superseded,
) -> Ruling {
    if previous.token.is_unknown() {
        let change = Change::Unknown(previous.token.serial);
        let step = Step::Save { ledger: Box::new(transition::leave_to_expiry(&record.ledger)), change };
        let message = may_be_alive(&previous.token);
        return Ok(Some(Decision::act(step, Reason::TokenMayRemain, message).with_pickup(Pickup::proven())));
    }
    let due = || schedule::due(observed, resource, resource.plan.as_ref().ok()?, Some(&record.ledger));
    if !is_revocable(observed, &previous.token) && due().is_some() {
        let next = transition::leave_to_expiry(&record.ledger);
        let step = Step::Save { ledger: Box::new(next), change: Change::LeftToExpiry(previous.token.serial) };
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

pub(in crate::core) fn revoke_committed(
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
