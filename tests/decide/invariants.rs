//! What must never be decided, whatever is observed. Names as in the invariants: S1, S2, ...

use std::time::Duration;

use tokenturn::{
    api::{DeletionPolicy, RolloutMode, WorkloadKind, WorkloadRef},
    core::{
        pods::consumers::Consumers,
        seen::{
            observed::Observed,
            views::{Foreign, Target},
        },
        step::{Change, Step},
        token::{Liveness, Verification},
    },
};

use crate::builder::*;

fn revokes(observed: &Observed) -> bool {
    let step = decided(observed).step;
    matches!(step, Step::Revoke { .. } | Step::Save { change: Change::RevokeIntended(_), .. })
}

#[test]
fn s1_nothing_is_revoked_while_a_pod_of_the_snapshot_is_not_gone() {
    let (one, two) = (serial(1, 1), serial(2, 2));
    let mut held = observed(Some(promoted(two, one, &["a"])), carrying(two));
    for consumers in [consumers(&["a"], Some("2.2")), Consumers::default()] {
        held.answers.consumers = Some(Ok(consumers));
        assert!(!revokes(&held), "running, or absent without proof");
    }
}

#[test]
fn s1_pods_that_may_have_got_another_value_are_counted_anew() {
    let (one, two) = (serial(1, 1), serial(2, 2));
    // The old value is back in the target, also after the decision to revoke was committed.
    let mut ledger = promoted(two, one, &[]);
    let mut clear = observed(Some(ledger.clone()), carrying(two));
    clear.answers.consumers = Some(Ok(Consumers::default()));
    let Step::Save { ledger: committed, .. } = decided(&clear).step else { panic!("commits") };
    for ledger in [std::mem::replace(&mut ledger, at_rest(one)), *committed] {
        for target in [carrying(one), Target::Foreign(Foreign::Token("other".into()))] {
            let drifted = observed(Some(ledger.clone()), target);
            let Step::Save { ledger, change } = decided(&drifted).step else { panic!("{:?}", decided(&drifted)) };
            assert_eq!(change, Change::Reopened);
            let previous = ledger.previous.unwrap();
            assert!(previous.snapshot.is_none() && previous.revoke.is_none());
        }
    }
}

/// The name was misspelt: the pods of the workload that was meant were counted by nobody, and lost their token.
#[test]
fn s1_a_listed_workload_that_does_not_exist_holds_the_old_token() {
    let (one, two) = (serial(1, 1), serial(2, 2));
    let mut listed = observed(Some(promoted(two, one, &[])), carrying(two));
    assert!(commits_a_revoke(&listed), "nobody holds it");
    let rollout = &mut listed.resource.as_mut().unwrap().rollout;
    rollout.mode = RolloutMode::Listed;
    rollout.targets = vec![WorkloadRef { kind: WorkloadKind::StatefulSet, name: "does-not-exist".into() }];
    let decision = decided(&listed);
    assert!(matches!(decision.step, Step::Wait { .. }), "{decision:?}");
    assert!(decision.message.contains("StatefulSet/does-not-exist"), "{}", decision.message);
    let pickup = decision.pickup.unwrap();
    assert!(pickup.remaining == 1 && pickup.blockers[0].why.contains("does not exist"));
    listed.resource.as_mut().unwrap().rollout.targets = vec![workload()];
    listed.answers.consumers = Some(Ok(consumers(&[], Some("2.2"))));
    assert!(commits_a_revoke(&listed), "corrected in the spec, whatever the snapshot says");
}

fn commits_a_revoke(observed: &Observed) -> bool {
    matches!(decided(observed).step, Step::Save { change: Change::RevokeIntended(_), .. })
}

#[test]
fn s1_a_reopened_snapshot_rolls_the_workloads_once_more() {
    let (one, two) = (serial(1, 1), serial(2, 2));
    let mut ledger = promoted(two, one, &["a"]);
    ledger.previous.as_mut().unwrap().round = 1;
    let mut rolling = observed(Some(ledger), carrying(two));
    rolling.answers.consumers = Some(Ok(consumers(&["a"], Some("2.2"))));
    let Step::Stamp { stamp, .. } = decided(&rolling).step else { panic!("stamps") };
    assert_eq!(stamp, "2.2-1");
}

