//! What went wrong in a call to the API server, and which class that is: the only place that says so for this driver.
//!
//! Nothing of a body gets into a message except the sentence of a well-formed `Status`, cut to a sane length, and that
//! only for calls whose request and answer hold no token.

use std::{error::Error as _, time::Duration};

use tokio::time::timeout;

use crate::{
    api::text,
    connect::{
        cause::{self, Peer},
        objects::bad_name,
        trouble,
    },
    providers::{Class, Error},
};

/// How long one call may take. The API server's own limit for a request is a minute; we rather look again.
pub const DEADLINE: Duration = Duration::from_secs(10);

/// Most bytes of the API server's sentence in a message of ours.
const LONGEST_DETAIL: usize = 300;

/// A call that did not succeed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CallError {
    /// The API server, or something in front of it, answered with an error.
    Answered { code: u16, detail: String, retry_after: Option<Duration> },
    /// No answer, or one that could not be read. The request may have had its effect.
    NoAnswer { why: String },
    /// The request was never sent.
    NotSent { why: &'static str },
    /// Nor was this one: a name in it cannot be one.
    BadName { why: String },
}

/// Makes one call under the deadline.
pub async fn call<T>(request: impl Future<Output = Result<T, kube::Error>>) -> Result<T, CallError> {
    call_within(DEADLINE, request).await
}

async fn call_within<T>(
    deadline: Duration,
    request: impl Future<Output = Result<T, kube::Error>>,
) -> Result<T, CallError> {
    match timeout(deadline, request).await {
        Ok(result) => result.map_err(|error| CallError::from(&error)),
        Err(_) => Err(CallError::NoAnswer { why: format!("no answer within {} s", deadline.as_secs()) }),
    }
}

impl CallError {
    /// An answer with success that made no sense; never says what it was.
    pub fn unreadable() -> Self {
        Self::NoAnswer { why: "the answer is not the JSON that it should be".to_owned() }
    }

    /// Whether the API server answered with this HTTP status.
    pub fn is(&self, status: u16) -> bool {
        matches!(self, Self::Answered { code, .. } if *code == status)
    }

    /// The error of a call that changes nothing, or that may be repeated.
    pub fn of_repeatable(self, attempt: impl std::fmt::Display) -> Error {
        self.error(Class::Unavailable, attempt)
    }

    /// The error of a call that must not be repeated: whatever is not a plain refusal may have had its effect.
    pub fn of_create(self, attempt: impl std::fmt::Display) -> Error {
        self.error(Class::Unknown, attempt)
    }

    /// The same failure without the API server's sentence, for calls with a token in the request.
    pub fn without_detail(self) -> Self {
        match self {
            Self::Answered { code, retry_after, .. } => Self::Answered { code, detail: String::new(), retry_after },
            other => other,
        }
    }

    fn error(self, otherwise: Class, attempt: impl std::fmt::Display) -> Error {
        Error::new(self.class(otherwise), format!("{attempt}: {}", self.why()))
    }

    fn class(&self, otherwise: Class) -> Class {
        match self {
            Self::Answered { code: 401 | 403, .. } => Class::Refused,
            Self::Answered { code: 409, .. } => Class::Conflict,
            Self::Answered { code: 429, retry_after, .. } => Class::RateLimited { retry_after: *retry_after },
            // A timeout of something between us and the API server says nothing about the request.
            Self::Answered { code: 408, .. } => otherwise,
            Self::Answered { code: 400..=499, .. } => Class::Invalid,
            Self::Answered { .. } | Self::NoAnswer { .. } => otherwise,
            Self::NotSent { .. } => Class::Unavailable,
            Self::BadName { .. } => Class::Invalid,
        }
    }

    fn why(&self) -> String {
        match self {
            Self::Answered { code, detail, .. } if detail.is_empty() => format!("the API server answered {code}"),
            Self::Answered { code, detail, .. } => format!("the API server answered {code}: {detail}"),
            Self::NoAnswer { why } | Self::BadName { why } => why.clone(),
            Self::NotSent { why } => (*why).to_owned(),
        }
    }
}

impl From<&kube::Error> for CallError {
    fn from(error: &kube::Error) -> Self {
        match error {
            kube::Error::Api(status) => {
                let detail = trouble::sentence(status).unwrap_or_default();
                let detail = text::line(&detail, LONGEST_DETAIL);
                let seconds = status.details.as_ref().map_or(0, |details| details.retry_after_seconds);
                let retry_after = (seconds > 0).then(|| Duration::from_secs(seconds.into()));
                Self::Answered { code: status.code, detail, retry_after }
            }
            kube::Error::BuildRequest(_) | kube::Error::HttpError(_) => match bad_name(error) {
                Some(why) => Self::BadName { why: why.to_owned() },
                None => Self::NotSent { why: "the request could not be built; please report this as a bug" },
            },
            kube::Error::Auth(_) => Self::NotSent {
                why: "the operator could not read its own credential for the API server; check its ServiceAccount or kubeconfig",
            },
            kube::Error::SerdeError(_) | kube::Error::FromUtf8(_) => Self::unreadable(),
            other => Self::NoAnswer { why: transport_reason(other) },
        }
    }
}

