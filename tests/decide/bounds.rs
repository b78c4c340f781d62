//! What is asked for too often, is too large, or was begun with a mistake.

use std::{collections::BTreeSet, time::Duration};

use tokenturn::{
    api::conditions::Reason,
    core::{
        ledger::{
            failure::Failure,
            record::{Ledger, Snapshot},
        },
        pods::{
            consumers::Consumers,
            pickup::{Judgement, judge},
        },
        schedule,
        seen::{answers::Fault, memory::Memory, views::Target},
        step::{Change, Step},
        token::Serial,
        transition,
    },
};

use crate::builder::{
    UPTIME, at_rest, carrying, consumers, decided, intended, issued, listed, now, observed, pod, serial,
};

/// Bug: a namespace could ask for a new token every second, whatever the policy of the provider object said.
#[test]
fn rotate_now_waits_for_the_shortest_interval_of_the_policy_and_says_until_when() {
    let one = serial(1, 1);
    let mut asked = observed(Some(at_rest(one)), carrying(one));
    let resource = asked.resource.as_mut().unwrap();
    resource.rotate_now = Some("now".into());
    resource.plan.as_mut().unwrap().min_interval = Some(Duration::from_secs(3600));
    let decision = decided(&asked);
    assert!(
        matches!(decision.step, Step::Wait { wake: Some(wake), .. } if wake == Duration::from_secs(3600)),
        "{decision:?}"
    );
    assert!(decision.message.contains("rotate-now is served at 2026-01-01T01:00:00Z"), "{}", decision.message);
    asked.now = schedule::after(now(), Duration::from_secs(3600));
    assert_eq!(decided(&asked).step.label(), "save Intended(Serial { sequence: 2, attempt: 2 })");
}

/// Neither does a request that comes too soon begin a new series of attempts, or mint with a recipe that was found to be wrong.
#[test]
fn a_request_that_comes_too_soon_begins_no_attempt() {
    let (one, two) = (serial(1, 1), serial(2, 2));
    let mut ledger = intended(at_rest(one), two);
    ledger.intent.as_mut().unwrap().attempts = 3;
    let wrong =
        transition::misread(&transition::store(&ledger, issued(two)), Failure::nothing_made(Reason::RecipeWrong, "no"));
    let wrong = transition::drop_refused(&wrong);
    for ledger in [ledger, wrong] {
        let mut asked = observed(Some(ledger), carrying(one));
        asked.memory.unsent_intent = None;
        let resource = asked.resource.as_mut().unwrap();
        resource.rotate_now = Some("now".into());
        let began = |observed: &tokenturn::core::seen::observed::Observed| match decided(observed).step {
            Step::Save { ledger, change: Change::Intended(_) } => Some(ledger.intent.unwrap().attempts),
            Step::Wait { .. } => None,
            other => panic!("{other:?}"),
        };
        assert_eq!(began(&asked), Some(1), "without a policy it does");
        asked.resource.as_mut().unwrap().plan.as_mut().unwrap().min_interval = Some(Duration::from_secs(3600));
        assert_eq!(began(&asked), None);
        asked.now = schedule::after(now(), Duration::from_secs(1801));
        assert_eq!(began(&asked), Some(1), "half an hour later as without a request, or by it");
    }
}

/// Bug: after five attempts with a wrong recipe, the right one was tried half an hour later.
#[test]
fn a_changed_recipe_starts_anew() {
    let (one, two) = (serial(1, 1), serial(2, 6));
    let mut ledger = intended(at_rest(one), two);
    ledger.intent.as_mut().unwrap().attempts = 5;
    let mut exhausted = observed(Some(ledger), carrying(one));
    exhausted.memory.unsent_intent = None;
    assert_eq!(decided(&exhausted).reason, Reason::AttemptsExhausted);
    exhausted.resource.as_mut().unwrap().is_recipe_changed = true;
    let Step::Save { ledger, change } = decided(&exhausted).step else { panic!("begins") };
    assert_eq!((change, ledger.intent.unwrap().attempts), (Change::Intended(serial(2, 7)), 1));
}

/// Bug: an object for which nothing was ever made could not be deleted while its provider's list failed.
#[test]
fn an_object_that_never_began_goes_although_its_list_fails() {
    let fault = || Fault::passing(Reason::ProviderUnavailable, "no answer");
    let mut leaving = observed(None, Target::Absent);
    leaving.answers.listing = Some(Err(fault()));
    let resource = leaving.resource.as_mut().unwrap();
    (resource.deleting, resource.was_issued) = (true, false);
    leaving.memory.stuck_since = Some(Duration::ZERO);
    let decision = decided(&leaving);
    assert!(matches!(decision.step, Step::ReleaseFinalizer) && decision.message.contains("no answer"), "{decision:?}");
    // Every sign of a token holds it.
    let mut issued = leaving.clone();
    issued.resource.as_mut().unwrap().was_issued = true;
    let mut seen = leaving.clone();
    seen.memory.highest = 1;
    let held = Target::Ours(match carrying(serial(1, 1)) {
        Target::Ours(view) => view,
        other => panic!("{other:?}"),
    });
    for held in [issued, seen, tokenturn::core::seen::observed::Observed { target: held, ..leaving }] {
        assert!(matches!(decided(&held).step, Step::Wait { failed: true, .. }), "{:?}", decided(&held));
    }
}

