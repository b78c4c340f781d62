//! Is a token dead? One refusal is never a death: a gateway, a proxy or an API server that has just started refuses everybody
//! for a moment, and a token that is forgotten or replaced for that was alive all the time.
//!
//! | what a check showed | what it means |
//! | --- | --- |
//! | gone where it is kept, as the cluster itself says | dead |
//! | refused, and nothing contradicts | dead after [`LOOKS`](crate::core::seen::refusals::LOOKS) such checks over [`SPAN`], without another answer between |
//! | refused, and still listed or confirmed | in doubt for as long as this lasts: a user has to act |
//!
//! What explains a refusal (a revoke that was sent, an expiry that has passed, a successor that ended it) is for the rules to
//! know; where there is such a reason, one check is enough.

use std::time::Duration;

use crate::{
    api::conditions::Reason,
    core::{
        guards::Guard,
        ruling::{Stop, on_fault},
        schedule,
        seen::{
            answers::{Fault, Question},
            observed::Observed,
            refusals::{Refusals, SPAN},
            views::Record,
        },
        step::{Decision, Phase},
        timing::STALLED_WAKE,
        token::{Issued, Liveness, Serial},
    },
};

/// When a token that is in doubt is looked at again.
pub const LOOK_AGAIN: Duration = Duration::from_secs(40);

/// What is believed of a token after this check and those before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Life {
    /// It is accepted.
    Alive,
    /// It is refused, and that is not enough to call it dead.
    Doubted(Refusals),
    Dead,
}

/// Whether a token is dead, where nothing that we know of would have ended it.
///
/// # Errors
/// The question, or the wait after an answer that could not be had.
pub fn life(observed: &Observed, serial: Serial) -> Result<Life, Stop> {
    try_life(observed, serial)?.map_err(|fault| on_fault(observed, fault).into())
}

/// The same where a fault means something to a rule; or the question.
pub fn try_life(observed: &Observed, serial: Serial) -> Result<Result<Life, &Fault>, Question> {
    let liveness = match observed.try_liveness(serial)? {
        Ok(liveness) => liveness,
        Err(fault) => return Ok(Err(fault)),
    };
    Ok(Ok(match refusals(observed, serial, liveness) {
        _ if matches!(liveness, Liveness::Gone | Liveness::Ending) => Life::Dead,
        None => Life::Alive,
        Some(_) if !observed.guarded(Guard::SeveralRefusals) => Life::Dead,
        Some(refusals) if refusals.is_proof(observed.uptime) => Life::Dead,
        Some(refusals) => Life::Doubted(refusals),
    }))
}

/// The refusals of a token, this check included; `None` if it is not refused.
#[must_use]
pub fn refusals(observed: &Observed, serial: Serial, liveness: Liveness) -> Option<Refusals> {
    let is_listed = match liveness {
        Liveness::StillListed => true,
        Liveness::Dead => false,
        Liveness::Alive | Liveness::Ending | Liveness::Gone => return None,
    };
    let before = observed.memory.refusals.get(&serial).copied();
    Some(Refusals::with(before, observed.uptime, is_listed))
}

/// What is said of a token that is in doubt.
#[must_use]
pub fn describe(id: &str, refusals: Refusals, observed: &Observed) -> String {
    if !refusals.is_listed {
        return format!(
            "the provider refuses {id}, which nobody here has revoked; one refusal is no death, so it is looked at again until \
             it is accepted, or was refused for {} min",
            SPAN.as_secs() / 60
        );
    }
    let since = schedule::minute_before(observed.now, observed.uptime.saturating_sub(refusals.first));
    format!(
        "the provider has refused {id} since about {since} and still lists it, so it is not taken for dead; check the provider and at what \
         stands before it, and if the token is of no use any more, set tokenturn.dev/rotate-now"
    )
}

/// A token that workloads use is refused, and not known to be dead: it is looked at again. What lasts is for a person.
pub(in crate::core) fn doubted(observed: &Observed, token: &Issued, refusals: Refusals) -> Decision {
    let message = describe(&token.id, refusals, observed);
    if refusals.is_listed && refusals.is_lasting(observed.uptime) {
        return Decision::stall(STALLED_WAKE, Reason::TokenRefused, message);
    }
    let is_current = observed.record.as_ref().is_some_and(|Record { ledger, .. }| {
        let current = ledger.current.as_ref().map(|current| current.token.serial);
        current == Some(token.serial) && ledger.intent.is_none() && ledger.previous.is_none()
    });
    let phase = if is_current { Phase::AtRest } else { Phase::Progressing };
    Decision { phase, ..Decision::wait(LOOK_AGAIN, Reason::TokenRefused, message) }
}
