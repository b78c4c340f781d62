//! What is known to be wrong is said at every wait, not only at the moment when it is found.

use std::time::Duration;

use jiff::SignedDuration;
use tokenturn::{
    api::conditions::Reason,
    core::{
        ledger::{
            failure::Failure,
            record::{Intent, Ledger},
        },
        schedule,
        seen::{
            answers::Fault,
            observed::Observed,
            views::{Resource, Target},
        },
        step::{Decision, Phase, Step},
        token::{Handle, Liveness, Serial, Verification},
        transition,
    },
};

use crate::builder::{at_rest, carrying, decided, intended, issued, now, observed, promoted, serial};

const WHY: &str = "the token may not delete secrets";

fn failure() -> Failure {
    Failure::nothing_made(Reason::PermissionsMissing, WHY)
}

/// The first token did not pass.
fn refused() -> Observed {
    let one = serial(1, 1);
    let ledger = Ledger { current: None, sequence: 0, ..at_rest(one) };
    let pending = transition::store(&intended(ledger, one), issued(one));
    observed(Some(transition::refuse(&pending, failure())), Target::Absent)
}

/// The next attempt, after one that did not pass.
fn again(pending: bool) -> Observed {
    let two = serial(1, 2);
    let ledger = intended(Ledger { current: None, sequence: 0, ..at_rest(serial(1, 1)) }, two);
    let intent = ledger.intent.clone().map(|intent| Intent { attempts: 2, failure: Some(failure()), ..intent });
    let ledger = Ledger { intent, ..ledger };
    let ledger = if pending { transition::store(&ledger, issued(two)) } else { ledger };
    observed(Some(ledger), Target::Absent)
}

fn says(decision: &Decision, reason: Reason, phase: Phase, parts: &[&str]) {
    assert!(matches!(decision.step, Step::Wait { .. }), "{decision:?}");
    assert_eq!((decision.reason, decision.phase), (reason, phase), "{}", decision.message);
    for part in [WHY].iter().chain(parts) {
        assert!(decision.message.contains(part), "{part}: {}", decision.message);
    }
}

/// For 45 s of each attempt the status said that another replica was waited for, and not why.
#[test]
fn a_refused_token_is_cleared_away_with_the_cause_in_view() {
    let mut first = refused();
    let parts = ["no other replica can publish the refused token"];
    says(&decided(&first), Reason::PermissionsMissing, Phase::Progressing, &parts);
    first.memory.refused_since = Some((serial(1, 1), Duration::ZERO));
    let revoke = decided(&first);
    assert!(matches!(revoke.step, Step::Revoke { .. }) && revoke.message.contains(WHY), "{revoke:?}");
    first.memory.revoked(serial(1, 1), first.uptime);
    says(&decided(&first), Reason::PermissionsMissing, Phase::Progressing, &["was revoked; waiting until"]);
}

/// What stops the operator meanwhile was hidden by why the token was refused.
#[test]
fn what_a_user_has_to_do_about_a_refused_token_is_not_hidden_by_its_cause() {
    let mut stuck = refused();
    stuck.memory.refused_since = Some((serial(1, 1), Duration::ZERO));
    stuck.memory.revoked(serial(1, 1), Duration::ZERO);
    let fault = Fault::lasting(Reason::CredentialRejected, "put a working one into the Secret");
    stuck.answers.liveness.insert(serial(1, 1), Err(fault));
    says(&decided(&stuck), Reason::CredentialRejected, Phase::Stalled, &["put a working one into the Secret"]);
}

#[test]
fn a_later_attempt_waits_with_the_cause_of_the_last_one_in_view() {
    let mut young = again(true);
    let why = "no such account".to_owned();
    young.answers.verification.insert(serial(1, 2), Ok(Verification::NotYet { why }));
    let parts = ["not usable yet: no such account", "attempt before"];
    says(&decided(&young), Reason::PermissionsMissing, Phase::Progressing, &parts);
    let why = "list.name finds nothing".to_owned();
    young.answers.verification.insert(serial(1, 2), Ok(Verification::Misread { why, may_pass: true }));
    says(&decided(&young), Reason::PermissionsMissing, Phase::Progressing, &["list.name finds nothing"]);

    let mut foreign = again(false);
    foreign.settings.elected = false;
    foreign.memory.own = None;
    says(&decided(&foreign), Reason::PermissionsMissing, Phase::Progressing, &["another replica is minting"]);

    let mut full = again(false);
    full.resource.as_mut().expect("an object").plan.as_mut().expect("a plan").max_live = 0;
    says(&decided(&full), Reason::TooManyLiveTokens, Phase::Stalled, &["its policy allows 0"]);
}

