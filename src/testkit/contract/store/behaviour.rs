//! What can be chosen of a provider.

use std::time::Duration;

use serde_json::Value;

use crate::testkit::contract::{lies::Lie, limits::Quota};

/// How the provider behaves.
#[derive(Clone, Debug)]
pub struct Behaviour {
    /// How long each call takes.
    pub latency: Duration,
    /// How long a new token is not accepted yet.
    pub activation: Duration,
    /// How long a revoked token is accepted still.
    pub propagation: Duration,
    /// How long a new token is not listed yet.
    pub listing: Duration,
    /// Most tokens that there may be.
    pub slots: usize,
    /// Whether two tokens may have one name.
    pub unique_names: bool,
    /// What tokens are granted, whatever is asked for; `None` grants what is asked for.
    pub grants: Option<Vec<Value>>,
    /// Whether a list shows values, where the provider's versions or contracts differ.
    pub values_listed: bool,
    /// Whether a refresh token that is shown twice ends all that came from the same consent.
    pub reuse_detection: bool,
    /// Whether tokens are bound to keys of which a proof is shown; each proof then needs a nonce of the server's.
    pub proofs: bool,
    /// How much may be asked, if there is a limit.
    pub quota: Option<Quota>,
    /// What it does otherwise than its contract says.
    pub lies: Vec<Lie>,
}

impl Default for Behaviour {
    fn default() -> Self {
        Self {
            latency: Duration::ZERO,
            activation: Duration::ZERO,
            propagation: Duration::ZERO,
            listing: Duration::ZERO,
            slots: usize::MAX,
            unique_names: false,
            grants: None,
            values_listed: false,
            reuse_detection: false,
            proofs: false,
            quota: None,
            lies: Vec::new(),
        }
    }
}
