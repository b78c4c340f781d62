//! The status of each phase: what kstatus reads, who is asked for something, and which request is handled.

use std::time::Duration;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use tokenturn::{
    api::{Blocker, RotatedTokenStatus, conditions::Reason},
    core::{
        ledger::{failure::Failure, record::Ledger, trigger::Trigger},
        plan::{Succession, Trouble},
        pods::{
            consumers::{Consumers, NodeView},
            pickup::{Judgement, judge},
        },
        report,
        ruling::on_fault,
        schedule,
        seen::{
            answers::{Fault, Origin},
            observed::Observed,
            views::{Resource, Target, TargetView},
        },
        step::Pickup,
        token::{Liveness, Serial},
        transition,
    },
    secret_value::SecretValue,
};

use crate::builder::{at_rest, carrying, consumers, decided, intended, now, observed, pod, promoted};

const ONE: Serial = Serial { sequence: 1, attempt: 1 };
const TWO: Serial = Serial { sequence: 2, attempt: 2 };

fn status(observed: &Observed) -> RotatedTokenStatus {
    after(observed, &RotatedTokenStatus::default())
}

fn after(observed: &Observed, shown: &RotatedTokenStatus) -> RotatedTokenStatus {
    report::status(observed, &decided(observed), Some(7), "install", shown)
}

fn find<'a>(status: &'a RotatedTokenStatus, type_: &str) -> Option<&'a Condition> {
    status.conditions.iter().find(|condition| condition.type_ == type_)
}

/// `Ready`, `Reconciling` and `Stalled` by their first letters.
fn short(status: &RotatedTokenStatus) -> String {
    let first = |type_: &str| find(status, type_).and_then(|condition| condition.status.chars().next()).unwrap_or('-');
    ["Ready", "Reconciling", "Stalled"].map(first).iter().collect()
}

fn changed(observed: Observed, change: impl FnOnce(&mut Resource)) -> Observed {
    let mut observed = observed;
    change(observed.resource.as_mut().expect("an object"));
    observed
}

/// After the promotion of the second token, with these users of the Secret.
fn rolled(pods: &[&str], users: Consumers) -> Observed {
    let mut observed = observed(Some(promoted(TWO, ONE, pods)), carrying(TWO));
    observed.answers.consumers = Some(Ok(users));
    observed
}

fn bare(uid: &str) -> Consumers {
    let mut bare = consumers(&[uid], Some("2.2"));
    bare.pods.values_mut().for_each(|view| (view.controller, view.rolled) = (None, false));
    bare
}

fn unanswered(mut observed: Observed) -> Observed {
    let message = "no answer".to_owned();
    let fault = Fault::passing(Reason::ProviderUnavailable, message);
    observed.answers.preflight = Some(Err(fault));
    observed
}

#[test]
fn each_phase_is_what_kstatus_takes_it_for() {
    let rest = || observed(Some(at_rest(ONE)), carrying(ONE));
    let graceful =
        |pods| changed(rolled(pods, Consumers::default()), |object| object.grace = Duration::from_secs(3600));
    let due = || changed(rest(), |object| object.rotate_now = Some("now".into()));
    let gone = Trouble::missing_provider("it does not exist");
    let other = |object: &mut Resource| {
        object.plan.as_mut().expect("a plan").source.specification.permissions = vec!["another".into()];
    };
    let minting = observed(Some(intended(at_rest(ONE), TWO)), carrying(ONE));
    for (phase, observed, expected) in [
        ("first issue", unanswered(observed(None, Target::Absent)), "FTF"),
        ("at rest", rest(), "TFF"),
        ("before the promotion", minting, "TTF"),
        // Nothing has begun, and the old token works.
        ("due, the provider does not answer", unanswered(due()), "TFF"),
        ("edited, the provider does not answer", unanswered(changed(rest(), other)), "FTF"),
        ("pods are being replaced", rolled(&["a"], consumers(&["a"], Some("2.2"))), "TFF"),
        ("a bare pod", rolled(&["a"], bare("a")), "TFF"),
        ("grace", graceful(&[]), "TFF"),
        ("suspended", changed(due(), |object| object.suspend = true), "TFF"),
        ("the provider is gone", changed(rest(), |object| object.plan = Err(gone)), "FFT"),
        ("deletion", changed(rest(), |object| object.deleting = true), "FFF"),
    ] {
        let status = status(&observed);
        assert_eq!(short(&status), expected, "{phase}: {:#?}", status.conditions);
        let of_kstatus = ["Ready", "Reconciling", "Stalled"].map(|type_| find(&status, type_).expect("a condition"));
        let said = decided(&observed).message;
        assert_eq!(of_kstatus.iter().filter(|one| one.message == said).count(), 1, "{phase}: {of_kstatus:#?}");
        assert!(status.conditions.iter().all(|one| one.observed_generation == Some(7)), "{phase}");
    }
}

