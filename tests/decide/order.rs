//! Which step comes when: one table over the whole life of a token.

use std::time::Duration;

use jiff::SignedDuration;
use tokenturn::{
    api::{RotatedTokenStatus, conditions::Reason},
    core::{
        ledger::{record::Ledger, trigger::Trigger},
        report,
        seen::{
            answers::Fault,
            observed::Observed,
            views::{Foreign, Target},
        },
        step::{Change, Phase, Step},
        token::{Liveness, Verification},
        transition,
    },
};

use crate::builder::*;

/// The step as a word.
fn step(observed: &Observed) -> String {
    match decided(observed).step {
        Step::Wait { .. } => format!("wait {}", decided(observed).reason),
        step => step.label(),
    }
}

#[test]
fn a_rotation_goes_through_its_steps_in_order() {
    let (one, two) = (serial(1, 1), serial(2, 2));
    let mut due = observed(Some(at_rest(one)), carrying(one));
    due.resource.as_mut().unwrap().rotate_now = Some("now".into());
    assert_eq!(step(&due), "save Intended(Serial { sequence: 2, attempt: 2 })");

    let begun = observed(Some(intended(at_rest(one), two)), carrying(one));
    assert_eq!(step(&begun), "mint 2.2");

    let mut ledger = intended(at_rest(one), two);
    ledger.pending = Some(issued(two));
    let pending = observed(Some(ledger.clone()), carrying(one));
    assert_eq!(step(&pending), "publish 2.2 repair=false");

    let mut settling = observed(Some(ledger.clone()), carrying(two));
    settling.memory.target_since = UPTIME - Duration::from_secs(14);
    assert_eq!(step(&settling), "wait Settling");

    let mut settled = observed(Some(ledger), carrying(two));
    settled.answers.consumers = Some(Ok(consumers(&["a", "b"], None)));
    let Step::Save { ledger, change } = decided(&settled).step else { panic!("promotes") };
    assert_eq!(change, Change::Promoted(two));
    let previous = ledger.previous.unwrap();
    assert_eq!((previous.token.serial, previous.snapshot.unwrap().pods.len()), (one, 2));

    let mut rolling = observed(Some(promoted(two, one, &["a", "b"])), carrying(two));
    rolling.answers.consumers = Some(Ok(consumers(&["a", "b"], None)));
    assert_eq!(step(&rolling), "stamp 2.2");

    rolling.answers.consumers = Some(Ok(consumers(&["b", "c"], Some("2.2"))));
    assert_eq!(step(&rolling), "wait AwaitingPickup");

    let mut gone = observed(Some(promoted(two, one, &["a"])), carrying(two));
    let mut view = consumers(&["c"], Some("2.2"));
    view.ended.insert("a".into());
    gone.answers.consumers = Some(Ok(view));
    let Step::Save { ledger, change } = decided(&gone).step else { panic!("commits") };
    assert_eq!(change, Change::RevokeIntended(two));

    let committed = observed(Some(*ledger.clone()), carrying(two));
    assert_eq!(step(&committed), format!("revoke {}", issued(one).id));

    let mut dead = observed(Some(*ledger), carrying(two));
    dead.answers.liveness.insert(one, Ok(Liveness::Gone));
    assert_eq!(step(&dead), "save Forgotten(Serial { sequence: 1, attempt: 1 })");

    let rest = observed(Some(at_rest(two)), carrying(two));
    assert_eq!((step(&rest), decided(&rest).phase), ("wait UpToDate".to_owned(), Phase::AtRest));
}

#[test]
fn the_first_issue_needs_no_settle_time_and_no_snapshot() {
    let one = serial(1, 1);
    let fresh = observed(None, Target::Absent);
    assert_eq!(step(&fresh), "save Intended(Serial { sequence: 1, attempt: 1 })");
    let Step::Save { ledger, .. } = decided(&fresh).step else { panic!("intends") };
    let mut pending = *ledger;
    pending.pending = Some(issued(one));
    let mut published = observed(Some(pending), carrying(one));
    published.memory.target_since = UPTIME;
    assert_eq!(step(&published), "save Promoted(Serial { sequence: 1, attempt: 1 })");
}

