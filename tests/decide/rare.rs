//! What only rare events reach: each of these was a change of a rule that no other table and no world of the model noticed.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use tokenturn::{
    api::conditions::Reason,
    core::{
        ledger::record::{Ledger, Snapshot},
        pods::consumers::{Consumers, NodeView},
        seen::{memory::Memory, observed::Observed, views::Target},
        step::{Change, Phase, Step},
        token::{Handle, Liveness},
        transition,
    },
};

use crate::builder::{at_rest, carrying, consumers, decided, intended, issued, now, observed, pod, promoted, serial};

fn deleting(ledger: Ledger, target: Target, consumers: Consumers) -> Observed {
    let mut leaving = observed(Some(ledger), target);
    leaving.answers.consumers = Some(Ok(consumers));
    if let Some(resource) = &mut leaving.resource {
        resource.deleting = true;
    }
    leaving
}

/// The pods that a deletion notes.
fn noted(ledger: Ledger, consumers: Consumers) -> BTreeSet<String> {
    let current = ledger.current.as_ref().expect("a current token").token.serial;
    let leaving = deleting(ledger, carrying(current), consumers);
    let Step::Save { ledger, change: Change::Retiring } = decided(&leaving).step else {
        panic!("notes pods, not {:?}", decided(&leaving))
    };
    ledger.retirement.expect("a retirement").pods.into_iter().map(|pod| pod.uid).collect()
}

fn silent_node() -> Consumers {
    Consumers { nodes: BTreeMap::from([("node".to_owned(), NodeView::NotReady)]), ..Consumers::default() }
}

#[test]
fn s1_a_deletion_notes_a_pod_that_vanished() {
    let vanished = consumers(&["a"], None).pods;
    assert!(noted(at_rest(serial(1, 1)), Consumers { vanished, ..silent_node() }).contains("a"));
}

#[test]
fn s1_a_deletion_in_mid_rotation_notes_the_pods_of_the_snapshot() {
    assert!(noted(promoted(serial(2, 2), serial(1, 1), &["a"]), silent_node()).contains("a"));
}

#[test]
fn s1_a_pod_that_comes_during_a_deletion_is_noted_and_nobody_is_forgotten_for_it() {
    let ledger = transition::retire(&at_rest(serial(1, 1)), BTreeSet::from([pod("a")]), BTreeSet::new());
    let seen = Consumers { nodes: silent_node().nodes, ..consumers(&["b"], None) };
    assert_eq!(noted(ledger, seen), BTreeSet::from(["a".to_owned(), "b".to_owned()]));
}

#[test]
fn s1_after_the_secret_was_deleted_the_settle_time_is_waited_for() {
    let ledger = transition::retire(&at_rest(serial(1, 1)), BTreeSet::new(), BTreeSet::new());
    let mut gone = deleting(ledger, Target::Absent, Consumers::default());
    gone.memory.target_since = gone.uptime;
    assert!(matches!(decided(&gone).step, Step::Wait { .. }), "{:?}", decided(&gone));
}

/// Found by the model: a replica that had not heard of the deletion put the token into the Secret while it was revoked.
#[test]
fn s2_what_was_decided_before_a_deletion_can_no_longer_be_published_when_tokens_are_revoked() {
    let ledger = transition::retire(&at_rest(serial(1, 1)), BTreeSet::new(), BTreeSet::new());
    let mut gone = deleting(ledger, Target::Absent, Consumers::default());
    gone.memory.retiring_since = Some(gone.uptime);
    assert!(matches!(decided(&gone).step, Step::Wait { .. }), "{:?}", decided(&gone));
    gone.memory.retiring_since = Some(gone.uptime.saturating_sub(gone.settings.settle));
    assert!(matches!(decided(&gone).step, Step::Save { .. }), "{:?}", decided(&gone));
}

#[test]
fn s1_a_retirement_that_is_taken_back_is_not_committed() {
    let ledger = transition::retire(&at_rest(serial(1, 1)), BTreeSet::new(), BTreeSet::new());
    let gone = deleting(ledger, Target::Absent, Consumers::default());
    let Step::Save { ledger, change: Change::RetirementIntended } = decided(&gone).step else {
        panic!("commits, not {:?}", decided(&gone))
    };
    assert!(
        transition::retire(&ledger, BTreeSet::new(), BTreeSet::new())
            .retirement
            .expect("a retirement")
            .revoke
            .is_none()
    );
}

#[test]
fn s14_pods_that_are_counted_anew_serve_the_grace_anew() {
    let mut ledger = intended(promoted(serial(2, 2), serial(1, 1), &[]), serial(3, 3));
    ledger.pending = Some(issued(serial(3, 3)));
    ledger.previous.as_mut().expect("a previous token").grace_served = 3000;
    let reopened = transition::reopen(&ledger);
    let next_round = transition::promote(&ledger, Vec::new(), None, now());
    for again in [reopened, next_round] {
        assert_eq!(again.previous.expect("a previous token").grace_served, 0);
    }
}

