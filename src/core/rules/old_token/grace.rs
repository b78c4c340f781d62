//! The rest of the grace period, and then the evidence for the revoke.

use std::time::Duration;

use crate::{
    api::conditions::Reason,
    core::{
        guards::Guard,
        ledger::record::{Current, Ledger, RevokeIntent, Superseded},
        pods::pickup::PickupProof,
        rules::old_token::{
            last_use::still_in_use,
            overdue::{in_the_way, retry_stalled},
            revoke::revoke_committed,
        },
        ruling::{Ruling, on_fault},
        schedule,
        seen::{
            observed::Observed,
            views::{Record, Resource},
        },
        step::{Change, Decision, Pickup, Step},
        token::{Handle, Verification},
        transition,
    },
};

/// The rest of the grace period, by the monotonic clock; then the evidence is committed.
pub(in crate::core) fn serve_grace(
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
                    Decision::act(step, Reason::InGrace, "recorded the grace period served")
                        .with_pickup(Pickup::proven()),
                ));
            }
            let message = match previous.token.expires_at.filter(|at| *at < schedule::after(observed.now, left)) {
                Some(expires) => {
                    format!("no pod can hold the old token; it expires at {expires}, before its grace period ends")
                }
                None => {
                    let until = schedule::promised_until(observed.now, left, grace);
                    format!(
                        "no pod can hold the old token; it stays valid for its grace period, at least until {until}"
                    )
                }
            };
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
    let serial = current.token.serial;
    let why = match observed.try_verification(serial)? {
        Ok(Verification::NotYet { why } | Verification::Dead { why }) if observed.guarded(Guard::NewWorks) => {
            why.clone()
        }
        Ok(_) => {
            let next = transition::intend_revoke(ledger, proof, observed.now);
            let step = Step::Save { ledger: Box::new(next), change: Change::RevokeIntended(serial) };
            let message = "every pod that could hold the old token is gone";
            return Ok(Some(Decision::act(step, Reason::PickedUp, message).with_pickup(Pickup::proven())));
        }
        Err(fault) => return Ok(Some(on_fault(observed, fault).with_pickup(Pickup::proven()))),
    };
    let message = format!("the old token is kept because the new one does not work at the provider: {why}");
    Ok(Some(retry_stalled(observed, Reason::ProviderRefused, message).with_pickup(Pickup::proven())))
}
