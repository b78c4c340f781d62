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
        ledger::{record::Ledger, trigger::Trigger},
        plan::Trouble,
        report::list::Conditions,
        seen::{
            life::{Life, try_life},
            observed::Observed,
            views::{Drift, Resource},
        },
        step::{Decision, Phase},
        token::Issued,
    },
};

const IDLE: &str = "no new token is being issued";
const FREE: &str = "nothing blocks the operator";
const HELP: &str = "a user has to act; see condition Stalled";

pub(super) fn set(list: &mut Conditions<'_>, observed: &Observed, decision: &Decision, ledger: Option<&Ledger>) {
    match trouble_beside(observed, decision) {
        // What goes on meanwhile needs nobody; what is wrong for the next rotation does.
        Some(Trouble { reason, message, .. }) => {
            let message = format!("{message}; meanwhile: {}", decision.message);
            let stalled = Decision { phase: Phase::Stalled, reason: *reason, message, ..decision.clone() };
            set_as_decided(list, observed, &stalled, ledger);
        }
        None => set_as_decided(list, observed, decision, ledger),
    }
}

/// What a user has to correct although the decision does not speak of it, because it goes on with what was begun before.
fn trouble_beside<'a>(observed: &'a Observed, decision: &Decision) -> Option<&'a Trouble> {
    let resource = observed.resource.as_ref().filter(|resource| !resource.deleting && resource.elsewhere.is_none())?;
    resource.plan.as_ref().err().filter(|_| decision.phase != Phase::Stalled)
}

fn set_as_decided(list: &mut Conditions<'_>, observed: &Observed, decision: &Decision, ledger: Option<&Ledger>) {
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
    const NONE: &str = "the Secret holds no token of this object yet";
    let Some(ledger) = ledger else { return Some(NONE) };
    let current = ledger.current.as_ref().map(|current| &current.token);
    let Some(current) = current.filter(|current| !current.is_unknown()) else { return Some(NONE) };
    let Ok(plan) = &resource.plan else { return Some(HELP) };
    if plan.source.specification != current.source.specification {
        return Some("the Secret holds a token of an older spec");
    }
    if current.expires_at.is_some_and(|expires| expires <= observed.now) {
        return Some("the token in the Secret has expired");
    }
    let Some(view) = observed.ours() else { return Some("the Secret is missing, or is not written by this object") };
    // Between publish and promotion it is the new one already.
    let published = ledger.pending.as_ref().filter(|pending| view.serial == Some(pending.serial)).unwrap_or(current);
    let Some(values) = observed.values(published.serial) else { return Some("the value of the token is lost") };
    if !matches!(view.drift(&resource.target, published.serial, values), None | Some(Drift::Metadata)) {
        return Some("the Secret does not hold the token; the operator writes it again");
    }
    is_dead(observed, ledger, published).then_some("the provider rejects the token in the Secret")
}

/// Whether the provider has ended a token: as this reconcile found, or as the one found that began to replace it.
fn is_dead(observed: &Observed, ledger: &Ledger, published: &Issued) -> bool {
    let is_current = ledger.current.as_ref().is_some_and(|current| current.token.serial == published.serial);
    let is_replaced = ledger.intent.as_ref().is_some_and(|intent| intent.trigger == Trigger::ValueLost);
    (is_current && is_replaced) || matches!(try_life(observed, published.serial), Ok(Ok(Life::Dead)))
}
