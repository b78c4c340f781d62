//! Condition types and every reason that conditions and Events carry. No reason is spelled anywhere else.

use serde::{Deserialize, Serialize};

/// The Secret holds a working token of the declared spec.
pub const READY: &str = "Ready";
/// A rotation is under way.
pub const RECONCILING: &str = "Reconciling";
/// Nothing more happens without help or a long wait.
pub const STALLED: &str = "Stalled";
/// No pod can still hold a token older than the current one.
pub const PICKED_UP: &str = "PickedUp";
/// The provider answered as needed.
pub const PROVIDER_READY: &str = "ProviderReady";
/// The token may do what was asked for and nothing else.
pub const LEAST_PRIVILEGE: &str = "LeastPrivilege";
/// Everything that the recipe says was shown to be so; only shown where it was not.
pub const RECIPE_PROVEN: &str = "RecipeProven";

/// Old and new token are valid together during a rotation; only shown where they are not.
pub const OVERLAP: &str = "Overlap";

/// A reason of a condition or an Event: CamelCase, stable, listed in the docs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Reason {
    /// At rest: the token is published and the older one is dead.
    Rotated,
    /// The first token is being issued.
    FirstIssue,
    /// The token became older than the interval.
    IntervalElapsed,
    /// The token would expire soon.
    ExpiresSoon,
    /// Permissions, parameters or provider were changed.
    SpecChanged,
    /// Somebody set the rotate-now annotation.
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
    /// The old token was used when no pod could hold it any more.
    StillInUse,
    /// The provider refuses a token that nobody here has revoked, and it is not known to be dead.
    TokenRefused,
    /// Labels or annotations of the Secret are changed by somebody else after each repair.
    MetadataContested,
    /// The provider answers each revoke with success, and the token is there still.
    RevokeWithoutEffect,
    /// A create may have been carried out, and its answer is lost.
    AnswerLost,
    /// A token that an answer was lost for may be alive at the provider; it ends when it expires.
    LeftBehind,
    /// A token that was never published was revoked.
    UnpublishedRevoked,
    /// The Secret was changed by somebody else and was repaired from the record.
    DriftRepaired,
    /// The record was lost and rebuilt from the Secret and the provider.
    Readopted,
    /// The record went back: the data of the cluster was restored from a backup.
    Restored,
    /// The record is marked for deletion by somebody else.
    RecordDeleted,
    /// The Secret exists and belongs to somebody else.
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
    /// Somebody undoes what the operator writes, again and again.
    Contested,
    /// The pass failed in an unexpected way.
    InternalError,
}

impl Reason {
    /// Every reason, in the order of the docs.
    pub const ALL: [Self; 64] = [
        Self::Rotated,
        Self::FirstIssue,
        Self::IntervalElapsed,
        Self::ExpiresSoon,
        Self::SpecChanged,
        Self::RotateNow,
        Self::ValueLost,
        Self::Minting,
        Self::Verifying,
        Self::Published,
        Self::Settling,
        Self::RollingOut,
        Self::AwaitingPickup,
        Self::PickedUp,
        Self::InGrace,
        Self::Revoking,
        Self::Revoked,
        Self::AwaitingExpiry,
        Self::LeftBehind,
        Self::UnpublishedRevoked,
        Self::DriftRepaired,
        Self::Readopted,
        Self::Restored,
        Self::RecordDeleted,
        Self::ForeignSecret,
        Self::OtherInstallation,
        Self::ForeignRecord,
        Self::ImplausibleName,
        Self::CannotPublish,
        Self::AccessDenied,
        Self::ProviderMissing,
        Self::PolicyForbids,
        Self::InvalidSpec,
        Self::UnknownPermission,
        Self::PermissionsMissing,
        Self::RecipeWrong,
        Self::RecipeUnproven,
        Self::AnswerLost,
        Self::StillInUse,
        Self::TokenRefused,
        Self::RevokeWithoutEffect,
        Self::MetadataContested,
        Self::SurplusPermissions,
        Self::PermissionsExact,
        Self::InPlace,
        Self::TooManyLiveTokens,
        Self::AttemptsExhausted,
        Self::ProviderUnavailable,
        Self::CredentialRejected,
        Self::CredentialMissing,
        Self::ProviderRefused,
        Self::QuotaExceeded,
        Self::AccountSuspended,
        Self::CredentialExpiring,
        Self::ClockSkewed,
        Self::ProviderAnswers,
        Self::Suspended,
        Self::Deleting,
        Self::Orphaned,
        Self::LeftAlive,
        Self::WriteRefused,
        Self::ApiServerUnavailable,
        Self::Contested,
        Self::InternalError,
    ];

