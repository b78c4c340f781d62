//! Looks at what is not theirs: a record of another object, a Secret with copied labels, and numbers that others wrote.

use tokenturn::{
    api::{DeletionPolicy, RotatedTokenStatus, conditions::Reason},
    core::{
        ledger::record::Ledger,
        plan::Trouble,
        pods::consumers::{Consumers, NodeView},
        report,
        seen::{
            countable,
            observed::Observed,
            views::{Foreign, Target},
        },
        step::{Change, Phase, Step},
        token::Owner,
        transition,
    },
};

use crate::builder::{
    at_rest, carrying, consumers, decided, intended, issued, listed as listed_as, observed, owner, promoted, serial,
};

/// A look at an object that does not exist, which finds the record of another one.
fn look_of(other: Owner, ledger: Ledger, target: Target) -> Observed {
    let mut look = observed(Some(ledger), target);
    look.owner = other;
    look.resource = None;
    look.answers.consumers = Some(Ok(Consumers::default()));
    look
}

fn forgers() -> [Owner; 3] {
    let Owner { namespace, name, uid } = owner();
    [
        Owner { namespace: "attacker".to_owned(), name: name.clone(), uid: uid.clone() },
        Owner { namespace: namespace.clone(), name: "other".to_owned(), uid },
        Owner { namespace, name, uid: "uid-2".to_owned() },
    ]
}

/// A Secret with the UID of another object in its labels made a look that found the record of that object, and no object: the live token
/// was revoked as that of an object that is gone.
#[test]
fn s1_s16_a_record_is_acted_on_only_by_a_look_at_namespace_name_and_uid_that_it_names() {
    let (one, two, three) = (serial(1, 1), serial(2, 2), serial(3, 3));
    let retiring = transition::retire(&at_rest(one), Default::default(), Default::default());
    let mut orphaned = at_rest(one);
    orphaned.deletion_policy = DeletionPolicy::Orphan;
    let ledgers = [at_rest(one), promoted(two, one, &["a"]), intended(at_rest(two), three), retiring, orphaned];
    for forger in forgers() {
        for ledger in &ledgers {
            for target in [Target::Absent, carrying(one), Target::Adoptable] {
                let decision = decided(&look_of(forger.clone(), ledger.clone(), target));
                assert!(matches!(decision.step, Step::Wait { .. }), "{forger:?}: {:?}", decision.step);
                assert_eq!((decision.phase, decision.reason), (Phase::Stalled, Reason::ForeignRecord));
                assert!(decision.message.contains("shop/api"), "{}", decision.message);
            }
        }
    }
}

/// The same with an object of its own: whatever it asks for, nothing of the record is touched.
#[test]
fn s16_an_object_that_finds_the_record_of_another_one_waits() {
    for deleting in [false, true] {
        for forger in forgers() {
            let mut look = observed(Some(at_rest(serial(1, 1))), carrying(serial(1, 1)));
            look.owner = forger;
            let resource = look.resource.as_mut().expect("an object");
            (resource.deleting, resource.rotate_now) = (deleting, Some("now".to_owned()));
            assert_eq!(decided(&look).reason, Reason::ForeignRecord);
        }
    }
}

#[test]
fn l4_the_record_of_an_object_that_is_gone_is_led_to_its_end_by_its_own_look() {
    let look = look_of(owner(), at_rest(serial(1, 1)), Target::Absent);
    assert_eq!(decided(&look).step.label(), "save Retiring");
}

