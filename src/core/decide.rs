//! What to do next: rules in order, each a function of what was observed. The first that applies decides.
//!
//! | rule | applies when |
//! | --- | --- |
//! | [`ownership::foreign_record`] | the record belongs to another object |
//! | [`ownership::another_installation`] | the object belongs to another installation |
//! | [`retire::leave`] | the object is being deleted or is gone |
//! | [`target::claim`] | the object does not carry our finalizer |
//! | [`target::foreign_target`] | the Secret belongs to somebody else |
//! | [`readopt::lost_record`] | there is no record, but a target or tokens of ours |
//! | [`readopt::went_back`] | the record says less than this process has seen |
//! | [`readopt::stale_record`] | the record is older than the target and the provider's list |
//! | [`readopt::lost_value`] | the record lacks a value that the target holds |
//! | [`settling::note_immutable`] | somebody has made the target immutable |
//! | [`old_token::finish`] | an old token is not yet dead |
//! | [`rotation::resume`] | a rotation has begun and is not promoted |
//! | [`target::repair_drift`] | the target is not what the record says |
//! | [`at_rest::begin`] | a rotation is due |
//! | [`metadata::repair_metadata`] | only labels or annotations of the target are not what the object says |
//! | [`at_rest::keep`] | something is left to note or to sweep |
//! | [`at_rest::rest`] | otherwise |
//!
//! Everything irreversible is guarded by live reads of this pass, and the record is written (compare-and-swap) before the
//! act that it announces.

use crate::{
    api::conditions::Reason,
    core::{
        rules::{at_rest, metadata, old_token, ownership, readopt, retire, rotation, settling, target},
        ruling::{Ruling, Stop},
        seen::{answers::Question, observed::Observed},
        step::Decision,
        timing::STALLED_WAKE,
    },
};

type Rule = fn(&Observed) -> Ruling;

const RULES: [Rule; 17] = [
    ownership::foreign_record,
    ownership::another_installation,
    retire::leave,
    target::claim,
    target::foreign_target,
    readopt::lost_record,
    readopt::went_back,
    readopt::stale_record,
    readopt::lost_value,
    settling::note_immutable,
    old_token::finish,
    rotation::resume,
    target::repair_drift,
    at_rest::begin,
    metadata::repair_metadata,
    at_rest::keep,
    at_rest::rest,
];

/// Decides one step, or asks what has to be looked up before it can.
///
/// # Errors
/// The question; answer it in [`Observed::answers`] and decide again.
pub fn decide(observed: &Observed) -> Result<Decision, Question> {
    for rule in RULES {
        match rule(observed) {
            Ok(Some(decision)) => return Ok(decision),
            Err(Stop::Do(decision)) => return Ok(*decision),
            Err(Stop::Ask(question)) => return Err(question),
            Ok(None) => {}
        }
    }
    Ok(Decision::wait(STALLED_WAKE, Reason::InternalError, "no rule applies"))
}
