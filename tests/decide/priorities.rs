//! How urgent the next look at an object is.

use tokenturn::{
    api::conditions::Reason,
    core::{
        ledger::{record::Ledger, trigger::Trigger},
        step::{Decision, Phase},
    },
    reconcile::queue::Priority,
};

use crate::builder::*;

fn after(ledger: Option<Ledger>, change: impl FnOnce(&mut Decision)) -> Priority {
    let observed = observed(ledger, carrying(serial(1, 1)));
    let mut decision = Decision::wait(std::time::Duration::ZERO, Reason::Settling, "");
    change(&mut decision);
    Priority::after(&observed, &decision)
}

#[test]
fn what_has_begun_is_finished_first_and_what_was_asked_for_before_that() {
    let (one, two) = (serial(1, 1), serial(2, 2));
    let begun = |trigger| {
        let mut ledger = intended(at_rest(one), two);
        ledger.intent.as_mut().expect("an intent").trigger = trigger;
        Some(ledger)
    };
    let ending = |reason| {
        let mut ledger = promoted(two, one, &["a"]);
        ledger.current.as_mut().expect("a token").reason = reason;
        Some(ledger)
    };
    for (what, ledger, expected) in [
        ("nothing yet", None, Priority::Due),
        ("at rest", Some(at_rest(one)), Priority::Due),
        ("begun by schedule", begun(Trigger::IntervalElapsed), Priority::Begun),
        ("begun by request", begun(Trigger::RotateNow), Priority::Urgent),
        ("refused to consumers", begun(Trigger::ValueLost), Priority::Urgent),
        ("an old token", ending(Reason::IntervalElapsed), Priority::Begun),
        ("an old token that leaked", ending(Reason::RotateNow), Priority::Urgent),
    ] {
        assert_eq!(after(ledger.clone(), |_| {}), expected, "{what}");
        for phase in [Phase::Stalled, Phase::AtRest] {
            assert_eq!(after(ledger.clone(), |decision| decision.phase = phase), Priority::Due, "{what}, {phase:?}");
        }
    }
    let mut deleted = observed(Some(at_rest(one)), carrying(one));
    deleted.resource.as_mut().expect("the object").deleting = true;
    assert_eq!(Priority::after(&deleted, &decided(&deleted)), Priority::Urgent);
}
