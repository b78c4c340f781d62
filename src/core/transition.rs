//! The changes of the record: each takes a ledger and gives the next one.

use std::{collections::BTreeSet, time::Duration};

use jiff::Timestamp;

use crate::{
    api::{conditions::Reason, status::HISTORY_LENGTH},
    core::{
        ledger::{
            census,
            failure::Failure,
            record::{
                Current, Finished, Intent, Ledger, Misread, Retirement, RevokeIntent, SCHEMA, Snapshot, Superseded,
            },
            trigger::Trigger,
        },
        plan::Plan,
        pods::{consumers::PodRef, pickup::PickupProof},
        schedule,
        seen::views::Resource,
        token::{Census, Issued, Owner, Serial, Source},
    },
    secret_value::digest_of,
};

/// A ledger before anything was minted.
#[must_use]
pub fn empty(owner: &Owner, resource: &Resource) -> Ledger {
    Ledger {
        schema: SCHEMA,
        owner: owner.clone(),
        target: resource.target.name.clone(),
        install: resource.named_by.clone(),
        deletion_policy: resource.deletion_policy,
        rollout: resource.rollout.clone(),
        unknown_until: 0,
        counter: 0,
        sequence: 0,
        intent: None,
        pending: None,
        refused: None,
        current: None,
        previous: None,
        presumed_dead: Vec::new(),
        retirement: None,
        was_immutable: false,
        rotate_now_seen: None,
        history: Vec::new(),
    }
}

/// 1. Intend: a new attempt, of the sequence under way or of the next one; `latest` says why the last one failed.
#[must_use]
pub fn intend(
    ledger: &Ledger,
    resource: &Resource,
    plan: &Plan,
    trigger: Trigger,
    latest: Option<Failure>,
    now: Timestamp,
    census: Option<&Census>,
) -> Ledger {
    let before = census::since(ledger, census);
    let counter = ledger.counter + 1;
    // A request for a rotation counts as served by what begins after it: a rotation, or a new series of attempts.
    let asked = resource.rotate_now.is_some() && resource.rotate_now != ledger.rotate_now_seen;
    let (sequence, attempts, trigger, failure, rotate_now_seen) = match &ledger.intent {
        Some(intent) => {
            let Intent { serial, attempts, trigger, failure, .. } = intent.clone();
            // What was wrong with another recipe says nothing about this one.
            let attempts = if asked || resource.is_recipe_changed { 0 } else { attempts };
            (
                serial.sequence,
                attempts + 1,
                trigger,
                latest.or(failure),
                resource.rotate_now.clone().filter(|_| asked).or_else(|| ledger.rotate_now_seen.clone()),
            )
        }
        None => (ledger.sequence + 1, 1, trigger, None, resource.rotate_now.clone()),
    };
    let serial = Serial { sequence, attempt: counter };
    Ledger {
        counter,
        deletion_policy: resource.deletion_policy,
        rollout: resource.rollout.clone(),
        intent: Some(Intent {
            serial,
            trigger,
            at: now,
            attempts,
            failure,
            before,
            may_orphan: plan.traits.may_orphan,
            unseen_until: plan.traits.ends_unseen.then(|| schedule::after(now, plan.lifetime)),
            misread: None,
            source: plan.source.clone(),
        }),
        rotate_now_seen,
        ..ledger.clone()
    }
}

/// The intent of another process becomes ours without anything being minted for it: its store fails from now on. What it may have left
/// behind is noted under the name that it has; nothing is made under the new one.
#[must_use]
pub fn take_over(ledger: &Ledger) -> Ledger {
    let counter = ledger.counter + 1;
    let reported = census::left_unseen(ledger);
    let intent = ledger.intent.clone().map(|intent| Intent {
        serial: Serial { attempt: counter, ..intent.serial },
        failure: reported.or(intent.failure),
        may_orphan: false,
        unseen_until: None,
        ..intent
    });
    Ledger { counter, intent, ..ledger.clone() }
}

/// 4. Store: the minted token is pending.
#[must_use]
pub fn store(ledger: &Ledger, token: Issued) -> Ledger {
    Ledger { pending: Some(token), ..ledger.clone() }
}