/// The record was lost, and no list names what the Secret holds: its pods were neither counted nor restarted, and went on with a token that
/// nobody looks after.
#[test]
fn s1_after_a_rebuild_that_knows_no_token_the_pods_are_counted_and_restarted_all_the_same() {
    let (old, new) = (serial(3, 5), serial(4, 6));
    let mut lost = observed(None, carrying(old));
    lost.answers.listing = Some(Ok(Vec::new()));
    let Step::Readopt { ledger, values: None } = decided(&lost).step else { panic!("{:?}", decided(&lost)) };
    let stand_in = &ledger.current.as_ref().expect("what the Secret holds").token;
    assert!(stand_in.is_unknown() && stand_in.id.contains("shop/api-token"), "{stand_in:?}");

    let mut rebuilt = observed(Some((*ledger).clone()), carrying(old));
    rebuilt.record.as_mut().expect("a record").values.clear();
    let decision = decided(&rebuilt);
    assert_eq!(decision.step.label(), format!("save Intended({new:?})"), "{decision:?}");
    assert!(report::status(&rebuilt, &decision, None, "install", &RotatedTokenStatus::default()).current.is_none());

    let mut pending = intended(*ledger, new);
    pending.pending = Some(issued(new));
    let mut settled = observed(Some(pending), carrying(new));
    settled.answers.liveness.remove(&old);
    settled.answers.consumers = Some(Ok(consumers(&["a"], None)));
    let Step::Save { ledger: promoted, change: Change::Promoted(_) } = decided(&settled).step else {
        panic!("{:?}", decided(&settled))
    };
    let previous = promoted.previous.as_ref().expect("what pods hold");
    assert!(previous.snapshot.as_ref().expect("a snapshot").pods.iter().any(|pod| pod.uid == "a"));

    let mut rolling = observed(Some(*promoted), carrying(new));
    rolling.answers.liveness.remove(&old);
    rolling.answers.consumers = Some(Ok(consumers(&["a"], None)));
    assert!(matches!(decided(&rolling).step, Step::Stamp { .. }), "{:?}", decided(&rolling));

    // Nobody holds it: nothing is asked of it, nothing is revoked, and a person is told.
    let nobody = Consumers { nodes: [("node".to_owned(), NodeView::Absent)].into(), ..Consumers::default() };
    rolling.answers.consumers = Some(Ok(nobody));
    let Step::Save { ledger: committed, change: Change::RevokeIntended(_) } = decided(&rolling).step else {
        panic!("{:?}", decided(&rolling))
    };
    rolling.record.as_mut().expect("a record").ledger = *committed;
    let end = decided(&rolling);
    let Step::Save { ledger: known, change: Change::Unknown(_) } = &end.step else { panic!("{end:?}") };
    assert!(
        known.previous.is_none() && end.reason == Reason::TokenMayRemain && end.message.contains("by hand"),
        "{end:?}"
    );
}

/// The object went with "no token is alive" while its Secret held one.
#[test]
fn s12_a_lost_record_at_a_provider_without_a_list_does_not_let_the_object_go_while_its_secret_holds_a_token() {
    let mut lost = observed(None, carrying(serial(1, 1)));
    lost.answers.listing = Some(Ok(Vec::new()));
    let resource = lost.resource.as_mut().expect("an object");
    resource.deleting = true;
    resource.plan.as_mut().expect("a plan").traits.unlisted = true;
    let held = decided(&lost);
    assert_eq!((held.phase, held.reason), (Phase::Stalled, Reason::TokenMayRemain));
    assert!(held.message.contains("Secret shop/api-token"), "{}", held.message);
    // A person has revoked it by hand and deleted the Secret, or wants to leave it.
    let gone = Observed { target: Target::Absent, ..lost.clone() };
    assert_eq!((decided(&gone).step, decided(&gone).reason), (Step::ReleaseFinalizer, Reason::Deleting));
    lost.resource.as_mut().expect("an object").deletion_policy = DeletionPolicy::Orphan;
    let left = decided(&lost);
    assert_eq!((&left.step, left.reason), (&Step::ReleaseFinalizer, Reason::Orphaned));
    assert!(left.message.contains("Secret shop/api-token"), "{}", left.message);
}

#[test]
fn s12_a_deletion_names_a_token_that_went_with_its_record() {
    let mut lost = observed(None, carrying(serial(1, 1)));
    lost.answers.listing = Some(Ok(Vec::new()));
    let Step::Readopt { ledger, .. } = decided(&lost).step else { panic!("{:?}", decided(&lost)) };
    let mut leaving =
        observed(Some(transition::retire(&ledger, Default::default(), Default::default())), Target::Absent);
    leaving.answers.liveness.clear();
    leaving.resource.as_mut().expect("an object").deleting = true;
    let Step::Save { ledger, change: Change::RetirementIntended } = decided(&leaving).step else {
        panic!("{:?}", decided(&leaving))
    };
    leaving.record.as_mut().expect("a record").ledger = *ledger;
    leaving.answers.listing = Some(Ok(Vec::new()));
    let end = decided(&leaving);
    assert_eq!((&end.step, end.reason), (&Step::DropRecord, Reason::TokenMayRemain), "{end:?}");
    assert!(end.message.contains("held when its record was lost"), "{}", end.message);
}

const FORGED: [(i64, i64); 5] =
    [(1, 1 << 53), (1 << 53, 1 << 53), ((1 << 53) - 1, (1 << 53) - 1), (1, (1 << 24) + 9), (1 << 40, 3)];

