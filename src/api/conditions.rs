//! Condition types and every reason that conditions and Events carry. No reason is spelled anywhere else.

use serde::{Deserialize, Serialize};

/// The Secret holds a working token of the declared spec. Of a provider: tokens can be minted and revoked.
pub const READY: &str = "Ready";
/// The operator is between the intent of a rotation and its promotion.
pub const RECONCILING: &str = "Reconciling";
/// Nothing more happens without help or a long wait.
pub const STALLED: &str = "Stalled";
/// No pod can still hold a token older than the current one.
pub const PICKED_UP: &str = "PickedUp";
/// A pod, node or workload keeps the old token alive until a user acts; only shown where one does.
pub const PICKUP_BLOCKED: &str = "PickupBlocked";
/// The provider answered as needed.
pub const PROVIDER_READY: &str = "ProviderReady";
/// The token may do what was asked for and nothing else.
pub const LEAST_PRIVILEGE: &str = "LeastPrivilege";
/// Everything that the recipe says was shown to be so; only shown where it was not.
pub const RECIPE_PROVEN: &str = "RecipeProven";

/// Old and new token are valid together during a rotation; only shown where they are not.
pub const OVERLAP: &str = "Overlap";
/// Rotations come as `spec.interval` says; only shown where they come more often, or more seldom.
pub const INTERVAL_KEPT: &str = "IntervalKept";

/// Every condition, in the order of the docs.
pub const ALL: [&str; 10] = [
    READY,
    RECONCILING,
    STALLED,
    PICKED_UP,
    PICKUP_BLOCKED,
    PROVIDER_READY,
    LEAST_PRIVILEGE,
    RECIPE_PROVEN,
    OVERLAP,
    INTERVAL_KEPT,
];

/// Those that stay as they are shown when nothing could be observed.
pub const KEPT: [&str; 7] =
    [PICKED_UP, PICKUP_BLOCKED, PROVIDER_READY, LEAST_PRIVILEGE, RECIPE_PROVEN, OVERLAP, INTERVAL_KEPT];