/// 5. The pending token did not pass: it has to be fenced off and revoked.
#[must_use]
pub fn refuse(ledger: &Ledger, failure: Failure) -> Ledger {
    let intent = ledger.intent.clone().map(|intent| Intent { failure: Some(failure), ..intent });
    Ledger { pending: None, refused: ledger.pending.clone(), intent, ..ledger.clone() }
}

/// 4. Store, where the answer to the create lacks something that the recipe reads.
///
/// The token is refused before it was ever pending.
#[must_use]
pub fn store_flawed(ledger: &Ledger, token: Issued, why: String) -> Ledger {
    let failure = Failure::nothing_open(Reason::RecipeWrong, why);
    misread(&store(ledger, Issued { flawed: true, ..token }), failure)
}

/// 5. The pending token shows that the recipe is wrong.
///
/// It is refused, and nothing more is minted with that recipe for long.
#[must_use]
pub fn misread(ledger: &Ledger, failure: Failure) -> Ledger {
    let next = refuse(ledger, failure);
    let recipe = next.refused.as_ref().map(|token| token.source.recipe());
    let misread = recipe.map(|recipe| Misread { recipe, leaves_token: false });
    Ledger { intent: next.intent.clone().map(|intent| Intent { misread, ..intent }), ..next }
}

/// The refused token cannot be revoked, or nothing tells whether it is dead: it leaves the record with a sentence
/// that names it.
#[must_use]
pub fn leave_refused(ledger: &Ledger, reported: String) -> Ledger {
    let intent = ledger.intent.clone().map(|intent| Intent {
        misread: intent.misread.map(|misread| Misread { leaves_token: true, ..misread }),
        failure: Some(Failure::reported(reported)),
        ..intent
    });
    Ledger { refused: None, intent, ..ledger.clone() }
}

/// The refused token is rejected by the provider.
#[must_use]
pub fn drop_refused(ledger: &Ledger) -> Ledger {
    Ledger { refused: None, ..ledger.clone() }
}

/// The refused token was published by somebody who had verified it before it was refused: it counts.
#[must_use]
pub fn reinstate(ledger: &Ledger) -> Ledger {
    Ledger { pending: ledger.refused.clone(), refused: None, ..ledger.clone() }
}

/// 8. Promote: the pending token is current, the current one previous, with the snapshot of who may hold it.
#[must_use]
pub fn promote(ledger: &Ledger, surplus: Vec<String>, snapshot: Option<Snapshot>, now: Timestamp) -> Ledger {
    let (Some(token), Some(intent)) = (&ledger.pending, &ledger.intent) else { return ledger.clone() };
    let mut presumed_dead = ledger.presumed_dead.clone();
    let previous = match ledger.previous.clone() {
        // The current token was refused: what is old is still the one before it, and whoever held it may hold it still. Nor is the
        // refused one forgotten: who holds it is among the pods of the new snapshot.
        Some(mut previous) => {
            presumed_dead.extend(ledger.current.as_ref().map(|current| current.token.clone()));
            if let Some(before) = std::mem::replace(&mut previous.snapshot, snapshot) {
                carry(&mut previous, before);
            }
            if let Some(snapshot) = &mut previous.snapshot {
                snapshot.crowd.append(&mut previous.earlier_crowd);
            }
            // Another round: what was proven of the pods, and the grace served since, no longer count.
            Some(Superseded { revoke: None, grace_served: 0, round: previous.round + 1, ..previous })
        }
        None => {
            let current = ledger.current.as_ref().map(|current| current.token.clone());
            // One that was published, and refused before it was promoted.
            let old = current.or_else(|| (!presumed_dead.is_empty()).then(|| presumed_dead.remove(0)));
            old.map(|token| supersede(token, snapshot))
        }
    };
    let mut history = ledger.history.clone();
    history.push(Finished {
        sequence: token.serial.sequence,
        reason: intent.trigger.into(),
        at: now,
        revoked_at: None,
    });
    if history.len() > HISTORY_LENGTH {
        history.remove(0);
    }
    Ledger {
        intent: None,
        pending: None,
        sequence: token.serial.sequence,
        current: Some(Current {
            token: Issued { surplus: bounded(surplus), ..token.clone() },
            reason: intent.trigger.into(),
            promoted_at: now,
            restored_from_backup: false,
            uninspected: false,
        }),
        previous,
        presumed_dead,
        history,
        was_immutable: false,
        ..ledger.clone()
    }
}

