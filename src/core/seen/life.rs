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

use crate::core::{
    guards::Guard,
    seen::{
        answers::{Fault, Question},
        observed::Observed,
        refusals::Refusals,
    },
    token::{Liveness, Serial},
};

/// What is believed of a token after this check and those before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Life {
    /// It is accepted.
    Alive,
    /// It is refused, and that is not enough to call it dead.
    Doubted(Refusals),
    Dead,
}

/// Whether a token is dead, where nothing that we know of would have ended it; or the question.
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
