//! The record of one `RotatedToken`: the ledger that every decision is based on.
//!
//! It lives in a Secret in the operator's own namespace, is the only compare-and-swap object of the protocol, and every
//! change of it is one of the functions in [`crate::core::transition`]. Values are kept beside the ledger, by serial.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::{
    api::{DeletionPolicy, RolloutSpec, WorkloadRef, conditions::Reason},
    core::{
        ledger::{failure::Failure, trigger::Trigger},
        pods::{
            consumers::{PodRef, PodView},
            pickup::{Evidence, PickupProof},
        },
        token::{self, Census, Issued, Owner, Serial, Source},
    },
};

/// Version of the ledger's shape. A ledger of a later version is not touched. Since 2, recipes in it have the names of today: an operator that
/// knows 1 only would read them without the checks that it has other names for, as the one before a revoke.
pub const SCHEMA: i64 = 2;

/// So many tokens are kept at most that were replaced because the provider refused them.
pub const MAX_PRESUMED_DEAD: usize = 8;

/// Everything the operator must not forget about one `RotatedToken`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Ledger {
    /// As it was read. What is written is always of this version.
    #[serde(serialize_with = "as_written")]
    pub schema: i64,
    pub owner: Owner,
    /// Name of the target Secret in the owner's namespace.
    pub target: String,
    /// The installation by whose id its tokens are named: another one where it was taken over, and none in a record from before this was noted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub install: Option<String>,
    /// What the owner last said about its deletion, for when it is gone.
    pub deletion_policy: DeletionPolicy,
    /// Attempts made so far; never goes back.
    pub counter: i64,
    /// Number of the last rotation that was promoted; 0 before the first. Never goes back.
    pub sequence: i64,
    /// Attempts up to this one are of a past that no record tells of: pods may hold their tokens, so none is swept until a
    /// snapshot taken since was proven to be gone. 0 when nothing is unknown.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub unknown_until: i64,
    /// Which workloads the owner last said to restart, for when it is gone.
    #[serde(default)]
    pub rollout: RolloutSpec,
    /// The rotation that has begun and is not yet promoted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub intent: Option<Intent>,
    /// Minted and stored, not yet promoted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pending: Option<Issued>,
    /// Minted, refused at verification, not yet revoked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub refused: Option<Issued>,
    /// The token that workloads are meant to use.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub current: Option<Current>,
    /// The token before it, until it is dead.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub previous: Option<Superseded>,
    /// Published once, and replaced because the provider refused them while an older one was not dead, or before they were promoted.
    /// Pods may hold them, and a refusal can be wrong: they are never swept, and go when those pods are gone.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub presumed_dead: Vec<Issued>,
    /// Set when the owner goes and its tokens are to be revoked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retirement: Option<Retirement>,
    /// The target was seen immutable. A kubelet then keeps its value for as long as a pod of its node uses the Secret, also
    /// when the Secret is deleted and made anew.
    #[serde(rename = "frozen", default, skip_serializing_if = "std::ops::Not::not")]
    pub was_immutable: bool,
    /// The last value of the rotate-now annotation that was acted on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rotate_now_seen: Option<String>,
    /// The last finished rotations, oldest first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub history: Vec<Finished>,
}

/// A rotation that has begun.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Intent {
    #[serde(rename = "generation")]
    pub serial: Serial,
    #[serde(rename = "reason")]
    pub trigger: Trigger,
    pub at: Timestamp,
    /// Attempts of this sequence that were begun, this one included.
    pub attempts: i64,
    /// Why the attempt before this one, or this one, did not end well; for the user.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failure: Option<Failure>,
    /// The tokens that the account had before the first attempt, and those reported since; where tokens have no names.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub before: Option<Census>,
    /// What its create may leave behind is found by nobody where it is made: it has to be reported by the name of this attempt.
    #[serde(rename = "leavesBehind", default, skip_serializing_if = "std::ops::Not::not")]
    pub may_orphan: bool,
    /// The same of what ends by itself, then at the latest, if the provider keeps to what it is asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unseen_until: Option<Timestamp>,
    /// Its answer, or its token, showed that the recipe is wrong: the next attempt waits for another recipe, or for
    /// long.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub misread: Option<Misread>,
    /// Left-overs of the attempt are looked for there.
    #[serde(flatten)]
    pub source: Source,
}

