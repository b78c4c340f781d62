//! One refusal is no death, and no token leaves the record without a revoke that was sent.

use std::{collections::BTreeSet, time::Duration};

use jiff::SignedDuration;
use tokenturn::{
    api::conditions::Reason,
    core::{
        ledger::{
            record::{Ledger, MAX_PRESUMED_DEAD},
            trigger::Trigger,
        },
        pods::consumers::Consumers,
        predecessor::Predecessor,
        rules::life,
        seen::{
            answers::Fault,
            observed::Observed,
            refusals::{LOOKS, Refusals},
            views::Target,
        },
        step::{Change, Phase, Step},
        token::{Handle, Liveness, Serial, Verification},
        transition,
    },
};

use crate::builder::{
    UPTIME, at_rest, carrying, consumers, decided, intended, issued, listed, now, observed, promoted, serial,
};

fn seen(mut observed: Observed, token: Serial, liveness: Liveness) -> Observed {
    observed.answers.liveness.insert(token, Ok(liveness));
    observed
}

/// It was refused at every look of the last five minutes.
fn for_minutes(mut observed: Observed, token: Serial, is_listed: bool) -> Observed {
    let first = UPTIME - Duration::from_secs(300);
    let last = UPTIME - Duration::from_secs(40);
    observed.memory.refusals.insert(token, Refusals { first, last, looks: LOOKS, is_listed });
    observed
}

fn saved(observed: &Observed) -> (Ledger, Change) {
    match decided(observed).step {
        Step::Save { ledger, change } => (*ledger, change),
        other => panic!("{other:?}"),
    }
}

/// The old token 1.1 with committed evidence, under the current one 2.2.
fn committed() -> Ledger {
    let (one, two) = (serial(1, 1), serial(2, 2));
    let (ledger, change) = saved(&observed(Some(promoted(two, one, &[])), carrying(two)));
    assert_eq!(change, Change::RevokeIntended(two));
    ledger
}

/// Bug: a gateway that refused everybody for 25 s made the operator replace every token, and a listed one too.
#[test]
fn one_refusal_of_the_token_at_rest_starts_nothing() {
    let one = serial(1, 1);
    for liveness in [Liveness::Dead, Liveness::StillListed] {
        let refused = seen(observed(Some(at_rest(one)), carrying(one)), one, liveness);
        let decision = decided(&refused);
        assert_eq!((decision.reason, decision.phase), (Reason::TokenRefused, Phase::AtRest), "{liveness:?}");
        assert!(
            matches!(decision.step, Step::Wait { wake: Some(wake), .. } if wake <= life::LOOK_AGAIN),
            "{decision:?}"
        );
    }
    let refused = for_minutes(seen(observed(Some(at_rest(one)), carrying(one)), one, Liveness::Dead), one, false);
    let (ledger, change) = saved(&refused);
    assert_eq!((change, ledger.intent.unwrap().trigger), (Change::Intended(serial(2, 2)), Trigger::ValueLost));
}

/// What is listed is not dead, however long it is refused; a person is told.
#[test]
fn a_token_that_is_listed_is_never_taken_for_dead() {
    let one = serial(1, 1);
    let at_rest = observed(Some(at_rest(one)), carrying(one));
    let decision = decided(&for_minutes(seen(at_rest, one, Liveness::StillListed), one, true));
    assert_eq!((decision.reason, decision.phase), (Reason::TokenRefused, Phase::Stalled));
    assert!(decision.message.contains("lists it") && decision.message.contains("rotate-now"), "{}", decision.message);
}

