//! Errors of the edge in the words of the core: a reason, a sentence, whether a user or an administrator has to act.

use crate::{
    api::conditions::Reason,
    core::seen::answers::{Fault, FaultClass, Origin},
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
            Class::AccessDenied => (Reason::AccessDenied, true, None),
            Class::Forbidden => (Reason::PolicyForbids, true, None),
            Class::AccountSuspended => (Reason::AccountSuspended, true, None),
            Class::Invalid | Class::Missing => (Reason::InvalidSpec, true, None),
            Class::UnknownPermission => (Reason::UnknownPermission, true, None),
        };
        let class = match error.class() {
            Class::Unauthorized => FaultClass::CredentialRejected,
            Class::CredentialMissing => FaultClass::CredentialMissing,
            Class::Invalid | Class::Missing => FaultClass::Invalid,
            _ => FaultClass::Other,
        };
        let origin = match error.class() {
            Class::Missing | Class::UnknownPermission => Origin::Spec,
            _ => Origin::Provider,
        };
        Self { reason, message: error.to_string(), needs_person, retry_after, class, origin }
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
            let message = advice(&reported).map(|advice| format!("{advice} ({reported})")).unwrap_or(reported);
            Fault::lasting(Reason::CannotPublish, message)
        }
        _ => Fault::passing(Reason::ApiServerUnavailable, error.describe()),
    }
}

/// What the API server says of a Secret that it does not take, and what to do about it. The first one that fits counts.
const ADVICE: [(&str, &str); 10] = [
    (
        "type: Invalid value",
        "the type of an existing Secret cannot be changed; delete the Secret, or correct spec.secret.type",
    ),
    (
        "immutable",
        "the Secret is immutable; scale every workload that uses the Secret to 0, delete it, and scale up again",
    ),
    ("exceeded quota", "a ResourceQuota of the namespace is used up; raise it, or delete Secrets"),
    (
        "admission webhook",
        "an admission webhook rejects the Secret; change spec.secret as it asks, or ask its owner for an exception",
    ),
    (
        "ValidatingAdmissionPolicy",
        "an admission policy rejects the Secret; change spec.secret as it asks, or ask its owner for an exception",
    ),
    ("is being terminated", "the namespace is being deleted; nothing new can be created in it"),
    ("metadata.labels", "the API server rejects a label of the Secret; correct spec.secret.labels"),
    ("metadata.annotations", "the API server rejects an annotation of the Secret; correct spec.secret.annotations"),
    ("metadata.name", "the API server rejects the name of the Secret; correct spec.secret.name"),
    (
        "data[",
        "the API server rejects the keys of the Secret; correct spec.secret.data, or spec.secret.type, which needs certain keys",
    ),
];

fn advice(reported: &str) -> Option<&'static str> {
    let known = ADVICE.iter().find(|(sign, _)| reported.contains(sign)).map(|(_, advice)| *advice);
    let is_of_role = reported.contains("is forbidden") && reported.contains("cannot ");
    known.or_else(|| {
        is_of_role
            .then_some("the operator's role lacks a right on the Secret; compare its roles with those of the chart")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The rights that the kubernetes provider needs were called refused by it on one object, and lacking on the other.
    #[test]
    fn what_the_operator_lacks_and_what_the_spec_names_in_vain_is_not_the_providers_refusal() {
        use providers::Class;
        let fault = |class| Fault::from(&providers::Error::new(class, "why"));
        let lacking = fault(Class::AccessDenied);
        assert_eq!(
            (lacking.reason, lacking.needs_person, lacking.origin),
            (Reason::AccessDenied, true, Origin::Provider)
        );
        let missing = fault(Class::Missing);
        assert_eq!(
            (missing.reason, missing.class, missing.origin),
            (Reason::InvalidSpec, FaultClass::Invalid, Origin::Spec)
        );
        assert_eq!(fault(Class::UnknownPermission).origin, Origin::Spec);
        assert_eq!(fault(Class::Invalid).origin, Origin::Provider, "a redirect");
    }

    /// An answer 422 to a label named no field of the spec.
    #[test]
    fn what_the_api_server_refuses_names_the_field_and_what_to_do() {
        for (said, what) in [
            (
                r#"Secret "api" is invalid: metadata.labels: Invalid value: "a b": a valid label must be"#,
                "spec.secret.labels",
            ),
            (r#"Secret "api" is invalid: metadata.annotations: Too long"#, "spec.secret.annotations"),
            (
                r#"Secret "api" is invalid: data: Forbidden: field is immutable when `immutable` is set"#,
                "scale every workload",
            ),
            (r#"Secret "api" is invalid: type: Invalid value: "Opaque": field is immutable"#, "spec.secret.type"),
            (r#"Secret "api" is invalid: data[tls.crt]: Required value"#, "spec.secret.data"),
            (r#"secrets "api" is forbidden: exceeded quota: few, requested: secrets=1"#, "ResourceQuota"),
            (r#"secrets "api" is forbidden: User "x" cannot create resource "secrets""#, "compare its roles"),
            (r#"admission webhook "w" denied the request: no"#, "admission webhook"),
        ] {
            let status =
                serde_json::from_value(serde_json::json!({"code": 422, "message": said, "reason": "Invalid"})).unwrap();
            let message =
                cannot_publish(&kube_io::Error::api("writing Secret shop/api")(kube::Error::Api(Box::new(status))))
                    .message;
            assert!(
                message.contains(what) && message.ends_with(&format!("(writing Secret shop/api: {said})")),
                "{message}"
            );
        }
    }
}