/// Names each reason once: in the type, in the list of all, and as text.
macro_rules! reasons {
    ($($(#[$doc:meta])* $name:ident,)*) => {
        /// A reason of a condition or an Event: CamelCase, stable, listed in the docs.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
        pub enum Reason {
            $($(#[$doc])* $name,)*
        }

        impl Reason {
            /// Every reason, for the docs.
            pub const ALL: &[Self] = &[$(Self::$name,)*];

            /// The text in conditions and Events.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self {
                    $(Self::$name => stringify!($name),)*
                }
            }
        }
    };
}

reasons! {
    /// At rest: the token is published and the older one is dead.
    #[serde(alias = "Rotated")]
    UpToDate,
    /// No new token is being issued.
    NotReconciling,
    /// Nothing stands in the way.
    NotStalled,
    /// No operator has seen the object.
    Unseen,
    /// The first token is being issued.
    FirstIssue,
    /// The token became older than the interval.
    IntervalElapsed,
    /// The token would expire soon.
    ExpiresSoon,
    /// Permissions, parameters or provider were changed.
    SpecChanged,
    /// A user set the rotate-now annotation.
    RotateNow,
    /// The value is neither in the record nor in the Secret.
    ValueLost,
    /// A token is being minted.
    Minting,
    /// The minted token is not yet usable or is being checked.
    Verifying,
    /// The new token was written into the Secret.
    Published,
    /// Waiting for the settle time after the Secret was written.
    Settling,
    /// The workloads are being restarted.
    RollingOut,
    /// Pods that may hold the old token are still there.
    AwaitingPickup,
    /// Something keeps the old token alive until a user acts.
    ActionNeeded,
    /// No pod can hold the old token any more.
    PickedUp,
    /// The grace period runs.
    InGrace,
    /// The old token is being revoked and shown to be dead.
    Revoking,
    /// The old token was revoked and shown to be dead.
    Revoked,
    /// The old token cannot be revoked at its provider: it ends when it expires.
    AwaitingExpiry,
    /// A token that an answer was lost for may be alive at the provider; it ends when it expires.
    #[serde(alias = "LeftBehind")]
    TokenMayRemain,
    /// A token that was never published was revoked.
    UnpublishedRevoked,
    /// The Secret was changed by another client and was restored from the record.
    DriftRepaired,
    /// The record was lost and rebuilt from the Secret and the provider.
    Readopted,
    /// The record went back: the data of the cluster was restored from a backup.
    Restored,
    /// The record is marked for deletion by another client.
    RecordDeleted,
    /// The Secret exists and belongs to another owner.
    ForeignSecret,
    /// The object belongs to another installation of tokenturn.
    OtherInstallation,
    /// The record says that it belongs to another object.
    ForeignRecord,
    /// The provider lists a name like ours with a number that was never counted to.
    ImplausibleName,
    /// A dry run showed that the Secret cannot be written.
    CannotPublish,
    /// The operator lacks a right that it needs for this rotation.
    AccessDenied,
    /// The provider object does not exist.
    ProviderMissing,
    /// The provider object does not allow this.
    PolicyForbids,
    /// The spec has a mistake that the API server could not see.
    InvalidSpec,
    /// A permission is not in the provider's vocabulary.
    UnknownPermission,
    /// The token was granted less than was asked for.
    PermissionsMissing,
    /// The provider does not do what the recipe says.
    RecipeWrong,
    /// Something that the recipe says could not be shown to be so.
    RecipeUnproven,
    /// A create may have been carried out, and its answer is lost.
    AnswerLost,
    /// The old token was used when no pod could hold it any more.
    StillInUse,
    /// The provider refuses a token that the operator has not revoked, and it is not known to be dead.
    TokenRefused,
    /// The provider answers each revoke with success, and the token is there still.
    RevokeWithoutEffect,
    /// Labels or annotations of the Secret are changed by another client after each repair.
    #[serde(alias = "MetadataContested")]
    MetadataConflict,
    /// The provider grants lives so short that rotations come more often than the interval says.
    ShortLifetime,
    /// The grace period is so long that rotations come more seldom than the interval says.
    LongGracePeriod,
    /// The token may do more than was asked for.
    SurplusPermissions,
    /// The token may do what was asked for and nothing else.
    PermissionsExact,
    /// The provider ends the old token when it makes the new one.
    InPlace,
    /// Too many live tokens at the provider.
    TooManyLiveTokens,
    /// The attempts of this rotation failed; the next one waits.
    AttemptsExhausted,
    /// The provider could not be reached or answered with an error.
    ProviderUnavailable,
    /// The provider does not accept the operator's credential.
    CredentialRejected,
    /// The Secret or the ServiceAccount of the operator's credential does not exist.
    CredentialMissing,
    /// The provider refused the operator, or the token that it had just issued.
    ProviderRefused,
    /// The limit of the provider's plan is used up.
    QuotaExceeded,
    /// The account may not use the provider now: its licence or plan has run out.
    AccountSuspended,
    /// The operator's credential at the provider expires soon.
    CredentialExpiring,
    /// The provider's clock and ours are far apart.
    ClockSkewed,
    /// The provider answers as needed.
    ProviderAnswers,
    /// New rotations are suspended by the spec.
    Suspended,
    /// The object is being deleted and its tokens are still alive.
    Deleting,
    /// The object went and left its token alive, as its policy says.
    Orphaned,
    /// The object went with its namespace and its token could not be revoked: its credential had gone before.
    LeftAlive,
    /// The API server refuses a write of the operator: a policy or a webhook, or a value that is not valid.
    WriteRefused,
    /// The API server of the cluster did not answer as needed.
    ApiServerUnavailable,
    /// Another client undoes what the operator writes, again and again.
    #[serde(alias = "Contested")]
    ConflictingWriter,
    /// The reconcile failed in an unexpected way.
    InternalError,
}

impl std::fmt::Display for Reason {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.as_str())
    }
}
