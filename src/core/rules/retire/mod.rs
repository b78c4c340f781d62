//! The way out: the object is being deleted, or was removed without us.
//!
//! `Revoke` waits until no pod uses the Secret, deletes the Secret, waits until no pod can have started with it, commits
//! that, revokes every token and only then lets record and object go. `Orphan` revokes what was never published, marks the
//! Secret, and lets go.

mod ending;
pub mod left_alive;
mod revoke;
mod users;
mod without_record;

use crate::{
    api::{DeletionPolicy, conditions::Reason},
    core::{
        guards::Guard,
        rules::{
            attempts::foreign_intent,
            refused::clear_refused,
            retire::{
                ending::{drop_record, orphaned},
                left_alive::{may_be_marked, or_release},
                revoke::revoke,
                without_record::without_record,
            },
            sweep::sweep,
        },
        ruling::{Ruling, Stop},
        seen::{observed::Observed, views::Record},
        step::{Change, Decision, Step},
        transition,
    },
};

/// Leads an object that is being deleted, or is gone, to its end.
pub fn leave(observed: &Observed) -> Ruling {
    match way_out(observed) {
        Ok(Some(decision)) => Ok(Some(or_release(observed, decision)?)),
        Err(Stop::Do(decision)) => Ok(Some(or_release(observed, *decision)?)),
        other => other,
    }
}

fn way_out(observed: &Observed) -> Ruling {
    if observed.resource.as_ref().is_some_and(|resource| !resource.deleting) {
        return Ok(None);
    }
    let Some(record) = &observed.record else { return without_record(observed).map(Some) };
    if let Some(decision) = unpublished(observed, record)? {
        return Ok(Some(decision));
    }
    let policy = observed.resource.as_ref().map_or(record.ledger.deletion_policy, |resource| resource.deletion_policy);
    match policy {
        DeletionPolicy::Orphan => Ok(Some(orphan(observed, record))),
        DeletionPolicy::Revoke => revoke(observed, record).map(Some),
    }
}

/// Tokens that did not pass verification, and left-overs of attempts whose answers were lost, are revoked whatever the
/// policy. A pending token is not among them: it may have been in the target, so that a pod holds it.
fn unpublished(observed: &Observed, record: &Record) -> Ruling {
    if let Some(refused) = &record.ledger.refused {
        return clear_refused(observed, record, refused);
    }
    let Some(intent) = record.ledger.intent.as_ref().filter(|_| observed.guarded(Guard::RetireSweep)) else {
        return Ok(None);
    };
    if observed.memory.own != Some(intent.serial) && observed.guarded(Guard::RetireTakeOver) {
        if let Some(wait) = foreign_intent(observed, intent) {
            let message = "waiting until another replica has finished its work";
            return Ok(Some(Decision::wait(wait, Reason::Deleting, message)));
        }
        // From here on no other replica can store what it minted, so what is listed and not recorded is left over.
        let next = transition::take_over(&record.ledger);
        let serial = next.intent.as_ref().map_or(intent.serial, |intent| intent.serial);
        let step = Step::Save { ledger: Box::new(next), change: Change::TakenOver(serial) };
        return Ok(Some(Decision::act(step, Reason::Deleting, "taking over the work of another process")));
    }
    sweep(observed, &record.ledger, &intent.source)?;
    Ok(None)
}

/// Lets go of live tokens, and says which.
fn orphan(observed: &Observed, record: &Record) -> Decision {
    let ids: Vec<&str> = record.ledger.tokens().map(|token| token.id.as_str()).collect();
    if ids.is_empty() {
        return drop_record(observed, record, Reason::Deleting, "no token of this object is alive");
    }
    if may_be_marked(observed) {
        return Decision::act(Step::MarkOrphaned { id: ids.join(",") }, Reason::Deleting, orphaned(&ids));
    }
    drop_record(observed, record, Reason::Orphaned, &orphaned(&ids))
}