#[test]
fn s1_a_pending_token_that_was_in_the_target_is_not_refused() {
    let (one, two) = (serial(1, 1), serial(2, 2));
    let mut ledger = intended(at_rest(one), two);
    ledger.pending = Some(issued(two));
    let mut reverted = observed(Some(ledger), carrying(one));
    reverted.memory.published = Some(two);
    reverted.answers.verification.insert(two, Ok(Verification::Insufficient { missing: vec!["x".into()] }));
    assert!(matches!(decided(&reverted).step, Step::Wait { .. }), "a pod may hold it");
}

#[test]
fn s1_a_deletion_waits_for_pods_that_hold_a_pending_token_too() {
    let (one, two) = (serial(1, 1), serial(2, 2));
    let mut ledger = intended(at_rest(one), two);
    ledger.pending = Some(issued(two));
    // It was published and settled when somebody deleted the target and the object.
    let mut deleted = observed(Some(ledger), Target::Absent);
    deleted.resource.as_mut().unwrap().deleting = true;
    deleted.answers.consumers = Some(Ok(consumers(&["a"], None)));
    assert!(!revokes(&deleted), "{:?}", decided(&deleted));
}

#[test]
fn s1_a_target_that_came_back_takes_a_committed_retirement_back() {
    let one = serial(1, 1);
    let mut ledger = at_rest(one);
    let mut leaving = observed(Some(ledger.clone()), Target::Absent);
    leaving.resource.as_mut().unwrap().deleting = true;
    let nobody = Consumers::default();
    leaving.answers.consumers = Some(Ok(nobody));
    let Step::Save { ledger: noted, .. } = decided(&leaving).step else { panic!("notes") };
    ledger.retirement = noted.retirement;
    let mut again = observed(Some(ledger.clone()), Target::Absent);
    again.resource.as_mut().unwrap().deleting = true;
    let Step::Save { ledger: committed, change } = decided(&again).step else { panic!("commits") };
    assert_eq!(change, Change::RetirementIntended);
    let mut back = observed(Some(*committed), carrying(one));
    back.resource.as_mut().unwrap().deleting = true;
    let Step::Save { change, .. } = decided(&back).step else { panic!("{:?}", decided(&back)) };
    assert_eq!(change, Change::Retiring);
}

#[test]
fn s2_no_workload_is_rolled_onto_a_token_that_does_not_work() {
    let (one, two) = (serial(1, 1), serial(2, 2));
    let mut ledger = intended(at_rest(one), two);
    ledger.pending = Some(issued(two));
    let mut dead = observed(Some(ledger), carrying(two));
    dead.answers.verification.insert(two, Ok(Verification::NotYet { why: "refused".into() }));
    assert!(matches!(decided(&dead).step, Step::Wait { .. }), "alive and not usable: no promotion");
    dead.answers.liveness.insert(two, Ok(Liveness::Gone));
    let Step::Save { ledger, change } = decided(&dead).step else { panic!("replaces") };
    assert_eq!(change, Change::Died(two));
    assert_eq!(ledger.intent.unwrap().serial.sequence, 3, "S5: one sequence brings one token to the target");
    let mut rolling = observed(Some(promoted(two, one, &["a"])), carrying(two));
    rolling.answers.consumers = Some(Ok(consumers(&["a"], None)));
    rolling.answers.verification.insert(two, Ok(Verification::NotYet { why: "refused".into() }));
    assert!(matches!(decided(&rolling).step, Step::Wait { .. }));
}

#[test]
fn s4_left_overs_are_swept_before_anything_is_minted() {
    let (one, lost, three) = (serial(1, 1), serial(2, 2), serial(2, 3));
    let mut ledger = intended(at_rest(one), three);
    ledger.counter = 3;
    let mut left = observed(Some(ledger), carrying(one));
    left.answers.listing = Some(Ok(vec![listed(one), listed(lost)]));
    let Step::Revoke { token, published, .. } = decided(&left).step else { panic!("sweeps") };
    assert_eq!((token.serial(), published), (lost, false));
}

