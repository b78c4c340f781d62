//! The object and the Secret at the start of each reconcile: claim the one, leave the other alone if it is somebody else's, and put it right.

use std::time::Duration;

use crate::{
    api::conditions::Reason,
    core::{
        rules::old_token,
        ruling::Ruling,
        seen::{
            observed::Observed,
            views::{Drift, Foreign, Target},
        },
        step::{Decision, Step},
    },
};

/// Secrets of others are not watched: how long until it is seen that one was handed over or is gone.
const FOREIGN_WAKE: Duration = Duration::from_secs(30);

/// The object must not vanish while a token of it is alive.
pub fn claim(observed: &Observed) -> Ruling {
    let missing = observed.resource.as_ref().is_some_and(|resource| !resource.finalizer);
    Ok(missing.then(|| Decision::act(Step::AddFinalizer, Reason::Minting, "claiming the object")))
}

/// A Secret that somebody else made is never written, and nothing is minted or revoked while it is in the way.
pub fn foreign_target(observed: &Observed) -> Ruling {
    let (Some(resource), Target::Foreign(whose)) = (&observed.resource, &observed.target) else { return Ok(None) };
    // Pods that start meanwhile get what is in it.
    if let Some(record) = &observed.record
        && let Some(decision) = record.ledger.previous.as_ref().and_then(|previous| old_token::reopen(record, previous))
    {
        return Ok(Some(decision));
    }
    let Observed { owner, .. } = observed;
    let secret = format!("Secret {}/{}", owner.namespace, resource.target.name);
    let hand_over = format!("let it be adopted with the annotation tokenturn.dev/adopt={}", owner.name);
    let message = match whose {
        Foreign::Token(name) => {
            format!(
                "{secret} belongs to the RotatedToken {name}; choose another spec.secret.name, two cannot share a Secret"
            )
        }
        Foreign::Unmanaged => format!(
            "{secret} exists and was not created by tokenturn; choose another spec.secret.name, {hand_over}, or delete it"
        ),
        Foreign::Leftover => format!(
            "{secret} was left by a RotatedToken that is gone; {hand_over}, delete it if nothing uses it, or choose another \
             spec.secret.name"
        ),
    };
    Ok(Some(Decision::stall(FOREIGN_WAKE, Reason::ForeignSecret, message)))
}

/// At rest the target holds what the record says; drift is repaired from the record and never mints. Labels and annotations can wait:
/// whoever writes them must not hold up a rotation.
pub fn repair_drift(observed: &Observed) -> Ruling {
    let (Some(resource), Some(record)) = (&observed.resource, &observed.record) else { return Ok(None) };
    let Some(current) = &record.ledger.current else { return Ok(None) };
    let serial = current.token.serial;
    let Some(values) = record.values.get(&serial) else { return Ok(None) };
    let drifted = match &observed.target {
        Target::Ours(view) => view.drift(&resource.target, serial, values),
        Target::Absent | Target::Adoptable => Some(Drift::Values),
        Target::Foreign(_) => None,
    };
    Ok(drifted.filter(|drift| *drift != Drift::Metadata).map(|_| {
        let message = format!(
            "another client changed or deleted Secret {}; the operator restored it from the record",
            resource.target.name
        );
        Decision::act(Step::Publish { serial, repair: true }, Reason::DriftRepaired, message)
    }))
}
