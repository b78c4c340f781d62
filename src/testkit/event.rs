//! What happens in containers, as values: who, with which token, when, how it ended.

use std::{fmt, sync::Arc, time::Instant};

use jiff::Timestamp;
use sha2::{Digest, Sha256};

/// A token value that only shows its fingerprint.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Token(Arc<str>);

impl Token {
    pub fn new(value: &str) -> Self {
        Self(value.into())
    }

    /// The value itself, for the call that needs it.
    pub fn reveal(&self) -> &str {
        &self.0
    }

    /// First 12 hex digits of the SHA-256 of the value.
    pub fn fingerprint(&self) -> String {
        Sha256::digest(self.0.as_bytes()).iter().take(6).map(|byte| format!("{byte:02x}")).collect()
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Token({})", self.fingerprint())
    }
}

/// One container of one pod.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Seat {
    pub namespace: Arc<str>,
    pub pod: Arc<str>,
    pub uid: Arc<str>,
    pub container: Arc<str>,
    pub node: Arc<str>,
}

/// How a call ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// HTTP status.
    Answered(u16),
    /// No answer: the server was away, or the connection broke.
    Unanswered(String),
}

/// One call with a token.
#[derive(Clone, Debug)]
pub struct Call {
    pub at: Instant,
    pub wall: Timestamp,
    pub seat: Seat,
    pub fingerprint: String,
    pub outcome: Outcome,
}

impl Call {
    pub fn is_accepted(&self) -> bool {
        matches!(self.outcome, Outcome::Answered(200..300))
    }

    /// The token was not accepted as valid. A missing permission (403) is not this.
    pub fn is_refused(&self) -> bool {
        self.outcome == Outcome::Answered(401)
    }
}

/// What happened in a container.
#[derive(Clone, Debug)]
pub enum Event {
    Started {
        at: Instant,
        wall: Timestamp,
        seat: Seat,
        fingerprint: Option<String>,
    },
    /// A running container took over another value, by itself, from its files.
    Reloaded {
        at: Instant,
        wall: Timestamp,
        seat: Seat,
        fingerprint: String,
    },
    Stopped {
        at: Instant,
        wall: Timestamp,
        seat: Seat,
    },
    Called(Call),
}

impl Event {
    pub fn seat(&self) -> &Seat {
        match self {
            Self::Started { seat, .. } | Self::Reloaded { seat, .. } | Self::Stopped { seat, .. } => seat,
            Self::Called(call) => &call.seat,
        }
    }
}

/// Numbers for one token in one namespace.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    pub accepted: usize,
    pub refused: usize,
    /// Neither accepted nor refused: other status, or no answer.
    pub other: usize,
}

impl Counts {
    pub(super) fn add(&mut self, call: &Call) {
        match () {
            () if call.is_accepted() => self.accepted += 1,
            () if call.is_refused() => self.refused += 1,
            () => self.other += 1,
        }
    }
}