/// A recipe that does not say what the provider does.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Misread {
    /// Digest of the provider object's settings.
    pub recipe: String,
    /// The token that showed it may be alive and cannot be revoked: each further attempt would leave another one.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub leaves_token: bool,
}

/// The current token and how it came to be.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", from = "StoredCurrent")]
pub struct Current {
    pub token: Issued,
    pub reason: Reason,
    pub promoted_at: Timestamp,
    /// Superseded once, and back with a restored backup: to be replaced.
    #[serde(rename = "revived", skip_serializing_if = "std::ops::Not::not")]
    pub restored_from_backup: bool,
    /// Rebuilt from what the target says: whether it works and when it expires is still to be asked for.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub uninspected: bool,
}

/// A current token as records have it: those of earlier versions said by the reason that it is still to be asked for.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct StoredCurrent {
    token: Issued,
    reason: Reason,
    promoted_at: Timestamp,
    #[serde(rename = "revived", default)]
    restored_from_backup: bool,
    #[serde(default)]
    uninspected: bool,
}

impl From<StoredCurrent> for Current {
    fn from(StoredCurrent { token, reason, promoted_at, restored_from_backup, uninspected }: StoredCurrent) -> Self {
        Self {
            token,
            reason,
            promoted_at,
            restored_from_backup,
            uninspected: uninspected || reason == Reason::Readopted,
        }
    }
}

/// The old token of a rotation and who may hold it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Superseded {
    pub token: Issued,
    /// P0: the pods that may hold the old token. `None` when the snapshot has to be taken again.
    pub snapshot: Option<Snapshot>,
    /// Pods of earlier snapshots. Unlike those of `snapshot`, they were not all noted after a settle time.
    #[serde(rename = "carried", default, skip_serializing_if = "BTreeSet::is_empty")]
    pub earlier_pods: BTreeSet<PodRef>,
    /// The crowd of an earlier snapshot, until there is a new one.
    #[serde(rename = "carriedCrowd", default, skip_serializing_if = "BTreeSet::is_empty")]
    pub earlier_crowd: BTreeSet<String>,
    /// How often the snapshot had to be taken again; part of the stamp, so that pods are replaced once more.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub round: i64,
    /// Seconds of the grace period that have been served under earlier processes.
    #[serde(default)]
    pub grace_served: i64,
    /// Set when it is decided to revoke: the evidence comes before the act.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub revoke: Option<RevokeIntent>,
}

/// Who may hold the old token, and which workloads are to be restarted.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Snapshot {
    pub pods: BTreeSet<PodRef>,
    /// Digests of the UIDs of further pods, where there are more than a record has room for. An equal digest of another pod
    /// only delays the revoke.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub crowd: BTreeSet<String>,
    pub workloads: BTreeSet<WorkloadRef>,
}

impl Snapshot {
    /// Pods of which everything is noted: about 300 KiB of the 1 MiB that a Secret may have.
    pub const MAX_PODS: usize = 2_000;

    /// Notes who may hold the old token, by digest beyond [`Self::MAX_PODS`].
    #[must_use]
    pub fn of<'a>(holders: impl IntoIterator<Item = &'a PodView>, workloads: BTreeSet<WorkloadRef>) -> Self {
        let (mut pods, mut crowd) = (BTreeSet::new(), BTreeSet::new());
        for view in holders {
            if pods.len() < Self::MAX_PODS {
                pods.insert(view.pod.clone());
            } else {
                crowd.insert(view.digest.clone());
            }
        }
        Self { pods, crowd, workloads }
    }

    /// How many pods it notes.
    #[must_use]
    pub fn len(&self) -> usize {
        self.pods.len() + self.crowd.len()
    }

    /// Nobody may hold the old token.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// The decision to revoke, with its evidence. Made from a [`PickupProof`] and from nothing else.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RevokeIntent {
    at: Timestamp,
    evidence: Evidence,
}

