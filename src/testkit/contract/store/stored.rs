//! One token, dead or alive.

use jiff::Timestamp;
use serde_json::Value;
use tokio::time::Instant;

/// One token.
#[derive(Clone, Debug)]
pub struct Stored {
    pub id: u64,
    /// Whose it is: a project, an account, a user.
    pub account: String,
    pub name: String,
    pub value: String,
    pub permissions: Vec<Value>,
    pub expires: Option<Timestamp>,
    /// Whether the provider refuses to revoke it.
    pub protected: bool,
    /// Thumbprint of the key that it is bound to, if it is.
    pub bound_to: Option<String>,
    /// When it was minted.
    pub at: Timestamp,
    /// When a consumer used it last.
    pub used: Option<Timestamp>,
    pub(super) created: Instant,
    /// Which refresh tokens it came with, if any.
    pub(super) family: Option<u64>,
    /// Since when it is switched off, if it is.
    pub(super) off: Option<Instant>,
    pub(super) revoked: Option<Instant>,
}

impl Stored {
    /// Whether it was revoked or its time is over, also where it is accepted for a moment still.
    pub fn is_over(&self) -> bool {
        !self.is_alive() || self.is_expired()
    }

    /// Whether it is not switched off.
    pub fn is_on(&self) -> bool {
        self.off.is_none()
    }

    pub(super) fn is_alive(&self) -> bool {
        self.revoked.is_none()
    }

    pub(super) fn is_expired(&self) -> bool {
        self.expires.is_some_and(|at| at <= Timestamp::now())
    }
}
