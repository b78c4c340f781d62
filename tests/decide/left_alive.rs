//! An object that goes with its namespace, where the credential that would revoke its tokens went before.

use std::time::Duration;

use tokenturn::{
    api::{
        DeletionPolicy, RotatedTokenStatus,
        conditions::{PROVIDER_READY, Reason},
    },
    core::{
        decide::decide,
        ledger::record::Ledger,
        plan::Trouble,
        pods::pickup::{Judgement, judge},
        report,
        rules::retire::left_alive::or_release,
        ruling::on_fault,
        seen::{
            answers::{Answers, Fault, FaultClass, Question},
            observed::Observed,
            views::Target,
        },
        step::{Decision, Step},
        transition,
    },
};

use crate::builder::{UPTIME, at_rest, carrying, now, observed, serial};

fn fault(reason: Reason) -> Fault {
    let message = "the Secret shop/admin of the credential does not exist; create it".to_owned();
    let class = match reason {
        Reason::CredentialMissing => FaultClass::CredentialMissing,
        Reason::CredentialRejected => FaultClass::CredentialRejected,
        _ => FaultClass::Other,
    };
    Fault { class, ..Fault::lasting(reason, message) }
}

/// A deletion that has come to the revoke, and whose provider answers with a fault.
fn going(reason: Reason, namespace_ends: bool) -> Observed {
    let one = serial(1, 1);
    let nobody = tokenturn::core::pods::consumers::Consumers::default();
    let Judgement::Clear(proof) = judge(&[].into(), &[].into(), &[].into(), &nobody, Duration::ZERO) else {
        panic!("somebody uses it")
    };
    let ledger: Ledger = transition::retire(&at_rest(one), [].into(), [].into());
    let ledger = transition::intend_retirement(&ledger, proof, now());
    let mut seen = observed(Some(ledger), Target::Absent);
    seen.resource.as_mut().unwrap().deleting = true;
    seen.memory.revoked(one, UPTIME - Duration::from_secs(60));
    seen.answers.liveness.insert(one, Err(fault(reason)));
    seen.answers.namespace_ends = Some(Ok(namespace_ends));
    seen
}

/// Waiting for a credential that nobody can create held the namespace for ever, and the advice was to create it.
#[test]
fn a_credential_that_went_with_its_namespace_is_not_waited_for() {
    let seen = going(Reason::CredentialMissing, true);
    let Decision { step, reason, message, .. } = decide(&seen).unwrap();
    let id = &seen.record.as_ref().and_then(|record| record.ledger.current.as_ref()).unwrap().token.id;
    let Step::LeaveRecord { message: noted } = step else { panic!("{step:?}") };
    assert_eq!(reason, Reason::LeftAlive);
    for part in ["namespace shop is being deleted", id.as_str(), "TokenProvider cluster"] {
        assert!(message.contains(part) && noted.contains(part), "{part}: {message}");
    }
}

#[test]
fn in_a_namespace_that_stays_a_missing_credential_is_waited_for() {
    let waits = |seen: &Observed| {
        let decision = decide(seen).unwrap();
        assert!(matches!(decision.step, Step::Wait { .. }), "{decision:?}");
        decision.reason
    };
    assert_eq!(waits(&going(Reason::CredentialMissing, false)), Reason::CredentialMissing);
    let mut unknown = going(Reason::CredentialMissing, true);
    unknown.answers.namespace_ends = Some(Err(fault(Reason::AccessDenied)));
    assert_eq!(waits(&unknown), Reason::CredentialMissing, "what is not known is no reason to let go");
    unknown.answers.namespace_ends = None;
    assert_eq!(decide(&unknown).unwrap_err(), Question::NamespaceEnds);
    assert_eq!(waits(&going(Reason::ProviderUnavailable, true)), Reason::ProviderUnavailable, "it can come back");
}

/// A gateway refuses for a moment; a copy of a credential that was replaced is refused for ever.
#[test]
fn a_credential_that_is_refused_is_shown_for_ten_minutes_in_a_namespace_that_goes() {
    let mut seen = going(Reason::CredentialRejected, true);
    let after = |seen: &mut Observed, seconds: u64| {
        seen.memory.refused_credential_since = Some(UPTIME - Duration::from_secs(seconds));
        decide(seen).unwrap().step
    };
    assert!(matches!(decide(&seen).unwrap().step, Step::Wait { .. }));
    assert!(matches!(after(&mut seen, 599), Step::Wait { .. }));
    assert!(matches!(after(&mut seen, 600), Step::LeaveRecord { .. }));
}

#[test]
fn what_fails_while_it_is_carried_out_is_judged_in_the_same_way() {
    let seen = going(Reason::ProviderUnavailable, true);
    let failed = on_fault(&seen, &fault(Reason::CredentialMissing));
    assert!(matches!(or_release(&seen, failed.clone()).unwrap().step, Step::LeaveRecord { .. }));
    let mut stays = seen;
    stays.resource.as_mut().unwrap().deleting = false;
    assert_eq!(or_release(&stays, failed.clone()).unwrap(), failed, "an object that stays keeps its record");
}

#[test]
fn an_orphan_needs_no_credential() {
    let mut seen = going(Reason::CredentialMissing, true);
    seen.resource.as_mut().unwrap().deletion_policy = DeletionPolicy::Orphan;
    let decision = decide(&seen).unwrap();
    assert_eq!((decision.step, decision.reason), (Step::DropRecord, Reason::Orphaned));
}