/// What to do about the I/O error at the bottom, or its kind; other causes may quote what was read.
fn transport_reason(error: &kube::Error) -> String {
    let mut cause = error.source();
    while let Some(error) = cause {
        if let Some(io) = error.downcast_ref::<std::io::Error>().filter(|io| io.get_ref().is_none()) {
            return cause::sentence(io, Peer::ApiServer);
        }
        cause = error.source();
    }
    "the API server could not be reached".to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn api(code: u16, reason: &str, message: &str) -> kube::Error {
        kube::Error::Api(kube::core::Status::failure(message, reason).with_code(code).boxed())
    }

    #[test]
    fn answers_are_classified_by_status_and_lost_ones_by_what_was_called() {
        let limited = Class::RateLimited { retry_after: None };
        let cases = [
            (400, Class::Invalid, Class::Invalid),
            (401, Class::Refused, Class::Refused),
            (403, Class::Refused, Class::Refused),
            (404, Class::Invalid, Class::Invalid),
            (408, Class::Unavailable, Class::Unknown),
            (409, Class::Conflict, Class::Conflict),
            (413, Class::Invalid, Class::Invalid),
            (422, Class::Invalid, Class::Invalid),
            (429, limited, limited),
            (500, Class::Unavailable, Class::Unknown),
            (502, Class::Unavailable, Class::Unknown),
            (503, Class::Unavailable, Class::Unknown),
            (504, Class::Unavailable, Class::Unknown),
            (302, Class::Unavailable, Class::Unknown),
        ];
        for (code, repeatable, create) in cases {
            let failure = CallError::from(&api(code, "Reason", "sentence"));
            assert_eq!(failure.clone().of_repeatable("tried").class(), repeatable, "{code}");
            assert_eq!(failure.of_create("tried").class(), create, "{code}");
        }
        let lost =
            CallError::from(&kube::Error::Service(Box::new(std::io::Error::from(std::io::ErrorKind::ConnectionReset))));
        assert_eq!(lost.clone().of_repeatable("tried").class(), Class::Unavailable);
        assert_eq!(lost.clone().of_create("tried").class(), Class::Unknown);
        assert_eq!(
            lost.of_create("tried").to_string(),
            "tried: the API server, or a proxy or firewall before it, closed the connection; check their logs (connection reset)"
        );
        assert_eq!(CallError::unreadable().of_create("tried").class(), Class::Unknown);
        assert_eq!(CallError::NotSent { why: "why" }.of_create("tried").class(), Class::Unavailable);
    }

    #[test]
    fn retry_after_is_taken_from_the_answer() {
        let text = r#"{"code":429,"message":"slow down","details":{"retryAfterSeconds":7}}"#;
        let status: kube::core::Status = serde_json::from_str(text).unwrap();
        let error = CallError::from(&kube::Error::Api(status.boxed())).of_create("tried");
        assert_eq!(error.class(), Class::RateLimited { retry_after: Some(Duration::from_secs(7)) });
    }

    #[test]
    fn messages_hold_the_sentence_of_a_status_and_no_raw_body() {
        let message = |error: &kube::Error| CallError::from(error).of_repeatable("cannot read X").to_string();
        assert_eq!(message(&api(403, "Forbidden", "no")), "cannot read X: the API server answered 403: no");
        assert_eq!(
            message(&api(502, "Failed to parse error data", "<html>eyJhbGciOi")),
            "cannot read X: the API server answered 502"
        );
        assert!(message(&api(422, "Invalid", &"long ".repeat(1000))).len() < 400);
        let quoting = std::io::Error::other("read eyJhbGciOi");
        assert_eq!(
            message(&kube::Error::Service(Box::new(quoting))),
            "cannot read X: the API server could not be reached"
        );
        let hidden = CallError::from(&api(400, "BadRequest", "eyJhbGciOi")).without_detail();
        assert_eq!(
            hidden.of_repeatable("cannot review a token").to_string(),
            "cannot review a token: the API server answered 400"
        );
    }

    #[tokio::test]
    async fn a_call_without_answer_ends_at_the_deadline() {
        let failure = call_within(Duration::ZERO, std::future::pending::<Result<(), kube::Error>>()).await.unwrap_err();
        assert_eq!(failure, CallError::NoAnswer { why: "no answer within 0 s".to_owned() });
    }
}