#[test]
fn s8_s10_another_replicas_intent_is_neither_swept_nor_served() {
    let (one, two) = (serial(1, 1), serial(2, 2));
    let mut theirs = observed(Some(intended(at_rest(one), two)), carrying(one));
    // Its token is between create and store: listed, and in no record.
    theirs.answers.listing = Some(Ok(vec![listed(one), listed(two)]));
    theirs.memory.own = None;
    theirs.memory.unsent_intent = None;
    theirs.settings.elected = false;
    theirs.memory.intent_since = Some((two, UPTIME - Duration::from_secs(10)));
    assert!(matches!(decided(&theirs).step, Step::Wait { .. }));
    // Later it is taken over: first by an intent of our own, whose commit makes their store fail.
    theirs.memory.intent_since = Some((two, UPTIME - Duration::from_secs(60)));
    let Step::Save { change, .. } = decided(&theirs).step else { panic!("intends") };
    assert_eq!(change, Change::Intended(serial(2, 3)));
}

#[test]
fn s4_a_create_is_sent_soon_after_its_intent_or_never() {
    let (one, two) = (serial(1, 1), serial(2, 2));
    let since = |age: u64| {
        let mut seen = observed(Some(intended(at_rest(one), two)), carrying(one));
        (seen.memory.own, seen.memory.unsent_intent) = (Some(two), Some(two));
        seen.memory.intent_since = Some((two, UPTIME - Duration::from_secs(age)));
        decided(&seen).step
    };
    assert!(matches!(since(19), Step::Mint { .. }), "{:?}", since(19));
    let Step::Save { change, .. } = since(21) else { panic!("another attempt, not {:?}", since(21)) };
    assert_eq!(change, Change::Intended(serial(2, 3)), "everybody else may have looked for what it left behind");
}

#[test]
fn s10_a_create_is_not_repeated() {
    let (one, two) = (serial(1, 1), serial(2, 2));
    let mut spent = observed(Some(intended(at_rest(one), two)), carrying(one));
    spent.memory.unsent_intent = None;
    let Step::Save { change, .. } = decided(&spent).step else { panic!("another attempt") };
    assert_eq!(change, Change::Intended(serial(2, 3)));
}

#[test]
fn s13_drift_is_repaired_without_minting() {
    let one = serial(1, 1);
    for target in [Target::Absent, Target::Adoptable, carrying(serial(9, 9))] {
        let drifted = observed(Some(at_rest(one)), target);
        assert!(matches!(decided(&drifted).step, Step::Publish { repair: true, .. }), "{:?}", decided(&drifted).step);
    }
}

#[test]
fn s14_grace_is_served_by_the_monotonic_clock_alone() {
    let (one, two) = (serial(1, 1), serial(2, 2));
    let mut waiting = observed(Some(promoted(two, one, &[])), carrying(two));
    waiting.resource.as_mut().unwrap().grace = Duration::from_secs(3600);
    waiting.memory.proven_since = Some(UPTIME - Duration::from_secs(60));
    // The wall clock jumps a month ahead.
    waiting.now = "2026-02-01T00:00:00Z".parse().unwrap();
    assert!(!revokes(&waiting));
    waiting.memory.proven_since = Some(UPTIME - Duration::from_secs(3600));
    assert!(revokes(&waiting));
}

#[test]
fn s15_a_record_older_than_the_target_overwrites_nothing() {
    let (three, five) = (serial(3, 3), serial(5, 5));
    let mut restored = observed(Some(at_rest(three)), carrying(five));
    restored.answers.listing = Some(Ok(vec![listed(five)]));
    let Step::Readopt { ledger, values: Some(kept) } = decided(&restored).step else {
        panic!("{:?}", decided(&restored))
    };
    assert_eq!(ledger.current.unwrap().token.serial, five);
    assert_eq!((ledger.counter, kept.fingerprint()), (5, values(five).fingerprint()));
    // The annotation alone proves nothing: anybody can write it.
    let mut forged = observed(Some(at_rest(three)), carrying(five));
    forged.answers.listing = Some(Ok(vec![listed(three)]));
    assert!(matches!(decided(&forged).step, Step::Publish { repair: true, .. }));
}

