//! Why a rotation begins.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::api::conditions::Reason;

/// Why a rotation began, as its intent keeps it under `reason`. Decisions depend on it, so it is a type of its own: of the reasons that
/// conditions carry, no other can stand in an intent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Trigger {
    /// There is no token yet.
    FirstIssue,
    /// The token is as old as `spec.interval`.
    IntervalElapsed,
    /// The token expires before it is as old as that.
    ExpiresSoon,
    /// Permissions, parameters or provider changed.
    SpecChanged,
    /// Somebody set the rotate-now annotation.
    RotateNow,
    /// The value of the token is known nowhere, or the provider rejects it.
    ValueLost,
    /// The token was superseded once and came back with a restored backup.
    Restored,
}

impl From<Trigger> for Reason {
    fn from(trigger: Trigger) -> Self {
        match trigger {
            Trigger::FirstIssue => Self::FirstIssue,
            Trigger::IntervalElapsed => Self::IntervalElapsed,
            Trigger::ExpiresSoon => Self::ExpiresSoon,
            Trigger::SpecChanged => Self::SpecChanged,
            Trigger::RotateNow => Self::RotateNow,
            Trigger::ValueLost => Self::ValueLost,
            Trigger::Restored => Self::Restored,
        }
    }
}

impl fmt::Display for Trigger {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(Reason::from(*self).as_str())
    }
}
