//! Providers that end the old token when they make the new one.

use std::time::Duration;

use tokenturn::{
    api::conditions::{OVERLAP, Reason},
    core::{
        ledger::{
            failure::{Failure, Made},
            record::Ledger,
        },
        plan::Succession,
        report,
        seen::observed::Observed,
        step::{Phase, Step},
        token::{Handle, Liveness, Serial, Verification},
    },
};

use crate::builder::{at_rest, carrying, decided, intended, issued, observed, promoted, serial};

/// A rotation whose intent is committed and whose create comes next.
fn begun() -> Ledger {
    let mut ledger = intended(at_rest(serial(1, 1)), serial(2, 2));
    ledger.current.as_mut().expect("a token").token.handle = Handle::Replaced {};
    ledger
}

fn minting(current: Liveness) -> Observed {
    let mut observed = observed(Some(begun()), carrying(serial(1, 1)));
    observed.answers.listing = Some(Ok(vec![]));
    observed.answers.liveness.insert(serial(1, 1), Ok(current));
    observed
}

fn replaces(observed: &Observed) -> Option<Serial> {
    let Step::Mint { predecessor, .. } = decided(observed).step else { panic!("{:?}", decided(observed)) };
    predecessor.presented
}

#[test]
fn a_token_is_shown_for_its_successor_only_while_it_is_alive() {
    assert_eq!(replaces(&minting(Liveness::Alive)), Some(serial(1, 1)));
    assert_eq!(replaces(&minting(Liveness::Gone)), None);
    assert_eq!(replaces(&minting(Liveness::Ending)), None);
    let mut unknown = minting(Liveness::Alive);
    unknown.answers.liveness.remove(&serial(1, 1));
    let asked = tokenturn::core::decide::decide(&unknown);
    assert!(asked.is_err(), "{asked:?}");
}

/// The token of another provider has nothing to do with it.
#[test]
fn the_token_of_another_provider_is_not_shown() {
    let mut observed = minting(Liveness::Alive);
    let record = observed.record.as_mut().expect("a record");
    record.ledger.current.as_mut().expect("a token").token.source.specification.provider.name = "other".into();
    assert_eq!(replaces(&observed), None);
}

/// A create whose answer was lost may still be under way.
#[test]
fn the_next_attempt_waits_a_minute() {
    let mut lost = minting(Liveness::Alive);
    lost.memory.unsent_intent = None;
    let decision = decided(&lost);
    assert!(
        matches!(decision.step, Step::Wait { wake: Some(wake), .. } if wake == Duration::from_secs(60)),
        "{decision:?}"
    );
}

/// The first token is made of one that a person gave, and that one is good once too.
#[test]
fn the_next_attempt_at_a_first_token_waits_a_minute() {
    let blank = Ledger { current: None, sequence: 0, ..intended(at_rest(serial(1, 1)), serial(1, 1)) };
    let mut lost = observed(Some(blank), tokenturn::core::seen::views::Target::Absent);
    lost.answers.listing = Some(Ok(vec![]));
    lost.memory.unsent_intent = None;
    assert!(matches!(decided(&lost).step, Step::Save { .. }), "{:?}", decided(&lost));
    lost.resource.as_mut().expect("the object").plan.as_mut().expect("a plan").traits.succession = Succession::Replaced;
    let decision = decided(&lost);
    assert!(
        matches!(decision.step, Step::Wait { wake: Some(wake), .. } if wake == Duration::from_secs(60)),
        "{decision:?}"
    );
}

/// There is no other: it is tried on and on, until a person asks for another one.
#[test]
fn a_token_that_does_not_pass_is_kept() {
    for verification in [
        Verification::Insufficient { missing: vec!["write".into()] },
        Verification::Dead { why: "refused".into() },
        Verification::NotYet { why: "refused".into() },
    ] {
        let mut ledger = begun();
        ledger.pending = Some(tokenturn::core::token::Issued { handle: Handle::Replaced {}, ..issued(serial(2, 2)) });
        let mut observed = observed(Some(ledger), carrying(serial(1, 1)));
        observed.answers.verification.insert(serial(2, 2), Ok(verification.clone()));
        let kept = decided(&observed);
        assert!(kept.phase == Phase::Stalled && matches!(kept.step, Step::Wait { .. }), "{verification:?}: {kept:?}");
        observed.resource.as_mut().expect("the object").rotate_now = Some("now".into());
        assert!(
            matches!(decided(&observed).step, Step::Save { .. } | Step::Wait { failed: false, .. }),
            "{verification:?}"
        );
    }
}