/// A refusal is remembered as long as nothing else is answered; what is accepted again begins anew.
#[test]
fn refusals_are_counted_until_another_answer() {
    let one = serial(1, 1);
    let mut looks = seen(observed(Some(at_rest(one)), carrying(one)), one, Liveness::Dead);
    let mut at = UPTIME;
    let mut look = |liveness: Option<Liveness>, seconds: u64| {
        at += Duration::from_secs(seconds);
        looks.uptime = at;
        let fault = Fault::passing(Reason::ProviderUnavailable, "no answer");
        looks.answers.liveness.insert(one, liveness.ok_or(fault));
        let decision = decided(&looks);
        looks.memory.decided(at, &looks.clone(), &decision);
        matches!(decision.step, Step::Save { .. })
    };
    let dead = Some(Liveness::Dead);
    assert!(!look(dead, 0) && !look(dead, 40) && !look(dead, 40));
    assert!(!look(Some(Liveness::Alive), 40), "it is accepted again");
    assert!(!look(dead, 40) && !look(dead, 40) && !look(None, 40), "no answer says nothing");
    assert!(!look(dead, 20), "of this count, the third look, at 100 s");
    assert!(look(dead, 40));
}

/// Bug (S1): the current token was refused twice for a moment while pods held it and an older one. Its successor's promotion dropped
/// it from the record, and the sweep then revoked it as a token that was never published.
#[test]
fn s1_a_token_that_was_refused_stays_in_the_record_and_is_never_swept() {
    let (one, two, three) = (serial(1, 1), serial(2, 2), serial(3, 3));
    let mut refused = seen(observed(Some(promoted(two, one, &["a"])), carrying(two)), two, Liveness::Dead);
    refused.answers.consumers = Some(Ok(consumers(&["a"], Some("2.2"))));
    assert!(matches!(decided(&refused).step, Step::Wait { .. }), "one refusal: {:?}", decided(&refused));
    let (mut ledger, change) = saved(&for_minutes(refused, two, false));
    assert_eq!(change, Change::Intended(three));
    ledger.pending = Some(issued(three));
    let mut settled = observed(Some(ledger), carrying(three));
    settled.answers.consumers = Some(Ok(consumers(&["a", "b"], None)));
    let (ledger, change) = saved(&settled);
    assert_eq!(change, Change::Promoted(three));
    let known: Vec<_> = ledger.presumed_dead.iter().map(|token| token.serial).collect();
    assert_eq!(known, [two]);
    // The next sweep sees that it is alive after all.
    let four = serial(4, 4);
    let mut sweeping = observed(Some(intended(ledger.clone(), four)), carrying(three));
    sweeping.answers.listing = Some(Ok([one, two, three].map(listed).to_vec()));
    assert!(matches!(decided(&sweeping).step, Step::Mint { .. }), "{:?}", decided(&sweeping));
    // When nobody can hold the oldest one, nobody can hold this one either: it is revoked then, on the same evidence.
    let mut gone = observed(Some(ledger), carrying(three));
    let mut view = consumers(&["c"], Some("3.3"));
    view.ended.extend(["a".to_owned(), "b".to_owned()]);
    gone.answers.consumers = Some(Ok(view));
    let (ledger, change) = saved(&gone);
    assert_eq!(change, Change::RevokeIntended(three));
    let mut first = observed(Some(ledger), carrying(three));
    first.memory.revoked(one, UPTIME - Duration::from_secs(20));
    let (ledger, change) = saved(&seen(first, one, Liveness::Dead));
    assert_eq!(change, Change::Forgotten(one));
    let previous = ledger.previous.clone().unwrap();
    assert_eq!((previous.token.serial, previous.revoke.is_some()), (two, true));
    let Step::Revoke { token, .. } = decided(&observed(Some(ledger), carrying(three))).step else { panic!("revokes") };
    assert_eq!(token.serial(), two);
}

