//! What is said of a provider that answers: its credential, how long that lives, and its clock. Pure.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

use crate::{api::conditions::Reason, core::schedule, providers::http::Health};

/// How long before a credential expires that is reported.
const EXPIRES_SOON: Duration = Duration::from_secs(14 * 86_400);

/// How far clocks may be apart before that is reported: lifetimes are off by as much, and assertions begin to be refused.
const APART: SignedDuration = SignedDuration::from_mins(5);

/// Reason and sentence for `Ready`, which is true with all of them.
pub fn describe(health: Health, complete: &str, now: Timestamp) -> (Reason, String) {
    let Health { is_accepted, expires_at, ahead } = health;
    let accepted = match is_accepted {
        true => "the provider accepts the credential".to_owned(),
        false => format!("{complete} and its credential is there"),
    };
    let accepted = match expires_at {
        None => accepted,
        Some(at) if at <= schedule::after(now, EXPIRES_SOON) => {
            let message = format!("{accepted}, which expires at {at}: put a new one into its Secret before that");
            return (Reason::CredentialExpiring, message);
        }
        Some(at) => format!("{accepted}, which expires at {at}"),
    };
    match ahead.filter(|ahead| ahead.abs() > APART) {
        None => (Reason::ProviderAnswers, accepted),
        Some(ahead) => {
            let side = if ahead.is_positive() { "ahead of" } else { "behind" };
            let minutes = ahead.abs().as_mins();
            let message = format!(
                "{accepted}; its clock is {minutes} min {side} the operator's, which shifts the lifetimes of tokens; synchronize the clocks"
            );
            (Reason::ClockSkewed, message)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_expiry_is_told_two_weeks_before_and_a_clock_that_is_far_off_at_once() {
        let now: Timestamp = "2026-11-22T10:00:00Z".parse().unwrap();
        let said = |expires: Option<i64>, minutes: Option<i64>| {
            let expires_at = expires.map(|days| now + SignedDuration::from_hours(24 * days));
            let ahead = minutes.map(SignedDuration::from_mins);
            describe(Health { is_accepted: true, expires_at, ahead }, "it", now)
        };
        assert_eq!(said(None, Some(4)).0, Reason::ProviderAnswers);
        assert_eq!(said(Some(15), Some(1)).0, Reason::ProviderAnswers);
        let (reason, message) = said(Some(14), None);
        assert!(reason == Reason::CredentialExpiring && message.contains("2026-12-06"), "{message}");
        let (reason, message) = said(None, Some(-7));
        assert!(reason == Reason::ClockSkewed && message.contains("7 min behind the operator's"), "{message}");
        assert_eq!(said(Some(15), Some(9)).0, Reason::ClockSkewed, "an expiry that is far away hides nothing");
        let (reason, message) = describe(Health::default(), "the recipe is complete", now);
        assert_eq!(
            (reason, message.as_str()),
            (Reason::ProviderAnswers, "the recipe is complete and its credential is there")
        );
    }
}
