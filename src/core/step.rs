//! What a decision asks the outside to do. One effect each; what is carried is all that performing needs.

use std::{collections::BTreeSet, time::Duration};

use crate::{
    api::{Blocker, WorkloadRef, conditions::Reason},
    core::{
        fault::FaultClass,
        ledger::{record::Ledger, revocable::Revocable},
        predecessor::Predecessor,
        token::{Serial, Source},
    },
    secret_value::TokenSet,
};

/// What a pass does, and why, in words for status, Events and logs.
#[derive(Clone, Debug, PartialEq)]
pub struct Decision {
    pub step: Step,
    pub phase: Phase,
    pub reason: Reason,
    pub message: String,
    /// Who may still hold the old token, where this pass looked.
    pub pickup: Option<Pickup>,
    /// What it waits for, where it is a fault that means something to a rule.
    pub fault: FaultClass,
}

/// How the object is doing, in the terms of kstatus.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    /// Nothing to do until the next rotation.
    AtRest,
    /// On its way.
    Progressing,
    /// Needs a person, or a long wait.
    Stalled,
}

/// Who may still hold the old token.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pickup {
    pub remaining: i64,
    pub blockers: Vec<Blocker>,
}

impl Pickup {
    /// These do.
    #[must_use]
    pub fn held(blockers: Vec<Blocker>) -> Self {
        Self { remaining: i64::try_from(blockers.len()).unwrap_or(i64::MAX), blockers }
    }

    /// Nobody holds it.
    #[must_use]
    pub fn proven() -> Self {
        Self { remaining: 0, blockers: Vec::new() }
    }
}

/// One effect, or waiting.
#[derive(Clone, Debug, PartialEq)]
pub enum Step {
    /// Put our finalizer on the resource.
    AddFinalizer,
    /// Take our finalizer off: the tokens are dead, or orphaned by policy.
    ReleaseFinalizer,
    /// Compare-and-set the record.
    Save { ledger: Box<Ledger>, change: Change },
    /// Put the value that the target carries back into the record.
    RestoreValue { serial: Serial, values: TokenSet },
    /// Make the record anew, holding the token that is in the target already, where it is known.
    Readopt { ledger: Box<Ledger>, values: Option<TokenSet> },
    /// Delete the record: nothing alive is in it any more.
    DropRecord,
    /// Leave the record to people: what lives on cannot be revoked any more.
    LeaveRecord { message: String },
    /// Compare-and-set the target so that it carries a token.
    Publish { serial: Serial, repair: bool },
    /// Change the target's version so that a write based on an older read fails.
    Fence { attempt: i64 },
    /// Mark the target as left behind with a live token.
    MarkOrphaned { id: String },
    /// Delete the target: no consumer is left.
    DeleteTarget,
    /// Mint and store, in one task that survives this pass.
    Mint { serial: Serial, source: Box<Source>, lifetime: Duration, predecessor: Predecessor<Serial> },
    /// Revoke one token.
    Revoke { token: Revocable, source: Box<Source>, values: Option<Serial>, published: bool },
    /// Roll workloads by annotation.
    Stamp { workloads: BTreeSet<WorkloadRef>, serial: Serial, stamp: String },
    /// Nothing now.
    Wait { wake: Option<Duration>, failed: bool },
}

/// What a change of the record means, for logs, Events and metrics.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Change {
    Intended(Serial),
    /// The intent of another process was taken over, to clear up behind it.
    TakenOver(Serial),
    /// A published token died before it was promoted.
    Died(Serial),
    /// What the owner wishes, or what is known of its token, was noted.
    Noted,
    Refused(Serial),
    RefusedGone(Serial),
    /// A refused token left the record without being known to be dead.
    RefusedLeft(Serial),
    Reinstated(Serial),
    Promoted(Serial),
    Reopened,
    Snapshot,
    GraceServed,
    RevokeIntended(Serial),
    Forgotten(Serial),
    /// The old token cannot be revoked and is not waited for any longer.
    LeftToExpiry(Serial),
    /// Of the old token nothing is known but that no pod holds it any more.
    Unknown(Serial),
    Retiring,
    RetirementIntended,
}

impl Step {
    /// Whether it lets go of the object, or is said just before.
    #[must_use]
    pub fn is_leaving(&self) -> bool {
        matches!(self, Self::MarkOrphaned { .. } | Self::DropRecord | Self::LeaveRecord { .. } | Self::ReleaseFinalizer)
    }

    /// What makes two steps the same attempt at the same thing: repeated, it changes nothing.
    #[must_use]
    pub fn label(&self) -> String {
        match self {
            Self::AddFinalizer => "add finalizer".to_owned(),
            Self::ReleaseFinalizer => "release finalizer".to_owned(),
            Self::Save { change, .. } => format!("save {change:?}"),
            Self::RestoreValue { serial, .. } => format!("restore value {serial}"),
            Self::Readopt { .. } => "readopt".to_owned(),
            Self::DropRecord => "drop record".to_owned(),
            Self::LeaveRecord { .. } => "leave record".to_owned(),
            Self::Publish { serial, repair } => format!("publish {serial} repair={repair}"),
            Self::Fence { attempt } => format!("fence {attempt}"),
            Self::MarkOrphaned { id } => format!("mark {id}"),
            Self::DeleteTarget => "delete target".to_owned(),
            Self::Mint { serial, .. } => format!("mint {serial}"),
            Self::Revoke { token, .. } => format!("revoke {}", token.id()),
            Self::Stamp { serial, .. } => format!("stamp {serial}"),
            Self::Wait { .. } => "wait".to_owned(),
        }
    }
}

impl Decision {
    /// Doing something on the way.
    #[must_use]
    pub fn act(step: Step, reason: Reason, message: impl Into<String>) -> Self {
        Self {
            step,
            phase: Phase::Progressing,
            reason,
            message: message.into(),
            pickup: None,
            fault: FaultClass::Other,
        }
    }

    /// Waiting for something that comes by itself.
    #[must_use]
    pub fn wait(wake: Duration, reason: Reason, message: impl Into<String>) -> Self {
        Self::act(Step::Wait { wake: Some(wake), failed: false }, reason, message)
    }

    /// Waiting for a person.
    #[must_use]
    pub fn stall(wake: Duration, reason: Reason, message: impl Into<String>) -> Self {
        Self { phase: Phase::Stalled, ..Self::wait(wake, reason, message) }
    }

    /// The same step was taken again and again and changes nothing, because something undoes it: waiting, with what to look for.
    #[must_use]
    pub fn undone(&self, wait: Duration) -> Self {
        let message = format!(
            "the same step was taken several times within a minute and something undoes it: {}; look for a webhook, a tool, or a second \
             installation of tokenturn that writes the same objects",
            self.message
        );
        Self { pickup: self.pickup.clone(), ..Self::stall(wait, Reason::ConflictingWriter, message) }
    }

    /// The same with what is known of the pickup.
    #[must_use]
    pub fn with_pickup(self, pickup: Pickup) -> Self {
        Self { pickup: Some(pickup), ..self }
    }
}