#[test]
fn s1_a_past_that_no_record_tells_of_is_not_swept() {
    let (two, three, four) = (serial(2, 2), serial(3, 3), serial(4, 4));
    let mut lost = observed(None, carrying(four));
    lost.answers.listing = Some(Ok(vec![listed(two), listed(three), listed(four)]));
    let Step::Readopt { ledger, .. } = decided(&lost).step else { panic!("readopts") };
    assert_eq!(ledger.previous.as_ref().unwrap().token.serial, three, "goes the whole way");
    // A sweep that comes before that way has ended leaves 2 alone.
    let mut next = intended(*ledger, serial(5, 5));
    next.previous = None;
    let mut sweeping = observed(Some(next), carrying(four));
    sweeping.answers.listing = Some(Ok(vec![listed(two), listed(four)]));
    assert!(!revokes(&sweeping), "{:?}", decided(&sweeping));
}

#[test]
fn s12_orphan_names_every_live_token() {
    let (one, two) = (serial(1, 1), serial(2, 2));
    for target in [carrying(two), Target::Absent] {
        let mut leaving = observed(Some(promoted(two, one, &["a"])), target.clone());
        let resource = leaving.resource.as_mut().unwrap();
        resource.deleting = true;
        resource.deletion_policy = DeletionPolicy::Orphan;
        let decision = decided(&leaving);
        let text = format!("{:?} {}", decision.step, decision.message);
        assert!(text.contains(&issued(one).id) && text.contains(&issued(two).id), "{text}");
    }
}

#[test]
fn l5_nothing_is_done_at_rest() {
    let one = serial(1, 1);
    let rest = observed(Some(at_rest(one)), carrying(one));
    assert!(matches!(decided(&rest).step, Step::Wait { failed: false, .. }));
}

#[test]
fn s1_s2_a_current_token_that_dies_during_pickup_is_replaced_and_no_holder_is_forgotten() {
    let (one, two, three) = (serial(1, 1), serial(2, 2), serial(3, 3));
    for gone in [Liveness::Gone, Liveness::Ending] {
        let mut died = observed(Some(promoted(two, one, &["a"])), carrying(two));
        died.answers.liveness.insert(two, Ok(gone));
        let Step::Save { ledger, change } = decided(&died).step else { panic!("{:?}", decided(&died)) };
        assert_eq!(change, Change::Intended(three));
        // Its successor is published and promoted: the oldest token stays the old one, with its pods.
        let mut pending = *ledger;
        pending.pending = Some(issued(three));
        let mut settled = observed(Some(pending), carrying(three));
        settled.answers.consumers = Some(Ok(consumers(&["b"], None)));
        let Step::Save { ledger, change } = decided(&settled).step else { panic!("{:?}", decided(&settled)) };
        assert_eq!(change, Change::Promoted(three));
        let previous = ledger.previous.unwrap();
        assert_eq!(previous.token.serial, one);
        let noted =
            previous.earlier_pods.iter().chain(&previous.snapshot.as_ref().unwrap().pods).map(|pod| pod.uid.as_str());
        assert_eq!(noted.collect::<Vec<_>>(), ["a", "b"]);
    }
}

#[test]
fn s1_an_old_token_that_cannot_be_judged_is_revoked_on_its_committed_evidence() {
    let (one, two) = (serial(1, 1), serial(2, 2));
    let mut clear = observed(Some(promoted(two, one, &[])), carrying(two));
    clear.answers.consumers = Some(Ok(Consumers::default()));
    let Step::Save { ledger: committed, .. } = decided(&clear).step else { panic!("commits") };
    let mut unclear = observed(Some(*committed), carrying(two));
    let fault = tokenturn::core::seen::answers::Fault::passing(
        tokenturn::api::conditions::Reason::ProviderUnavailable,
        "cannot say",
    );
    unclear.answers.liveness.insert(one, Err(fault));
    assert!(revokes(&unclear), "once");
    unclear.memory.revoked(one, UPTIME - Duration::from_secs(20));
    assert!(!revokes(&unclear), "then it has to be confirmed");
}
