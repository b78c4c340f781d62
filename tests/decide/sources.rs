//! Tokens that nothing revokes, and left-overs at another provider than the one that is asked now.

use std::{collections::BTreeSet, time::Duration};

use jiff::SignedDuration;
use tokenturn::{
    api::conditions::Reason,
    core::{
        ledger::record::{Ledger, RevokeIntent},
        pods::pickup::{Judgement, judge},
        seen::{
            answers::{Fault, Question},
            observed::Observed,
            views::Target,
        },
        step::Step,
        token::{Handle, Liveness},
    },
};

use crate::builder::{at_rest, carrying, decided, intended, issued, now, observed, promoted, serial};

/// A rotation whose old token cannot be revoked, with the evidence written down; it expires in an hour.
fn superseded() -> Ledger {
    let mut ledger = promoted(serial(2, 2), serial(1, 1), &[]);
    let previous = ledger.previous.as_mut().expect("an old token");
    previous.token.handle = Handle::Nothing {};
    previous.token.expires_at = Some(now() + SignedDuration::from_hours(1));
    let nobody = BTreeSet::new();
    let consumers = tokenturn::core::pods::consumers::Consumers::default();
    let Judgement::Clear(proof) = judge(&nobody, &BTreeSet::new(), &nobody, &consumers, std::time::Duration::ZERO)
    else {
        panic!("nobody holds it")
    };
    let proof = proof.after_grace(std::time::Duration::ZERO, std::time::Duration::ZERO).expect("no grace");
    previous.revoke = Some(RevokeIntent::commit(proof, now()));
    ledger
}

#[test]
fn a_token_that_nothing_revokes_is_waited_for_and_never_revoked() {
    let mut waiting = observed(Some(superseded()), carrying(serial(2, 2)));
    let decision = decided(&waiting);
    assert_eq!(decision.reason, Reason::AwaitingExpiry);
    assert!(matches!(decision.step, Step::Wait { wake: Some(wake), .. } if wake.as_secs() == 3_600), "{decision:?}");
    waiting.answers.liveness.insert(serial(1, 1), Ok(Liveness::Gone));
    assert_eq!(decided(&waiting).step.label(), "save Forgotten(Serial { sequence: 1, attempt: 1 })");
}

/// One look that failed left `ProviderReady` at `False` until the old token expired.
#[test]
fn a_provider_that_does_not_answer_is_asked_again_long_before_the_expiry() {
    for looked_at in [serial(1, 1), serial(2, 2)] {
        let mut unanswered = observed(Some(superseded()), carrying(serial(2, 2)));
        let message = "no answer in time".to_owned();
        let fault = Fault::passing(Reason::ProviderUnavailable, message);
        unanswered.answers.liveness.insert(looked_at, Err(fault));
        let decision = decided(&unanswered);
        assert_eq!(decision.reason, Reason::AwaitingExpiry);
        let Step::Wait { wake: Some(wake), failed: true } = decision.step else { panic!("{decision:?}") };
        assert_eq!(wake.as_secs(), 2, "{looked_at}");
    }
}

/// The next rotation was late by as much as the old token lived on.
#[test]
fn a_token_that_nothing_revokes_is_waited_for_no_longer_than_the_next_rotation() {
    let mut waiting = observed(Some(superseded()), carrying(serial(2, 2)));
    let plan = &mut waiting.resource.as_mut().expect("the object").plan;
    plan.as_mut().expect("a plan").interval = Duration::from_secs(600);
    let decision = decided(&waiting);
    assert_eq!(decision.reason, Reason::AwaitingExpiry);
    let Step::Wait { wake: Some(wake), .. } = decision.step else { panic!("{decision:?}") };
    assert!(wake.as_secs() <= 600, "{wake:?}");
}

#[test]
fn a_token_that_nothing_revokes_holds_no_rotation_up() {
    let mut due = observed(Some(superseded()), carrying(serial(2, 2)));
    due.resource.as_mut().expect("the object").rotate_now = Some("now".into());
    let Step::Save { ledger, .. } = decided(&due).step else { panic!("{:?}", decided(&due)) };
    assert!(ledger.previous.is_none());
    let begun = observed(Some(*ledger), carrying(serial(2, 2)));
    assert_eq!(decided(&Observed { resource: due.resource, ..begun }).reason, Reason::Minting);
}

