//! What a reconcile learned about the provider.

use crate::{
    api::conditions::Reason,
    core::{
        plan::Trouble,
        seen::{
            answers::{Fault, Origin},
            observed::Observed,
        },
    },
};

/// What this reconcile learned about the provider: nothing, that it answers, or what is wrong. How soon to come back
/// rests on it.
#[must_use]
pub fn provider_health(observed: &Observed) -> Option<Result<(), Trouble>> {
    if let Some(trouble) = missing(observed) {
        return Some(Err(trouble.clone()));
    }
    let looks = looks(observed);
    if looks.is_empty() {
        return None;
    }
    let fault = looks.into_iter().find_map(Result::err).filter(|fault| is_fault_of_provider(fault));
    Some(fault.map_or(Ok(()), |fault| Err(Trouble::new(fault.reason, fault.message.clone()))))
}

/// The same for the status, where more counts: an answer that cannot be used, as a redirect, and a create that failed,
/// whatever else the provider answered since. That the spec asks for what does not exist says nothing of the provider.
#[must_use]
pub fn learned(observed: &Observed) -> Option<Result<(), Trouble>> {
    if let Some(trouble) = missing(observed).cloned().or_else(|| failed_create(observed)) {
        return Some(Err(trouble));
    }
    let looks = looks(observed);
    let fault = looks.iter().filter_map(|look| look.err()).find(|fault| {
        fault.origin != Origin::Spec && (speaks_of_provider(fault.reason) || is_fault_of_provider(fault))
    });
    match fault {
        Some(fault) => Some(Err(Trouble::new(fault.reason, fault.message.clone()))),
        // What failed in the cluster says nothing of the provider.
        None => looks.iter().any(Result::is_ok).then_some(Ok(())),
    }
}

/// Whether the provider object was observed not to exist.
#[must_use]
pub fn is_missing(health: Option<&Result<(), Trouble>>) -> bool {
    matches!(health, Some(Err(trouble)) if trouble.provider_is_missing)
}

/// Whether the provider object is there, whatever else is wrong.
#[must_use]
pub fn provider_exists(observed: &Observed) -> bool {
    let plan = observed.resource.as_ref().map(|resource| resource.plan.as_ref());
    plan.is_some_and(|plan| plan.err().is_none_or(|trouble| !trouble.provider_is_missing))
}

fn missing(observed: &Observed) -> Option<&Trouble> {
    let trouble = observed.resource.as_ref()?.plan.as_ref().err()?;
    trouble.provider_is_missing.then_some(trouble)
}

/// Why the last create of the rotation under way failed, where that is the provider's doing.
fn failed_create(observed: &Observed) -> Option<Trouble> {
    let ledger = &observed.record.as_ref()?.ledger;
    let intent = ledger.intent.as_ref().filter(|_| ledger.pending.is_none())?;
    let failure = observed.memory.mint_failure.as_ref().or(intent.failure.as_ref())?;
    speaks_of_provider(failure.reason).then(|| Trouble::new(failure.reason, failure.message.clone()))
}

fn looks(observed: &Observed) -> Vec<Result<(), &Fault>> {
    let answers = &observed.answers;
    let mut looks: Vec<Result<(), &Fault>> = Vec::new();
    looks.extend(answers.preflight.as_ref().map(|answer| answer.as_ref().map(|_| ())));
    looks.extend(answers.listing.as_ref().map(|answer| answer.as_ref().map(|_| ())));
    looks.extend(answers.verification.values().map(|answer| answer.as_ref().map(|_| ())));
    looks.extend(answers.liveness.values().map(|answer| answer.as_ref().map(|_| ())));
    looks.extend(answers.last_use.values().map(|answer| answer.as_ref().map(|_| ())));
    looks
}

/// It could not be asked, or its answer cannot be used.
fn speaks_of_provider(reason: Reason) -> bool {
    let is_unusable = matches!(reason, Reason::InvalidSpec | Reason::PolicyForbids);
    is_unusable || is_of_provider(reason)
}

/// A right that is lacking may be one that every rotation needs, or one that only this provider does.
fn is_fault_of_provider(fault: &Fault) -> bool {
    is_of_provider(fault.reason) || (fault.reason == Reason::AccessDenied && fault.origin == Origin::Provider)
}

fn is_of_provider(reason: Reason) -> bool {
    matches!(
        reason,
        Reason::ProviderUnavailable
            | Reason::AnswerLost
            | Reason::CredentialRejected
            | Reason::CredentialMissing
            | Reason::ProviderRefused
            | Reason::QuotaExceeded
            | Reason::AccountSuspended
            | Reason::ProviderMissing
    )
}
