//! `Ready`, `Reconciling` and `Stalled`, as kstatus reads them.
//!
//! kstatus takes an object for InProgress while `Reconciling` is True, for Failed while `Stalled` is, and for Current
//! when neither is and `Ready` is True. So `Reconciling` is True only while the operator is at work before a promotion:
//! from then on the Secret holds the new token, and waiting for pods and for the grace period asks nothing of anybody.
//!
//! The sentence of the decision stands in one of the three: the one that is the reason.

use crate::{
    api::conditions::{READY, RECONCILING, Reason, STALLED},
    core::{
        ledger::record::Ledger,
        report::list::Conditions,
        seen::{observed::Observed, views::Resource},
        step::{Decision, Phase},
    },
};

const IDLE: &str = "the operator is not between the intent of a rotation and its promotion";
const FREE: &str = "nothing blocks the operator";
const HELP: &str = "a user has to act; see condition Stalled";

pub(super) fn set(list: &mut Conditions<'_>, observed: &Observed, decision: &Decision, ledger: Option<&Ledger>) {
    let Decision { phase, reason, message, .. } = decision;
    let lacking = lacking(observed, decision, ledger);
    let stalled = *phase == Phase::Stalled;
    let reconciling = *phase == Phase::Progressing && is_before_promotion(observed, ledger, lacking.is_some());
    let ready = lacking.is_none();
    match (stalled || reconciling, lacking) {
        (false, _) => list.set(READY, ready, *reason, message),
        (true, None) => list.set(READY, ready, *reason, "the Secret holds a working token of the declared spec"),
        (true, Some(lacking)) => list.set(READY, ready, *reason, lacking),
    }
    match reconciling {
        true => list.set(RECONCILING, true, *reason, message),
        false => list.set(RECONCILING, false, Reason::NotReconciling, IDLE),
    }
    match stalled {
        true => list.set(STALLED, true, *reason, message),
        false => list.set(STALLED, false, Reason::NotStalled, FREE),
    }
}

/// Where nothing could be observed.
pub(super) fn unseen(list: &mut Conditions<'_>, reason: Reason, message: &str) {
    list.set(READY, false, reason, HELP);
    list.set(RECONCILING, false, Reason::NotReconciling, IDLE);
    list.set(STALLED, true, reason, message);
}

/// A rotation has begun and is not promoted, or there is no token to use until one is.
fn is_before_promotion(observed: &Observed, ledger: Option<&Ledger>, lacks_token: bool) -> bool {
    let rotating = ledger.is_some_and(|ledger| ledger.intent.is_some());
    !is_leaving(observed) && (rotating || lacks_token)
}

fn is_leaving(observed: &Observed) -> bool {
    observed.resource.as_ref().is_none_or(|resource| resource.deleting)
}

/// What is missing to a Secret that holds a working token of the declared spec, with nothing in the way of the next
/// one.
fn lacking(observed: &Observed, decision: &Decision, ledger: Option<&Ledger>) -> Option<&'static str> {
    let Some(resource) = observed.resource.as_ref().filter(|_| !is_leaving(observed)) else {
        return Some("the object is being deleted");
    };
    lacking_token(observed, resource, ledger).or((decision.phase == Phase::Stalled).then_some(HELP))
}

fn lacking_token(observed: &Observed, resource: &Resource, ledger: Option<&Ledger>) -> Option<&'static str> {
    let current = ledger.and_then(|ledger| ledger.current.as_ref()).map(|current| &current.token);
    let Some(current) = current.filter(|current| !current.is_unknown()) else {
        return Some("the Secret holds no token of this object yet");
    };
    let Ok(plan) = &resource.plan else { return Some(HELP) };
    if plan.source.specification != current.source.specification {
        return Some("the Secret holds a token of an older spec");
    }
    if current.expires_at.is_some_and(|expires| expires <= observed.now) {
        return Some("the token in the Secret has expired");
    }
    observed.ours().is_none().then_some("the Secret is missing, or is not written by this object")
}