/// A token that was published and refused before it was promoted may be held by a pod.
#[test]
fn s1_a_token_that_was_refused_while_it_settled_goes_the_whole_way() {
    let (one, two) = (serial(1, 1), serial(2, 2));
    for first in [true, false] {
        let base =
            if first { transition::empty(&crate::builder::owner(), &crate::builder::resource()) } else { at_rest(one) };
        let mut ledger = intended(base, two);
        ledger.pending = Some(issued(two));
        let mut refused = seen(observed(Some(ledger), carrying(two)), two, Liveness::Dead);
        refused.answers.verification.insert(two, Ok(Verification::NotYet { why: "refused".into() }));
        assert_eq!(decided(&refused).reason, Reason::TokenRefused, "one refusal");
        let (mut ledger, change) = saved(&for_minutes(refused, two, false));
        assert_eq!(change, Change::Died(two));
        let three = serial(ledger.intent.as_ref().unwrap().serial.sequence, 3);
        ledger.pending = Some(issued(three));
        let settled = observed(Some(ledger), carrying(three));
        let (ledger, change) = saved(&settled);
        assert_eq!(change, Change::Promoted(three));
        let old = ledger.previous.iter().map(|previous| &previous.token).chain(&ledger.presumed_dead);
        let old: BTreeSet<_> = old.map(|token| token.serial).collect();
        assert_eq!(old, if first { BTreeSet::from([two]) } else { BTreeSet::from([one, two]) });
    }
}

/// A provider that refuses whatever it has just made must not fill the record.
#[test]
fn no_further_token_is_made_when_many_were_refused_one_after_the_other() {
    let (one, two) = (serial(1, 1), serial(9, 9));
    let mut ledger = promoted(two, one, &["a"]);
    ledger.presumed_dead = (0..MAX_PRESUMED_DEAD as i64).map(|n| issued(serial(n + 2, n + 2))).collect();
    let refused = for_minutes(seen(observed(Some(ledger), carrying(two)), two, Liveness::Dead), two, false);
    assert_eq!((decided(&refused).reason, decided(&refused).phase), (Reason::TooManyLiveTokens, Phase::Stalled));
}

/// Bug: the live old token left the record without any revoke, because a gateway refused it at the only look before.
#[test]
fn s4_a_token_is_revoked_before_it_is_forgotten_whatever_the_provider_says_of_it() {
    let (one, two) = (serial(1, 1), serial(2, 2));
    let refused = seen(observed(Some(committed()), carrying(two)), one, Liveness::Dead);
    assert!(matches!(decided(&refused).step, Step::Revoke { .. }), "{:?}", decided(&refused));
    let lasting = for_minutes(refused.clone(), one, false);
    assert!(matches!(decided(&lasting).step, Step::Revoke { .. }), "it was not tried to revoke it");
    // A provider that does not take the revoke of what is gone.
    let mut failed = refused.clone();
    failed.memory.revoke_failed(one);
    assert!(matches!(decided(&failed).step, Step::Revoke { .. }));
    assert_eq!(saved(&for_minutes(failed, one, false)).1, Change::Forgotten(one));
    let mut taken = refused;
    taken.memory.revoked(one, UPTIME - Duration::from_secs(20));
    assert_eq!(saved(&taken).1, Change::Forgotten(one));
    let listed = seen(taken, one, Liveness::StillListed);
    assert!(matches!(decided(&listed).step, Step::Wait { .. }), "what is listed is not dead");
    // The cluster itself keeps its tokens: what is gone there needs no call.
    let gone = seen(observed(Some(committed()), carrying(two)), one, Liveness::Gone);
    assert_eq!(saved(&gone).1, Change::Forgotten(one));
}

/// The old token is all that workloads could go back to while the new one is in doubt.
#[test]
fn s2_nothing_is_revoked_while_the_current_token_is_refused() {
    let two = serial(2, 2);
    for liveness in [Liveness::Dead, Liveness::StillListed] {
        let refused = seen(observed(Some(committed()), carrying(two)), two, liveness);
        assert_eq!(decided(&refused).reason, Reason::TokenRefused);
        assert!(matches!(decided(&refused).step, Step::Wait { .. }));
    }
}

