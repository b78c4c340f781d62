//! What went wrong in a call to a provider, classified in one place.

use std::time::Duration;

use crate::api::text;

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
    /// The operator's own credential is not there: a person has to create it.
    CredentialMissing,
    /// The operator's own credential may not do this: a person has to act.
    Refused,
    /// The operator lacks a right in its own cluster that this provider needs: a person has to grant it.
    AccessDenied,
    /// The operator's own rules do not let this address be asked: nothing was sent, and a person has to act.
    Forbidden,
    /// The account may not use the provider now, whoever asks: a person has to act.
    AccountSuspended,
    /// The request itself is wrong, for example an account that does not exist: a person has to act.
    Invalid,
    /// The spec asks for something that does not exist: a person has to create it, or to name another.
    Missing,
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
            Self::CredentialMissing => "credential_missing",
            Self::Refused => "refused",
            Self::AccessDenied => "access_denied",
            Self::Forbidden => "forbidden",
            Self::AccountSuspended => "account_suspended",
            Self::Invalid => "invalid",
            Self::Missing => "missing",
            Self::Conflict => "conflict",
            Self::UnknownPermission => "unknown_permission",
            Self::Unknown => "unknown_outcome",
        }
    }
}

/// Longest text of somebody else that is passed on.
const MAX_DETAIL: usize = 300;

/// What a server, a webhook or a library says, as far as it can stand in a message: the start of it, in one line.
#[must_use]
pub fn detail(text: &str) -> String {
    let start: String = text.chars().take(MAX_DETAIL).collect();
    let line = text::line(&start, usize::MAX);
    if start.len() == text.len() { line } else { format!("{line} [...]") }
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

#[cfg(test)]
mod tests {
    use super::*;

    /// Regression: the whole page that a proxy answered stood in a condition.
    #[test]
    fn what_others_say_is_passed_on_in_one_short_line() {
        assert_eq!(detail("denied by policy"), "denied by policy");
        assert_eq!(detail("<html>\r\n\u{1b}[31m"), "<html>   [31m");
        assert_eq!(detail("a\u{202e}b\u{2066}c\u{9b}d\u{2028}e\u{feff}f"), "a b c d e f");
        assert_eq!(detail(&"ä".repeat(300)), "ä".repeat(300));
        assert_eq!(detail(&"ä".repeat(100_000)), format!("{} [...]", "ä".repeat(300)));
    }
}
