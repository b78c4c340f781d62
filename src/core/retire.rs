//! The way out: the object is being deleted, or was removed without us.
//!
//! `Revoke` waits until no pod uses the Secret, deletes the Secret, waits until no pod can have started with it, commits
//! that, revokes every token and only then lets record and object go. `Orphan` revokes what was never published, marks the
//! Secret, and lets go.

use std::{collections::BTreeSet, time::Duration};

use super::{
    census,
    consumers::{Consumers, PodView},
    failure::Made,
    guards::Guard,
    left_alive::{TRIES_FOR, is_stuck_for, may_be_marked, or_let_go},
    observed::{Observed, Record, Resource, Target},
    pickup::{Judgement, PickupProof, judge},
    record::{Ledger, PodRef, Retirement, RevokeIntent, Snapshot},
    revocable::Revocable,
    revoking::{is_revocable, liveness_or_revoke, may_be_alive},
    rotation::{foreign_intent, may_be_lost, sweep},
    ruling::{Ruling, STALLED_WAKE, Stop, on_fault},
    step::{Change, Decision, Pickup, Step},
    transition,
    verifying::clear_refused,
};
use crate::{
    api::{Blocker, DeletionPolicy, conditions::Reason},
    secret_value::digest_of,
};

/// Waits for consumers are woken by a watch; this is how long one lasts if the watch says nothing.
const RETIRE_WAKE: Duration = Duration::from_secs(30);

/// How long after the look that it is based on a publish may be sent: shorter than the settle time is by default, so that a
/// replica that stood still does not put a token into a Secret that another one has taken away.
pub const PUBLISH_WITHIN: Duration = Duration::from_secs(10);

/// Leads an object that is being deleted, or is gone, to its end.
pub fn leave(observed: &Observed) -> Ruling {
    match way_out(observed) {
        Ok(Some(decision)) => Ok(Some(or_let_go(observed, decision)?)),
        Err(Stop::Do(decision)) => Ok(Some(or_let_go(observed, *decision)?)),
        other => other,
    }
}

