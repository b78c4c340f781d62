//! The way out: the object is being deleted, or was removed without us.
//!
//! `Revoke` waits until no pod uses the Secret, deletes the Secret, waits until no pod can have started with it, commits
//! that, revokes every token and only then lets record and object go. `Orphan` revokes what was never published, marks the
//! Secret, and lets go.

use std::time::Duration;

use super::decide::{STALLED_WAKE, on_fault};
use super::observed::{Observed, Question, Record, Target};
use super::pickup::{Judgement, PickupProof, judge};
use super::record::Ledger;
use super::revocable::Revocable;
use super::rotation::{foreign_intent, liveness_or_revoke};
use super::step::{Change, Decision, Pickup, Ruling, Step};
use super::token::Issued;
use super::transition;
use crate::api::conditions::Reason;
use crate::api::{Blocker, DeletionPolicy};

/// Waits for consumers are woken by a watch; this is how long one lasts if the watch says nothing.
const RETIRE_WAKE: Duration = Duration::from_secs(30);

/// Leads an object that is being deleted, or is gone, to its end.
pub fn leave(observed: &Observed) -> Ruling {
    if observed.resource.as_ref().is_some_and(|resource| !resource.deleting) {
        return Ok(None);
    }
    let Some(record) = &observed.record else { return without_record(observed).map(Some) };
    if let Some(decision) = unpublished(observed, record)? {
        return Ok(Some(decision));
    }
    let policy = observed.resource.as_ref().map_or(record.ledger.deletion_policy, |resource| resource.deletion_policy);
    match policy {
        DeletionPolicy::Orphan => Ok(Some(orphan(observed, record))),
        DeletionPolicy::Revoke => revoke(observed, record).map(Some),
    }
}

/// No record: either nothing was ever minted, or the record was lost and the provider's list says what is alive.
fn without_record(observed: &Observed) -> Result<Decision, Question> {
    let Some(resource) = &observed.resource else {
        return Ok(Decision::wait(STALLED_WAKE, Reason::Deleting, "nothing is left of this object"));
    };
    let release = Decision::act(Step::ReleaseFinalizer, Reason::Deleting, "no token of this object is alive");
    if resource.deletion_policy == DeletionPolicy::Orphan {
        return Ok(Decision::act(Step::ReleaseFinalizer, Reason::Orphaned, "letting go as spec.deletionPolicy says"));
    }
    let Ok(plan) = &resource.plan else {
        // Without a usable provider nothing can have been minted, unless a target of ours shows otherwise.
        return Ok(match observed.ours() {
            None => release,
            Some(_) => Decision::stall(
                STALLED_WAKE,
                Reason::Deleting,
                "the record is lost and the provider cannot be asked for live tokens; repair spec.providerRef, or take the \
                 finalizer off by hand after revoking the token",
            ),
        });
    };
    let listed = match observed.listing(&plan.provider)? {
        Ok(listed) => listed,
        Err(fault) => return Ok(on_fault(observed, fault)),
    };
    if listed.is_empty() {
        return Ok(release);
    }
    // Make a record of what is alive; the rules for a record go on from there.
    let mut ledger = transition::empty(&observed.owner, &resource.target.name, resource.deletion_policy);
    ledger.counter = listed.iter().map(|token| token.generation.attempt).max().unwrap_or(0);
    let mut tokens = listed.iter().map(|token| super::readopt::issued(token, plan, observed)).collect::<Vec<_>>();
    tokens.sort_by_key(|token| token.generation.attempt);
    ledger.sequence = tokens.last().map_or(0, |token| token.generation.sequence);
    ledger.current = tokens.pop().map(|token| super::record::Current {
        token,
        reason: Reason::Readopted,
        promoted_at: observed.now,
    });
    ledger.previous = tokens.pop().map(|token| transition::supersede(token, None));
    let message = "the record was lost; rebuilt from the provider's list";
    Ok(Decision::act(Step::Readopt { ledger: Box::new(ledger), values: None }, Reason::Readopted, message))
}

/// Tokens that never reached the target are revoked whatever the policy.
fn unpublished(observed: &Observed, record: &Record) -> Ruling {
    let ledger = &record.ledger;
    let target = observed.target_generation();
    if let Some(pending) = ledger.pending.as_ref().filter(|pending| target != Some(pending.generation)) {
        let next = transition::refuse(ledger, Reason::Deleting, "the object is being deleted".to_owned());
        let step = Step::Save { ledger: Box::new(next), change: Change::Refused(pending.generation) };
        return Ok(Some(Decision::act(step, Reason::Deleting, "the pending token will not be published")));
    }
    if let Some(refused) = ledger.refused.as_ref().filter(|refused| target != Some(refused.generation)) {
        if observed.ours().is_some_and(|view| view.fence != Some(refused.generation.attempt)) {
            let step = Step::Fence { attempt: refused.generation.attempt };
            return Ok(Some(Decision::act(step, Reason::Deleting, "fencing off the refused token")));
        }
        let revocable = || Revocable::refused(ledger, target);
        if let Some(decision) = liveness_or_revoke(observed, refused, false, revocable)? {
            return Ok(Some(decision));
        }
        let step = Step::Save {
            ledger: Box::new(transition::drop_refused(ledger)),
            change: Change::RefusedGone(refused.generation),
        };
        return Ok(Some(Decision::act(step, Reason::Deleting, "the refused token is dead")));
    }
    left_overs(observed, ledger)
}

