//! Looks at what is not theirs: a record of another object, a Secret with copied labels, and numbers that others wrote.

use tokenturn::{
    api::{DeletionPolicy, conditions::Reason},
    core::{
        consumers::Consumers,
        observed::{Observed, Target},
        record::Ledger,
        step::{Phase, Step},
        token::Owner,
        transition,
    },
};

use crate::builder::{at_rest, carrying, decided, generation, intended, observed, owner, promoted};

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
    let (one, two, three) = (generation(1, 1), generation(2, 2), generation(3, 3));
    let retiring = transition::retire(&at_rest(one), std::collections::BTreeSet::new());
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
            let mut look = observed(Some(at_rest(generation(1, 1))), carrying(generation(1, 1)));
            look.owner = forger;
            let resource = look.resource.as_mut().expect("an object");
            (resource.deleting, resource.rotate_now) = (deleting, Some("now".to_owned()));
            assert_eq!(decided(&look).reason, Reason::ForeignRecord);
        }
    }
}

#[test]
fn l4_the_record_of_an_object_that_is_gone_is_led_to_its_end_by_its_own_look() {
    let look = look_of(owner(), at_rest(generation(1, 1)), Target::Absent);
    assert_eq!(decided(&look).step.label(), "save Retiring");
}