/// Regression: an object was Current while its Secret held another value, lacked a key, or held a token that the provider had ended, for as long
/// as the repair or the rotation failed: pipelines went on with what nobody could use.
#[test]
fn an_object_whose_secret_holds_no_working_token_is_not_ready() {
    let failing = |observed: &Observed| {
        let decision = on_fault(observed, &Fault::passing(Reason::ApiServerUnavailable, "no answer"));
        report::status(observed, &decision, Some(7), "install", &RotatedTokenStatus::default())
    };
    let held = |change: &dyn Fn(&mut TargetView)| {
        let mut observed = observed(Some(at_rest(ONE)), carrying(ONE));
        let Target::Ours(view) = &mut observed.target else { panic!("ours") };
        change(view);
        observed
    };
    let asks = changed(held(&|_| ()), |object| _ = object.target.data.insert("OTHER".into(), "token".into()));
    let mut lost = held(&|_| ());
    lost.record.as_mut().expect("a record").values.clear();
    let mut dead = held(&|_| ());
    dead.answers.liveness.insert(ONE, Ok(Liveness::Gone));
    let superseded = observed(Some(promoted(TWO, ONE, &[])), carrying(ONE));
    for (case, observed) in [
        ("another value", held(&|view| view.data.values_mut().for_each(|value| *value = SecretValue::new("other")))),
        ("no value", held(&|view| view.data.clear())),
        ("another serial", held(&|view| view.serial = Some(TWO))),
        ("a key is asked for that is not there yet", asks),
        ("the old token, after the promotion", superseded),
        ("the value is lost", lost),
        ("the token is dead", dead.clone()),
    ] {
        let status = failing(&observed);
        assert_eq!(short(&status), "FTF", "{case}: {:#?}", status.conditions);
    }
    assert_eq!(short(&failing(&held(&|view| view.labels.clear()))), "TFF", "labels can wait");
    // Nothing is done about it, and nobody takes it for ready.
    assert_eq!(short(&status(&changed(dead, |object| object.suspend = true))), "FFF");
    // The rotation that replaces a dead token does not know any more how it was found out.
    let mut replacing = intended(at_rest(ONE), TWO);
    replacing.intent.as_mut().expect("an intent").trigger = Trigger::ValueLost;
    assert_eq!(short(&status(&observed(Some(replacing), carrying(ONE)))), "FTF");
}

/// Regression: a mistake that was made in the grace period was reported an hour later.
#[test]
fn what_has_to_be_corrected_is_reported_whatever_goes_on() {
    let wrong = |observed: Observed| {
        changed(observed, |object| object.plan = Err(Trouble::new(Reason::InvalidSpec, "spec.interval is wrong")))
    };
    let grace = changed(rolled(&[], Consumers::default()), |object| object.grace = Duration::from_secs(3600));
    for (phase, observed, goes_on) in [
        ("grace", wrong(grace), "grace period"),
        ("pickup", wrong(rolled(&["a"], bare("a"))), "hold"),
        ("at rest", wrong(observed(Some(at_rest(ONE)), carrying(ONE))), ""),
    ] {
        let status = status(&observed);
        assert_eq!(short(&status), "FFT", "{phase}: {:#?}", status.conditions);
        let stalled = find(&status, "Stalled").expect("a condition");
        assert_eq!(stalled.reason, "InvalidSpec", "{phase}");
        assert!(stalled.message.starts_with("spec.interval is wrong"), "{phase}: {}", stalled.message);
        assert!(stalled.message.contains(goes_on), "{phase}: {}", stalled.message);
    }
}

