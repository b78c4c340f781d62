//! An object that is being deleted and has no record: nothing was ever minted, or the record was lost.

use crate::{
    api::{DeletionPolicy, conditions::Reason},
    core::{
        ledger::record::Current,
        rules::{
            rebuild,
            retire::{
                ending::orphaned,
                left_alive::{TRIES_FOR, is_stuck_for},
            },
        },
        ruling::{Stop, on_fault},
        seen::{observed::Observed, views::Resource},
        step::{Decision, Step},
        timing::STALLED_WAKE,
        transition,
    },
};

/// No record: either nothing was ever minted, or the record was lost and the provider's list says what is alive.
pub(in crate::core) fn without_record(observed: &Observed) -> Result<Decision, Stop> {
    let Some(resource) = &observed.resource else {
        return Ok(Decision::wait(STALLED_WAKE, Reason::Deleting, "nothing remains of this object"));
    };
    let release = Decision::act(Step::ReleaseFinalizer, Reason::Deleting, "no token of this object is alive");
    let orphan = resource.deletion_policy == DeletionPolicy::Orphan;
    let Ok(plan) = &resource.plan else {
        // Without a usable provider nothing can have been minted, unless a target of ours shows otherwise.
        return Ok(match observed.ours() {
            Some(_) if !orphan => Decision::stall(
                STALLED_WAKE,
                Reason::Deleting,
                "the record is lost and the provider cannot be asked for live tokens; repair spec.providerRef, or set \
                 spec.deletionPolicy: Orphan and revoke the token by hand",
            ),
            _ => release,
        });
    };
    let listed = match observed.try_listing(&plan.source)? {
        Ok(listed) => listed,
        // Nothing was begun: before a create there is a record, and this process has seen none, nor does the status tell of a token.
        Err(fault)
            if !resource.was_issued
                && observed.memory.highest == 0
                && observed.ours().is_none()
                && is_stuck_for(observed, TRIES_FOR) =>
        {
            let message = format!(
                "nothing shows a rotation of this object, so it goes although its tokens cannot be listed ({}); if its record was deleted, look at \
                 the provider for tokens with {} in their names",
                fault.message, observed.owner.uid
            );
            return Ok(Decision::act(Step::ReleaseFinalizer, Reason::TokenMayRemain, message));
        }
        Err(fault) => return Ok(on_fault(observed, fault)),
    };
    if listed.is_empty() {
        return Ok(match observed.ours().filter(|_| plan.traits.unlisted) {
            None => release,
            Some(_) => unseen(observed, resource, orphan),
        });
    }
    if orphan {
        let ids: Vec<&str> = listed.iter().map(|token| token.id.as_str()).collect();
        return Ok(Decision::act(Step::ReleaseFinalizer, Reason::Orphaned, orphaned(&ids)));
    }
    // Make a record of what is alive; the rules for a record go on from there.
    let mut ledger = transition::empty(&observed.owner, resource);
    ledger.counter = listed.iter().map(|token| token.serial.attempt).max().unwrap_or(0);
    let mut tokens = listed.iter().map(|token| rebuild::issued(token, plan, observed)).collect::<Vec<_>>();
    tokens.sort_by_key(|token| token.serial.attempt);
    ledger.sequence = tokens.last().map_or(0, |token| token.serial.sequence);
    ledger.current = tokens.pop().map(|token| Current {
        token,
        reason: Reason::Readopted,
        promoted_at: observed.now,
        restored_from_backup: false,
        uninspected: true,
    });
    ledger.previous = tokens.pop().map(|token| transition::supersede(token, None));
    let message = "the record was lost; rebuilt from the provider's list";
    Ok(Decision::act(Step::Readopt { ledger: Box::new(ledger), values: None }, Reason::Readopted, message))
}

/// Nothing lists the tokens of this provider, and the Secret holds one.
fn unseen(observed: &Observed, resource: &Resource, orphan: bool) -> Decision {
    let secret = format!("Secret {}/{}", observed.owner.namespace, resource.target.name);
    if orphan {
        let message = format!(
            "spec.deletionPolicy is Orphan: the token in {secret} may be valid, and the operator no longer rotates it; its record is lost"
        );
        return Decision::act(Step::ReleaseFinalizer, Reason::Orphaned, message);
    }
    let message = format!(
        "the record is lost, the provider does not list tokens, and {secret} holds one that may be alive: revoke it at the provider by hand, then \
         delete the Secret; or set spec.deletionPolicy: Orphan to leave it"
    );
    Decision::stall(STALLED_WAKE, Reason::TokenMayRemain, message)
}
