//! Pods whose images are pulled with the Secret, which no process of theirs gets.

use std::time::Duration;

use tokenturn::{
    api::conditions::Reason,
    core::{
        pods::{consumers::Consumers, usage::Usage},
        seen::observed::Observed,
        step::{Change, Step},
    },
};

use crate::builder::*;

/// Running pods that pull with the Secret, and their workload.
fn pulling(uids: &[&str]) -> Consumers {
    let mut pulling = consumers(uids, None);
    pulling.pods.values_mut().for_each(|view| view.uses = Some(Usage::Pull));
    pulling.workloads[0].uses = Some(Usage::Pull);
    pulling
}

fn superseded(consumers: Consumers) -> Observed {
    let mut observed = observed(Some(promoted(serial(2, 2), serial(1, 1), &[])), carrying(serial(2, 2)));
    observed.answers.consumers = Some(Ok(consumers));
    observed
}

/// Bug: a pull secret was waited for as if a process held it, and nobody restarted pods made by something else: 0 of 2 for ever.
#[test]
fn pods_that_only_pull_with_the_secret_are_neither_noted_nor_restarted() {
    let mut ledger = intended(at_rest(serial(1, 1)), serial(2, 2));
    ledger.pending = Some(issued(serial(2, 2)));
    let mut settled = observed(Some(ledger), carrying(serial(2, 2)));
    settled.answers.consumers = Some(Ok(pulling(&["a", "b"])));
    let Step::Save { ledger, change: Change::Promoted(_) } = decided(&settled).step else { panic!("promotes") };
    let snapshot = ledger.previous.unwrap().snapshot.unwrap();
    assert!(snapshot.pods.is_empty() && snapshot.workloads.is_empty(), "{snapshot:?}");
}

/// Settle time 15 s, back-off 300 s.
#[test]
fn s1_the_old_token_is_kept_until_nodes_are_done_with_pulls_they_began_with_it() {
    for (since_write, waits) in [(0, Some(315)), (60, Some(255)), (314, Some(1)), (315, None)] {
        let mut observed = superseded(pulling(&["a"]));
        observed.memory.target_since = UPTIME - Duration::from_secs(since_write);
        let decision = decided(&observed);
        match (&decision.step, waits) {
            (Step::Wait { wake: Some(wake), .. }, Some(left)) => {
                assert_eq!((wake.as_secs(), decision.reason), (left, Reason::AwaitingPickup), "{since_write} s");
                let pickup = decision.pickup.expect("says for whom");
                assert_eq!((pickup.remaining, pickup.blockers[0].pod.as_str()), (1, "pod-a"));
            }
            (Step::Save { change: Change::RevokeIntended(_), .. }, None) => {}
            (step, _) => panic!("{since_write} s after the write: {step:?}"),
        }
    }
    // Where nobody pulls, nobody is waited for.
    let mut nobody = superseded(Consumers::default());
    nobody.memory.target_since = UPTIME - Duration::from_secs(15);
    assert!(matches!(decided(&nobody).step, Step::Save { change: Change::RevokeIntended(_), .. }));
}

/// The new value may be the reason: then the old one is what the Secret would be set back to.
#[test]
fn s1_the_old_token_is_kept_while_an_image_cannot_be_pulled() {
    let mut failing = pulling(&["a", "b"]);
    failing.pods.get_mut("b").unwrap().pull_fails = true;
    let decision = decided(&superseded(failing.clone()));
    let pickup = decision.pickup.clone().expect("says for whom");
    assert_eq!((pickup.remaining, pickup.blockers[0].pod.as_str()), (1, "pod-b"), "{decision:?}");
    assert!(matches!(decision.step, Step::Wait { .. }) && decision.reason == Reason::AwaitingPickup, "{decision:?}");
    // One that does not pull with the Secret is none of our business.
    failing.pods.get_mut("b").unwrap().uses = None;
    assert!(matches!(decided(&superseded(failing)).step, Step::Save { change: Change::RevokeIntended(_), .. }));
}

/// A deletion takes the Secret away: the next pull of these pods would fail.
#[test]
fn a_deletion_waits_for_pods_that_pull_with_the_secret() {
    let mut leaving = observed(Some(at_rest(serial(1, 1))), carrying(serial(1, 1)));
    leaving.resource.as_mut().unwrap().deleting = true;
    leaving.answers.consumers = Some(Ok(pulling(&["a"])));
    let Step::Save { ledger, change: Change::Retiring } = decided(&leaving).step else { panic!("notes who uses it") };
    leaving.record = Some(record(*ledger));
    let decision = decided(&leaving);
    let pickup = decision.pickup.clone().expect("says for whom");
    assert_eq!(decision.reason, Reason::Deleting, "{decision:?}");
    assert!(pickup.blockers.iter().any(|blocker| blocker.why.contains("pulls its images")), "{pickup:?}");
}
