//! What the model has found, each as a table of its own.

use std::time::Duration;

use tokenturn::{
    api::conditions::Reason,
    core::{
        ledger::record::Ledger,
        seen::{memory::Memory, observed::Observed},
        step::{Change, Decision, Step},
        token::{Liveness, Serial, Verification},
    },
};

use crate::builder::{
    UPTIME, at_rest, carrying, consumers, decided, intended, issued, listed, observed, promoted, serial,
};

fn writes(ledger: Ledger, intent: Serial) -> Decision {
    let step = Step::Save { ledger: Box::new(ledger), change: Change::Intended(intent) };
    Decision::act(step, Reason::Minting, "")
}

fn saved(observed: &Observed) -> (Ledger, Change) {
    match decided(observed).step {
        Step::Save { ledger, change } => (*ledger, change),
        other => panic!("saves, not {}", other.label()),
    }
}

/// Bug: a deletion swept under the intent of another replica, which could be about to store what was swept.
#[test]
fn a_deletion_takes_over_the_intent_of_another_process_before_it_sweeps() {
    let (one, two) = (serial(1, 1), serial(2, 2));
    let mut seen = observed(Some(intended(at_rest(one), two)), carrying(one));
    seen.memory.own = None;
    seen.answers.listing = Some(Ok(vec![listed(one), listed(two)]));
    if let Some(resource) = &mut seen.resource {
        resource.deleting = true;
    }
    let (ledger, change) = saved(&seen);
    let three = serial(2, 3);
    assert_eq!((change, ledger.counter, ledger.intent.map(|i| i.serial)), (Change::TakenOver(three), 3, Some(three)));
    let mut seen = Observed { record: observed(Some(intended(at_rest(one), three)), carrying(one)).record, ..seen };
    seen.memory.own = Some(three);
    let Step::Revoke { token, published: false, .. } = decided(&seen).step else { panic!("{:?}", decided(&seen)) };
    assert_eq!(token.serial(), two, "what the other one minted can no longer be stored");
}

/// Bug: a replica that had decided to write an intent, and was paused, took the younger one of another replica, of the same
/// number, for as old as its own; it swept while the other still minted.
#[test]
fn an_intent_of_another_replica_is_known_since_it_is_seen() {
    let (one, two) = (serial(1, 1), serial(2, 2));
    let theirs = intended(at_rest(one), two);
    let record = observed(Some(theirs.clone()), carrying(one)).record;
    let mut mine = Memory::default();
    mine.decided(UPTIME, &observed(Some(at_rest(one)), carrying(one)), &writes(theirs.clone(), two));
    let mut acknowledged = mine.clone();
    acknowledged.saved(Change::Intended(two));
    let later = UPTIME + Duration::from_secs(60);
    mine.look(later, &carrying(one), record.as_ref());
    acknowledged.look(later, &carrying(one), record.as_ref());
    assert_eq!(mine.intent_since, Some((two, later)), "the write was refused: the intent is somebody else's");
    assert_eq!(acknowledged.intent_since, Some((two, UPTIME)), "one's own counts from before it was sent");
}

/// Bug: a publish that may have been lost, and then the death of the token: nothing went on until the process ended.
#[test]
fn a_token_that_died_when_it_may_have_been_published_is_replaced_by_the_next_sequence() {
    let (one, two) = (serial(1, 1), serial(2, 2));
    let mut ledger = intended(at_rest(one), two);
    ledger.pending = Some(issued(two));
    let mut seen = observed(Some(ledger), carrying(one));
    seen.memory.published = Some(two);
    seen.answers.verification.insert(two, Ok(Verification::Dead { why: "expired".to_owned() }));
    seen.answers.liveness.insert(two, Ok(Liveness::Gone));
    let (ledger, change) = saved(&seen);
    assert_eq!((change, ledger.intent.map(|intent| intent.serial.sequence)), (Change::Died(two), Some(3)));
}

/// Bug: record and Secret restored to between intent and store, with a provider that does not go back: the token that had been
/// published since was swept as a left-over of the intent.
#[test]
fn a_token_that_this_process_has_published_is_no_left_over() {
    let (one, two) = (serial(1, 1), serial(2, 2));
    let mut seen = observed(Some(intended(at_rest(one), two)), carrying(one));
    seen.answers.listing = Some(Ok(vec![listed(one), listed(two)]));
    seen.memory.unsent_intent = None;
    seen.memory.own = Some(two);
    assert!(matches!(decided(&seen).step, Step::Revoke { published: false, .. }), "its answer was lost");
    seen.memory.published = Some(two);
    let Step::Readopt { ledger, .. } = decided(&seen).step else { panic!("{:?}", decided(&seen)) };
    let serials = (ledger.current.map(|c| c.token.serial), ledger.previous.map(|p| p.token.serial));
    assert_eq!(serials, (Some(one), Some(two)), "its pods are counted, then it goes");
}

/// Bug: a record restored from the middle of a rotation, whose token was published since, began another attempt: two attempts
/// of one sequence came into the Secret, and the first was swept while pods held it.
#[test]
fn a_live_token_in_the_target_that_the_record_does_not_know_is_adopted() {
    let (one, two) = (serial(1, 1), serial(2, 2));
    let mut seen = observed(Some(intended(at_rest(one), two)), carrying(two));
    seen.answers.listing = Some(Ok(vec![listed(one), listed(two)]));
    let Step::Readopt { ledger, values: Some(_) } = decided(&seen).step else { panic!("{:?}", decided(&seen)) };
    let (current, previous) = (ledger.current.clone().unwrap(), ledger.previous.clone().unwrap());
    assert_eq!((current.token.serial, previous.token.serial), (two, one));
    assert_eq!(
        (previous.snapshot, ledger.intent.clone()),
        (None, None),
        "its holders are counted before anything is revoked"
    );
}

/// Bug: after a record was rebuilt, the templates carried the stamp of the lost past already, so no pod was replaced and the old
/// token was never revoked.
#[test]
fn a_stamp_of_a_lost_past_is_not_given_again() {
    let (one, two) = (serial(1, 1), serial(2, 2));
    let mut ledger = promoted(two, one, &[]);
    ledger.previous.as_mut().unwrap().snapshot = None;
    let mut seen = observed(Some(ledger), carrying(two));
    seen.answers.consumers = Some(Ok(consumers(&["a"], Some("2.2"))));
    let (ledger, change) = saved(&seen);
    assert_eq!((change, ledger.previous.as_ref().unwrap().round), (Change::Snapshot, 1));
    seen = observed(Some(ledger), carrying(two));
    seen.answers.consumers = Some(Ok(consumers(&["a"], Some("2.2"))));
    let Step::Stamp { stamp, .. } = decided(&seen).step else { panic!("{:?}", decided(&seen)) };
    assert_eq!(stamp, "2.2-1");
}
