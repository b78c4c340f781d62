//! What went wrong at the API server, reported with what was being done.

use super::Swap;
use crate::{
    api::text,
    connect::{objects, trouble},
};

/// A call to the API server that did not succeed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("{doing}")]
    Api {
        doing: String,
        #[source]
        source: kube::Error,
    },
    /// An answer that is older than one before it.
    #[error("the API server answered with an older version of {what} than before; the operator reconciles again")]
    Outdated { what: String },
    /// What was not done in the time that one reconcile has.
    #[error("{doing} took too long, because the API server answers slowly; the operator reconciles again")]
    Overdue { doing: &'static str },
    /// An object that cannot be what it claims to be.
    #[error("{what}: {why}")]
    Malformed { what: String, why: String },
}

impl Error {
    /// An error of a call, with what it was for: `reading Secret shop/api-token`.
    pub fn api(doing: impl Into<String>) -> impl FnOnce(kube::Error) -> Self {
        let doing = doing.into();
        move |source| Self::Api { doing, source }
    }

    /// The HTTP status that the API server answered with.
    #[must_use]
    pub fn code(&self) -> Option<u16> {
        match self {
            Self::Api { source: kube::Error::Api(status), .. } => Some(status.code),
            Self::Api { .. } | Self::Outdated { .. } | Self::Overdue { .. } | Self::Malformed { .. } => None,
        }
    }

    /// The API server refused: a role lacks a verb.
    #[must_use]
    pub fn is_forbidden(&self) -> bool {
        matches!(self.code(), Some(401 | 403))
    }

    /// A name in it cannot be one: nothing was asked, and somebody has to correct it.
    #[must_use]
    pub fn is_bad_name(&self) -> bool {
        matches!(self, Self::Api { source, .. } if objects::bad_name(source).is_some())
    }

    /// The API server does not take the request: a policy or a webhook of the cluster, or a value that is not valid. Nothing but a change
    /// of these makes it take it.
    #[must_use]
    pub fn is_refused(&self) -> bool {
        match self {
            Self::Api { source: kube::Error::Api(status), .. } => {
                matches!(status.code, 400 | 413 | 422) || (status.code == 403 && is_of_admission(&status.message))
            }
            _ => false,
        }
    }

    /// The API server has no such object, and cannot have one.
    #[must_use]
    pub fn is_final(&self) -> bool {
        matches!(self.code(), Some(400 | 404 | 422)) || self.is_bad_name()
    }

    /// One bounded line with the cause.
    #[must_use]
    pub fn describe(&self) -> String {
        match self {
            // What was being done has the name in it.
            Self::Api { source, .. } if self.is_bad_name() => trouble::why(source),
            Self::Api { doing, source } => {
                format!("{}: {}", text::line(doing, text::NOTE), trouble::why(source))
            }
            Self::Outdated { .. } | Self::Overdue { .. } | Self::Malformed { .. } => {
                text::line(&self.to_string(), text::LOGGED)
            }
        }
    }
}

/// A webhook or a policy says so itself; roles say "cannot".
fn is_of_admission(message: &str) -> bool {
    ["admission webhook", "ValidatingAdmissionPolicy", "denied the request"].iter().any(|sign| message.contains(sign))
}

/// Turns the answers that mean "somebody was faster" into a value.
///
/// 409: the version has changed, or an object of this name was made meanwhile. 404: it is gone.
pub fn swapped<T>(result: Result<T, kube::Error>, doing: impl Into<String>) -> Result<Swap, Error> {
    match result {
        Ok(_) => Ok(Swap::Done),
        Err(kube::Error::Api(status)) if matches!(status.code, 404 | 409) => Ok(Swap::Conflict),
        Err(source) => Err(Error::Api { doing: doing.into(), source }),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    /// A policy that answered 422 was taken for an API server that does not work, and nothing was reported.
    #[test]
    fn what_a_policy_refuses_is_no_failure_of_the_api_server() {
        let of = |code: u16, message: &str| {
            let status = serde_json::from_value(json!({"code": code, "message": message, "reason": ""})).unwrap();
            let error = Error::api("stamping")(kube::Error::Api(Box::new(status)));
            (error.is_refused(), error.is_forbidden())
        };
        let policy = "ValidatingAdmissionPolicy 'no-restarts' with binding 'b' denied request: not today";
        for code in [400, 413, 422] {
            assert_eq!(of(code, policy), (true, false), "{code}");
        }
        assert!(of(403, "admission webhook \"x\" denied the request: no").0);
        assert_eq!(of(403, "deployments.apps \"app\" is forbidden: User \"x\" cannot patch resource"), (false, true));
        for code in [404, 409, 429, 500, 503] {
            assert!(!of(code, "").0, "{code}");
        }
    }
}