/// Notes what the recipe of the new current token could not show.
#[must_use]
pub fn note_unshown(mut ledger: Ledger, unshown: &[String]) -> Ledger {
    if let Some(current) = &mut ledger.current {
        current.token.unshown.extend(unshown.iter().cloned());
    }
    ledger
}

/// Keeps the pods of a snapshot beside those of the next, by digest where there are more than a record has room for.
fn carry(previous: &mut Superseded, snapshot: Snapshot) {
    let Snapshot { pods, crowd, workloads: _ } = snapshot;
    previous.earlier_crowd.extend(crowd);
    for pod in pods {
        if previous.earlier_pods.len() < Snapshot::MAX_PODS || previous.earlier_pods.contains(&pod) {
            previous.earlier_pods.insert(pod);
        } else {
            previous.earlier_crowd.insert(digest_of(&pod.uid));
        }
    }
}

/// So many permissions beyond what was asked for are kept by name.
const KEPT_SURPLUS: usize = 8;

/// Longest name of one of them.
const LONGEST_SURPLUS: usize = 256;

/// What a token may do beyond what was asked for, as far as a person reads: a provider may grant more than a record has room for.
fn bounded(surplus: Vec<String>) -> Vec<String> {
    let more = surplus.len().saturating_sub(KEPT_SURPLUS);
    let short = |name: String| name.chars().take(LONGEST_SURPLUS).collect();
    let mut kept: Vec<String> = surplus.into_iter().take(KEPT_SURPLUS).map(short).collect();
    kept.extend((more > 0).then(|| format!("and {more} more")));
    kept
}

/// A token that another one has replaced; without a snapshot, one has to be taken.
#[must_use]
pub fn supersede(token: Issued, snapshot: Option<Snapshot>) -> Superseded {
    Superseded {
        token,
        snapshot,
        earlier_pods: BTreeSet::new(),
        earlier_crowd: BTreeSet::new(),
        round: 0,
        grace_served: 0,
        revoke: None,
    }
}

/// The published token died before it was promoted: the next sequence replaces it, because one sequence never brings two
/// tokens to the target.
#[must_use]
pub fn replace_dead(ledger: &Ledger, message: String) -> Ledger {
    let intent = ledger.intent.clone().map(|intent| Intent {
        serial: Serial { sequence: intent.serial.sequence + 1, ..intent.serial },
        failure: Some(Failure::nothing_made(Reason::ValueLost, message)),
        ..intent
    });
    // Pods may hold it, and it may be alive after all.
    let presumed_dead = ledger.presumed_dead.iter().chain(&ledger.pending).cloned().collect();
    Ledger { pending: None, presumed_dead, intent, ..ledger.clone() }
}

/// Notes what the owner says about deletion and rollout.
#[must_use]
pub fn note_wishes(ledger: &Ledger, resource: &Resource) -> Ledger {
    Ledger { deletion_policy: resource.deletion_policy, rollout: resource.rollout.clone(), ..ledger.clone() }
}

/// Notes that the target was made immutable.
#[must_use]
pub fn freeze(ledger: &Ledger) -> Ledger {
    Ledger { was_immutable: true, ..ledger.clone() }
}

/// Notes when a re-adopted token expires.
#[must_use]
pub fn note_expiry(ledger: &Ledger, expires_at: Option<Timestamp>) -> Ledger {
    let mut next = ledger.clone();
    if let Some(current) = &mut next.current {
        current.token.expires_at = expires_at;
        // Known again: from here on it is a token like any other.
        current.reason = Reason::UpToDate;
        current.uninspected = false;
    }
    next
}

/// The target did not carry the new token all the time: pods that started meanwhile may hold anything, so the snapshot
/// has to be taken again.
#[must_use]
pub fn reopen(ledger: &Ledger) -> Ledger {
    change_previous(ledger, |previous| {
        if let Some(before) = previous.snapshot.take() {
            carry(previous, before);
        }
        previous.revoke = None;
        previous.grace_served = 0;
        previous.round += 1;
    })
}

/// The snapshot, taken again; pods of earlier ones stay noted beside it.
#[must_use]
pub fn snapshot(ledger: &Ledger, taken: Snapshot) -> Ledger {
    change_previous(ledger, |previous| {
        let mut taken = taken;
        taken.crowd.append(&mut previous.earlier_crowd);
        previous.snapshot = Some(taken);
    })
}