/// Bug: a create that was carried out after its answer was given up lived until the next rotation.
#[test]
fn the_list_is_looked_at_again_some_minutes_after_an_answer_was_lost() {
    let (one, late) = (serial(1, 3), serial(1, 2));
    let mut rest = observed(Some(at_rest(one)), carrying(one));
    rest.memory.swept = Some(one);
    rest.memory.answer_lost(rest.uptime);
    let Step::Wait { wake: Some(wake), .. } = decided(&rest).step else { panic!("{:?}", decided(&rest)) };
    assert!(wake <= Duration::from_secs(600), "{wake:?}");
    rest.uptime += wake;
    rest.answers.listing = Some(Ok(vec![listed(one), listed(late)]));
    let Step::Revoke { token, .. } = decided(&rest).step else { panic!("{:?}", decided(&rest)) };
    assert_eq!(token.serial(), late);
    rest.answers.listing = Some(Ok(vec![listed(one)]));
    let decision = decided(&rest);
    rest.memory.decided(rest.uptime, &rest.clone(), &decision);
    assert_eq!(rest.memory.answer_lost, None, "once");
}

/// Bug: the same where the process had died that sent it.
#[test]
fn the_create_of_another_process_may_come_late_too() {
    let (theirs, ours) = (serial(1, 1), serial(1, 2));
    let ledger = intended(Ledger { current: None, sequence: 0, ..at_rest(theirs) }, theirs);
    let given_up = |own: Option<Serial>, change: Change| {
        let mut memory = Memory::default();
        memory.own = own;
        let record = observed(Some(ledger.clone()), Target::Absent).record;
        memory.look(UPTIME, &Target::Absent, record.as_ref());
        memory.saved(change);
        memory.answer_lost
    };
    assert_eq!(given_up(None, Change::Intended(ours)), Some(UPTIME));
    assert_eq!(given_up(None, Change::TakenOver(ours)), Some(UPTIME));
    assert_eq!(given_up(Some(theirs), Change::Intended(ours)), None, "of its own it has heard");
    let mut first = Memory::default();
    first.saved(Change::Intended(theirs));
    assert_eq!(first.answer_lost, None, "there was none before");
}

/// Bug: 34,000 permissions beyond what was asked for were published, and could not be stored with the promotion.
#[test]
fn permissions_beyond_what_was_asked_for_are_stored_bounded() {
    let (one, two) = (serial(1, 1), serial(2, 2));
    let mut ledger = intended(at_rest(one), two);
    ledger.pending = Some(issued(two));
    let surplus = (0..34_000).map(|n| format!("{n}{}", "x".repeat(1_000))).collect();
    let promoted = transition::promote(&ledger, surplus, Some(Snapshot::default()), now());
    let kept = promoted.current.unwrap().token.surplus;
    assert!(kept.iter().map(String::len).sum::<usize>() < 4_096, "{}", kept.len());
    assert_eq!(kept.last().map(String::as_str), Some("and 33992 more"));
}

/// Bug: of more than 2,000 holders only those were waited for at a deletion that had been noted one by one.
#[test]
fn s12_of_a_crowd_every_pod_is_waited_for_at_a_deletion() {
    let one = serial(1, 1);
    let names: Vec<String> = (0..Snapshot::MAX_PODS + 5).map(|n| format!("{n:05}")).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let mut leaving = observed(Some(at_rest(one)), carrying(one));
    leaving.resource.as_mut().unwrap().deleting = true;
    leaving.answers.consumers = Some(Ok(consumers(&names, None)));
    let Step::Save { ledger, change } = decided(&leaving).step else { panic!("{:?}", decided(&leaving).step.label()) };
    assert_eq!(change, Change::Retiring);
    let noted = ledger.retirement.clone().unwrap();
    assert_eq!((noted.pods.len(), noted.crowd.len()), (Snapshot::MAX_PODS, 5));
    assert!(serde_json::to_vec(&ledger).unwrap().len() < 1 << 20);
    // One of the crowd runs on, without the Secret in its spec any more.
    let mut last = consumers(&[names[Snapshot::MAX_PODS + 4]], None);
    last.ended = names[..Snapshot::MAX_PODS].iter().map(|name| (*name).to_owned()).collect();
    for view in last.pods.values_mut() {
        view.uses = None;
    }
    last.workloads.clear();
    let mut held = observed(Some(*ledger), carrying(one));
    held.resource.as_mut().unwrap().deleting = true;
    held.answers.consumers = Some(Ok(last));
    let decision = decided(&held);
    assert!(matches!(decision.step, Step::Wait { .. }), "{:?}", decision.step.label());
    assert_eq!(decision.pickup.unwrap().remaining, 1);
}

/// What is carried from snapshot to snapshot stays bounded too, and nobody is left out.
#[test]
fn pods_of_many_snapshots_fit_into_a_record() {
    let (one, two) = (serial(1, 1), serial(2, 2));
    let mut ledger = crate::builder::promoted(two, one, &[]);
    for round in 0..4 {
        let pods = (0..Snapshot::MAX_PODS).map(|n| pod(&format!("{round}-{n:05}"))).collect();
        ledger = transition::reopen(&transition::snapshot(&ledger, Snapshot { pods, ..Snapshot::default() }));
    }
    let previous = ledger.previous.as_ref().unwrap();
    assert_eq!(previous.earlier_pods.len() + previous.earlier_crowd.len(), 4 * Snapshot::MAX_PODS);
    assert!(serde_json::to_vec(&ledger).unwrap().len() < 700 * 1024);
    let judged =
        judge(&BTreeSet::new(), &previous.earlier_crowd, &BTreeSet::new(), &Consumers::default(), Duration::ZERO);
    assert!(matches!(judged, Judgement::Held { .. }));
}
