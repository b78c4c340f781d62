//! What somebody else writes into the target, and what it must not hold up.

use std::{collections::BTreeMap, time::Duration};

use tokenturn::{
    api::conditions::Reason,
    core::{
        seen::{observed::Observed, views::Target},
        step::{Change, Phase, Step},
    },
    secret_value::SecretValue,
};

use crate::builder::{UPTIME, at_rest, carrying, consumers, decided, observed, promoted, serial};

/// An admission policy wants another team.
fn relabelled(mut observed: Observed) -> Observed {
    observed.resource.as_mut().unwrap().target.labels = BTreeMap::from([("team".into(), "shop".into())]);
    let Target::Ours(view) = &mut observed.target else { panic!("ours") };
    view.labels.insert("team".into(), "platform".into());
    view.managers.insert("labels/team".into(), "policy-engine".into());
    observed
}

/// Bug: where a policy set a label back after each repair, no rotation began any more, rotate-now included, and the token expired.
#[test]
fn a_label_that_somebody_else_wins_holds_up_no_rotation() {
    let one = serial(1, 1);
    let mut asked = relabelled(observed(Some(at_rest(one)), carrying(one)));
    asked.resource.as_mut().unwrap().rotate_now = Some("now".into());
    assert_eq!(decided(&asked).step.label(), "save Intended(Serial { sequence: 2, attempt: 2 })");
    let two = serial(2, 2);
    let mut waiting = relabelled(observed(Some(promoted(two, one, &["a"])), carrying(two)));
    waiting.answers.consumers = Some(Ok(consumers(&["a"], Some("2.2"))));
    assert_eq!(decided(&waiting).reason, Reason::AwaitingPickup, "nor a pickup");
}

#[test]
fn a_label_is_repaired_ever_more_seldom_and_who_wins_is_told() {
    let one = serial(1, 1);
    let mut looks = relabelled(observed(Some(at_rest(one)), carrying(one)));
    let (mut repairs, mut reported) = (0, String::new());
    let end = UPTIME + Duration::from_secs(86_400);
    while looks.uptime < end {
        let decision = decided(&looks);
        looks.memory.decided(looks.uptime, &looks.clone(), &decision);
        match decision.step {
            Step::Publish { repair: true, .. } => repairs += 1,
            Step::Wait { wake: Some(wake), failed: false } => {
                let reason = if repairs < 3 { Reason::UpToDate } else { Reason::MetadataConflict };
                assert_eq!((decision.phase, decision.reason), (Phase::AtRest, reason));
                reported = decision.message;
                looks.uptime += wake;
            }
            other => panic!("{other:?}"),
        }
    }
    assert!((10..=40).contains(&repairs), "{repairs} repairs in a day");
    assert!(reported.contains("label team (field manager policy-engine)"), "{reported}");
    // Another wish is fulfilled at once.
    looks.resource.as_mut().unwrap().target.labels.insert("team".into(), "web".into());
    assert!(matches!(decided(&looks).step, Step::Publish { repair: true, .. }), "{:?}", decided(&looks));
    let Target::Ours(view) = &mut looks.target else { panic!("ours") };
    view.labels.insert("team".into(), "web".into());
    assert_eq!(decided(&looks).reason, Reason::UpToDate, "when nobody takes it away any more");
}

/// Bug: a value that was changed again and again while the old token was waited for restarted all workloads each time.
#[test]
fn a_value_that_is_changed_again_and_again_does_not_restart_the_workloads_each_time() {
    let (one, two) = (serial(1, 1), serial(2, 2));
    let mut looks = observed(Some(promoted(two, one, &["a"])), carrying(two));
    looks.memory.target_since = Duration::ZERO;
    let mut rolled = 0;
    for minute in 0..60 {
        looks.uptime = UPTIME + Duration::from_secs(60 * minute);
        // Somebody writes an old value, which is noted and repaired; then the pods are counted anew.
        let Target::Ours(view) = carrying(two) else { panic!("ours") };
        let wrong = BTreeMap::from([("token".to_owned(), SecretValue::new("old"))]);
        looks.target = Target::Ours(tokenturn::core::seen::views::TargetView { data: wrong, ..view });
        for _ in 0..6 {
            looks.answers.consumers = Some(Ok(consumers(&["a"], Some("2.2"))));
            let decision = decided(&looks);
            match decision.step {
                Step::Save { ledger, change } => {
                    looks.memory.saved(change);
                    assert!(matches!(change, Change::Reopened | Change::Snapshot), "{change:?}");
                    looks.record.as_mut().unwrap().ledger = *ledger;
                }
                Step::Publish { .. } => looks.target = carrying(two),
                Step::Stamp { stamp, workloads, .. } => {
                    rolled += 1;
                    for workload in workloads {
                        looks.memory.stamped(workload, &stamp, looks.uptime);
                    }
                    break;
                }
                Step::Wait { .. } => break,
                other => panic!("{other:?}"),
            }
        }
    }
    assert!((1..=4).contains(&rolled), "{rolled} restarts in an hour");
}
