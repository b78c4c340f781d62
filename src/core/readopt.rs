//! The record is gone and the target is ours: rebuild the record from the Secret and the provider.
//!
//! Minting would be wrong (the token in the Secret works), and so would be revoking what is not known: an older token may
//! be held by pods, so it becomes the superseded one and goes the whole way of one.

use super::decide::{STALLED_WAKE, on_fault};
use super::observed::Observed;
use super::plan::Plan;
use super::record::{Current, Ledger};
use super::step::{Decision, Ruling, Step};
use super::token::{Issued, Listed};
use super::transition;
use crate::api::conditions::Reason;
use crate::secret_value::TokenSet;

/// Rebuilds a lost record.
pub fn lost_record(observed: &Observed) -> Ruling {
    let (Some(resource), None, Some(view)) = (&observed.resource, &observed.record, observed.ours()) else {
        return Ok(None);
    };
    let plan = match &resource.plan {
        Ok(plan) => plan,
        Err(trouble) => return Ok(Some(Decision::stall(STALLED_WAKE, trouble.reason, trouble.message.clone()))),
    };
    let listed = match observed.listing(&plan.provider)? {
        Ok(listed) => listed,
        Err(fault) => return Ok(Some(on_fault(observed, fault))),
    };
    let counter = listed.iter().map(|token| token.generation.attempt).chain(view.generation.map(|g| g.attempt)).max();
    let sequence =
        listed.iter().map(|token| token.generation.sequence).chain(view.generation.map(|g| g.sequence)).max();
    let current = view.generation.and_then(|generation| listed.iter().find(|token| token.generation == generation));
    let mut ledger = transition::empty(&observed.owner, &resource.target.name, resource.deletion_policy);
    ledger.counter = counter.unwrap_or(0);
    ledger.sequence = sequence.unwrap_or(0);
    ledger.rotate_now_seen = resource.rotate_now.clone();
    let values: std::collections::BTreeMap<_, _> = resource
        .target
        .data
        .iter()
        .filter_map(|(key, field)| Some((field.clone(), view.data.get(key)?.clone())))
        .collect();
    let Some(current) = current.filter(|_| !values.is_empty()) else {
        return Ok(Some(unknown_value(ledger, plan, observed, listed)));
    };
    let values = TokenSet::new(values);
    let token = Issued { fingerprint: values.fingerprint(), ..issued(current, plan, observed) };
    // The newest of the others; older ones are swept by the next rotation, after this one was proven to be held by nobody.
    let older = listed.iter().filter(|token| token.generation != current.generation);
    let previous = older.max_by_key(|token| token.generation.attempt);
    ledger.previous = previous.map(|token| transition::supersede(issued(token, plan, observed), None));
    ledger.current = Some(Current { token, reason: Reason::Readopted, promoted_at: observed.now });
    let message = "the record was lost; rebuilt from the Secret and the provider's list";
    Ok(Some(Decision::act(
        Step::Readopt { ledger: Box::new(ledger), values: Some(values) },
        Reason::Readopted,
        message,
    )))
}

/// The token in the target is none that the provider lists: a rotation replaces it, numbered after everything seen.
///
/// The newest token that is listed may be held by pods; it stands in as the current one, so that it is superseded and goes
/// the whole way, and not swept.
fn unknown_value(mut ledger: Ledger, plan: &Plan, observed: &Observed, listed: &[Listed]) -> Decision {
    let newest = listed.iter().max_by_key(|token| token.generation.attempt);
    ledger.current = newest.map(|token| Current {
        token: issued(token, plan, observed),
        reason: Reason::ValueLost,
        promoted_at: observed.now,
    });
    let message = "the record was lost and the provider does not list the token in the Secret; it will be replaced";
    Decision::act(Step::Readopt { ledger: Box::new(ledger), values: None }, Reason::ValueLost, message)
}

/// What can be said of a token that is known from a list only.
pub(super) fn issued(listed: &Listed, plan: &Plan, observed: &Observed) -> Issued {
    Issued {
        generation: listed.generation,
        id: listed.id.clone(),
        handle: listed.handle.clone(),
        fingerprint: String::new(),
        issued_at: observed.now,
        expires_at: None,
        specification: plan.specification.clone(),
        provider: plan.provider.clone(),
        surplus: Vec::new(),
    }
}