/// Regression: a pod that held a deletion up for ever was no case for an alert on `PickupBlocked`; and one from before the deletion stayed shown
/// when the pods were gone.
#[test]
fn what_holds_a_deletion_up_is_reported_as_long_as_it_does() {
    let deleted = |users: Consumers| {
        let ledger = transition::retire(&at_rest(ONE), [pod("a")].into(), [].into());
        let mut observed = observed(Some(ledger), carrying(ONE));
        observed.answers.consumers = Some(Ok(users));
        changed(observed, |object| object.deleting = true)
    };
    let held = status(&deleted(bare("a")));
    let blocked = find(&held, "PickupBlocked").expect("it blocks");
    assert_eq!((blocked.status.as_str(), blocked.reason.as_str()), ("True", "ActionNeeded"));
    assert_eq!(find(&held, "PickedUp").expect("a condition").status, "False");
    let free = || {
        let nodes = [("node".to_owned(), NodeView::Ready)].into();
        Consumers { nodes, ended: ["a".to_owned()].into(), ..Consumers::default() }
    };
    let gone = after(&deleted(free()), &held);
    assert!(find(&gone, "PickupBlocked").is_none(), "{:#?}", gone.conditions);
    let mut decided_to_revoke = deleted(free());
    let judged = judge(&[].into(), &[].into(), &[].into(), &Consumers::default(), Duration::ZERO);
    let Judgement::Clear(proof) = judged else { panic!("nobody uses it") };
    let ledger = &mut decided_to_revoke.record.as_mut().expect("a record").ledger;
    *ledger = transition::intend_retirement(ledger, proof, now());
    let over = after(&decided_to_revoke, &held);
    assert!(find(&over, "PickupBlocked").is_none(), "{:#?}", over.conditions);
    assert_eq!(find(&over, "PickedUp").expect("a condition").status, "True");
}

/// The condition is there while a person is asked, says since when, and the time that passes changes nothing.
#[test]
fn a_bare_pod_is_reported_with_the_time_since_when() {
    assert!(find(&status(&rolled(&["a"], consumers(&["a"], Some("2.2")))), "PickupBlocked").is_none());
    let mut blocked = rolled(&["a"], bare("a"));
    let first = status(&blocked);
    let condition = find(&first, "PickupBlocked").expect("it blocks");
    assert_eq!((condition.status.as_str(), condition.reason.as_str()), ("True", "ActionNeeded"));
    let says = format!(
        "since {} this keeps a token valid that is to be revoked: {} (container app): bare pod",
        now(),
        pod("a").name
    );
    assert!(condition.message.starts_with(&says), "{}", condition.message);
    blocked.now = schedule::after(now(), Duration::from_secs(600));
    assert!(report::says_the_same(&after(&blocked, &first), &first));
    // It was deleted, and nobody has to do anything until its kubelet has ended it.
    let nodes = [("node".to_owned(), NodeView::Ready)].into();
    blocked.answers.consumers = Some(Ok(Consumers { nodes, ..Consumers::default() }));
    assert!(find(&after(&blocked, &first), "PickupBlocked").is_none());
}

#[test]
fn a_request_is_handled_when_its_rotation_is_promoted_or_refused() {
    let seen = |ledger: Ledger, value: &str| Ledger { rotate_now_seen: Some(value.to_owned()), ..ledger };
    let asks = |observed: Observed, value: &str| changed(observed, |object| object.rotate_now = Some(value.to_owned()));
    let shown = RotatedTokenStatus { last_handled_rotate_now: Some("a".into()), ..RotatedTokenStatus::default() };
    let handled = |observed: &Observed, shown| after(observed, shown).last_handled_rotate_now;
    let rest = |value| observed(Some(seen(at_rest(ONE), value)), carrying(ONE));
    let minting = observed(Some(seen(intended(at_rest(ONE), TWO), "b")), carrying(ONE));
    let gone = |observed| changed(observed, |object| object.plan = Err(Trouble::missing_provider("it is gone")));
    let suspended = |observed| changed(observed, |object| object.suspend = true);
    let pickup = asks(rolled(&["a"], bare("a")), "b");
    for (phase, observed, expected) in [
        ("its rotation has begun", asks(minting, "b"), "a"),
        ("its rotation is promoted", asks(rest("b"), "b"), "b"),
        ("it waits for spec.suspend", suspended(asks(rest("a"), "b")), "a"),
        ("it waits for the old token", pickup, "a"),
        ("it is refused", gone(asks(rest("a"), "b")), "b"),
        ("the annotation is gone", rest("a"), "a"),
    ] {
        assert_eq!(handled(&observed, &shown).as_deref(), Some(expected), "{phase}");
    }
    // A refusal stays what it is when the next request waits, and a status that was lost comes back from the record.
    let refused = RotatedTokenStatus { last_handled_rotate_now: Some("b".into()), ..RotatedTokenStatus::default() };
    assert_eq!(handled(&suspended(asks(rest("a"), "c")), &refused).as_deref(), Some("b"));
    let lost = RotatedTokenStatus::default();
    assert_eq!(handled(&asks(rest("a"), "a"), &lost).as_deref(), Some("a"));
    // An annotation can hold 256 KiB, and a status is written whole each time.
    let long = "ä".repeat(100_000);
    let cut = handled(&asks(rest(&long), &long), &shown).expect("it is handled");
    assert!(cut.chars().count() == 256 && long.starts_with(&cut));
}

