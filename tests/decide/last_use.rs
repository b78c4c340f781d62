//! An old token that somebody else uses.

use std::time::Duration;

use jiff::Timestamp;
use tokenturn::{
    api::conditions::Reason,
    core::{
        plan::Trouble,
        schedule,
        seen::{answers::Fault, observed::Observed},
        step::{Phase, Step},
        token::Serial,
    },
};

use crate::builder::{carrying, decided, now, observed, promoted, serial};

const GRACE: Duration = Duration::from_secs(3_600);
const OLD: Serial = Serial { sequence: 1, attempt: 1 };

/// The grace period is over: `used` is how long ago the provider saw the old token.
fn at_the_end(used: Option<u64>) -> Observed {
    let mut ledger = promoted(serial(2, 2), OLD, &[]);
    ledger.previous.as_mut().expect("an old token").grace_served = 3_600;
    let mut observed = observed(Some(ledger), carrying(serial(2, 2)));
    let resource = observed.resource.as_mut().expect("the object");
    resource.grace = GRACE;
    resource.plan.as_mut().expect("a plan").traits.tells_last_use = true;
    let before = |seconds| Timestamp::from_second(now().as_second() - i64::try_from(seconds).unwrap()).unwrap();
    observed.answers.last_use.insert(OLD, Ok(used.map(before)));
    observed
}

#[test]
fn a_token_that_was_used_after_its_pods_were_gone_is_kept_until_it_is_left_alone() {
    for (used, held) in [
        (None, false),
        // By a pod of then.
        (Some(86_400), false),
        (Some(3_590), false),
        // By somebody else.
        (Some(3_500), true),
        (Some(0), true),
    ] {
        let decision = decided(&at_the_end(used));
        assert_eq!(decision.reason == Reason::StillInUse, held, "{used:?}: {decision:?}");
        assert_eq!(decision.phase == Phase::Stalled, held, "{used:?}");
        if held {
            assert!(decision.message.contains("left alone for 60 min"), "{}", decision.message);
            assert!(matches!(decision.step, Step::Wait { wake: Some(wake), .. } if wake <= Duration::from_secs(600)));
        } else {
            assert_eq!(decision.reason, Reason::PickedUp, "{used:?}");
        }
    }
    // A person does not want to wait.
    let mut ended = at_the_end(Some(0));
    ended.resource.as_mut().expect("the object").grace = Duration::ZERO;
    assert_eq!(decided(&ended).reason, Reason::PickedUp);
    // A time that cannot be.
    let mut ahead = at_the_end(Some(0));
    ahead.answers.last_use.insert(OLD, Ok(Some(schedule::after(ahead.now, Duration::from_secs(86_400)))));
    assert_eq!(decided(&ahead).reason, Reason::PickedUp);
    // Used at first, then left alone for as long as the grace period.
    let mut observed = at_the_end(Some(0));
    observed.now = schedule::after(observed.now, GRACE);
    let previous = observed.record.as_mut().and_then(|record| record.ledger.previous.as_mut());
    previous.expect("an old token").grace_served = 7_200;
    assert_eq!(decided(&observed).reason, Reason::PickedUp);
}

#[test]
fn it_is_asked_for_and_an_unanswered_question_revokes_nothing() {
    let mut observed = at_the_end(None);
    observed.answers.last_use.clear();
    assert!(tokenturn::core::decide::decide(&observed).is_err(), "a question");
    let fault = Fault::passing(Reason::ProviderUnavailable, "away");
    observed.answers.last_use.insert(OLD, Err(fault));
    assert_eq!(decided(&observed).reason, Reason::ProviderUnavailable);
    // Where the provider does not say, nothing is asked.
    observed.answers.last_use.clear();
    observed.resource.as_mut().expect("the object").plan.as_mut().expect("a plan").traits.tells_last_use = false;
    assert_eq!(decided(&observed).reason, Reason::PickedUp);
}

/// Regression: a provider object that is gone, or another one, took the question with it, and a token in use was revoked.
#[test]
fn it_is_asked_for_also_where_the_object_names_another_provider_now() {
    let mut observed = at_the_end(Some(0));
    let resource = observed.resource.as_mut().expect("the object");
    let mut plan = resource.plan.clone().expect("a plan");
    plan.source.specification.provider.name = "other".into();
    plan.traits.tells_last_use = false;
    let gone = Trouble::new(Reason::ProviderMissing, "it does not exist");
    for plan in [Ok(plan), Err(gone)] {
        observed.resource.as_mut().expect("the object").plan = plan;
        assert_eq!(decided(&observed).reason, Reason::StillInUse, "{:?}", decided(&observed));
    }
}
