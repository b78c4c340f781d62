//! Tokens without names: what a lost answer left behind is told, and neither revoked nor published.

use std::collections::BTreeSet;

use tokenturn::{
    api::conditions::Reason,
    core::{
        ledger::{
            failure::{Failure, Made},
            record::Ledger,
        },
        step::{Change, Step},
    },
};

use crate::builder::{at_rest, carrying, decided, intended, observed, serial};

fn census<const N: usize>(fingerprints: [&str; N]) -> BTreeSet<String> {
    fingerprints.into_iter().map(str::to_owned).collect()
}

/// A rotation whose create was sent, at an account that had these tokens before it.
fn lost(before: BTreeSet<String>) -> Ledger {
    let mut ledger = intended(at_rest(serial(1, 1)), serial(2, 2));
    ledger.intent.as_mut().expect("an intent").before = Some(before);
    ledger
}

/// What is decided when the account has these now, and the answer to the create is lost.
fn next(ledger: &Ledger, now: BTreeSet<String>) -> Ledger {
    let mut observed = observed(Some(ledger.clone()), carrying(serial(1, 1)));
    observed.answers.listing = Some(Ok(vec![]));
    observed.answers.preflight = Some(Ok(Some(now)));
    observed.memory.unsent_intent = None;
    // Later attempts wait for a while.
    observed.now = ledger.intent.as_ref().expect("an intent").at + jiff::SignedDuration::from_hours(1);
    let Step::Save { ledger, change: Change::Intended(_) } = decided(&observed).step else {
        panic!("{:?}", decided(&observed))
    };
    *ledger
}

fn describe(ledger: &Ledger) -> Option<(Reason, String)> {
    let failure = ledger.intent.as_ref()?.failure.as_ref()?;
    Some((failure.reason, failure.message.clone()))
}

#[test]
fn what_appeared_since_a_lost_create_is_told_once() {
    let ledger = lost(census(["aaaa"]));
    let next_one = next(&ledger, census(["aaaa", "bbbb"]));
    let (reason, message) = describe(&next_one).expect("it is told");
    assert!(
        reason == Reason::TokenMayRemain && message.contains("a token appeared") && message.contains("bbbb"),
        "{message}"
    );
    assert!(!message.contains("aaaa"), "{message}");
    assert_eq!(next_one.intent.as_ref().and_then(|intent| intent.before.clone()), Some(census(["aaaa", "bbbb"])));
    // One that is listed late counts for the attempts before it.
    let (_, message) = describe(&next(&next_one, census(["aaaa", "bbbb", "cccc", "dddd"]))).expect("it is told");
    assert!(
        message.contains("2 tokens appeared") && message.contains("cccc, dddd") && !message.contains("bbbb"),
        "{message}"
    );
}

#[test]
fn a_create_that_was_never_carried_out_leaves_nothing_to_tell() {
    assert_eq!(describe(&next(&lost(census(["aaaa"])), census(["aaaa"]))), None);
    assert_eq!(describe(&next(&lost(census(["aaaa"])), census([]))), None);
}

/// Whatever appeared then is somebody else's.
#[test]
fn a_create_that_was_refused_left_nothing_behind() {
    let ledger = lost(census(["aaaa"]));
    let mut refused = observed(Some(ledger), carrying(serial(1, 1)));
    refused.answers.listing = Some(Ok(vec![]));
    refused.answers.preflight = Some(Ok(Some(census(["aaaa", "bbbb"]))));
    refused.memory.unsent_intent = None;
    for (reason, made, reported) in [
        (Reason::CredentialRejected, Made::Nothing, Reason::CredentialRejected),
        (Reason::ProviderUnavailable, Made::Nothing, Reason::ProviderUnavailable),
        (Reason::AnswerLost, Made::MayExist, Reason::TokenMayRemain),
        // What was minted could not be stored, and its revoke failed too.
        (Reason::ApiServerUnavailable, Made::MayExist, Reason::TokenMayRemain),
        (Reason::WriteRefused, Made::MayExist, Reason::TokenMayRemain),
        (Reason::AccessDenied, Made::MayExist, Reason::TokenMayRemain),
        (Reason::ProviderUnavailable, Made::MayExist, Reason::TokenMayRemain),
    ] {
        refused.memory.mint_failure = Some(Failure { reason, message: "why".into(), made });
        let Step::Save { ledger, .. } = decided(&refused).step else { panic!("{:?}", decided(&refused)) };
        assert_eq!(ledger.intent.and_then(|intent| intent.failure).map(|failure| failure.reason), Some(reported));
    }
}

/// The tokens that the record knows are ours, whenever they appeared.
#[test]
fn our_own_tokens_are_not_told() {
    let ledger = lost(census([]));
    let own = ledger.current.as_ref().expect("a token").token.fingerprint.clone();
    assert_eq!(describe(&next(&ledger, census([own.as_str()]))), None);
}

#[test]
fn the_first_attempt_notes_what_there_is() {
    let mut due = observed(Some(at_rest(serial(1, 1))), carrying(serial(1, 1)));
    due.resource.as_mut().expect("the object").rotate_now = Some("now".into());
    due.answers.preflight = Some(Ok(Some(census(["aaaa"]))));
    let Step::Save { ledger, .. } = decided(&due).step else { panic!("{:?}", decided(&due)) };
    assert_eq!(ledger.intent.expect("an intent").before, Some(census(["aaaa"])));
}
