//! What a failed call to the API server is reported as: one bounded line, and nothing of what could hold a value.

use kube::{Error, runtime::watcher};

use super::{
    cause::{self, Peer},
    objects::bad_name,
};
use crate::api::text;

/// What the client gives as the reason of an answer that was no `Status`; its message is the raw body then.
const NOT_A_STATUS: &str = "Failed to parse error data";

/// Most bytes of the API server's sentence: admission webhooks and policies write long ones.
const LONGEST: usize = 2 * text::SENTENCE;

/// The API server's sentence, if it answered with one.
#[must_use]
pub fn sentence(status: &kube::core::Status) -> Option<String> {
    (status.reason != NOT_A_STATUS).then(|| text::line(&status.message, LONGEST))
}

/// Why a call failed.
#[must_use]
pub fn why(error: &Error) -> String {
    match error {
        Error::Api(status) => sentence(status).filter(|sentence| !sentence.is_empty()).unwrap_or_else(|| {
            format!("the API server, or a proxy in front of it, answered {} without a reason", status.code)
        }),
        // The reader quotes what it could not read.
        Error::SerdeError(_) | Error::FromUtf8(_) => {
            "the answer of the API server is not the JSON that it should be; check what is in front of it".to_owned()
        }
        other => bad_name(other)
            .map_or_else(|| text::line(&cause::sentence(other, Peer::ApiServer), text::SENTENCE), str::to_owned),
    }
}

/// Why a watch was interrupted.
#[must_use]
pub fn of_watch(error: &watcher::Error) -> String {
    match error {
        watcher::Error::InitialListFailed(error) => format!("its list failed: {}", why(error)),
        watcher::Error::WatchStartFailed(error) => format!("its start failed: {}", why(error)),
        watcher::Error::WatchFailed(error) => format!("the connection failed: {}", why(error)),
        watcher::Error::WatchError(status) => {
            format!("the API server ended it: {}", sentence(status).unwrap_or_default())
        }
        watcher::Error::NoResourceVersion => "the API server gave no resourceVersion".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn raw_bodies_and_what_could_not_be_read_are_not_passed_on() {
        let answered = |reason: &str, message: &str| {
            why(&Error::Api(kube::core::Status::failure(message, reason).with_code(502).boxed()))
        };
        assert_eq!(answered("Forbidden", "denied:\nno \u{1b}[31m"), "denied: no  [31m");
        let long = answered("Invalid", &"x".repeat(200_000));
        assert!(long.len() <= LONGEST, "{}", long.len());
        let raw = answered(NOT_A_STATUS, "<html>c2VjcmV0</html>");
        assert!(raw.contains("answered 502") && !raw.contains("c2VjcmV0"), "{raw}");
        let unreadable = serde_json::from_str::<std::collections::BTreeMap<String, u8>>(r#"{"token":"c2VjcmV0"}"#);
        let error = Error::SerdeError(unreadable.unwrap_err());
        assert!(error.to_string().contains("c2VjcmV0"), "the reader quotes: {error}");
        assert!(!why(&error).contains("c2VjcmV0"));
    }
}