/// The old one is over: waiting would help nobody.
#[test]
fn no_grace_period_is_served() {
    let mut ledger = promoted(serial(2, 2), serial(1, 1), &[]);
    ledger.previous.as_mut().expect("an old token").token.handle = Handle::Replaced {};
    let mut observed = observed(Some(ledger), carrying(serial(2, 2)));
    observed.resource.as_mut().expect("the object").grace = Duration::from_secs(86_400);
    assert_eq!(decided(&observed).reason, Reason::PickedUp);
}

#[test]
fn a_condition_says_so_before_the_first_rotation() {
    let mut rests = observed(Some(at_rest(serial(1, 1))), carrying(serial(1, 1)));
    let shown = |observed: &Observed| {
        let status = report::status(observed, &decided(observed), None, "install", &Default::default());
        status.conditions.into_iter().find(|condition| condition.type_ == OVERLAP)
    };
    assert_eq!(shown(&rests), None);
    rests.resource.as_mut().expect("the object").plan.as_mut().expect("a plan").traits.succession =
        Succession::Replaced;
    let reported = shown(&rests).expect("a condition");
    assert_eq!((reported.status.as_str(), reported.reason.as_str()), ("False", "InPlace"));
}

/// A token that another one displaced works on, so it has a grace period, and it is revoked after that.
#[test]
fn a_displaced_token_is_revoked_and_the_one_in_place_is_not() {
    let mut ledger = promoted(serial(2, 2), serial(1, 1), &[]);
    ledger.current.as_mut().expect("a token").token.handle = Handle::Displaced {};
    ledger.previous.as_mut().expect("an old token").token.handle = Handle::Displaced {};
    let mut waits = observed(Some(ledger.clone()), carrying(serial(2, 2)));
    waits.resource.as_mut().expect("the object").grace = Duration::from_secs(86_400);
    assert_eq!(decided(&waits).reason, Reason::InGrace);
    let picked_up = observed(Some(ledger), carrying(serial(2, 2)));
    let Step::Save { ledger, .. } = decided(&picked_up).step else { panic!("{:?}", decided(&picked_up)) };
    let revokes = observed(Some(*ledger), carrying(serial(2, 2)));
    let Step::Revoke { token, .. } = decided(&revokes).step else { panic!("{:?}", decided(&revokes)) };
    assert_eq!(token.serial(), serial(1, 1));
}

/// It is compared with what the provider has: what is another one was left there by a lost answer, and is taken.
#[test]
fn a_displaced_token_is_shown_for_its_successor() {
    let mut observed = minting(Liveness::Alive);
    let record = observed.record.as_mut().expect("a record");
    record.ledger.current.as_mut().expect("a token").token.handle = Handle::Displaced {};
    assert_eq!(replaces(&observed), Some(serial(1, 1)));
}

