//! The way out of a token that did not pass: no replica may publish it any more, then it is revoked.

use std::time::Duration;

use crate::{
    api::conditions::Reason,
    core::{
        guards::Guard,
        ledger::{record::Ledger, revocable::Revocable},
        rules::{
            revoking::{ends, liveness_or_revoke},
            verifying::known_for,
        },
        ruling::{Ruling, Stop, adjust},
        seen::{
            answers::{Fault, FaultClass},
            observed::Observed,
            views::Record,
        },
        step::{Change, Decision, Phase, Step},
        timing::FOREIGN_INTENT,
        token::{Handle, Issued, Liveness},
        transition,
    },
};

/// Clears a refused token away. Why it was refused is what the user has to know meanwhile, beside what is done about it; where
/// a person has to act, that is the reason.
pub fn clear_refused(observed: &Observed, record: &Record, refused: &Issued) -> Ruling {
    let failure = record.ledger.intent.as_ref().and_then(|intent| intent.failure.as_ref());
    adjust(clear(observed, record, refused), |decision| match (&decision.step, failure) {
        // It was not refused after all, or all that is known of it is said already.
        (Step::Save { change: Change::Reinstated(_) | Change::RefusedLeft(_), .. }, _) | (_, None) => decision,
        (_, Some(failure)) => Decision {
            reason: if decision.phase == Phase::Stalled { decision.reason } else { failure.reason },
            message: format!("{}; {}", failure.message, decision.message),
            // What could not be asked of a refused token means nothing to a rule.
            fault: FaultClass::Other,
            ..decision
        },
    })
}

/// A refused token is revoked only after no replica can publish it any more: the fence changes the target's version, so
/// that a write which is based on an older read fails. Without a target there is nothing to fence, only time.
fn clear(observed: &Observed, record: &Record, refused: &Issued) -> Ruling {
    let serial = refused.serial;
    let save = |ledger: Ledger, change: Change, message: &str| {
        Ok(Some(Decision::act(Step::Save { ledger: Box::new(ledger), change }, Reason::Verifying, message)))
    };
    match observed.ours() {
        // Nobody can publish what was never pending.
        _ if refused.flawed => {}
        Some(view) if view.serial == Some(serial) => {
            let message = "another replica had verified and published the token before it was refused";
            return save(transition::reinstate(&record.ledger), Change::Reinstated(serial), message);
        }
        Some(view) if view.fence != Some(serial.attempt) && observed.guarded(Guard::Fence) => {
            let message = "preventing other replicas from publishing the refused token";
            return Ok(Some(Decision::act(Step::Fence { attempt: serial.attempt }, Reason::Verifying, message)));
        }
        Some(_) => {}
        None => {
            let known = known_for(observed, observed.memory.refused_since.filter(|(known, _)| *known == serial));
            let left = FOREIGN_INTENT.checked_sub(known);
            let left = left.filter(|left| !left.is_zero() && observed.guarded(Guard::Fence));
            if let Some(left) = left {
                let message = "waiting until no other replica can publish the refused token";
                return Ok(Some(Decision::wait(left, Reason::Verifying, message)));
            }
        }
    }
    if let Some(reported) = unrevoked(observed, record, refused)? {
        return save(
            transition::leave_refused(&record.ledger, reported.clone()),
            Change::RefusedLeft(serial),
            &reported,
        );
    }
    if !refused.handle.is_revocable() {
        let message = format!("the refused token {} cannot be revoked at its provider; {}", refused.id, ends(refused));
        return save(transition::drop_refused(&record.ledger), Change::LeftToExpiry(serial), &message);
    }
    let revocable = || Revocable::refused(&record.ledger, observed.target_serial());
    match liveness_or_revoke(observed, refused, false, revocable)? {
        Some(decision) => Ok(Some(decision)),
        None => save(
            transition::drop_refused(&record.ledger),
            Change::RefusedGone(serial),
            "the refused token is verified to be rejected",
        ),
    }
}

/// What is said of a token that showed that its recipe is wrong, where that recipe cannot revoke it either, or cannot
/// tell whether it did.
fn unrevoked(observed: &Observed, record: &Record, refused: &Issued) -> Result<Option<String>, Stop> {
    let Some(intent) = record.ledger.intent.as_ref().filter(|intent| intent.misread.is_some()) else { return Ok(None) };
    let sent = observed.memory.revokes.get(&refused.serial).map(|taken| taken.first);
    let has_value = record.values.contains_key(&refused.serial);
    // A verify that accepts everything says so of a dead token too.
    let patience = observed.delays.propagation.saturating_mul(3).max(Duration::from_secs(30));
    let is_late = sent.is_some_and(|at| observed.uptime.saturating_sub(at) >= patience);
    let is_blind = || {
        let is_wrong = |fault: &Fault| !has_value || (is_late && fault.class == FaultClass::Invalid);
        Ok::<_, Stop>(observed.try_liveness(refused.serial)?.err().is_some_and(is_wrong))
    };
    let what = if !refused.handle.is_revocable() {
        "cannot be revoked by it"
    } else if sent.is_some() && is_blind()? {
        "was revoked, and nothing shows whether it is rejected"
    } else if is_late && matches!(observed.try_liveness(refused.serial)?, Ok(Liveness::Alive)) {
        "was revoked, and verify still accepts it, which proves nothing with this recipe"
    } else {
        return Ok(None);
    };
    let why = intent.failure.as_ref().map(|failure| failure.message.as_str()).unwrap_or_default();
    let id = match &refused.handle {
        Handle::Id { id } => format!(" (id {id})"),
        _ => String::new(),
    };
    let end = refused.expires_at.map(|at| format!(" and expires at {at}")).unwrap_or_default();
    let name = &refused.id;
    Ok(Some(format!("{why}; the token {name}{id} {what}{end}: find it at the provider, and revoke it by hand")))
}