/// Its pods are waited for like those of any other token: it is let go only when nobody holds it.
#[test]
fn a_token_that_nothing_revokes_is_still_picked_up_first() {
    let mut ledger = superseded();
    ledger.previous.as_mut().expect("an old token").revoke = None;
    let mut due = observed(Some(ledger), carrying(serial(2, 2)));
    due.resource.as_mut().expect("the object").rotate_now = Some("now".into());
    assert_eq!(decided(&due).step.label(), "save RevokeIntended(Serial { sequence: 2, attempt: 2 })");
}

#[test]
fn a_refused_token_that_nothing_revokes_makes_room_for_the_next_attempt() {
    let (one, two) = (serial(1, 1), serial(2, 2));
    let mut ledger = intended(at_rest(one), two);
    ledger.refused = Some(tokenturn::core::token::Issued { handle: Handle::Nothing {}, ..issued(two) });
    let mut fenced = observed(Some(ledger), carrying(one));
    assert_eq!(decided(&fenced).step.label(), "fence 2");
    let Target::Ours(view) = &mut fenced.target else { panic!("ours") };
    view.fence = Some(2);
    assert_eq!(decided(&fenced).step.label(), "save LeftToExpiry(Serial { sequence: 2, attempt: 2 })");
}

#[test]
fn a_deletion_waits_for_the_expiry_of_what_nothing_revokes() {
    let one = serial(1, 1);
    let mut ledger = at_rest(one);
    let current = &mut ledger.current.as_mut().expect("a token").token;
    current.handle = Handle::Nothing {};
    current.expires_at = Some(now() + SignedDuration::from_hours(2));
    let mut leaving = observed(Some(ledger), Target::Absent);
    leaving.resource.as_mut().expect("the object").deleting = true;
    let mut steps = Vec::new();
    for _ in 0..6 {
        let decision = decided(&leaving);
        steps.push(decision.step.label());
        match decision.step {
            Step::Save { ledger, .. } => leaving.record.as_mut().expect("a record").ledger = *ledger,
            _ => break,
        }
    }
    let decision = decided(&leaving);
    assert_eq!(decision.reason, Reason::AwaitingExpiry, "{steps:?}");
    assert!(decision.message.contains("ends by itself when it expires, at "), "{}", decision.message);
}

/// A process died under an attempt at one place, and the spec names another one now: what it left behind is looked for where it
/// is, before the next attempt is made where nobody would look for it.
#[test]
fn what_another_process_began_elsewhere_is_cleared_up_there_first() {
    let (one, two) = (serial(1, 1), serial(2, 2));
    let mut ledger = intended(at_rest(one), two);
    let elsewhere = {
        let intent = ledger.intent.as_mut().expect("an intent");
        intent.source.specification.parameters.insert("project".into(), "12".into());
        intent.source.clone()
    };
    let mut found = observed(Some(ledger), carrying(one));
    (found.memory.own, found.memory.unsent_intent) = (None, None);
    let decision = decided(&found);
    assert_eq!(decision.step.label(), "save TakenOver(Serial { sequence: 2, attempt: 3 })");
    let Step::Save { ledger, .. } = decision.step else { panic!("takes over") };
    let three = serial(2, 3);
    assert_eq!(ledger.intent.as_ref().map(|intent| &intent.source), Some(&elsewhere));
    let mut mine = observed(Some(*ledger), carrying(one));
    (mine.memory.own, mine.memory.unsent_intent) = (Some(three), None);
    let listing = mine.answers.listing.take();
    let asked = tokenturn::core::decide::decide(&mine).expect_err("asks what is there");
    assert_eq!(asked, Question::Listing(Box::new(elsewhere)));
    mine.answers.listing = listing;
    assert_eq!(decided(&mine).step.label(), "save Intended(Serial { sequence: 2, attempt: 4 })");
}
