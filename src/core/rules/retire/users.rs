//! Proof that nobody uses the Secret of an object that is being deleted.

use std::{collections::BTreeSet, time::Duration};

use crate::{
    api::{Blocker, conditions::Reason},
    core::{
        guards::Guard,
        ledger::record::{Ledger, Retirement, Snapshot},
        pods::{
            consumers::{Consumers, PodRef, PodView},
            pickup::{Judgement, PickupProof, judge},
        },
        ruling::Stop,
        seen::{observed::Observed, views::Target},
        step::{Change, Decision, Pickup, Step},
        transition,
    },
    secret_value::digest_of,
};

/// Waits for consumers are woken by a watch; this is how long one lasts if the watch says nothing.
const RETIRE_WAKE: Duration = Duration::from_secs(30);

/// Proof that nobody uses the Secret: no pod does, and every pod that was seen to since the deletion began is gone.
///
/// A Secret that was handed over to somebody else is used by pods that have nothing to do with this object any more: then
/// only those count that were seen until the settle time after that was over.
pub(in crate::core) fn nobody_left(observed: &Observed, ledger: &Ledger) -> Result<PickupProof, Stop> {
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
            let message = "the Secret belongs to another owner now; the operator waits until no pod can start with the token of this object";
            return Err(Decision::wait(left, Reason::Deleting, message).into());
        }
        let (pods, crowd) = noted(ledger, &holders, |pod| is_held(pod, consumers, contact));
        let next = if handed_over { transition::retire_handed_over } else { transition::retire };
        let step = Step::Save { ledger: Box::new(next(ledger, pods, crowd)), change: Change::Retiring };
        return Err(Decision::act(step, Reason::Deleting, "recorded the pods that use the Secret").into());
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
        previous.earlier_pods.iter().chain(previous.snapshot.iter().flat_map(|snapshot| &snapshot.pods))
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
        previous.earlier_crowd.iter().chain(previous.snapshot.iter().flat_map(|snapshot| &snapshot.crowd)).cloned()
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
                "wants {} pods that use the Secret; delete it, scale it to 0, or remove the reference",
                view.wanted
            ),
            action_needed: true,
        })
        .collect()
}