/// `ProviderReady` was True while every create failed, and `LeastPrivilege` when nobody could know any more.
#[test]
fn what_is_said_of_the_provider_is_what_was_learned() {
    let says = |status: &RotatedTokenStatus, type_: &str| {
        find(status, type_).map(|one| (one.status.clone(), one.reason.clone()))
    };
    let pair = |status: &str, reason: &str| Some((status.to_owned(), reason.to_owned()));
    let rest = observed(Some(at_rest(ONE)), carrying(ONE));
    assert_eq!(says(&status(&rest), "ProviderReady"), pair("True", "ProviderAnswers"));
    let mut failing = observed(Some(intended(at_rest(ONE), TWO)), carrying(ONE));
    failing.memory.mint_failure = Some(Failure::nothing_made(Reason::InvalidSpec, "it answered 307"));
    assert_eq!(says(&status(&failing), "ProviderReady"), pair("False", "InvalidSpec"));
    // Nor does a mistake of the user: a permission that does not exist, a ServiceAccount that is not there.
    for mistake in [
        Fault::lasting(Reason::UnknownPermission, "no such resource"),
        Fault { origin: Origin::Spec, ..Fault::lasting(Reason::InvalidSpec, "no such ServiceAccount") },
    ] {
        let mut mistaken = observed(None, Target::Absent);
        (mistaken.answers.preflight, mistaken.answers.listing) = (Some(Err(mistake)), Some(Ok(vec![])));
        assert_eq!(says(&status(&mistaken), "ProviderReady"), pair("True", "ProviderAnswers"));
    }
    // Rights that only the provider needs are its own, other ones are not.
    let answers = pair("True", "ProviderAnswers");
    for (origin, shown) in [(Origin::Provider, pair("False", "AccessDenied")), (Origin::Cluster, answers)] {
        let mut lacking = observed(None, Target::Absent);
        let fault = Fault { origin, ..Fault::lasting(Reason::AccessDenied, "tokenturn may not") };
        (lacking.answers.preflight, lacking.answers.listing) = (Some(Err(fault)), Some(Ok(vec![])));
        assert_eq!(says(&status(&lacking), "ProviderReady"), shown);
    }
    // What the cluster refuses says nothing of the provider.
    let mut forbidden = observed(None, Target::Absent);
    let message = "a quota".to_owned();
    let fault = Fault::lasting(Reason::CannotPublish, message);
    (forbidden.answers.preflight, forbidden.answers.listing) = (Some(Err(fault)), None);
    assert_eq!(report::learned(&forbidden), None);
    let gone = changed(rest, |object| object.plan = Err(Trouble::missing_provider("it is gone")));
    assert_eq!(says(&status(&gone), "LeastPrivilege"), pair("Unknown", "ProviderMissing"));
}

