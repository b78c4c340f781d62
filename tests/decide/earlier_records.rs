//! Records that earlier versions wrote are read as they were meant.

use std::collections::BTreeSet;

use jiff::SignedDuration;
use serde_json::{Value, json};
use tokenturn::core::{
    ledger::{failure::Made, record::Ledger},
    step::{Change, Step},
    token::Verification,
    transition,
};

use crate::builder::*;

/// A ledger with some of its fields as an earlier version wrote them.
fn stored(ledger: &Ledger, change: impl FnOnce(&mut Value)) -> Ledger {
    let mut text = serde_json::to_value(ledger).expect("a ledger is JSON");
    change(&mut text);
    serde_json::from_value(text).expect("a ledger of an earlier version")
}

/// That a token was rebuilt, and is still to be asked for, was said by its reason.
#[test]
fn a_rebuilt_token_is_still_asked_for() {
    let one = serial(1, 1);
    let ledger = stored(&at_rest(one), |text| text["current"]["reason"] = json!("Readopted"));
    let mut rebuilt = observed(Some(ledger), carrying(one));
    let expires_at = Some(now() + SignedDuration::from_hours(24 * 30));
    rebuilt.answers.verification.insert(one, Ok(Verification::Works { surplus: vec![], expires_at }));
    let Step::Save { ledger, change: Change::Noted } = decided(&rebuilt).step else {
        panic!("{:?}", decided(&rebuilt))
    };
    let current = ledger.current.expect("a token");
    assert_eq!((current.token.expires_at, current.uninspected), (expires_at, false));
    // Any other was known.
    let known = stored(&at_rest(one), |text| assert!(text["current"].get("uninspected").is_none()));
    assert!(!known.current.expect("a token").uninspected);
}

/// What an attempt may have left was said by its reason.
#[test]
fn an_attempt_whose_answer_was_lost_may_have_made_a_token() {
    let ledger = stored(&intended(at_rest(serial(1, 1)), serial(2, 2)), |text| {
        text["intent"]["failure"] = json!({"reason": "AnswerLost", "message": "no answer"});
    });
    assert_eq!(ledger.intent.and_then(|intent| intent.failure).map(|failure| failure.made), Some(Made::MayExist));
}

/// Whether the pods were counted after the Secret had changed hands was not noted: they are counted once more.
#[test]
fn a_deletion_under_way_goes_on() {
    let retiring = transition::retire_handed_over(&at_rest(serial(1, 1)), BTreeSet::new(), BTreeSet::new());
    let ledger = stored(&retiring, |text| {
        assert_eq!(
            text["retirement"].as_object_mut().and_then(|fields| fields.remove("handedOver")),
            Some(json!(true))
        );
    });
    assert!(ledger.retirement.is_some_and(|retirement| !retirement.handed_over));
}
