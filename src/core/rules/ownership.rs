//! Whose a record is: it belongs to a reconcile only if namespace, name and UID are those of its object.
//!
//! Everything that is revoked or released rests on "the object is gone", and that is read where the reconcile says the object is. So a record is
//! acted on by a reconcile of exactly the place that the record names: there its object was found, or found to be gone.

use crate::{
    api::{conditions::Reason, names::TAKE_OVER_ANNOTATION},
    core::{
        guards::Guard,
        ruling::Ruling,
        seen::{observed::Observed, views::Record},
        step::Decision,
        timing::STALLED_WAKE,
    },
};

/// A record of another object is not acted on, and neither is anything that it speaks of.
pub fn foreign_record(observed: &Observed) -> Ruling {
    let Some(record) = observed.record.as_ref().filter(|record| !is_own(observed, record)) else { return Ok(None) };
    if !observed.guarded(Guard::OwnRecord) {
        return Ok(None);
    }
    let (own, other) = (&observed.owner, &record.ledger.owner);
    let message = format!(
        "the record of UID {} says that it belongs to RotatedToken {}/{} with UID {}, not to {}/{}; nothing is done with its tokens. Restore the \
         record from a backup",
        own.uid, other.namespace, other.name, other.uid, own.namespace, own.name
    );
    Ok(Some(Decision::stall(STALLED_WAKE, Reason::ForeignRecord, message)))
}

/// An object of another installation is left alone: its record, and what it knows of live tokens, are there.
pub fn another_installation(observed: &Observed) -> Ruling {
    let Some(other) = observed.resource.as_ref().and_then(|resource| resource.elsewhere.as_ref()) else {
        return Ok(None);
    };
    let message = format!(
        "this object belongs to another installation of tokenturn, {other} (the beginning of the UID of its namespace); nothing is done here. If that one runs, let only \
         one of the two watch this namespace. If it is gone, or stopped for good, take the object over with the annotation \
         {TAKE_OVER_ANNOTATION}={other}"
    );
    Ok(Some(Decision::stall(STALLED_WAKE, Reason::OtherInstallation, message)))
}

/// Whether a record is that of the object which is looked at.
#[must_use]
pub fn is_own(observed: &Observed, record: &Record) -> bool {
    record.ledger.owner == observed.owner
}