/// A token that was never published and that its provider never revokes held an object for ever whose other tokens were to be left alive.
#[test]
fn an_orphan_does_not_wait_for_ever_for_what_was_never_published() {
    let mut seen = going(Reason::ProviderUnavailable, false);
    let ledger = &mut seen.record.as_mut().unwrap().ledger;
    ledger.retirement = None;
    ledger.refused = ledger.current.take().map(|current| current.token);
    let id = ledger.refused.as_ref().unwrap().id.clone();
    let decide_after = |seen: &mut Observed, policy: DeletionPolicy, seconds: u64| {
        seen.resource.as_mut().unwrap().deletion_policy = policy;
        seen.memory.refused_since = Some((serial(1, 1), Duration::ZERO));
        seen.memory.stuck_since = Some(UPTIME - Duration::from_secs(seconds));
        decide(seen).unwrap()
    };
    let waits = |decision: Decision| assert!(matches!(decision.step, Step::Wait { .. }), "{decision:?}");
    waits(decide_after(&mut seen, DeletionPolicy::Revoke, 10_000));
    waits(decide_after(&mut seen, DeletionPolicy::Orphan, 119));
    let gone = decide_after(&mut seen, DeletionPolicy::Orphan, 120);
    assert_eq!((gone.step, gone.reason), (Step::DropRecord, Reason::Orphaned));
    assert!(gone.message.contains(&id) && gone.message.contains("does not exist"), "{}", gone.message);
    // What comes by itself is waited for, however long it took before.
    let mut taken = seen.clone();
    taken.memory.revoked(serial(1, 1), UPTIME);
    taken.delays.propagation = Duration::from_secs(60);
    waits(decide_after(&mut taken, DeletionPolicy::Orphan, 10_000));
    // The Secret is marked before, unless it takes no mark.
    seen.target = carrying(serial(2, 2));
    let Target::Ours(view) = &mut seen.target else { panic!("ours") };
    view.fence = Some(1);
    assert!(matches!(decide_after(&mut seen, DeletionPolicy::Orphan, 120).step, Step::MarkOrphaned { .. }));
    assert_eq!(decide_after(&mut seen, DeletionPolicy::Orphan, 240).step, Step::DropRecord);
    // The count ends with a look that goes on.
    let mut memory = seen.memory.clone();
    memory.rests(UPTIME, true, &Decision::wait(Duration::from_secs(1), Reason::Revoking, "waiting"));
    assert_eq!(memory.stuck_since, None);
    memory.rests(UPTIME, true, &on_fault(&seen, &fault(Reason::ProviderUnavailable)));
    assert_eq!(memory.stuck_since, Some(UPTIME));
}

/// A list that fails says nothing of an object for which nothing was begun, and holds none whose tokens are to be left alive.
#[test]
fn an_object_without_a_record_is_not_held_by_a_list_that_fails() {
    let mut seen = observed(None, Target::Absent);
    seen.resource.as_mut().unwrap().deleting = true;
    seen.answers.listing = Some(Err(fault(Reason::ProviderUnavailable)));
    assert!(matches!(decide(&seen).unwrap().step, Step::Wait { .. }), "a token was issued once");
    seen.resource.as_mut().unwrap().deletion_policy = DeletionPolicy::Orphan;
    seen.memory.stuck_since = Some(Duration::ZERO);
    let gone = decide(&seen).unwrap();
    assert_eq!((gone.step, gone.reason), (Step::ReleaseFinalizer, Reason::Orphaned));
    let resource = seen.resource.as_mut().unwrap();
    (resource.deletion_policy, resource.was_issued) = (DeletionPolicy::Revoke, false);
    let gone = decide(&seen).unwrap();
    assert_eq!((gone.step, gone.reason), (Step::ReleaseFinalizer, Reason::TokenMayRemain));
    assert!(gone.message.contains(&seen.owner.uid), "{}", gone.message);
    seen.memory.stuck_since = None;
    assert!(matches!(decide(&seen).unwrap().step, Step::Wait { .. }), "a list that fails once may answer");
    seen.memory.stuck_since = Some(Duration::ZERO);
    seen.memory.highest = 1;
    assert!(matches!(decide(&seen).unwrap().step, Step::Wait { .. }), "this process has seen a record");
}

/// A provider that was created after the token was said to be missing until the next rotation.
#[test]
fn a_provider_that_exists_is_not_said_to_be_missing() {
    let missing = Trouble::missing_provider("TokenProvider cluster does not exist");
    let mut seen = observed(None, Target::Absent);
    seen.answers = Answers::default();
    let looked = |seen: &mut Observed, trouble: &Trouble, shown: &RotatedTokenStatus| {
        seen.resource.as_mut().unwrap().plan = Err(trouble.clone());
        let decision = decide(seen).unwrap();
        let before = seen.clone();
        seen.memory.decided(UPTIME, &before, &decision);
        // As it is shown: with what was remembered before this look.
        report::status(&before, &decision, None, "install", shown)
    };
    let provider = |status: &RotatedTokenStatus| {
        status.conditions.iter().find(|condition| condition.type_ == PROVIDER_READY).map(|found| found.reason.clone())
    };
    let first = looked(&mut seen, &missing, &RotatedTokenStatus::default());
    assert_eq!(provider(&first).as_deref(), Some("ProviderMissing"));
    let second = looked(&mut seen, &Trouble::new(Reason::PolicyForbids, "another interval"), &first);
    assert_eq!(provider(&second), None, "nothing is known of it yet");
}