/// Where nothing finds what a lost answer left behind, its name is told, once, and another attempt is made.
#[test]
fn what_nothing_finds_is_told_by_its_name() {
    let mut lost = minting(Liveness::Alive);
    lost.memory.unsent_intent = None;
    let record = lost.record.as_mut().expect("a record");
    record.ledger.current.as_mut().expect("a token").token.handle = issued(serial(1, 1)).handle;
    let failure = |observed: &Observed| match decided(observed).step {
        Step::Save { ledger, .. } => ledger.intent.expect("another attempt").failure,
        other => panic!("{other:?}"),
    };
    assert_eq!(failure(&lost), None);
    lost.record.as_mut().and_then(|record| record.ledger.intent.as_mut()).expect("an intent").may_orphan = true;
    let reported = failure(&lost).expect("it is told");
    assert_eq!(reported.reason, Reason::TokenMayRemain);
    assert!(reported.message.contains(&format!("{}-2-2", lost.owner.uid)), "{}", reported.message);
    // What the provider is like is noted with each intent.
    let next = |may_orphan| {
        let mut begins = lost_unseen();
        begins.resource.as_mut().expect("the object").plan.as_mut().expect("a plan").traits.may_orphan = may_orphan;
        let Step::Save { ledger, .. } = decided(&begins).step else { panic!("{:?}", decided(&begins)) };
        ledger.intent.expect("another attempt").may_orphan
    };
    assert!(next(true) && !next(false));
    // What was clearly refused left nothing behind.
    let refused = Failure::nothing_made(Reason::ProviderRefused, "no");
    lost.memory.mint_failure = Some(refused.clone());
    assert_eq!(failure(&lost), Some(refused));
}

/// A rotation that is over but for its old token, which is of another client of the same provider.
fn moved_to_another_client() -> Observed {
    let mut ledger = promoted(serial(2, 2), serial(1, 1), &[]);
    let current = &mut ledger.current.as_mut().expect("a token").token;
    current.handle = Handle::Displaced {};
    current.source.specification.parameters.insert("client".into(), "b".into());
    let specification = current.source.specification.clone();
    let previous = &mut ledger.previous.as_mut().expect("an old token").token;
    previous.handle = Handle::Displaced {};
    previous.source.specification.parameters.insert("client".into(), "a".into());
    let mut picked_up = observed(Some(ledger), carrying(serial(2, 2)));
    let plan = picked_up.resource.as_mut().expect("the object").plan.as_mut().expect("a plan");
    plan.source.specification = specification;
    let Step::Save { ledger, .. } = decided(&picked_up).step else { panic!("{:?}", decided(&picked_up)) };
    picked_up.record.as_mut().expect("a record").ledger = *ledger;
    picked_up
}

/// Regression: the token of another client was displaced by nobody. It was "revoked", and asked for every 2 s, for ever, and no rotation
/// began again.
#[test]
fn a_token_that_nothing_displaced_is_not_revoked_and_stands_in_nobodys_way() {
    let mut waits = moved_to_another_client();
    let decision = decided(&waits);
    assert_eq!(decision.reason, Reason::AwaitingExpiry, "{decision:?}");
    assert!(decision.message.contains("revoke it at the provider by hand"), "{}", decision.message);
    waits.now = tokenturn::core::schedule::after(waits.now, Duration::from_secs(31 * 86_400));
    let decision = decided(&waits);
    assert!(
        matches!(decision.step, Step::Save { change: tokenturn::core::step::Change::LeftToExpiry(_), .. }),
        "{decision:?}"
    );
}

/// An attempt whose answer was lost where nothing finds what it left behind.
fn lost_unseen() -> Observed {
    let mut lost = minting(Liveness::Alive);
    lost.memory.unsent_intent = None;
    let record = lost.record.as_mut().expect("a record");
    record.ledger.current.as_mut().expect("a token").token.handle = issued(serial(1, 1)).handle;
    lost.record.as_mut().and_then(|record| record.ledger.intent.as_mut()).expect("an intent").may_orphan = true;
    lost
}

fn describe(ledger: Ledger) -> String {
    let failure = ledger.intent.expect("another attempt").failure.expect("it is told");
    assert_eq!(failure.reason, Reason::TokenMayRemain);
    failure.message
}

/// Regression: the attempt was taken over under a new number, and a name was told that nothing was ever made under.
#[test]
fn what_another_process_left_behind_is_told_by_its_own_name() {
    let mut lost = lost_unseen();
    lost.memory.own = None;
    // Somebody has edited the provider object meanwhile.
    let plan = lost.resource.as_mut().expect("the object").plan.as_mut().expect("a plan");
    plan.source.provider.policy = Some(tokenturn::api::ProviderPolicy::default());
    let Step::Save { ledger, .. } = decided(&lost).step else { panic!("{:?}", decided(&lost)) };
    let serial = ledger.intent.as_ref().expect("an intent").serial;
    lost.memory.own = Some(serial);
    lost.record.as_mut().expect("a record").ledger = *ledger;
    let Step::Save { ledger, .. } = decided(&lost).step else { panic!("{:?}", decided(&lost)) };
    let message = describe(*ledger);
    assert!(message.contains(&format!("{}-2-2", lost.owner.uid)), "{message}");
}

