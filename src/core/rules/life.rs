//! What a rule does about a token that may be dead; whether it is, [`crate::core::seen::life`] says.

use std::time::Duration;

use crate::{
    api::conditions::Reason,
    core::{
        ruling::{Stop, on_fault},
        schedule,
        seen::{
            observed::Observed,
            refusals::{Refusals, SPAN},
            views::Record,
        },
        step::{Decision, Phase},
        timing::STALLED_WAKE,
        token::{Issued, Serial},
    },
};

pub use crate::core::seen::life::{Life, refusals, try_life};

/// When a token that is in doubt is looked at again.
pub const LOOK_AGAIN: Duration = Duration::from_secs(40);

/// Whether a token is dead, where nothing that we know of would have ended it.
///
/// # Errors
/// The question, or the wait after an answer that could not be had.
pub fn life(observed: &Observed, serial: Serial) -> Result<Life, Stop> {
    try_life(observed, serial)?.map_err(|fault| on_fault(observed, fault).into())
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