/// Left-overs of attempts whose answers were lost. Only a rotation that has begun can have left some.
fn left_overs(observed: &Observed, ledger: &Ledger) -> Ruling {
    let Some(intent) = &ledger.intent else { return Ok(None) };
    if let Some(wait) = foreign_intent(observed, intent) {
        let message = "waiting until another replica has ended what it began";
        return Ok(Some(Decision::wait(wait, Reason::Deleting, message)));
    }
    let listed = match observed.listing(&intent.provider)? {
        Ok(listed) => listed,
        Err(fault) => return Ok(Some(on_fault(observed, fault))),
    };
    let target = observed.target_generation();
    Ok(listed.iter().find_map(|token| Revocable::unpublished(token, ledger, target)).map(|token| {
        let message = format!("revoking {}, which was never published", token.id());
        let provider = intent.provider.clone();
        let step = Step::Revoke { token, provider, values: None, published: false };
        Decision::act(step, Reason::Deleting, message)
    }))
}

/// Tokens that workloads were given: pending ones only if the target carries them.
fn published(ledger: &Ledger) -> impl Iterator<Item = &Issued> {
    ledger.tokens()
}

fn orphan(observed: &Observed, record: &Record) -> Decision {
    let ids: Vec<&str> = published(&record.ledger).map(|token| token.id.as_str()).collect();
    if !ids.is_empty() && observed.ours().is_some_and(|view| !view.orphaned) {
        let id = ids.join(",");
        let message = format!("left alive as spec.deletionPolicy says: {id}; nobody rotates or revokes it now");
        return Decision::act(Step::MarkOrphaned { id }, Reason::Orphaned, message);
    }
    Decision::act(Step::DropRecord, Reason::Orphaned, "the token is left alive as spec.deletionPolicy says")
}

/// Revoke everything, after nobody uses it.
fn revoke(observed: &Observed, record: &Record) -> Result<Decision, Question> {
    let ledger = &record.ledger;
    if published(ledger).next().is_none() {
        return Ok(Decision::act(Step::DropRecord, Reason::Deleting, "no token of this object is alive"));
    }
    if let Some(committed) = ledger.retirement.as_ref().and_then(|retirement| retirement.revoke.as_ref()) {
        for token in published(ledger) {
            let revocable = || Some(Revocable::retired(token, committed));
            if let Some(decision) = liveness_or_revoke(observed, token, true, revocable)? {
                return Ok(decision);
            }
        }
        return Ok(Decision::act(Step::DropRecord, Reason::Revoked, "every token of this object is dead"));
    }
    let proof = match nobody_left(observed, ledger)? {
        Ok(proof) => proof,
        Err(decision) => return Ok(decision),
    };
    if let Target::Ours(_) = &observed.target {
        let message = "no pod uses the Secret any more; deleting it";
        return Ok(Decision::act(Step::DeleteTarget, Reason::Deleting, message));
    }
    if let Some(left) = observed.unsettled() {
        let message = "the Secret is deleted; waiting until no pod can start with its value";
        return Ok(Decision::wait(left, Reason::Deleting, message));
    }
    let next = transition::intend_retirement(ledger, proof, observed.now);
    let step = Step::Save { ledger: Box::new(next), change: Change::RetirementIntended };
    Ok(Decision::act(step, Reason::Deleting, "no pod uses the Secret any more; revoking its tokens"))
}

/// Proof that nobody uses the Secret: no pod does, and every pod that was seen to since the deletion began is gone.
fn nobody_left(observed: &Observed, ledger: &Ledger) -> Result<Result<PickupProof, Decision>, Question> {
    let consumers = match observed.consumers()? {
        Ok(consumers) => consumers,
        Err(fault) => return Ok(Err(on_fault(observed, fault))),
    };
    let holders = consumers.holders();
    let known = ledger.retirement.as_ref().map(|retirement| &retirement.pods);
    if known.is_none_or(|known| !holders.is_subset(known)) {
        let mut pods = holders;
        pods.extend(ledger.previous.iter().flat_map(|previous| {
            previous.carried.iter().chain(previous.snapshot.iter().flat_map(|snapshot| &snapshot.pods)).cloned()
        }));
        let step = Step::Save { ledger: Box::new(transition::retire(ledger, pods)), change: Change::Retiring };
        return Ok(Err(Decision::act(step, Reason::Deleting, "noted the pods that use the Secret")));
    }
    let wanting = consumers.workloads.iter().filter(|view| view.uses && view.wanted > 0);
    let mut blockers: Vec<Blocker> = wanting
        .map(|view| Blocker {
            pod: view.workload.to_string(),
            container: None,
            why: format!(
                "wants {} pods that use the Secret; delete it, scale it to 0, or take the reference out",
                view.wanted
            ),
        })
        .collect();
    let judgement = judge(known.unwrap_or(&Default::default()), consumers, observed.settings.contact);
    let remaining = match judgement {
        Judgement::Clear(proof) if blockers.is_empty() => return Ok(Ok(proof)),
        Judgement::Clear(_) => 0,
        Judgement::Held { remaining, blockers: pods } => {
            blockers.extend(pods);
            remaining
        }
    };
    let message = "the token is revoked when nothing uses the Secret any more, see status.pickup.blockers; to leave Secret \
                   and token alive instead, set spec.deletionPolicy: Orphan";
    let wait = Decision::wait(RETIRE_WAKE, Reason::Deleting, message);
    Ok(Err(wait.with_pickup(Pickup { remaining, blockers })))
}