/// Regression: whether it is told was asked of the provider that the next attempt goes to, not of the one where it was left.
#[test]
fn what_was_left_behind_is_told_also_when_the_next_attempt_goes_elsewhere() {
    let mut lost = lost_unseen();
    let plan = lost.resource.as_mut().expect("the object").plan.as_mut().expect("a plan");
    plan.source.specification.provider.name = "other".into();
    let Step::Save { ledger, .. } = decided(&lost).step else { panic!("{:?}", decided(&lost)) };
    let message = describe(*ledger);
    assert!(message.contains(&format!("{}-2-2", lost.owner.uid)), "{message}");
}

/// Regression: an object that went after a lost answer took the name with it.
#[test]
fn what_was_left_behind_is_told_when_the_object_goes() {
    for policy in [tokenturn::api::DeletionPolicy::Revoke, tokenturn::api::DeletionPolicy::Orphan] {
        let mut lost = lost_unseen();
        let resource = lost.resource.as_mut().expect("the object");
        resource.deleting = true;
        resource.deletion_policy = policy;
        lost.record.as_mut().expect("a record").ledger.current = None;
        lost.target = tokenturn::core::seen::views::Target::Absent;
        let decision = decided(&lost);
        assert_eq!(decision.step, Step::DropRecord);
        assert_eq!(decision.reason, Reason::TokenMayRemain, "{policy:?}: {decision:?}");
        assert!(decision.message.contains(&format!("{}-2-2", lost.owner.uid)), "{}", decision.message);
    }
}

/// Regression: what was found in the place of a first token was taken after any attempt, also after one that was clearly refused, and after a
/// change to another client: a secret of somebody else was handed out as a new one, and revoked by the next rotation.
#[test]
fn what_is_found_is_taken_only_where_it_can_be_ours() {
    let taken = |change: &dyn Fn(&mut Ledger)| {
        let mut begins = minting(Liveness::Gone);
        change(&mut begins.record.as_mut().expect("a record").ledger);
        let Step::Mint { predecessor, .. } = decided(&begins).step else { panic!("{:?}", decided(&begins)) };
        (predecessor.recorded, predecessor.may_be_ours)
    };
    let failed = |ledger: &mut Ledger, made| {
        let intent = ledger.intent.as_mut().expect("an intent");
        intent.attempts = 2;
        intent.failure = Some(Failure { reason: Reason::ProviderRefused, message: "no".into(), made });
    };
    // One of ours has the place, dead or not: it is not taken for its own successor.
    assert_eq!(taken(&|_| ()), (Some(serial(1, 1)), true));
    // Of what was before nothing is known.
    assert_eq!(taken(&|ledger| ledger.current = None), (None, true));
    let elsewhere = |ledger: &mut Ledger| {
        let token = &mut ledger.current.as_mut().expect("a token").token;
        token.source.specification.parameters.insert("client".into(), "another".into());
    };
    assert_eq!(taken(&elsewhere), (None, false));
    for (made, is_lost) in [(Made::Nothing, false), (Made::MayExist, true), (Made::Reported, true)] {
        let again = |ledger: &mut Ledger| {
            elsewhere(ledger);
            failed(ledger, made);
        };
        assert_eq!(taken(&again), (None, is_lost), "{made:?}");
        let first = |ledger: &mut Ledger| {
            ledger.current = None;
            failed(ledger, made);
        };
        assert_eq!(taken(&first), (None, is_lost), "{made:?}");
        // A person who asks for another attempt begins a new series of them.
        let asked = |ledger: &mut Ledger| {
            first(ledger);
            ledger.intent.as_mut().expect("an intent").attempts = 1;
        };
        assert_eq!(taken(&asked), (None, is_lost), "{made:?}");
    }
}
