//! Names that other programs may depend on: API group, labels, annotations, finalizers, field managers.

/// API group of every custom resource.
pub const GROUP: &str = "tokenturn.dev";

/// Finalizer on a `RotatedToken` and on its record: neither goes while a token of theirs is alive.
pub const FINALIZER: &str = "tokenturn.dev/tokens-alive";

/// Field manager of every write that is not a stamp.
pub const FIELD_MANAGER: &str = "tokenturn";

/// Field manager of the pod template annotations.
pub const STAMP_FIELD_MANAGER: &str = "tokenturn-stamp";

/// Name of the controller in Events, and value of the `managed-by` label.
pub const CONTROLLER: &str = "tokenturn";

/// Label on every Secret that tokenturn creates.
pub const MANAGED_BY_LABEL: &str = "app.kubernetes.io/managed-by";

/// Label that says what a Secret of ours is: one of the `ROLE_*` values.
pub const ROLE_LABEL: &str = "tokenturn.dev/role";

/// The Secret that workloads read.
pub const ROLE_TARGET: &str = "target";

/// The operator's private ledger of one `RotatedToken`.
pub const ROLE_RECORD: &str = "record";

/// The record of an object that is gone and whose tokens could not be revoked: for people, no longer read by tokenturn.
pub const ROLE_LEFT: &str = "left-alive";

/// Annotation on a record: names of the Secrets of which it holds a copy, with commas between.
pub const KEPT_ANNOTATION: &str = "tokenturn.dev/kept-secrets";

/// Annotation on a record: digests of the providers that these Secrets may be shown to.
pub const SHOWN_TO_ANNOTATION: &str = "tokenturn.dev/kept-for";

/// Annotation on a record that was left to people: what lives on, and what to do.
pub const LEFT_ANNOTATION: &str = "tokenturn.dev/left-alive";

/// The Secret to which one token of the `kubernetes` provider is bound; deleting it revokes the token.
pub const ROLE_BOUND: &str = "bound-token";

/// Label with the UID of the `RotatedToken` that a Secret belongs to.
pub const OWNER_UID_LABEL: &str = "tokenturn.dev/owner-uid";

/// Annotation with the namespace of the `RotatedToken` that a record belongs to.
pub const OWNER_NAMESPACE_ANNOTATION: &str = "tokenturn.dev/owner-namespace";

/// Annotation with the name of the `RotatedToken` that a Secret belongs to.
pub const OWNER_NAME_ANNOTATION: &str = "tokenturn.dev/owner-name";

/// Annotation on a target: which serial, `sequence.attempt`, its value is.
pub const SERIAL_ANNOTATION: &str = "tokenturn.dev/generation";

/// Annotation on a target: an attempt that was refused; writing it invalidates every write based on an older read.
pub const FENCE_ANNOTATION: &str = "tokenturn.dev/fence";

/// Annotation on a target that `deletionPolicy: Orphan` leaves: its orphaned token, which the operator no longer rotates.
pub const ORPHANED_ANNOTATION: &str = "tokenturn.dev/orphaned-token";

/// Annotation on a target that was adopted: live tokens of owners before, which the operator does not rotate. It stays until a user removes it.
pub const EARLIER_ORPHANED_ANNOTATION: &str = "tokenturn.dev/earlier-orphaned-tokens";

/// Annotation that a user sets on an existing Secret to let it be adopted: the name of the `RotatedToken` that may write it.
pub const ADOPT_ANNOTATION: &str = "tokenturn.dev/adopt";

/// Annotation on a `RotatedToken` and on its target: the installation of tokenturn that holds the record, by the first eight
/// digits of the UID of its namespace.
pub const INSTALL_ANNOTATION: &str = "tokenturn.dev/install";

/// Annotation that a user sets on a `RotatedToken` to move it here from another installation: the id of that one.
pub const TAKE_OVER_ANNOTATION: &str = "tokenturn.dev/take-over";

/// Annotation that a user sets on a `RotatedToken` to ask for one rotation; any value not seen before counts.
pub const ROTATE_NOW_ANNOTATION: &str = "tokenturn.dev/rotate-now";

/// Prefix of the pod template annotation that rolls a workload; the name of the `RotatedToken` follows.
pub const STAMP_PREFIX: &str = "rotation.tokenturn.dev/";
