//! Objects that would be deleted never, because nobody can revoke their tokens any more.
//!
//! Nobody can create a credential in a namespace that is being deleted, so waiting for one would hold the namespace for ever. The object is
//! let go, its record stays for people, and what lives on is said where they read it. With `deletionPolicy: Orphan` what was never published
//! is revoked all the same, but an object does not wait for a provider that cannot do it: what lives on is said, as of the other tokens.

use std::time::Duration;

use crate::{
    api::{DeletionPolicy, conditions::Reason},
    core::{
        ledger::record::Ledger,
        report,
        rules::retire::ending::drop_record,
        seen::{
            answers::{FaultClass, Question},
            observed::Observed,
        },
        step::{Decision, Phase, Step},
    },
};

/// How long a credential that is refused is shown again and again in a namespace that is being deleted: gateways refuse for a moment.
const REFUSED_FOR: Duration = Duration::from_secs(600);

/// How long an object that leaves its tokens alive tries to revoke what it never published, and one that never had any to list them.
pub(in crate::core) const TRIES_FOR: Duration = Duration::from_secs(120);

/// The decision, or to let the object go where it would wait for ever.
///
/// # Errors
/// The question whether the namespace is being deleted.
pub fn or_release(observed: &Observed, decision: Decision) -> Result<Decision, Question> {
    let goes = observed.resource.as_ref().is_none_or(|resource| resource.deleting);
    if !goes || !matches!(decision.step, Step::Wait { .. }) {
        return Ok(decision);
    }
    if let Some(orphan) = orphan(observed, &decision) {
        return Ok(orphan);
    }
    if !is_for_ever(observed, decision.fault) {
        return Ok(decision);
    }
    if !matches!(observed.try_namespace_ends()?, Ok(true)) {
        return Ok(decision);
    }
    let namespace = &observed.owner.namespace;
    let lost = format!(
        "namespace {namespace} is being deleted, and the credential that revokes the tokens of this object is already deleted ({})",
        decision.message
    );
    let Some(record) = &observed.record else {
        let message = format!("{lost}; its record is lost too; check the provider for orphaned tokens");
        return Ok(Decision::act(Step::ReleaseFinalizer, Reason::LeftAlive, message));
    };
    let message = format!("{lost}; revoke by hand: {}", names(&record.ledger));
    let step = Step::LeaveRecord { message: message.clone() };
    Ok(Decision::act(step, Reason::LeftAlive, message))
}

/// What an object that leaves its tokens alive does instead of waiting on for its provider.
fn orphan(observed: &Observed, decision: &Decision) -> Option<Decision> {
    let resource = observed.resource.as_ref().filter(|found| found.deletion_policy == DeletionPolicy::Orphan)?;
    let is_stuck = decision.phase == Phase::Stalled || report::failed(decision);
    if !is_stuck || !is_stuck_for(observed, TRIES_FOR) {
        return None;
    }
    let minutes = TRIES_FOR.as_secs() / 60;
    let spent = format!(
        "for more than {minutes} min the operator could not revoke a token that was never published ({})",
        decision.message
    );
    let alive = |what: &str| {
        format!(
            "spec.deletionPolicy is Orphan: the operator no longer rotates or revokes the orphaned token: {what}; {spent}"
        )
    };
    let Some(record) = &observed.record else {
        let name = &resource.target.name;
        let message = alive(&format!(
            "what its provider may list under the name of this object, and what Secret {name} may hold"
        ));
        return Some(Decision::act(Step::ReleaseFinalizer, Reason::Orphaned, message));
    };
    let message = alive(&names(&record.ledger));
    if may_be_marked(observed) {
        let ids: Vec<&str> = record.ledger.tokens().map(|token| token.id.as_str()).collect();
        return Some(Decision::act(Step::MarkOrphaned { id: ids.join(",") }, Reason::Deleting, message));
    }
    Some(drop_record(observed, record, Reason::Orphaned, &message))
}

/// Whether the Secret is still to be marked with the tokens that live on. One that takes no mark is left without: they are said anyway.
pub(in crate::core) fn may_be_marked(observed: &Observed) -> bool {
    observed.ours().is_some_and(|view| !view.orphaned) && !is_stuck_for(observed, TRIES_FOR * 2)
}

/// Whether a deletion could not go on for so long.
pub(in crate::core) fn is_stuck_for(observed: &Observed, span: Duration) -> bool {
    observed.memory.stuck_since.is_some_and(|since| observed.uptime.saturating_sub(since) >= span)
}

/// Whether nothing that still happens would end the wait.
fn is_for_ever(observed: &Observed, fault: FaultClass) -> bool {
    let refused_for = || {
        let since = observed.memory.refused_credential_since?;
        Some(observed.uptime.saturating_sub(since))
    };
    match fault {
        FaultClass::CredentialMissing => true,
        FaultClass::CredentialRejected => refused_for().is_some_and(|time| time >= REFUSED_FOR),
        FaultClass::Other | FaultClass::Invalid => false,
    }
}

/// What may live on: every token of the record, and what an attempt may have left.
fn names(ledger: &Ledger) -> String {
    let named = ledger.tokens().map(|token| {
        let provider = &token.source.specification.provider;
        format!("{} of {} {}", token.id, provider.kind.as_str(), provider.name)
    });
    let mut names: Vec<String> = named.collect();
    if let Some(intent) = &ledger.intent {
        names.push(format!("orphaned tokens of rotation {}, if there are any", intent.serial));
    }
    if names.is_empty() { "nothing that is known".to_owned() } else { names.join(", ") }
}
