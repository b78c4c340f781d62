//! Whether the provider accepts the operator's credential, for how long, and how far its clock is from ours.

use http::{HeaderMap, header};
use jiff::{SignedDuration, Timestamp, fmt::rfc2822};
use serde_json::Value;

use crate::{
    api::provider::http::HttpMeaning,
    connect::Purpose,
    core::token::Owner,
    providers::{
        Error,
        http::{
            Http,
            message::{answer, render::Scope},
        },
    },
};

/// What a look at a provider has shown.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Health {
    /// The provider was asked, and accepts the credential.
    pub is_accepted: bool,
    /// When the credential expires.
    pub expires_at: Option<Timestamp>,
    /// How far the provider's clock is ahead of ours.
    pub ahead: Option<SignedDuration>,
}

impl Http {
    /// Whether the credential is there, and accepted where the recipe says how to ask.
    ///
    /// # Errors
    /// What is wrong with it.
    pub async fn health(&self, namespace: &str) -> Result<Health, Error> {
        let asked = async {
            self.check_credential(namespace).await?;
            self.ask_about_credential(namespace).await
        };
        self.in_time("check the credential", asked).await
    }

    /// Asks the provider, where the recipe says how.
    pub(in crate::providers::http) async fn ask_about_credential(&self, namespace: &str) -> Result<Health, Error> {
        let Some(check) = &self.recipe.check else { return self.ask_for_a_session(namespace).await };
        let doing = format!("cannot try the credential at {}", self.host(&check.operation));
        // For no token: only the namespace counts.
        let nobody = Owner { namespace: namespace.to_owned(), name: String::new(), uid: String::new() };
        let prepared = self.identified(&nobody, &check.operation, &Scope::default(), &doing).await?;
        let lane = self.lane(&nobody);
        let received = self.call(&lane, Purpose::Check, prepared, &doing).await?;
        let now = Timestamp::now();
        let meant = answer::meaning(&check.operation.answer, &received);
        if meant.meaning != HttpMeaning::Success {
            return Err(self.refusal(&lane, meant, &received, &doing));
        }
        let body = received.body.json().unwrap_or(&Value::Null);
        // What cannot be read is not known: it says nothing against the credential.
        let expires_at = check.expires.as_ref().and_then(|wanted| answer::time(wanted, body, now).ok()?);
        Ok(Health { is_accepted: true, expires_at, ahead: ahead(&received.headers, now) })
    }

    /// Where nothing else can be asked, what has to be obtained for each call shows whether the credential is accepted.
    async fn ask_for_a_session(&self, namespace: &str) -> Result<Health, Error> {
        let Some(credential) = &self.recipe.credential else { return Ok(Health::default()) };
        let nobody = Owner { namespace: namespace.to_owned(), name: String::new(), uid: String::new() };
        let is_accepted = self.try_session(&nobody, credential).await?;
        Ok(Health { is_accepted, ..Health::default() })
    }
}

/// How far the clock of an answer is ahead of ours (RFC 9110, section 6.6.1): to the second, and with the way of the answer in it.
fn ahead(headers: &HeaderMap, now: Timestamp) -> Option<SignedDuration> {
    let date = headers.get(header::DATE)?.to_str().ok()?;
    Some(rfc2822::DateTimeParser::new().parse_timestamp(date).ok()?.duration_since(now))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_clock_of_an_answer_is_compared_with_ours() {
        let now: Timestamp = "2026-11-22T10:00:00Z".parse().unwrap();
        let ahead_of = |date: &str| ahead(&HeaderMap::from_iter([(header::DATE, date.parse().unwrap())]), now);
        assert_eq!(ahead_of("Sun, 22 Nov 2026 10:10:00 GMT"), Some(SignedDuration::from_mins(10)));
        assert_eq!(ahead_of("Sun, 22 Nov 2026 09:59:59 GMT"), Some(SignedDuration::from_secs(-1)));
        assert_eq!(ahead_of("yesterday"), None);
        assert_eq!(ahead(&HeaderMap::new(), now), None);
    }
}
