//! Why an attempt did not end well, and what it may have made.

use serde::{Deserialize, Serialize};

use crate::{api::conditions::Reason, core::fault::FaultClass};

/// Why an attempt did not end well: for people, and for the next attempt.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", from = "Stored")]
pub struct Failure {
    pub reason: Reason,
    pub message: String,
    pub made: Made,
}

/// What an attempt that did not end well may have made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Made {
    /// Nothing that is not in the record: it was refused, or never sent.
    Nothing,
    /// The same, and what attempts before it may have made is not in doubt either: nothing, or it was reported with this failure.
    NothingOpen,
    /// A token that is in no record may be alive.
    MayExist,
    /// The same, and a message says how to find it, because the operator cannot.
    #[serde(alias = "Told")]
    Reported,
}

impl Failure {
    /// No token is alive that the record does not know.
    #[must_use]
    pub fn nothing_made(reason: Reason, message: impl Into<String>) -> Self {
        Self { reason, message: message.into(), made: Made::Nothing }
    }

    /// The same, and nothing of the attempts before is in doubt.
    #[must_use]
    pub fn nothing_open(reason: Reason, message: impl Into<String>) -> Self {
        Self { reason, message: message.into(), made: Made::NothingOpen }
    }

    /// A token may be alive that no record knows.
    #[must_use]
    pub fn may_have_made(reason: Reason, message: impl Into<String>) -> Self {
        Self { reason, message: message.into(), made: Made::MayExist }
    }

    /// A token may be alive that nobody but a person can find, by this message.
    #[must_use]
    pub fn reported(message: impl Into<String>) -> Self {
        Self { reason: Reason::TokenMayRemain, message: message.into(), made: Made::Reported }
    }
}

impl Failure {
    /// What it means to a rule, as the fault that it was: records keep only the reason of it.
    #[must_use]
    pub fn class(&self) -> FaultClass {
        match self.reason {
            Reason::CredentialRejected => FaultClass::CredentialRejected,
            Reason::CredentialMissing => FaultClass::CredentialMissing,
            _ => FaultClass::Other,
        }
    }
}

/// A failure as records have it: those of earlier versions only say the reason.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Stored {
    reason: Reason,
    message: String,
    made: Option<Made>,
}

impl From<Stored> for Failure {
    fn from(Stored { reason, message, made }: Stored) -> Self {
        let made = match made {
            // Of an attempt with a wrong recipe that said as much, before there was a word for it.
            Some(Made::Nothing) if reason == Reason::RecipeWrong => Made::NothingOpen,
            other => other.unwrap_or_else(|| by_reason(reason)),
        };
        Self { reason, message, made }
    }
}

/// What a reason said in records of earlier versions.
fn by_reason(reason: Reason) -> Made {
    match reason {
        Reason::TokenMayRemain => Made::Reported,
        // A lost answer of the provider; the other ones are of the API server, which did not take what was minted.
        Reason::AnswerLost
        | Reason::ApiServerUnavailable
        | Reason::InternalError
        | Reason::WriteRefused
        | Reason::AccessDenied => Made::MayExist,
        Reason::RecipeWrong => Made::NothingOpen,
        _ => Made::Nothing,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failure_of_an_earlier_version_is_read_by_its_reason() {
        for (reason, made) in [
            ("TokenMayRemain", Made::Reported),
            ("AnswerLost", Made::MayExist),
            ("ApiServerUnavailable", Made::MayExist),
            ("InternalError", Made::MayExist),
            ("WriteRefused", Made::MayExist),
            ("AccessDenied", Made::MayExist),
            ("ProviderRefused", Made::Nothing),
            ("Minting", Made::Nothing),
            ("RecipeWrong", Made::NothingOpen),
        ] {
            let text = format!(r#"{{"reason":"{reason}","message":"why"}}"#);
            let read: Failure = serde_json::from_str(&text).unwrap();
            assert_eq!(read.made, made, "{reason}");
        }
    }

    /// It was written as nothing made, before it was said that nothing is open.
    #[test]
    fn a_wrong_recipe_has_left_nothing_open_in_records_of_earlier_versions() {
        let text = r#"{"reason":"RecipeWrong","message":"why","made":"Nothing"}"#;
        assert_eq!(serde_json::from_str::<Failure>(text).unwrap().made, Made::NothingOpen);
    }

    /// A nicer reason changes nothing.
    #[test]
    fn what_was_made_is_written_beside_the_reason() {
        let failure = Failure::may_have_made(Reason::ProviderUnavailable, "why");
        let text = serde_json::to_string(&failure).unwrap();
        assert_eq!(text, r#"{"reason":"ProviderUnavailable","message":"why","made":"MayExist"}"#);
        assert_eq!(serde_json::from_str::<Failure>(&text).unwrap(), failure);
    }
}