fn way_out(observed: &Observed) -> Ruling {
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
fn without_record(observed: &Observed) -> Result<Decision, Stop> {
    let Some(resource) = &observed.resource else {
        return Ok(Decision::wait(STALLED_WAKE, Reason::Deleting, "nothing is left of this object"));
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
                "nothing tells of a rotation of this object, so it goes although its tokens cannot be listed ({}); if its record was deleted, look at \
                 the provider for tokens with {} in their names",
                fault.message, observed.owner.uid
            );
            return Ok(Decision::act(Step::ReleaseFinalizer, Reason::LeftBehind, message));
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
        return Ok(Decision::act(Step::ReleaseFinalizer, Reason::Orphaned, left_alive(&ids)));
    }
    // Make a record of what is alive; the rules for a record go on from there.
    let mut ledger = transition::empty(&observed.owner, resource);
    ledger.counter = listed.iter().map(|token| token.generation.attempt).max().unwrap_or(0);
    let mut tokens = listed.iter().map(|token| super::readopt::issued(token, plan, observed)).collect::<Vec<_>>();
    tokens.sort_by_key(|token| token.generation.attempt);
    ledger.sequence = tokens.last().map_or(0, |token| token.generation.sequence);
    ledger.current = tokens.pop().map(|token| super::record::Current {
        token,
        reason: Reason::Readopted,
        promoted_at: observed.now,
        revived: false,
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
        let message =
            format!("left alive as spec.deletionPolicy says: the token in {secret}, if it is; its record is lost");
        return Decision::act(Step::ReleaseFinalizer, Reason::Orphaned, message);
    }
    let message = format!(
        "the record is lost, the provider does not list tokens, and {secret} holds one that may be alive: revoke it at the provider by hand, then \
         delete the Secret; or set spec.deletionPolicy: Orphan to leave it"
    );
    Decision::stall(STALLED_WAKE, Reason::LeftBehind, message)
}

/// Tokens that did not pass verification, and left-overs of attempts whose answers were lost, are revoked whatever the
/// policy. A pending token is not among them: it may have been in the target, so that a pod holds it.
fn unpublished(observed: &Observed, record: &Record) -> Ruling {
    if let Some(refused) = &record.ledger.refused {
        return clear_refused(observed, record, refused);
    }
    let Some(intent) = record.ledger.intent.as_ref().filter(|_| observed.guarded(Guard::RetireSweep)) else {
        return Ok(None);
    };
    if observed.memory.own != Some(intent.generation) && observed.guarded(Guard::RetireTakeOver) {
        if let Some(wait) = foreign_intent(observed, intent) {
            let message = "waiting until another replica has ended what it began";
            return Ok(Some(Decision::wait(wait, Reason::Deleting, message)));
        }
        // From here on no other replica can store what it minted, so what is listed and not recorded is left over.
        let next = transition::take_over(&record.ledger);
        let generation = next.intent.as_ref().map_or(intent.generation, |intent| intent.generation);
        let step = Step::Save { ledger: Box::new(next), change: Change::TakenOver(generation) };
        return Ok(Some(Decision::act(step, Reason::Deleting, "taking over what another process began")));
    }
    sweep(observed, &record.ledger, &intent.source)?;
    Ok(None)
}

/// Lets go of live tokens, and says which.
fn orphan(observed: &Observed, record: &Record) -> Decision {
    let ids: Vec<&str> = record.ledger.tokens().map(|token| token.id.as_str()).collect();
    if ids.is_empty() {
        return drop_record(observed, record, Reason::Deleting, "no token of this object is alive");
    }
    if may_be_marked(observed) {
        return Decision::act(Step::MarkOrphaned { id: ids.join(",") }, Reason::Deleting, left_alive(&ids));
    }
    drop_record(observed, record, Reason::Orphaned, &left_alive(&ids))
}

/// The end of the record. What an attempt may have left behind where nobody finds it is told before: nobody else knows its name.
pub(super) fn drop_record(observed: &Observed, record: &Record, reason: Reason, message: &str) -> Decision {
    match left_behind(observed, &record.ledger) {
        None => Decision::act(Step::DropRecord, reason, message),
        Some(told) => Decision::act(Step::DropRecord, Reason::LeftBehind, format!("{message}; {told}")),
    }
}

fn left_behind(observed: &Observed, ledger: &Ledger) -> Option<String> {
    let intent = ledger.intent.as_ref()?;
    let memory = &observed.memory;
    let is_sent = memory.fresh != Some(intent.generation);
    let now = census::left_unseen(ledger).filter(|_| is_sent && may_be_lost(memory.mint_failure.as_ref()));
    let before = || intent.failure.clone().filter(|failure| failure.made == Made::Told);
    now.or_else(before).map(|failure| failure.message)
}

fn left_alive(ids: &[&str]) -> String {
    format!("left alive as spec.deletionPolicy says, nobody rotates or revokes it now: {}", ids.join(", "))
}

/// Revoke everything, after nobody uses it.
fn revoke(observed: &Observed, record: &Record) -> Result<Decision, Stop> {
    let ledger = &record.ledger;
    if ledger.tokens().next().is_none() || !observed.guarded(Guard::RetireDead) {
        return Ok(drop_record(observed, record, Reason::Deleting, "no token of this object is alive"));
    }
    let proof = nobody_left(observed, ledger)?;
    if let Target::Ours(_) = &observed.target
        && observed.guarded(Guard::RetireTarget)
    {
        // One that came back after the decision to revoke may have given its value to a pod: decide anew.
        if let Some(retirement) = ledger.retirement.as_ref().filter(|retirement| retirement.revoke.is_some()) {
            let next = transition::retire(ledger, retirement.pods.clone(), retirement.crowd.clone());
            let step = Step::Save { ledger: Box::new(next), change: Change::Retiring };
            return Ok(Decision::act(step, Reason::Deleting, "the Secret came back, counting its consumers anew"));
        }
        let message = "no pod uses the Secret any more; deleting it";
        return Ok(Decision::act(Step::DeleteTarget, Reason::Deleting, message));
    }
    if let Some(left) = observed.unsettled() {
        let message = "the Secret is deleted; waiting until no pod can start with its value";
        return Ok(Decision::wait(left, Reason::Deleting, message));
    }
    let Some(committed) = ledger.retirement.as_ref().and_then(|retirement| retirement.revoke.as_ref()) else {
        if let Some(left) = still_published(observed) {
            let message = "waiting until nothing that was decided before the deletion can still be written";
            return Ok(Decision::wait(left, Reason::Deleting, message));
        }
        let next = transition::intend_retirement(ledger, proof, observed.now);
        let step = Step::Save { ledger: Box::new(next), change: Change::RetirementIntended };
        return Ok(Decision::act(step, Reason::Deleting, "no pod uses the Secret any more; revoking its tokens"));
    };
    // Where one only waits for its end, what can be revoked does not wait for that.
    let mut tokens: Vec<_> = ledger.tokens().filter(|token| !token.is_unknown()).collect();
    tokens.sort_by_key(|token| !is_revocable(observed, token));
    for token in tokens {
        let revocable = || Some(Revocable::retired(token, committed));
        if let Some(decision) = liveness_or_revoke(observed, token, true, revocable)? {
            return Ok(decision);
        }
    }
    if let Some(decision) = rest_of_listed(observed, ledger, committed)? {
        return Ok(decision);
    }
    if let Some(unknown) = ledger.tokens().find(|token| token.is_unknown()) {
        return Ok(drop_record(observed, record, Reason::LeftBehind, &may_be_alive(unknown)));
    }
    Ok(drop_record(observed, record, Reason::Revoked, "every token of this object is dead"))
}

/// Time in which another replica, which has not heard of the deletion, may still publish: the settle
/// time, which has to be longer than [`PUBLISH_WITHIN`].
fn still_published(observed: &Observed) -> Option<Duration> {
    let since = observed.memory.retiring_since.filter(|_| observed.guarded(Guard::RetireSettle))?;
    let left = observed.settings.settle.checked_sub(observed.uptime.saturating_sub(since))?;
    (!left.is_zero()).then_some(left)
}

/// Tokens that the record does not know, of a past that it has lost: no consumer is left, so they go too.
fn rest_of_listed(observed: &Observed, ledger: &Ledger, committed: &RevokeIntent) -> Ruling {
    let Some(source) = transition::source(ledger).filter(|_| observed.guarded(Guard::RetireSweep)) else {
        return Ok(None);
    };
    let listed = observed.listing(source)?;
    let known = ledger.generations();
    let unknown = listed.iter().find(|token| !known.contains(&token.generation));
    Ok(unknown.map(|token| {
        let message = format!("revoking {}, which the record does not know", token.id);
        let token = Revocable::retired_listed(token, committed);
        let step = Step::Revoke { token, source: Box::new(source.clone()), values: None, published: false };
        Decision::act(step, Reason::Deleting, message)
    }))
}

/// Proof that nobody uses the Secret: no pod does, and every pod that was seen to since the deletion began is gone.
///
/// A Secret that was handed over to somebody else is used by pods that have nothing to do with this object any more: then
/// only those count that were seen until the settle time after that was over.
fn nobody_left(observed: &Observed, ledger: &Ledger) -> Result<PickupProof, Stop> {
    let consumers = observed.consumers()?;
    let handed_over = matches!(observed.target, Target::Foreign(_));
    let contact = observed.settings.contact;
    let holders: Vec<&PodView> = consumers.users().chain(consumers.vanished()).collect();
    let retirement = ledger.retirement.as_ref();
    let known: BTreeSet<&str> = retirement.iter().flat_map(|noted| &noted.pods).map(|pod| pod.uid.as_str()).collect();
    let is_known = |view: &&PodView| {
        let in_crowd = retirement.is_some_and(|noted| noted.crowd.contains(&view.digest));
        known.contains(view.pod.uid.as_str()) || in_crowd
    };
    let judged = |noted: &Retirement| judge(&BTreeSet::new(), &noted.crowd, &noted.pods, consumers, contact);
    if !observed.guarded(Guard::RetirePickup)
        && let Judgement::Clear(proof) = judged(&Retirement::default())
    {
        return Ok(proof);
    }
    if is_to_be_counted(observed, retirement, handed_over) || (!handed_over && !holders.iter().all(is_known)) {
        if handed_over && let Some(left) = observed.unsettled() {
            let message = "the Secret belongs to somebody else now; waiting until no pod can start with our value";
            return Err(Decision::wait(left, Reason::Deleting, message).into());
        }
        let (pods, crowd) = noted(ledger, &holders, |pod| is_held(pod, consumers, contact));
        let next = if handed_over { transition::retire_handed_over } else { transition::retire };
        let step = Step::Save { ledger: Box::new(next(ledger, pods, crowd)), change: Change::Retiring };
        return Err(Decision::act(step, Reason::Deleting, "noted the pods that use the Secret").into());
    }
    let mut blockers = if handed_over { Vec::new() } else { wanting(consumers) };
    let remaining = match retirement.map_or_else(|| judged(&Retirement::default()), judged) {
        Judgement::Clear(proof) if blockers.is_empty() => return Ok(proof),
        Judgement::Clear(_) => 0,
        Judgement::Held { remaining, blockers: pods } => {
            blockers.extend(pods);
            remaining
        }
    };
    let message = "the token is revoked when nothing uses the Secret any more, see status.pickup.blockers; to leave Secret \
                   and token alive instead, set spec.deletionPolicy: Orphan";
    let wait = Decision::wait(RETIRE_WAKE, Reason::Deleting, message);
    Err(wait.with_pickup(Pickup { remaining, blockers }).into())
}

/// Whether the pods were not counted yet, or before the Secret became somebody else's, or while it was. One that started between the count and
/// that moment may hold our value. What was committed before rests on a Secret that was gone, and is not counted anew.
fn is_to_be_counted(observed: &Observed, retirement: Option<&Retirement>, handed_over: bool) -> bool {
    let guarded = observed.guarded(Guard::RetireHandOver);
    retirement.is_none_or(|noted| guarded && noted.revoke.is_none() && noted.handed_over != handed_over)
}

/// Who may hold a token of the object: those who use the Secret now, those who were noted before and are still there, and those who may
/// hold the old token. By digest, where there are more than a record has room for: of those that were noted by their digests before,
/// too.
fn noted(
    ledger: &Ledger,
    holders: &[&PodView],
    is_held: impl Fn(&PodRef) -> bool,
) -> (BTreeSet<PodRef>, BTreeSet<String>) {
    let Snapshot { mut pods, mut crowd, .. } = Snapshot::of(holders.iter().copied(), BTreeSet::new());
    let retirement = ledger.retirement.as_ref();
    let before = retirement.iter().flat_map(|noted| &noted.pods).filter(|pod| is_held(pod));
    let old = ledger.previous.iter().flat_map(|previous| {
        previous.carried.iter().chain(previous.snapshot.iter().flat_map(|snapshot| &snapshot.pods))
    });
    for pod in before.chain(old) {
        if pods.len() < Snapshot::MAX_PODS || pods.contains(pod) {
            pods.insert(pod.clone());
        } else {
            crowd.insert(digest_of(&pod.uid));
        }
    }
    crowd.extend(retirement.iter().flat_map(|noted| noted.crowd.clone()));
    crowd.extend(ledger.previous.iter().flat_map(|previous| {
        previous.carried_crowd.iter().chain(previous.snapshot.iter().flat_map(|snapshot| &snapshot.crowd)).cloned()
    }));
    (pods, crowd)
}

fn is_held(pod: &PodRef, consumers: &Consumers, contact: Duration) -> bool {
    let alone = BTreeSet::from([pod.clone()]);
    matches!(judge(&BTreeSet::new(), &BTreeSet::new(), &alone, consumers, contact), Judgement::Held { .. })
}

/// Workloads that would start further consumers.
fn wanting(consumers: &Consumers) -> Vec<Blocker> {
    let wanting = consumers.workloads.iter().filter(|view| view.uses.is_some() && view.wanted > 0);
    wanting
        .map(|view| Blocker {
            pod: view.workload.to_string(),
            container: None,
            why: format!(
                "wants {} pods that use the Secret; delete it, scale it to 0, or take the reference out",
                view.wanted
            ),
        })
        .collect()
}
