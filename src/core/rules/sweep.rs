//! What attempts left behind whose answers were lost: it is revoked before anything new is minted.

use std::borrow::Cow;

use crate::{
    api::conditions::Reason,
    core::{
        guards::Guard,
        ledger::{record::Ledger, revocable::Revocable},
        rules::readopt,
        ruling::Stop,
        seen::observed::Observed,
        step::{Decision, Step},
        token::Source,
    },
};

/// Revokes what attempts left behind whose answers were lost; the number of tokens that are alive when nothing is left.
///
/// # Errors
/// What has to be done, or asked, first.
pub(in crate::core) fn sweep(observed: &Observed, ledger: &Ledger, source: &Source) -> Result<usize, Stop> {
    let listed = observed.listing(source)?;
    if let Some(decision) = readopt::ahead(observed, ledger, listed) {
        return Err(decision.into());
    }
    let target = observed.target_serial();
    let known = known_to_sweep(observed, ledger);
    let found = listed.iter().find_map(|token| Revocable::unpublished(token, &known, target));
    let Some(token) = found.filter(|_| observed.guarded(Guard::Sweep)) else {
        return Ok(listed.len());
    };
    // No left-over: this process has published it, and then the record went back to where it was not minted yet.
    if observed.memory.published == Some(token.serial())
        && observed.guarded(Guard::SweepSparesPublished)
        && let Some(decision) = readopt::behind(observed, ledger, listed)
    {
        return Err(decision.into());
    }
    let message = format!("revoking the orphaned token {} of an attempt whose answer was lost", token.id());
    let step = Step::Revoke { token, source: Box::new(source.clone()), values: None, published: false };
    Err(Decision::act(step, Reason::Minting, message).into())
}

/// The ledger that tells what is no left-over: as it is, unless the model takes a guard away.
fn known_to_sweep<'a>(observed: &Observed, ledger: &'a Ledger) -> Cow<'a, Ledger> {
    let mut known = Cow::Borrowed(ledger);
    if !observed.guarded(Guard::SweepKnownAttempts) {
        known.to_mut().counter = i64::MAX;
    }
    if !observed.guarded(Guard::UnknownPast) {
        known.to_mut().unknown_until = 0;
    }
    if !observed.guarded(Guard::SweepSparesRecord) {
        *known.to_mut() =
            Ledger { pending: None, current: None, previous: None, presumed_dead: Vec::new(), ..ledger.clone() };
    }
    known
}