impl RevokeIntent {
    /// What is written into the record before the revoke.
    #[must_use]
    pub fn commit(proof: PickupProof, at: Timestamp) -> Self {
        Self { at, evidence: proof.into_evidence() }
    }

    /// Why nobody can hold the token any more.
    #[must_use]
    pub fn evidence(&self) -> &Evidence {
        &self.evidence
    }

    /// When it was decided.
    #[must_use]
    pub fn at(&self) -> Timestamp {
        self.at
    }
}

/// The way out of an owner that is being deleted.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Retirement {
    /// Every consumer pod seen since the deletion began.
    pub pods: BTreeSet<PodRef>,
    /// Digests of the UIDs of further ones, where there are more than a record has room for.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub crowd: BTreeSet<String>,
    /// They were counted when the Secret was somebody else's and no pod could start with our value any more.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub handed_over: bool,
    /// Set when no consumer is left.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub revoke: Option<RevokeIntent>,
}

/// One finished rotation.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Finished {
    pub sequence: i64,
    pub reason: Reason,
    pub at: Timestamp,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub revoked_at: Option<Timestamp>,
}

impl Ledger {
    /// Where each of its tokens comes from, and the one that is under way.
    pub fn sources_mut(&mut self) -> impl Iterator<Item = &mut Source> {
        let current = self.current.as_mut().map(|current| &mut current.token);
        let previous = self.previous.as_mut().map(|previous| &mut previous.token);
        let tokens = self.pending.iter_mut().chain(&mut self.refused).chain(current).chain(previous);
        let tokens = tokens.chain(&mut self.presumed_dead);
        tokens.map(|token| &mut token.source).chain(self.intent.as_mut().map(|intent| &mut intent.source))
    }

    /// The same, to look at.
    pub fn sources(&self) -> impl Iterator<Item = &Source> {
        self.tokens().map(|token| &token.source).chain(self.intent.iter().map(|intent| &intent.source))
    }

    /// Every token that the ledger knows.
    pub fn tokens(&self) -> impl Iterator<Item = &Issued> {
        let current = self.current.as_ref().map(|current| &current.token);
        let previous = self.previous.as_ref().map(|previous| &previous.token);
        self.pending.iter().chain(&self.refused).chain(current).chain(previous).chain(&self.presumed_dead)
    }

    /// Every pod that a snapshot names.
    pub fn snapshot_pods(&self) -> impl Iterator<Item = &PodRef> {
        let previous = self.previous.iter();
        let snapshots = previous.flat_map(|previous| {
            previous.earlier_pods.iter().chain(previous.snapshot.iter().flat_map(|snapshot| &snapshot.pods))
        });
        snapshots.chain(self.retirement.iter().flat_map(|retirement| &retirement.pods))
    }

    /// The serials whose values have to be kept.
    #[must_use]
    pub fn serials(&self) -> BTreeSet<Serial> {
        self.tokens().map(|token| token.serial).collect()
    }
}

impl Ledger {
    /// Whether its numbers can have been counted by us, and can be counted on.
    #[must_use]
    pub fn is_plausible(&self) -> bool {
        let numbers = [self.counter, self.sequence, self.unknown_until].into_iter();
        let numbers = numbers.chain(self.intent.as_ref().map(|intent| intent.attempts));
        let numbers = numbers.chain(self.previous.iter().flat_map(|previous| [previous.round, previous.grace_served]));
        let serials = self.tokens().map(|token| token.serial).chain(self.intent.iter().map(|intent| intent.serial));
        let counted = |serial: Serial| [serial.sequence, serial.attempt];
        serials.flat_map(counted).chain(numbers).all(|number| (0..token::LARGEST).contains(&number))
    }
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde asks by reference")]
fn as_written<S: serde::Serializer>(_: &i64, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_i64(SCHEMA)
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde asks by reference")]
fn is_zero(number: &i64) -> bool {
    *number == 0
}

/// The values of the tokens that a ledger knows.
pub type Values = BTreeMap<Serial, crate::secret_value::TokenSet>;
