//! What a user waits for after a request: who serves the object, and which value of the rotate-now annotation was handled last.

use crate::{
    api::{RotatedTokenStatus, conditions::Reason},
    core::{
        ledger::record::Ledger,
        seen::observed::Observed,
        step::{Decision, Phase},
    },
};

/// The installation that serves the object.
pub(super) fn served_by<'a>(observed: &'a Observed, install: &'a str) -> &'a str {
    observed.resource.as_ref().and_then(|resource| resource.elsewhere.as_deref()).unwrap_or(install)
}

/// The last value of the annotation that was handled: its rotation is promoted, or refused with a reason.
///
/// The record notes a value when its rotation begins, and keeps the intent until the promotion. What was handled before that is not
/// in the record any more, so it is kept as it is shown.
pub(super) fn last_handled(observed: &Observed, decision: &Decision, shown: &RotatedTokenStatus) -> Option<String> {
    let ledger = observed.record.as_ref().map(|record| &record.ledger);
    if is_refused(observed, decision, ledger) {
        let asked = observed.resource.as_ref().and_then(|resource| resource.rotate_now.clone());
        return asked.or_else(|| shown.last_handled_rotate_now.clone());
    }
    match ledger {
        Some(ledger) if ledger.intent.is_none() => ledger.rotate_now_seen.clone(),
        Some(_) | None => shown.last_handled_rotate_now.clone(),
    }
}

/// Whether the operator refuses to rotate. While an old token is waited for, a request only waits for that; and what belongs to another
/// installation is refused by nobody here.
fn is_refused(observed: &Observed, decision: &Decision, ledger: Option<&Ledger>) -> bool {
    let is_free = ledger.is_none_or(|ledger| ledger.intent.is_some() || ledger.previous.is_none());
    let is_ours = observed.resource.as_ref().is_some_and(|resource| !resource.deleting && resource.elsewhere.is_none());
    decision.phase == Phase::Stalled && is_free && is_ours && decision.reason != Reason::ForeignRecord
}
