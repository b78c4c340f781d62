//! What a user waits for after a request: who serves the object, and which value of the rotate-now annotation was
//! handled last.

use crate::{
    api::{RotatedTokenStatus, conditions::Reason},
    core::{
        ledger::record::Ledger,
        seen::observed::Observed,
        step::{Decision, Phase},
    },
};

/// Characters of a value that are shown. Whoever may annotate an object can put 256 KiB there.
const LONGEST_REQUEST: usize = 256;

/// The installation that serves the object.
pub(super) fn served_by<'a>(observed: &'a Observed, install: &'a str) -> &'a str {
    observed.resource.as_ref().and_then(|resource| resource.elsewhere.as_deref()).unwrap_or(install)
}

/// The last value of the annotation that was handled: its rotation is promoted, or refused with a reason.
///
/// The record notes a value when its rotation begins, and keeps the intent until the promotion. What was handled before
/// that, or was refused, is not in the record, so it is kept as it is shown until the value that the object has now is
/// handled.
pub(super) fn last_handled(observed: &Observed, decision: &Decision, shown: &RotatedTokenStatus) -> Option<String> {
    let ledger = observed.record.as_ref().map(|record| &record.ledger);
    let promoted = ledger.filter(|ledger| ledger.intent.is_none()).and_then(|ledger| ledger.rotate_now_seen.as_ref());
    let asked = observed.resource.as_ref().and_then(|resource| resource.rotate_now.as_ref());
    let is_handled = is_refused(observed, decision, ledger) || promoted == asked;
    let now = asked.filter(|_| is_handled);
    let handled = now.or(shown.last_handled_rotate_now.as_ref()).or(promoted);
    handled.map(|value| value.chars().take(LONGEST_REQUEST).collect())
}

/// Whether the operator refuses to rotate. While an old token is waited for, a request only waits for that; and what
/// belongs to another installation is refused by nobody here.
fn is_refused(observed: &Observed, decision: &Decision, ledger: Option<&Ledger>) -> bool {
    let is_free = ledger.is_none_or(|ledger| ledger.intent.is_some() || ledger.previous.is_none());
    let is_ours = observed.resource.as_ref().is_some_and(|resource| !resource.deleting && resource.elsewhere.is_none());
    decision.phase == Phase::Stalled && is_free && is_ours && decision.reason != Reason::ForeignRecord
}