/// A provider that grants less life than it is asked for restarts workloads more often than anybody declared.
#[test]
fn lives_that_are_too_short_for_the_interval_are_reported() {
    let expires = |hours: u64| {
        let mut observed = observed(Some(at_rest(ONE)), carrying(ONE));
        let current = observed.record.as_mut().and_then(|record| record.ledger.current.as_mut()).expect("a token");
        current.token.expires_at = Some(schedule::after(now(), Duration::from_secs(3600 * hours)));
        status(&observed)
    };
    assert!(find(&expires(24 * 45), "IntervalKept").is_none(), "as it was asked for");
    let short = expires(3);
    let condition = find(&short, "IntervalKept").expect("it is short");
    assert_eq!((condition.status.as_str(), condition.reason.as_str()), ("False", "ShortLifetime"));
    assert!(
        condition.message.contains("a life of 3h, so")
            && condition.message.contains("about every 2h and not every 30d")
    );
}

/// Rotations cannot come as often as declared where the old token outlives the interval.
#[test]
fn a_grace_period_that_outlasts_the_interval_is_reported() {
    let kept = |grace: u64, in_place: bool| {
        let mut observed = observed(Some(at_rest(ONE)), carrying(ONE));
        let object = observed.resource.as_mut().expect("an object");
        object.grace = Duration::from_secs(grace * 86_400);
        if in_place {
            object.plan.as_mut().expect("a plan").traits.succession = Succession::Replaced;
        }
        let status = status(&observed);
        (find(&status, "IntervalKept").cloned(), find(&status, "Ready").expect("it is shown").message.clone())
    };
    for short in [kept(1, false), kept(29, false), kept(40, true)] {
        assert!(short.0.is_none() && !short.1.contains("gracePeriod"), "{short:?}");
    }
    for days in [30, 40] {
        let (condition, ready) = kept(days, false);
        let condition = condition.expect("it is long");
        assert_eq!((condition.status.as_str(), condition.reason.as_str()), ("False", "LongGracePeriod"));
        for part in [&format!("spec.gracePeriod {days}d"), "spec.interval 30d", "at most 15d", "raise spec.interval"] {
            assert!(condition.message.contains(part), "{part}: {}", condition.message);
        }
        assert!(ready.contains(&condition.message), "{ready}");
    }
}

#[test]
fn a_grace_period_ends_no_later_than_the_token() {
    let mut observed = rolled(&[], Consumers::default());
    observed = changed(observed, |object| object.grace = Duration::from_secs(3600));
    assert!(decided(&observed).message.contains("for its grace period, at least until"));
    let previous = observed.record.as_mut().and_then(|record| record.ledger.previous.as_mut()).expect("an old token");
    let expires = schedule::after(now(), Duration::from_secs(600));
    previous.token.expires_at = Some(expires);
    let said = decided(&observed).message;
    assert!(said.contains(&format!("it expires at {expires}, before its grace period ends")), "{said}");
}

/// A record whose texts had 100,000 characters made a status of 200 KB, which the API server may refuse.
#[test]
fn what_a_record_says_is_cut_where_it_is_shown() {
    let long = format!("a\u{202e}{}", "x".repeat(100_000));
    let mut seen = rolled(&["a"], bare("a"));
    let ledger = &mut seen.record.as_mut().expect("a record").ledger;
    let tokens =
        [&mut ledger.current.as_mut().expect("current").token, &mut ledger.previous.as_mut().expect("one").token];
    for token in tokens {
        (token.id, token.fingerprint) = (long.clone(), long.clone());
        token.source.specification.permissions = vec![long.clone(); 1000];
        token.surplus = vec![long.clone(); 3];
    }
    seen.resource.as_mut().expect("an object").elsewhere = Some(long.clone());
    let mut decision = decided(&seen);
    let blocker = Blocker { pod: long.clone(), container: Some(long.clone()), why: "act".into(), action_needed: true };
    let talkative = Blocker { why: long.clone(), ..blocker.clone() };
    decision.pickup = Some(Pickup { remaining: 2, blockers: vec![blocker, talkative] });
    let status = report::status(&seen, &decision, Some(7), "install", &RotatedTokenStatus::default());
    let written = serde_json::to_string(&status).expect("JSON");
    assert!(written.len() < 100_000 && !written.contains('\u{202e}'), "{}", written.len());
    let blocked = &find(&status, "PickupBlocked").expect("a condition").message;
    assert!(blocked.ends_with("): act; and 1 more, see status.pickup.blockers"), "{blocked}");
    let surplus = &find(&status, "LeastPrivilege").expect("a condition").message;
    assert!(surplus.ends_with("add it to spec.permissions"), "{surplus}");
}