/// Whoever names tokens at a shared account, or Secrets, could give one a number near the largest: the record took it over, had no room to
/// count on, and was refused for ever.
#[test]
fn s15_a_number_that_was_never_counted_to_is_ignored_and_named() {
    let (one, two) = (serial(1, 1), serial(2, 2));
    for (sequence, attempt) in FORGED {
        let forged = serial(sequence, attempt);
        for (ledger, carried) in [(at_rest(one), one), (at_rest(two), one), (intended(at_rest(one), two), one)] {
            let mut plain = observed(Some(ledger), carrying(carried));
            let mut listed = plain.answers.listing.take().expect("a list").expect("an answer");
            plain.note_listing(Ok(listed.clone()));
            listed.push(listed_as(forged));
            let mut attacked = plain.clone();
            attacked.note_listing(Ok(listed));
            assert_eq!(decided(&attacked), decided(&plain), "{forged}");
            let reported = countable::refused(&attacked.answers.refused_names).expect("is told");
            assert!(reported.contains(&listed_as(forged).id), "{reported}");
        }
    }
}

/// The same in the annotation of the Secret when the record is lost, and both together.
#[test]
fn s15_a_record_that_is_rebuilt_under_forged_numbers_stays_plausible() {
    let one = serial(1, 1);
    for (sequence, attempt) in FORGED {
        let forged = serial(sequence, attempt);
        for listed in [vec![], vec![listed_as(one)], vec![listed_as(one), listed_as(forged)]] {
            let mut lost = observed(None, carrying(forged));
            lost.note_listing(Ok(listed));
            let Step::Readopt { ledger, .. } = decided(&lost).step else { panic!("{:?}", decided(&lost)) };
            assert!(ledger.is_plausible() && ledger.counter <= 1 && ledger.sequence <= 1, "{forged}: {ledger:?}");
        }
    }
}

/// A number that a record can be behind by is believed, also when the record is lost: it was restored from an old backup.
#[test]
fn s15_a_record_catches_up_with_what_the_provider_lists() {
    let newest = serial(900_000, 1_000_000);
    for ledger in [None, Some(at_rest(serial(1, 1)))] {
        let mut behind = observed(ledger, carrying(newest));
        behind.note_listing(Ok(vec![listed_as(newest)]));
        let Step::Readopt { ledger, .. } = decided(&behind).step else { panic!("{:?}", decided(&behind)) };
        assert_eq!((ledger.sequence, ledger.counter), (900_000, 1_000_000));
        assert_eq!(ledger.current.map(|current| current.token.serial), Some(newest));
    }
}

/// A Secret with an orphaned token was adopted, and at rest the status said that no older token is alive.
#[test]
fn s12_at_rest_the_orphaned_tokens_of_earlier_owners_are_named() {
    let one = serial(1, 1);
    let plain = observed(Some(at_rest(one)), carrying(one));
    assert!(decided(&plain).message.contains("no older token is alive"));
    let Target::Ours(mut view) = carrying(one) else { panic!("ours") };
    view.annotations.insert("tokenturn.dev/earlier-orphaned-tokens".into(), "tokenturn-a-b-1-1".into());
    let reported = decided(&Observed { target: Target::Ours(view), ..plain });
    assert_eq!((reported.phase, reported.reason), (Phase::AtRest, Reason::UpToDate));
    assert!(
        reported.message.contains("tokenturn-a-b-1-1") && !reported.message.contains("no older"),
        "{}",
        reported.message
    );
}

/// A namespace was taken off `allowedNamespaces`, and nothing said that its token lives on.
#[test]
fn s16_a_policy_that_allows_no_further_token_says_which_one_stays_valid() {
    let one = serial(1, 1);
    for (reason, reported) in [(Reason::PolicyForbids, true), (Reason::ProviderMissing, false)] {
        for ledger in [Some(at_rest(one)), None] {
            let (known, target) = (ledger.is_some(), if ledger.is_some() { carrying(one) } else { Target::Absent });
            let mut forbidden = observed(ledger, target);
            forbidden.resource.as_mut().expect("an object").plan = Err(Trouble::new(reason, "not allowed"));
            let decision = decided(&forbidden);
            assert_eq!((decision.phase, decision.reason), (Phase::Stalled, reason));
            let named =
                decision.message.contains(&issued(one).id) && decision.message.contains("delete the RotatedToken");
            assert_eq!(named, reported && known, "{}", decision.message);
            // The way that loses nothing comes first.
            let gentle =
                decision.message.find("remove it from spec.permissions, or ask the owner of the provider object");
            let drastic = decision.message.find("delete the RotatedToken");
            assert_eq!(gentle.is_some(), named, "{}", decision.message);
            assert!(!named || gentle < drastic, "{}", decision.message);
        }
    }
}

