//! Recipes that do not say what the provider does: nothing is published, what was minted is revoked or named, and no
//! more is minted.

use std::time::Duration;

use jiff::SignedDuration;
use tokenturn::{
    api::{RotatedTokenStatus, conditions::Reason},
    core::{
        ledger::{
            failure::Failure,
            record::{Intent, Ledger},
        },
        report,
        seen::{answers::Fault, observed::Observed, views::Target},
        step::{Change, Phase, Step},
        token::{Handle, Liveness, Verification},
        transition,
    },
};

use crate::builder::{at_rest, carrying, decided, intended, issued, now, observed, serial};

/// The first token is pending.
fn pending() -> Observed {
    let one = serial(1, 1);
    let ledger = Ledger { current: None, sequence: 0, ..at_rest(one) };
    observed(Some(transition::store(&intended(ledger, one), issued(one))), Target::Absent)
}

fn misread(observed: &mut Observed, may_pass: bool) {
    let why = "list.name ($.name) finds 3 names, and ours is none of them".to_owned();
    observed.answers.verification.insert(serial(1, 1), Ok(Verification::Misread { why, may_pass }));
}

fn wrong(why: &str) -> Failure {
    Failure::nothing_open(Reason::RecipeWrong, why)
}

fn saved(observed: &Observed) -> (Ledger, Change) {
    match decided(observed).step {
        Step::Save { ledger, change } => (*ledger, change),
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_token_that_shows_a_wrong_recipe_is_refused_and_nothing_more_is_minted() {
    let mut first = pending();
    misread(&mut first, true);
    first.memory.pending_since = Some((serial(1, 1), first.uptime));
    let waits = decided(&first);
    assert_eq!((waits.reason, waits.phase), (Reason::Verifying, Phase::Progressing), "a list may take its time");
    assert!(waits.message.contains("list.name"), "{}", waits.message);
    first.memory.pending_since = Some((serial(1, 1), Duration::ZERO));
    let (ledger, change) = saved(&first);
    assert_eq!(change, Change::Refused(serial(1, 1)));
    assert!(ledger.pending.is_none() && ledger.refused.is_some(), "it is revoked");
    misread(&mut first, false);
    first.memory.pending_since = Some((serial(1, 1), first.uptime));
    assert_eq!(saved(&first).0, ledger, "what cannot pass is not waited for");

    // A restart makes no difference.
    let mut after = observed(Some(transition::drop_refused(&ledger)), Target::Absent);
    after.memory.own = None;
    after.memory.unsent_intent = None;
    let stalled = decided(&after);
    assert_eq!((stalled.reason, stalled.phase), (Reason::RecipeWrong, Phase::Stalled), "{stalled:?}");
    assert!(stalled.message.contains("list.name") && stalled.message.contains("before it is changed"), "{stalled:?}");
    let begins = |observed: &Observed| matches!(saved(observed).1, Change::Intended(_));
    let mut asked = after.clone();
    asked.resource.as_mut().expect("the object").rotate_now = Some("now".into());
    assert!(begins(&asked));
    let mut late = after.clone();
    late.now = now() + SignedDuration::from_mins(31);
    assert!(begins(&late));
    let mut changed = after;
    changed.memory.own = Some(serial(1, 1));
    let plan = changed.resource.as_mut().expect("the object").plan.as_mut().expect("a plan");
    plan.source.provider.backend.kubernetes = None;
    assert!(begins(&changed), "another recipe");
}

/// It was never pending: there is nothing to fence off and nobody to wait for.
#[test]
fn a_token_of_a_flawed_answer_is_revoked_at_once() {
    let one = serial(1, 1);
    let why = "create.expires ($.lease) finds no expiry".to_owned();
    let ledger = Ledger { current: None, sequence: 0, ..at_rest(one) };
    let flawed = transition::store_flawed(&intended(ledger, one), issued(one), why);
    let decision = decided(&observed(Some(flawed.clone()), Target::Absent));
    assert!(matches!(&decision.step, Step::Revoke { token, .. } if token.serial() == one), "{decision:?}");
    assert_eq!(decision.reason, Reason::RecipeWrong);
    assert!(decision.message.contains("create.expires"), "{}", decision.message);
    let two = serial(2, 2);
    let flawed = transition::store_flawed(&intended(at_rest(one), two), issued(two), "no".into());
    let decision = decided(&observed(Some(flawed), carrying(one)));
    assert!(matches!(&decision.step, Step::Revoke { token, .. } if token.serial() == two), "{decision:?}");
}

/// Five tokens lived, and the deletion said that nothing was left.
#[test]
fn a_token_of_a_flawed_answer_that_cannot_be_revoked_is_named_and_is_the_last_one() {
    let one = serial(1, 1);
    let ledger = Ledger { current: None, sequence: 0, ..at_rest(one) };
    let expires_at = Some(now() + SignedDuration::from_hours(9));
    let token = tokenturn::core::token::Issued { handle: Handle::Nothing {}, expires_at, ..issued(one) };
    let flawed = transition::store_flawed(&intended(ledger, one), token, "create.id ($.x) finds nothing".into());
    let mut left = observed(Some(flawed), Target::Absent);
    let (ledger, change) = saved(&left);
    assert_eq!(change, Change::RefusedLeft(one));
    let reported = ledger.intent.as_ref().and_then(|intent| intent.failure.clone()).expect("it is told");
    assert_eq!(reported.reason, Reason::TokenMayRemain);
    for word in [issued(one).id.as_str(), "2026-01-01T09:00:00Z", "create.id ($.x)", "by hand"] {
        assert!(reported.message.contains(word), "{word}: {}", reported.message);
    }
    left.record.as_mut().expect("a record").ledger = ledger;
    left.answers.listing = Some(Ok(vec![]));
    left.now = now() + SignedDuration::from_hours(99);
    left.memory.unsent_intent = None;
    let stalled = decided(&left);
    assert_eq!(
        (stalled.reason, stalled.phase),
        (Reason::TokenMayRemain, Phase::Stalled),
        "no time mints another: {stalled:?}"
    );
    left.resource.as_mut().expect("the object").deleting = true;
    let gone = decided(&left);
    assert_eq!((gone.step.label().as_str(), gone.reason), ("drop record", Reason::TokenMayRemain));
    assert!(gone.message.contains(&issued(one).id), "{}", gone.message);
}

/// Its value is not known, so that nothing can tell whether it is dead.
#[test]
fn a_token_whose_value_is_not_known_is_revoked_once_and_named() {
    let one = serial(1, 1);
    let ledger = Ledger { current: None, sequence: 0, ..at_rest(one) };
    let flawed = transition::store_flawed(&intended(ledger, one), issued(one), "no value".into());
    let mut unknown = observed(Some(flawed), Target::Absent);
    unknown.record.as_mut().expect("a record").values.clear();
    let message = "its value is lost, and tokens are not listed".to_owned();
    let fault = Fault::lasting(Reason::InvalidSpec, message);
    unknown.answers.liveness.insert(one, Err(fault));
    assert!(matches!(decided(&unknown).step, Step::Revoke { .. }));
    unknown.memory.revoked(one, Duration::ZERO);
    assert_eq!(saved(&unknown).1, Change::RefusedLeft(one));
    unknown.answers.liveness.insert(one, Ok(Liveness::Dead));
    assert_eq!(saved(&unknown).1, Change::RefusedGone(one), "a list can tell");
}

/// A verify that accepts everything accepts a token for ever that is dead.
#[test]
fn a_token_of_a_recipe_that_cannot_say_no_is_revoked_and_named() {
    let one = serial(1, 1);
    let ledger = Ledger { current: None, sequence: 0, ..at_rest(one) };
    let pending = transition::store(&intended(ledger, one), issued(one));
    let mut accepted =
        observed(Some(transition::misread(&pending, wrong("verify accepts everything"))), Target::Absent);
    accepted.memory.refused_since = Some((one, Duration::ZERO));
    assert!(matches!(decided(&accepted).step, Step::Revoke { .. }));
    accepted.memory.revoked(one, accepted.uptime);
    assert!(matches!(decided(&accepted).step, Step::Wait { .. }), "a provider may take its time");
    accepted.memory.revokes.clear();
    accepted.memory.revoked(one, accepted.uptime.saturating_sub(Duration::from_secs(36)));
    let (ledger, change) = saved(&accepted);
    assert_eq!(change, Change::RefusedLeft(one));
    let reported = ledger.intent.and_then(|intent| intent.failure).expect("it is told").message;
    assert!(reported.contains("verify accepts everything") && reported.contains(&issued(one).id), "{reported}");
}

/// Bug: what a lost answer left was told to nobody where the list that should have found it was shown to be wrong by the next attempt.
#[test]
fn what_attempts_before_left_is_told_when_the_list_is_found_to_be_wrong() {
    let reported = |attempts: i64, failure: Option<Failure>, may_pass: bool| {
        let mut second = pending();
        misread(&mut second, may_pass);
        second.memory.pending_since = Some((serial(1, 1), Duration::ZERO));
        let ledger = &mut second.record.as_mut().expect("a record").ledger;
        ledger.intent = ledger.intent.take().map(|intent| Intent { attempts, failure, ..intent });
        let (ledger, change) = saved(&second);
        assert_eq!(change, Change::Refused(serial(1, 1)));
        let reported = ledger.intent.as_ref().and_then(|intent| intent.failure.clone()).expect("it is told");
        assert!(reported.message.contains("list.name"), "{}", reported.message);
        let is_named = reported.message.contains(&format!("{}-1-N", second.owner.uid));
        assert_eq!(is_named, reported.reason == Reason::TokenMayRemain, "{reported:?}");
        is_named
    };
    assert!(!reported(1, None, true), "the first attempt");
    assert!(reported(2, None, true), "of one before a restart nothing is known");
    assert!(reported(2, Some(Failure::may_have_made(Reason::AnswerLost, "")), true));
    assert!(reported(3, Some(Failure::reported("")), true), "it stays told");
    assert!(
        reported(3, Some(Failure::nothing_made(Reason::ProviderRefused, "")), true),
        "of the first of them nothing is known"
    );
    assert!(!reported(2, Some(Failure::nothing_made(Reason::ProviderRefused, "")), true), "it left nothing");
    assert!(!reported(2, Some(Failure::nothing_made(Reason::RecipeWrong, "")), true), "it was revoked");
    assert!(!reported(2, None, false), "the list works: it was asked before this attempt");
}

/// Told nowhere: what a lost answer left where nothing is listed, and where it ends by itself.
#[test]
fn what_ends_by_itself_is_named_too() {
    let one = serial(1, 1);
    let mut lost = observed(Some(intended(Ledger { current: None, ..at_rest(one) }, one)), Target::Absent);
    lost.memory.unsent_intent = None;
    lost.resource.as_mut().expect("the object").plan.as_mut().expect("a plan").traits.ends_unseen = true;
    let ledger = |observed: &Observed| saved(observed).0.intent.expect("another attempt");
    let intent = ledger(&lost);
    assert_eq!((intent.failure, intent.unseen_until), (None, Some(now() + SignedDuration::from_hours(45 * 24))));
    let mut record = lost.record.clone().expect("a record");
    record.ledger.intent.as_mut().expect("an intent").unseen_until = intent.unseen_until;
    lost.record = Some(record);
    let reported = ledger(&lost).failure.expect("it is told");
    assert_eq!(reported.reason, Reason::TokenMayRemain);
    for word in [format!("{}-1-1", lost.owner.uid), "2026-02-15T00:00:00Z".to_owned()] {
        assert!(reported.message.contains(&word), "{word}: {}", reported.message);
    }
}

/// A gate of the protocol that is off without a word: nobody would know that an old token in use is revoked.
#[test]
fn what_could_not_be_shown_is_a_condition() {
    let one = serial(1, 1);
    let ledger = Ledger { current: None, sequence: 0, ..at_rest(one) };
    let pending = transition::store(&intended(ledger, one), issued(one));
    let mut first = observed(Some(pending), carrying(one));
    first.answers.unshown = vec!["list.lastUsed ($.x) finds nothing".to_owned()];
    let (ledger, change) = saved(&first);
    assert_eq!(change, Change::Promoted(one));
    let rest = observed(Some(ledger), carrying(one));
    let shown = |observed: &Observed| {
        let status = report::status(observed, &decided(observed), Some(1), "install", &RotatedTokenStatus::default());
        status.conditions.into_iter().find(|condition| condition.type_ == "RecipeProven")
    };
    let found = shown(&rest).expect("it is said");
    assert_eq!((found.status.as_str(), found.reason.as_str()), ("False", "RecipeUnproven"));
    assert!(found.message.contains("list.lastUsed ($.x)"), "{}", found.message);
    assert!(shown(&observed(Some(at_rest(one)), carrying(one))).is_none(), "nothing has to be said");
}
