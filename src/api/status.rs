//! Status of a `RotatedToken`: a view of the record for people, never read back for a decision.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// How many rotations `status.history` remembers.
pub const HISTORY_LENGTH: usize = 10;

/// What the operator did and observes. Written for users and tools; the operator itself never reads it back.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Debug, Default, PartialEq)]
#[serde(rename_all = "camelCase")]
pub struct RotatedTokenStatus {
    /// `Ready`: the Secret holds a working token. `Reconciling`: the operator is between the intent of a rotation and
    /// its promotion. `Stalled`: it cannot go on before a user acts; the message says what to do. `PickedUp`: no pod can
    /// still hold a token older than the current one. `PickupBlocked`: a pod, node or workload keeps the old token
    /// alive until a user acts. `ProviderReady`: the provider answered as needed. `LeastPrivilege`: False when the
    /// token may do more than was asked for. docs/conditions.md has all of them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["type"]))]
    pub conditions: Vec<Condition>,

    /// The generation of the spec that this status speaks of. -1 until an operator has seen the object: if it stays so,
    /// no operator serves the namespace.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,

    /// The id of the installation of tokenturn that serves this object: the UID of its namespace, or its beginning.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub install: Option<String>,

    /// The value of the annotation `tokenturn.dev/rotate-now` that was handled last. A value is handled when the
    /// rotation that it asked for is promoted, that is, when the new token is in the Secret and current; or when the
    /// operator refuses to rotate, and condition `Stalled` says why. A value that waits (for the end of the rotation
    /// before, for `policy.minInterval`, or while `spec.suspend` is set) is not handled yet. Of a longer value, the
    /// first 256 characters.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_handled_rotate_now: Option<String>,

    /// Number of the rotation whose token is current: 1, 2, 3, ...
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sequence: Option<i64>,

    /// The token that the Secret holds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub current: Option<TokenStatus>,

    /// The token before it, until it is revoked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub previous: Option<TokenStatus>,

    /// Who may still hold the previous token.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pickup: Option<PickupStatus>,

    /// When the next rotation is due.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next_rotation: Option<Time>,

    /// The last ten finished rotations, oldest first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 10))]
    pub history: Vec<HistoryEntry>,
}

/// One token, without its value.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Debug, PartialEq)]
#[serde(rename_all = "camelCase")]
pub struct TokenStatus {
    /// The name under which the provider knows the token.
    pub id: String,

    /// First 12 hexadecimal digits of the SHA-256 of the value: enough to distinguish tokens, useless to guess one.
    pub fingerprint: String,

    /// When the provider issued it.
    pub issued_at: Time,

    /// When it expires; absent if it does not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires_at: Option<Time>,

    /// What it was requested for.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub permissions: Vec<String>,
}

/// Who may still hold the previous token.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Debug, Default, PartialEq)]
#[serde(rename_all = "camelCase")]
pub struct PickupStatus {
    /// Pods that could hold the old token when the new one was published.
    pub total: i64,

    /// Those of them that may still hold it.
    pub remaining: i64,

    /// `done/total`, for the PICKUP column.
    pub summary: String,

    /// The pods and workloads that delay the revoke, at most ten.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 10))]
    pub blockers: Vec<Blocker>,
}

/// One reason why the old token cannot be revoked yet.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[serde(rename_all = "camelCase")]
pub struct Blocker {
    /// The pod, or `kind/name` of a workload.
    pub pod: String,

    /// The container that reads the Secret, where one is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub container: Option<String>,

    /// Why it may still hold the old token, and what would change that.
    pub why: String,

    /// It does not end by itself: a user has to do what `why` says. Condition `PickupBlocked` is True then.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub action_needed: bool,
}

/// One finished rotation.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Debug, PartialEq)]
#[serde(rename_all = "camelCase")]
pub struct HistoryEntry {
    /// Number of the rotation.
    pub sequence: i64,

    /// Why it took place.
    pub reason: String,

    /// When its token became current.
    pub at: Time,

    /// When the token before it was verified to be rejected; absent for the first one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub revoked_at: Option<Time>,
}