/// Bug: a revoke that is answered with success and changes nothing was sent every 30 s and looked at every 2 s, for ever, without a word.
#[test]
fn a_revoke_without_effect_is_told_within_minutes_and_repeated_ever_more_seldom() {
    let (one, two) = (serial(1, 1), serial(2, 2));
    let mut looks = observed(Some(committed()), carrying(two));
    let (mut calls, mut revokes, mut stalled_at) = (0, 0, None);
    let end = UPTIME + Duration::from_secs(12 * 3600);
    while looks.uptime < end {
        calls += 1;
        let decision = decided(&looks);
        match decision.step {
            Step::Revoke { .. } => {
                revokes += 1;
                looks.memory.revoked(one, looks.uptime);
            }
            Step::Wait { wake: Some(wake), .. } => {
                if decision.phase == Phase::Stalled && stalled_at.is_none() {
                    assert_eq!(decision.reason, Reason::RevokeWithoutEffect);
                    assert!(decision.message.contains("success") && decision.message.contains("accepts it"));
                    stalled_at = Some(looks.uptime - UPTIME);
                }
                looks.uptime += wake.max(Duration::from_millis(1));
            }
            other => panic!("{other:?}"),
        }
    }
    assert!(stalled_at.is_some_and(|at| at <= Duration::from_secs(300)), "{stalled_at:?}");
    assert!((5..=30).contains(&revokes), "{revokes} revokes in twelve hours");
    assert!(calls < 400, "{calls} looks in twelve hours");
}

/// What nothing revokes is waited for; before its expiry one refusal says nothing.
#[test]
fn a_token_that_nothing_revokes_is_not_dead_for_one_refusal_before_its_expiry() {
    let (one, two) = (serial(1, 1), serial(2, 2));
    let mut ledger = committed();
    let token = &mut ledger.previous.as_mut().unwrap().token;
    token.handle = Handle::Nothing {};
    token.expires_at = Some(now() + SignedDuration::from_hours(1));
    let mut refused = seen(observed(Some(ledger), carrying(two)), one, Liveness::Dead);
    assert_eq!(decided(&refused).reason, Reason::AwaitingExpiry);
    assert_eq!(saved(&for_minutes(refused.clone(), one, false)).1, Change::Forgotten(one));
    refused.now = now() + SignedDuration::from_hours(2);
    assert_eq!(saved(&refused).1, Change::Forgotten(one));
}

/// To forget the token in place is to ask a person for another one.
#[test]
fn a_token_in_place_is_not_given_up_for_one_refusal() {
    let (one, two) = (serial(1, 1), serial(2, 2));
    let mut ledger = intended(at_rest(one), two);
    ledger.current.as_mut().unwrap().token.handle = Handle::Replaced {};
    let refused = seen(observed(Some(ledger.clone()), carrying(one)), one, Liveness::Dead);
    assert_eq!(decided(&refused).reason, Reason::TokenRefused);
    let Step::Mint { predecessor, .. } = decided(&for_minutes(refused, one, false)).step else { panic!("mints") };
    assert_eq!(predecessor.presented, None);
    // An attempt that was not heard of again has ended it.
    ledger.intent.as_mut().unwrap().attempts = 2;
    let ended = seen(observed(Some(ledger), carrying(one)), one, Liveness::Dead);
    assert!(
        matches!(decided(&ended).step, Step::Mint { predecessor: Predecessor { presented: None, .. }, .. }),
        "{:?}",
        decided(&ended)
    );
}

/// On deletion too.
#[test]
fn s12_an_object_does_not_go_because_its_token_is_refused_once() {
    let one = serial(1, 1);
    let mut leaving =
        observed(Some(transition::retire(&at_rest(one), BTreeSet::new(), BTreeSet::new())), Target::Absent);
    leaving.resource.as_mut().unwrap().deleting = true;
    leaving.answers.consumers = Some(Ok(Consumers::default()));
    let (ledger, change) = saved(&leaving);
    assert_eq!(change, Change::RetirementIntended);
    leaving.record.as_mut().unwrap().ledger = ledger;
    let refused = seen(leaving, one, Liveness::Dead);
    assert!(matches!(decided(&refused).step, Step::Revoke { .. }), "{:?}", decided(&refused));
}