#[test]
fn a_first_attempt_has_no_cause_to_say() {
    let mut first = again(true);
    first.record.as_mut().expect("a record").ledger.intent.as_mut().expect("an intent").failure = None;
    first.answers.verification.insert(serial(1, 2), Ok(Verification::NotYet { why: "young".into() }));
    let waits = decided(&first);
    assert_eq!((waits.reason, waits.message.contains("attempt before")), (Reason::Verifying, false), "{waits:?}");
}

fn changed(mut observed: Observed, change: impl FnOnce(&mut Resource)) -> Observed {
    change(observed.resource.as_mut().expect("an object"));
    observed
}

/// A grace period of 20 s that began at :56 was said to last until :00 of the minute after the next.
#[test]
fn nothing_is_promised_for_longer_than_it_lasts() {
    const ONE: Serial = Serial { sequence: 1, attempt: 1 };
    for (begins, grace, until) in [
        ("2026-01-01T11:20:56.4Z", 20, "2026-01-01T11:21:16Z"),
        ("2026-01-01T11:20:56.4Z", 599, "2026-01-01T11:30:55Z"),
        ("2026-01-01T11:20:56.4Z", 3600, "2026-01-01T12:20:00Z"),
        ("2026-01-01T11:20:00Z", 3600, "2026-01-01T12:20:00Z"),
    ] {
        let mut waits = observed(Some(promoted(serial(2, 2), ONE, &[])), carrying(serial(2, 2)));
        waits.now = begins.parse().expect("a time");
        let waits = changed(waits, |object| object.grace = Duration::from_secs(grace));
        let said = decided(&waits).message;
        assert!(said.ends_with(&format!("at least until {until}")), "{grace}: {said}");
    }
    // Near its end the full minute is over already.
    let mut ends = observed(Some(promoted(serial(2, 2), ONE, &[])), carrying(serial(2, 2)));
    ends.now = "2026-01-01T12:20:10Z".parse().expect("a time");
    let previous = ends.record.as_mut().and_then(|record| record.ledger.previous.as_mut()).expect("an old token");
    previous.grace_served = 3580;
    let ends = changed(ends, |object| object.grace = Duration::from_secs(3600));
    let said = decided(&ends).message;
    assert!(said.ends_with("at least until 2026-01-01T12:20:30Z"), "{said}");
}

/// What expires within the last minute of the grace period expires before its end.
#[test]
fn an_expiry_is_compared_with_the_end_of_the_grace_period_and_not_with_its_minute() {
    let mut waits = observed(Some(promoted(serial(2, 2), serial(1, 1), &[])), carrying(serial(2, 2)));
    waits.now = now() + SignedDuration::from_secs(50);
    let previous = waits.record.as_mut().and_then(|record| record.ledger.previous.as_mut()).expect("an old token");
    previous.token.expires_at = Some(schedule::after(waits.now, Duration::from_secs(3610)));
    let waits = changed(waits, |object| object.grace = Duration::from_secs(3600));
    let said = decided(&waits).message;
    assert!(said.contains("for its grace period"), "{said}");
}

/// A policy of 90 s was said to allow a rotation every minute.
#[test]
fn a_shortest_interval_is_said_as_it_was_declared() {
    let mut asks = observed(Some(at_rest(serial(1, 1))), carrying(serial(1, 1)));
    let object = asks.resource.as_mut().expect("an object");
    object.rotate_now = Some("now".to_owned());
    object.plan.as_mut().expect("a plan").min_interval = Some(Duration::from_secs(90));
    let said = decided(&asks).message;
    assert!(said.contains("allows one rotation every 1m30s"), "{said}");
}

/// In place nothing is left to wait for, so no other wait hides it either.
#[test]
fn a_token_in_place_that_does_not_pass_says_why() {
    let mut only = again(true);
    let pending = only.record.as_mut().and_then(|record| record.ledger.pending.as_mut()).expect("a token");
    pending.handle = Handle::Replaced {};
    only.answers.liveness.insert(serial(1, 2), Ok(Liveness::Alive));
    only.answers.verification.insert(serial(1, 2), Ok(Verification::Insufficient { missing: vec!["x".into()] }));
    let waits = decided(&only);
    assert_eq!((waits.reason, waits.phase), (Reason::PermissionsMissing, Phase::Stalled), "{waits:?}");
    assert!(waits.message.contains("may not x"), "{}", waits.message);
}