#[test]
fn s14_grace_that_an_earlier_process_served_counts_once() {
    let mut ledger = promoted(serial(2, 2), serial(1, 1), &[]);
    ledger.previous.as_mut().expect("a previous token").grace_served = 2000;
    let mut waiting = observed(Some(ledger), carrying(serial(2, 2)));
    waiting.resource.as_mut().expect("an object").grace = Duration::from_secs(3600);
    waiting.memory.proven_since = Some(waiting.uptime.saturating_sub(Duration::from_secs(10)));
    assert!(matches!(decided(&waiting).step, Step::Wait { .. }), "{:?}", decided(&waiting));
}

#[test]
fn s1_a_crowd_survives_reopening_and_another_round() {
    let crowd = |ledger: Ledger| ledger.previous.and_then(|previous| previous.snapshot).expect("a snapshot").crowd;
    let mut ledger = promoted(serial(2, 2), serial(1, 1), &[]);
    let snapshot = ledger.previous.as_mut().and_then(|previous| previous.snapshot.as_mut()).expect("a snapshot");
    snapshot.crowd.insert("digest".to_owned());
    assert!(crowd(transition::snapshot(&transition::reopen(&ledger), Snapshot::default())).contains("digest"));
    let mut ledger = intended(ledger, serial(3, 3));
    ledger.pending = Some(issued(serial(3, 3)));
    assert!(crowd(transition::promote(&ledger, Vec::new(), Some(Snapshot::default()), now())).contains("digest"));
}

#[test]
fn s15_a_new_term_knows_what_was_published_and_how_far_the_record_was() {
    let mut memory = Memory::default();
    (memory.highest, memory.published) = (7, Some(serial(2, 2)));
    let next = memory.next_term();
    assert_eq!((next.highest, next.published), (7, Some(serial(2, 2))));
}

#[test]
fn s1_a_target_that_changes_begins_to_settle_anew() {
    let mut memory = Memory::default();
    memory.look(Duration::from_secs(10), &carrying(serial(1, 1)), None);
    memory.look(Duration::from_secs(20), &Target::Absent, None);
    assert_eq!(memory.target_since, Duration::from_secs(20));
}

/// A kubelet stops watching a Secret that is immutable, and keeps its value while a pod of its node uses it: the settle time
/// says nothing then, also when the Secret was deleted and made anew.
#[test]
fn s1_after_an_immutable_secret_nobody_may_use_it_when_holders_are_counted() {
    let (one, two) = (serial(1, 1), serial(2, 2));
    let Target::Ours(view) = carrying(one) else { panic!("a target of ours") };
    let mut immutable = view;
    immutable.immutable = true;
    let Step::Save { ledger, .. } = decided(&observed(Some(at_rest(one)), Target::Ours(immutable))).step else {
        panic!("notes it")
    };
    assert!(ledger.was_immutable);
    let mut ledger = intended(*ledger, two);
    ledger.pending = Some(issued(two));
    let mut settled = observed(Some(ledger), carrying(two));
    settled.answers.consumers = Some(Ok(consumers(&["a"], None)));
    let held = decided(&settled);
    assert_eq!((held.phase, held.reason), (Phase::Stalled, Reason::CannotPublish), "{}", held.message);
    settled.answers.consumers = Some(Ok(Consumers::default()));
    let Step::Save { ledger, change: Change::Promoted(_) } = decided(&settled).step else {
        panic!("promotes, not {:?}", decided(&settled))
    };
    assert!(!ledger.was_immutable, "no node knows the old value any more");
}

/// The one in place is ended by nothing, and waited for; the one that it displaced can be revoked meanwhile.
#[test]
fn l4_a_deletion_revokes_what_it_can_before_it_waits_for_the_rest() {
    let mut ledger = promoted(serial(2, 2), serial(1, 1), &[]);
    ledger.current.as_mut().expect("a token").token.handle = Handle::Displaced {};
    ledger.previous.as_mut().expect("an old token").token.handle = Handle::Displaced {};
    let gone =
        deleting(transition::retire(&ledger, BTreeSet::new(), BTreeSet::new()), Target::Absent, Consumers::default());
    let Step::Save { ledger, change: Change::RetirementIntended } = decided(&gone).step else {
        panic!("commits, not {:?}", decided(&gone))
    };
    let mut committed = deleting(*ledger, Target::Absent, Consumers::default());
    for attempt in 1..3 {
        committed.answers.liveness.insert(serial(attempt, attempt), Ok(Liveness::Alive));
    }
    let Step::Revoke { token, .. } = decided(&committed).step else { panic!("{:?}", decided(&committed)) };
    assert_eq!(token.serial(), serial(1, 1));
}
