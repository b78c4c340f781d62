//! Errors of the edge in the words of the core: a reason, a sentence, whether a person has to act.

use crate::{
    api::conditions::Reason,
    core::seen::answers::{Fault, FaultClass},
    kube_io, providers,
};

impl From<&providers::Error> for Fault {
    fn from(error: &providers::Error) -> Self {
        use providers::Class;
        let (reason, needs_person, retry_after) = match error.class() {
            Class::Unknown => (Reason::AnswerLost, false, None),
            Class::Unavailable | Class::Conflict => (Reason::ProviderUnavailable, false, None),
            Class::RateLimited { retry_after } => (Reason::ProviderUnavailable, false, retry_after),
            Class::QuotaExceeded { retry_after } => (Reason::QuotaExceeded, true, Some(retry_after)),
            Class::Unauthorized => (Reason::CredentialRejected, true, None),
            Class::CredentialMissing => (Reason::CredentialMissing, true, None),
            Class::Refused => (Reason::ProviderRefused, true, None),
            Class::Forbidden => (Reason::PolicyForbids, true, None),
            Class::AccountSuspended => (Reason::AccountSuspended, true, None),
            Class::Invalid => (Reason::InvalidSpec, true, None),
            Class::UnknownPermission => (Reason::UnknownPermission, true, None),
        };
        let class = match error.class() {
            Class::Unauthorized => FaultClass::CredentialRejected,
            Class::CredentialMissing => FaultClass::CredentialMissing,
            Class::Forbidden => FaultClass::PolicyForbids,
            Class::Invalid => FaultClass::Invalid,
            _ => FaultClass::Other,
        };
        Self { reason, message: error.to_string(), needs_person, retry_after, class }
    }
}

impl From<providers::Error> for Fault {
    fn from(error: providers::Error) -> Self {
        Self::from(&error)
    }
}

impl From<kube_io::Error> for Fault {
    fn from(error: kube_io::Error) -> Self {
        let (reason, needs_person) = match &error {
            error if error.is_bad_name() => (Reason::InvalidSpec, true),
            error if error.is_refused() => (Reason::WriteRefused, true),
            error if error.is_forbidden() => (Reason::AccessDenied, true),
            _ => (Reason::ApiServerUnavailable, false),
        };
        Self { needs_person, ..Self::passing(reason, error.describe()) }
    }
}

/// The target cannot be written: the API server's own words, and what it is about.
#[must_use]
pub fn cannot_publish(error: &kube_io::Error) -> Fault {
    match error.code() {
        // Refused for good: a right, a policy, a quota, an immutable Secret, a name that is not possible.
        Some(400 | 401 | 403 | 404 | 422) => {
            let reported = error.describe();
            let message = if reported.contains("immutable") {
                format!("{reported}; scale every workload that uses the Secret to 0, delete it, and scale up again")
            } else {
                reported
            };
            Fault::lasting(Reason::CannotPublish, message)
        }
        _ => Fault::passing(Reason::ApiServerUnavailable, error.describe()),
    }
}