#[test]
fn what_keeps_a_rotation_from_beginning_is_told() {
    let one = serial(1, 1);
    type Case = (&'static str, fn(&mut Observed), Reason, Phase);
    let cases: [Case; 3] = [
        ("suspended", |o| o.resource.as_mut().unwrap().suspend = true, Reason::Suspended, Phase::AtRest),
        ("foreign", |o| o.target = Target::Foreign(Foreign::Unmanaged), Reason::ForeignSecret, Phase::Stalled),
        (
            "no preflight",
            |o| {
                o.answers.preflight =
                    Some(Err(tokenturn::core::seen::answers::Fault::lasting(Reason::CannotPublish, "quota")));
            },
            Reason::CannotPublish,
            Phase::Stalled,
        ),
    ];
    for (name, change, reason, phase) in cases {
        let mut case = observed(Some(at_rest(one)), carrying(one));
        case.resource.as_mut().unwrap().rotate_now = Some("now".into());
        change(&mut case);
        let decision = decided(&case);
        assert!(matches!(decision.step, Step::Wait { .. }), "{name}: {:?}", decision.step);
        assert_eq!((decision.reason, decision.phase), (reason, phase), "{name}");
    }
}

#[test]
fn a_pending_token_that_does_not_pass_is_refused_fenced_off_and_revoked() {
    let (one, two) = (serial(1, 1), serial(2, 2));
    let mut ledger = intended(at_rest(one), two);
    ledger.pending = Some(issued(two));
    let mut weak = observed(Some(ledger), carrying(one));
    let missing = vec!["delete secrets".to_owned()];
    weak.answers.verification.insert(two, Ok(Verification::Insufficient { missing }));
    let Step::Save { ledger, change } = decided(&weak).step else { panic!("refuses") };
    assert_eq!(change, Change::Refused(two));
    let fenced_off = observed(Some(*ledger.clone()), carrying(one));
    assert_eq!(step(&fenced_off), "fence 2");
    let mut fenced = observed(Some(*ledger.clone()), carrying(one));
    let Target::Ours(view) = &mut fenced.target else { panic!("ours") };
    view.fence = Some(2);
    assert_eq!(step(&fenced), format!("revoke {}", issued(two).id));
    fenced.answers.liveness.insert(two, Ok(Liveness::Gone));
    assert_eq!(step(&fenced), "save RefusedGone(Serial { sequence: 2, attempt: 2 })");
    // Another replica that had verified it published it before the fence: it counts.
    let overtaken = observed(Some(*ledger), carrying(two));
    assert_eq!(step(&overtaken), "save Reinstated(Serial { sequence: 2, attempt: 2 })");
}

#[test]
fn attempts_are_limited_and_a_mended_spec_is_tried_at_once() {
    let (one, two) = (serial(1, 1), serial(2, 6));
    let mut ledger = intended(at_rest(one), two);
    ledger.intent.as_mut().unwrap().attempts = 5;
    let mut exhausted = observed(Some(ledger), carrying(one));
    exhausted.memory.unsent_intent = None;
    assert_eq!((step(&exhausted), decided(&exhausted).phase), ("wait AttemptsExhausted".to_owned(), Phase::Stalled));
    exhausted.resource.as_mut().unwrap().plan.as_mut().unwrap().source.specification.permissions =
        vec!["list pods".into()];
    assert_eq!(step(&exhausted), "save Intended(Serial { sequence: 2, attempt: 7 })");
}

#[test]
fn at_the_limit_of_live_tokens_nothing_is_minted() {
    let (one, two) = (serial(1, 1), serial(2, 2));
    let mut full = observed(Some(intended(at_rest(one), two)), carrying(one));
    full.resource.as_mut().unwrap().plan.as_mut().unwrap().max_live = 1;
    assert_eq!(step(&full), "wait TooManyLiveTokens");
}

#[test]
fn a_current_token_that_died_is_replaced() {
    let one = serial(1, 1);
    let mut died = observed(Some(at_rest(one)), carrying(one));
    died.answers.liveness.insert(one, Ok(Liveness::Gone));
    let decision = decided(&died);
    assert_eq!(decision.step.label(), "save Intended(Serial { sequence: 2, attempt: 2 })");
    let Step::Save { ledger, .. } = decision.step else { panic!("intends") };
    assert_eq!(ledger.intent.unwrap().trigger, Trigger::ValueLost);
}

/// Bug: after etcd went back to a backup, the operator that lived on took the record for the truth, and a token that was
/// revoked once stayed the published one without a word.
#[test]
fn a_record_that_went_back_is_rebuilt_and_its_token_is_replaced() {
    let two = serial(2, 2);
    let mut back = observed(Some(at_rest(two)), carrying(two));
    back.memory.highest = 5;
    back.answers.listing = Some(Ok(vec![listed(two)]));
    let decision = decided(&back);
    assert_eq!(decision.reason, Reason::Restored);
    let Step::Readopt { ledger, values: Some(_) } = decision.step else { panic!("{decision:?}") };
    assert_eq!((ledger.counter, ledger.sequence, &ledger.previous), (5, 2, &None));
    let mut rebuilt = observed(Some(*ledger), carrying(two));
    rebuilt.memory.highest = 5;
    let Step::Save { ledger, .. } = decided(&rebuilt).step else { panic!("rotates") };
    let intent = ledger.intent.clone().unwrap();
    assert_eq!((intent.serial, intent.trigger), (serial(3, 6), Trigger::Restored));
    let mut ledger = *ledger;
    ledger.pending = Some(issued(intent.serial));
    let promoted = transition::promote(&ledger, Vec::new(), None, now());
    let after = observed(Some(transition::forget(&promoted, now())), carrying(intent.serial));
    assert_eq!(decided(&after).phase, Phase::AtRest, "it is not replaced again and again");
}

/// Tokens that only the provider knows may be held by pods: none of them is a left-over.
#[test]
fn a_record_that_went_back_sweeps_nothing() {
    let (two, four) = (serial(2, 2), serial(4, 4));
    let mut ledger = intended(at_rest(two), serial(3, 3));
    ledger.pending = None;
    let mut back = observed(Some(ledger), carrying(two));
    back.memory.highest = 4;
    back.answers.listing = Some(Ok(vec![listed(two), listed(serial(3, 3)), listed(four)]));
    let Step::Readopt { ledger, .. } = decided(&back).step else { panic!("{:?}", decided(&back)) };
    assert_eq!((ledger.counter, ledger.unknown_until, &ledger.intent), (4, 4, &None));
    assert_eq!(ledger.previous.map(|previous| (previous.token.serial, previous.snapshot)), Some((four, None)));
}

/// Bug: with record and Secret from a backup and a provider that was not put back, the token that all pods held was in no
/// record; it stayed alive until two rotations later.
#[test]
fn a_record_that_is_older_than_the_providers_list_adopts_what_pods_hold() {
    let (one, four) = (serial(1, 1), serial(4, 4));
    let mut older = observed(Some(intended(at_rest(one), serial(2, 2))), carrying(one));
    older.answers.listing = Some(Ok(vec![listed(four)]));
    let Step::Readopt { ledger, values: None } = decided(&older).step else { panic!("{:?}", decided(&older)) };
    assert_eq!((ledger.counter, ledger.sequence, &ledger.intent), (4, 4, &None));
    assert_eq!(ledger.current.map(|current| current.token.serial), Some(four));

    let mut at_rest = observed(Some(at_rest(one)), carrying(one));
    at_rest.answers.listing = Some(Ok(vec![listed(one), listed(four)]));
    let Step::Readopt { ledger, values: Some(_) } = decided(&at_rest).step else { panic!("{:?}", decided(&at_rest)) };
    assert_eq!(ledger.previous.map(|previous| previous.token.serial), Some(four));
}

/// A token that somebody named like one of ours, and far ahead, swallowed a request for a rotation, put the next one off, and the status told of
/// a rotation that never was.
#[test]
fn a_name_that_is_ahead_puts_off_no_rotation_and_swallows_no_request() {
    let (one, planted) = (serial(1, 1), serial(99, 99));
    let mut ledger = at_rest(one);
    ledger.rotate_now_seen = Some("now".into());
    let known = ledger.current.clone().unwrap();
    let begun = Ledger { rotate_now_seen: Some("now".into()), ..intended(ledger, serial(2, 2)) };
    let mut asked = observed(Some(begun), carrying(one));
    asked.resource.as_mut().unwrap().rotate_now = Some("now".into());
    asked.memory.own = Some(serial(2, 2));
    asked.answers.listing = Some(Ok(vec![listed(one), listed(planted)]));
    asked.now += SignedDuration::from_hours(5);
    let Step::Readopt { ledger, .. } = decided(&asked).step else { panic!("{:?}", decided(&asked)) };
    assert_eq!(
        (ledger.current.as_ref(), &ledger.intent),
        (Some(&known), &None),
        "since when it is current stays known"
    );
    asked.record.as_mut().unwrap().ledger = Ledger { previous: None, unknown_until: 0, ..*ledger };
    asked.answers.listing = Some(Ok(vec![listed(one)]));
    let decision = decided(&asked);
    assert_eq!(decision.step.label(), "save Intended(Serial { sequence: 100, attempt: 100 })", "{decision:?}");
    asked.resource.as_mut().unwrap().rotate_now = None;
    let rest = decided(&asked);
    assert!(rest.message.contains("rotation 1 is published"), "{}", rest.message);
}

/// Once a look at rest that the provider did not answer was the last one before the next rotation: for a month the status said
/// that the provider was not ready, and a token that had died, or a left-over, stayed unseen.
#[test]
fn a_provider_that_did_not_answer_at_rest_is_asked_again_soon() {
    let one = serial(1, 1);
    let wake = |observed: &Observed| match decided(observed).step {
        Step::Wait { wake: Some(wake), failed } => (wake, failed),
        other => panic!("waits, not {other:?}"),
    };
    let well = observed(Some(at_rest(one)), carrying(one));
    assert_eq!(wake(&well), (Duration::from_secs(30 * 86_400), false));
    let fault = Fault::passing(Reason::ProviderUnavailable, "the API server answered 500".to_owned());
    let mut silent = well.clone();
    silent.answers.liveness.insert(one, Err(fault.clone()));
    let mut unlisted = well;
    unlisted.answers.listing = Some(Err(fault));
    for mut observed in [silent, unlisted] {
        assert_eq!(decided(&observed).phase, Phase::AtRest);
        assert_eq!(wake(&observed), (Duration::from_secs(2), true));
        observed.memory.failures = 20;
        assert_eq!(wake(&observed), (Duration::from_secs(300), true), "less and less often");
    }
}

/// Sooner than the interval, never later; the status says when, and the rest ends then.
#[test]
fn a_rotation_is_due_sooner_by_what_spreads_it() {
    let one = serial(1, 1);
    let early = Duration::from_secs(1234);
    let mut rests = observed(Some(at_rest(one)), carrying(one));
    rests.resource.as_mut().unwrap().plan.as_mut().unwrap().early = early;
    let decision = decided(&rests);
    let wait = Duration::from_secs(30 * 86_400) - early;
    assert!(matches!(decision.step, Step::Wait { wake: Some(wake), .. } if wake == wait), "{decision:?}");
    let shown = RotatedTokenStatus::default();
    let status = report::status(&rests, &decision, Some(1), "install", &shown);
    assert_eq!(status.next_rotation.unwrap().0, now() + wait);
    rests.now = now() + wait - Duration::from_millis(1);
    assert_eq!(step(&rests), "wait UpToDate");
    rests.now = now() + wait;
    assert_eq!(step(&rests), "save Intended(Serial { sequence: 2, attempt: 2 })");
}