/// Writes down how much of the grace period was served.
#[must_use]
pub fn serve_grace(ledger: &Ledger, served: Duration) -> Ledger {
    change_previous(ledger, |previous| previous.grace_served = i64::try_from(served.as_secs()).unwrap_or(i64::MAX))
}

/// 11. Revoke-intent with its evidence.
#[must_use]
pub fn intend_revoke(ledger: &Ledger, proof: PickupProof, now: Timestamp) -> Ledger {
    change_previous(ledger, |previous| previous.revoke = Some(RevokeIntent::commit(proof, now)))
}

/// 12. Forget: the old token is verified to be rejected.
#[must_use]
pub fn forget(ledger: &Ledger, now: Timestamp) -> Ledger {
    let mut next = without_previous(ledger);
    if let Some(entry) = next.history.iter_mut().find(|entry| entry.sequence == next.sequence) {
        entry.revoked_at = Some(now);
    }
    next
}

/// The old token, which nothing revokes, is not waited for any longer.
#[must_use]
pub fn leave_to_expiry(ledger: &Ledger) -> Ledger {
    without_previous(ledger)
}

/// The old token is over. One that was presumed to be dead has its place now: whoever may hold it was noted with those who may hold the
/// old one, so what was proven of these is proven of it.
fn without_previous(ledger: &Ledger) -> Ledger {
    let mut next = ledger.clone();
    let Some(previous) = next.previous.take() else { return next };
    // Every pod of the snapshot is gone, and with them whoever held a token of a past that no record tells of.
    if previous.revoke.is_some() {
        next.unknown_until = 0;
    }
    if !next.presumed_dead.is_empty() {
        next.previous = Some(Superseded { token: next.presumed_dead.remove(0), ..previous });
    }
    next
}

/// The owner goes: these pods may hold its token, and those of a crowd by their digests.
#[must_use]
pub fn retire(ledger: &Ledger, pods: BTreeSet<PodRef>, crowd: BTreeSet<String>) -> Ledger {
    Ledger { retirement: Some(Retirement { pods, crowd, ..Retirement::default() }), ..ledger.clone() }
}

/// The same, and the Secret is somebody else's: pods that start from now on have nothing to do with this owner.
#[must_use]
pub fn retire_handed_over(ledger: &Ledger, pods: BTreeSet<PodRef>, crowd: BTreeSet<String>) -> Ledger {
    let retirement = Retirement { pods, crowd, handed_over: true, revoke: None };
    Ledger { retirement: Some(retirement), ..ledger.clone() }
}

/// No consumer is left: the tokens of the owner may be revoked.
#[must_use]
pub fn intend_retirement(ledger: &Ledger, proof: PickupProof, now: Timestamp) -> Ledger {
    let noted = ledger.retirement.clone().unwrap_or_default();
    Ledger {
        retirement: Some(Retirement { revoke: Some(RevokeIntent::commit(proof, now)), ..noted }),
        ..ledger.clone()
    }
}

/// Where the tokens of a ledger come from: those of the rotation under way, else the newest token.
#[must_use]
pub fn source(ledger: &Ledger) -> Option<&Source> {
    let intent = ledger.intent.as_ref().map(|intent| &intent.source);
    intent.or_else(|| ledger.tokens().next().map(|token| &token.source))
}

fn change_previous(ledger: &Ledger, change: impl FnOnce(&mut Superseded)) -> Ledger {
    let mut next = ledger.clone();
    if let Some(previous) = &mut next.previous {
        change(previous);
    }
    next
}

/// A provider object that was corrected holds for tokens that were minted before, as long as it is the same account and its tokens are of the same
/// kind. One that speaks of another account, or of other tokens, does not: they are judged as they were minted.
pub fn follow_provider_edit(ledger: &mut Ledger, present: &Source, is_of_a_kind: impl Fn(&Source, &Source) -> bool) {
    for source in ledger.sources_mut() {
        let is_changed = source.specification.provider == present.specification.provider
            && source.provider.backend != present.provider.backend;
        if is_changed
            && source.provider.backend.account() == present.provider.backend.account()
            && is_of_a_kind(source, present)
        {
            source.provider = present.provider.clone();
        }
    }
}