    /// The text in conditions and Events.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Rotated => "Rotated",
            Self::FirstIssue => "FirstIssue",
            Self::IntervalElapsed => "IntervalElapsed",
            Self::ExpiresSoon => "ExpiresSoon",
            Self::SpecChanged => "SpecChanged",
            Self::RotateNow => "RotateNow",
            Self::ValueLost => "ValueLost",
            Self::Minting => "Minting",
            Self::Verifying => "Verifying",
            Self::Published => "Published",
            Self::Settling => "Settling",
            Self::RollingOut => "RollingOut",
            Self::AwaitingPickup => "AwaitingPickup",
            Self::PickedUp => "PickedUp",
            Self::InGrace => "InGrace",
            Self::Revoking => "Revoking",
            Self::Revoked => "Revoked",
            Self::AwaitingExpiry => "AwaitingExpiry",
            Self::LeftBehind => "LeftBehind",
            Self::UnpublishedRevoked => "UnpublishedRevoked",
            Self::DriftRepaired => "DriftRepaired",
            Self::Readopted => "Readopted",
            Self::Restored => "Restored",
            Self::RecordDeleted => "RecordDeleted",
            Self::ForeignSecret => "ForeignSecret",
            Self::OtherInstallation => "OtherInstallation",
            Self::ForeignRecord => "ForeignRecord",
            Self::ImplausibleName => "ImplausibleName",
            Self::CannotPublish => "CannotPublish",
            Self::AccessDenied => "AccessDenied",
            Self::ProviderMissing => "ProviderMissing",
            Self::PolicyForbids => "PolicyForbids",
            Self::InvalidSpec => "InvalidSpec",
            Self::UnknownPermission => "UnknownPermission",
            Self::PermissionsMissing => "PermissionsMissing",
            Self::RecipeWrong => "RecipeWrong",
            Self::RecipeUnproven => "RecipeUnproven",
            Self::AnswerLost => "AnswerLost",
            Self::StillInUse => "StillInUse",
            Self::TokenRefused => "TokenRefused",
            Self::MetadataContested => "MetadataContested",
            Self::RevokeWithoutEffect => "RevokeWithoutEffect",
            Self::SurplusPermissions => "SurplusPermissions",
            Self::PermissionsExact => "PermissionsExact",
            Self::InPlace => "InPlace",
            Self::TooManyLiveTokens => "TooManyLiveTokens",
            Self::AttemptsExhausted => "AttemptsExhausted",
            Self::ProviderUnavailable => "ProviderUnavailable",
            Self::CredentialRejected => "CredentialRejected",
            Self::CredentialMissing => "CredentialMissing",
            Self::ProviderRefused => "ProviderRefused",
            Self::QuotaExceeded => "QuotaExceeded",
            Self::AccountSuspended => "AccountSuspended",
            Self::CredentialExpiring => "CredentialExpiring",
            Self::ClockSkewed => "ClockSkewed",
            Self::ProviderAnswers => "ProviderAnswers",
            Self::Suspended => "Suspended",
            Self::Deleting => "Deleting",
            Self::Orphaned => "Orphaned",
            Self::LeftAlive => "LeftAlive",
            Self::WriteRefused => "WriteRefused",
            Self::ApiServerUnavailable => "ApiServerUnavailable",
            Self::Contested => "Contested",
            Self::InternalError => "InternalError",
        }
    }
}

impl std::fmt::Display for Reason {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A reason that is missing in the list would be missing in the docs, and nobody would notice.
    #[test]
    fn the_list_has_every_reason() {
        let source = include_str!("conditions.rs");
        let arms = source.lines().filter_map(|line| line.trim().strip_prefix("Self::")?.split_once(" => \"")).count();
        assert_eq!(Reason::ALL.len(), arms);
        let distinct: std::collections::BTreeSet<_> = Reason::ALL.into_iter().map(Reason::as_str).collect();
        assert_eq!(distinct.len(), arms);
    }
}
