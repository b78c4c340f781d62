//! What went wrong in a call to a provider, classified in one place.

use std::time::Duration;

/// What an error means for what comes next.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Class {
    /// No answer or a failure of the provider: try again later.
    Unavailable,
    /// Asked to slow down: try again after the given time.
    RateLimited { retry_after: Option<Duration> },
    /// The plan's limit is used up: a person has to know, and nothing is sent before the given time.
    QuotaExceeded { retry_after: Duration },
    /// The operator's own credential is not accepted: a person has to act.
    Unauthorized,
    /// The operator's own credential may not do this: a person has to act.
    Refused,
    /// The account may not use the provider now, whoever asks: a person has to act.
    AccountSuspended,
    /// The request itself is wrong, for example an account that does not exist: a person has to act.
    Invalid,
    /// The name is taken or a slot limit is reached: sweep and try as another attempt.
    Conflict,
    /// A permission is not known to the provider: a person has to act.
    UnknownPermission,
    /// The call may have had its effect, the answer is lost. Never the same as a failed call.
    Unknown,
}

impl Class {
    /// Label in metrics.
    #[must_use]
    pub const fn label(self) -> &'static str {
        match self {
            Self::Unavailable => "unavailable",
            Self::RateLimited { .. } => "rate_limited",
            Self::QuotaExceeded { .. } => "quota_exceeded",
            Self::Unauthorized => "unauthorized",
            Self::Refused => "refused",
            Self::AccountSuspended => "account_suspended",
            Self::Invalid => "invalid",
            Self::Conflict => "conflict",
            Self::UnknownPermission => "unknown_permission",
            Self::Unknown => "unknown_outcome",
        }
    }
}

/// A call to a provider that did not succeed. The message is for the user and never holds a value.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct Error {
    class: Class,
    message: String,
}

impl Error {
    /// An error with a sentence that says what was tried, on which object, and what to do.
    #[must_use]
    pub fn new(class: Class, message: impl Into<String>) -> Self {
        Self { class, message: message.into() }
    }

    /// What it means for what comes next.
    #[must_use]
    pub const fn class(&self) -> Class {
        self.class
    }
}