/// An operator that had been moved minted beside a live token that it could not know, and said that no older token was alive.
#[test]
fn s4_s12_an_object_of_another_installation_is_left_alone_and_named() {
    let one = serial(1, 1);
    for ledger in [None, Some(at_rest(one)), Some(promoted(serial(2, 2), one, &[]))] {
        for deleting in [false, true] {
            let mut moved = observed(ledger.clone(), carrying(one));
            let resource = moved.resource.as_mut().expect("an object");
            (resource.deleting, resource.elsewhere) = (deleting, Some("uid-of-theirs".to_owned()));
            (resource.finalizer, resource.rotate_now) = (false, Some("now".to_owned()));
            let decision = decided(&moved);
            assert_eq!((decision.phase, decision.reason), (Phase::Stalled, Reason::OtherInstallation));
            assert!(decision.message.contains("tokenturn.dev/take-over=uid-of-theirs"), "{}", decision.message);
        }
    }
}

/// What was taken over goes on under the names that its tokens have.
#[test]
fn s4_a_record_remembers_by_which_installation_its_tokens_are_named() {
    let (one, two) = (serial(1, 1), serial(2, 2));
    let mut lost = observed(None, carrying(one));
    lost.answers.listing = Some(Ok(vec![listed_as(one)]));
    lost.resource.as_mut().expect("an object").named_by = Some("theirs".to_owned());
    let Step::Readopt { ledger, .. } = decided(&lost).step else { panic!("{:?}", decided(&lost)) };
    assert_eq!(ledger.install.as_deref(), Some("theirs"));
    // Also when it is rebuilt once more, and whatever the object says then.
    let mut behind = observed(Some(*ledger), carrying(two));
    behind.answers.listing = Some(Ok(vec![listed_as(one), listed_as(two)]));
    behind.resource.as_mut().expect("an object").named_by = Some("ours".to_owned());
    let Step::Readopt { ledger, .. } = decided(&behind).step else { panic!("{:?}", decided(&behind)) };
    assert_eq!(ledger.install.as_deref(), Some("theirs"));
}

/// Another object had taken the name of the Secret, and a pod that was started with the old value before that, or by a kubelet's cache right
/// after, was not counted: its token was revoked.
#[test]
fn s1_when_the_secret_has_become_somebody_elses_the_pods_of_a_deleted_object_are_counted_anew() {
    let foreign = Target::Foreign(Foreign::Token("rival".to_owned()));
    let noted = transition::retire(&at_rest(serial(1, 1)), Default::default(), Default::default());
    let mut taken = observed(Some(noted), foreign);
    taken.resource.as_mut().expect("an object").deleting = true;
    taken.answers.consumers = Some(Ok(consumers(&["started-since"], None)));
    taken.memory.target_since = taken.uptime;
    let waits = decided(&taken);
    assert!(matches!(waits.step, Step::Wait { .. }) && waits.message.contains("the token of this object"), "{waits:?}");

    taken.memory.target_since = Default::default();
    let Step::Save { ledger, change: Change::Retiring } = decided(&taken).step else { panic!("{:?}", decided(&taken)) };
    let retirement = ledger.retirement.as_ref().expect("a retirement");
    assert!(retirement.handed_over && retirement.pods.iter().any(|pod| pod.uid == "started-since"), "{retirement:?}");
    taken.record.as_mut().expect("a record").ledger = *ledger;
    assert!(matches!(decided(&taken).step, Step::Wait { .. }), "{:?}", decided(&taken));

    // Who starts from now on has the value of the other one.
    let mut later = consumers(&["of-the-other"], None);
    later.ended.insert("started-since".to_owned());
    taken.answers.consumers = Some(Ok(later));
    assert_eq!(decided(&taken).step.label(), "save RetirementIntended", "{:?}", decided(&taken));

    // When it is given back, whoever started with it meanwhile counts.
    let back = Observed { target: Target::Absent, ..taken };
    let Step::Save { ledger, change: Change::Retiring } = decided(&back).step else { panic!("{:?}", decided(&back)) };
    let retirement = ledger.retirement.expect("a retirement");
    assert!(!retirement.handed_over && retirement.pods.iter().any(|pod| pod.uid == "of-the-other"), "{retirement:?}");
}

/// What was committed while the Secret was gone does not wait for the pods of whoever takes its name.
#[test]
fn l4_pods_of_another_object_that_takes_the_name_of_the_secret_do_not_hold_up_a_committed_deletion() {
    let noted = transition::retire(&at_rest(serial(1, 1)), Default::default(), Default::default());
    let mut gone = observed(Some(noted), Target::Absent);
    gone.resource.as_mut().expect("an object").deleting = true;
    let Step::Save { ledger, change: Change::RetirementIntended } = decided(&gone).step else {
        panic!("{:?}", decided(&gone))
    };
    gone.record.as_mut().expect("a record").ledger = *ledger;
    gone.target = Target::Foreign(Foreign::Token("rival".to_owned()));
    gone.answers.consumers = Some(Ok(consumers(&["of-the-other"], None)));
    assert!(matches!(decided(&gone).step, Step::Revoke { .. }), "{:?}", decided(&gone));
}
