//! What could not be done or looked up: a reason and a sentence for people, and what it means to a rule.

use std::time::Duration;

use crate::api::conditions::Reason;

/// A reconcile that failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    pub reason: Reason,
    pub message: String,
    /// A person has to act; until then trying often is no use.
    pub needs_person: bool,
    /// The provider said when to come back.
    pub retry_after: Option<Duration>,
    /// What it means to a rule; the reason is for people only.
    pub class: FaultClass,
    /// Whose it is; for the status.
    pub origin: Origin,
}

/// Whose a fault is, where the reason does not say it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Origin {
    /// The cluster's, or nothing is known but the reason.
    #[default]
    Cluster,
    /// The provider's, or that of what the provider object says.
    Provider,
    /// The spec asks for what does not exist.
    Spec,
}

/// What a fault means to a rule, whatever is said of it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum FaultClass {
    #[default]
    Other,
    /// The operator's own credential is not there.
    CredentialMissing,
    /// The operator's own credential is not accepted.
    CredentialRejected,
    /// The request cannot be right, whenever it is sent.
    Invalid,
}

impl Fault {
    /// What may pass by itself.
    #[must_use]
    pub fn passing(reason: Reason, message: impl Into<String>) -> Self {
        Self {
            reason,
            message: message.into(),
            needs_person: false,
            retry_after: None,
            class: FaultClass::Other,
            origin: Origin::Cluster,
        }
    }

    /// What lasts until a person has acted.
    #[must_use]
    pub fn lasting(reason: Reason, message: impl Into<String>) -> Self {
        Self { needs_person: true, ..Self::passing(reason, message) }
    }
}
