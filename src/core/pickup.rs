//! When is no container left that can hold the old token?
use serde::{Deserialize, Serialize};

/// Why nobody can hold the old token any more.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Evidence {}

/// Proof that no container can hold the old token.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PickupProof {
    evidence: Evidence,
}

impl PickupProof {
    pub(super) fn into_evidence(self) -> Evidence {
        self.evidence
    }
}
