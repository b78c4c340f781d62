//! Before a token is minted: whether the provider can be reached, accepts the operator's credential, for how long, and
//! how far its clock is from ours.

use http::{HeaderMap, header};
use jiff::{SignedDuration, Timestamp, fmt::rfc2822};
use serde_json::Value;

use crate::{
    api::provider::http::HttpMeaning,
    connect::Purpose,
    core::token::{Census, Specification},
    providers::{
        Error,
        http::{
            identity::{account::Account, token_request},
            message::{answer, content, render::Scope},
        },
    },
};

/// What a check of a provider has shown.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Health {
    /// The provider was asked, and accepts the credential.
    pub is_accepted: bool,
    /// When the credential expires.
    pub expires_at: Option<Timestamp>,
    /// How far the provider's clock is ahead of ours.
    pub ahead: Option<SignedDuration>,
}

impl Account<'_> {
    /// The tokens of the account by value, where they are listed so. Else whether they can be listed or, where they
    /// cannot, whether the credential is accepted.
    pub(in crate::providers::http) async fn preflight(
        &self,
        specification: &Specification,
    ) -> Result<Option<Census>, Error> {
        if let Some(census) = self.census(specification).await? {
            return Ok(Some(census));
        }
        match &self.recipe().list {
            // It is read to its end, and nothing of it is kept.
            Some(list) => self.each_item(list, specification, |_, _| Ok(())).await?,
            None => drop(self.health().await?),
        }
        Ok(None)
    }

    /// Whether the credential is there, and accepted where the recipe says how to ask.
    pub(in crate::providers::http) async fn health(&self) -> Result<Health, Error> {
        self.check_credential().await?;
        self.ask_about_credential().await
    }

    /// Whether the credential is there and can be shown; asks the API server, not the provider.
    pub(in crate::providers::http) async fn check_credential(&self) -> Result<(), Error> {
        let Some(credential) = &self.recipe().credential else { return self.proxy_route().await.map(drop) };
        let data = self.operator(credential).await?.data;
        // A session is not obtained for a check.
        if credential.login.is_none() {
            data.headers(&credential.shown)?;
        }
        for key in &self.recipe().credential_keys {
            data.text(key)?;
        }
        match &credential.oauth2 {
            None => Ok(()),
            Some(wanted) => token_request::request(wanted, &data, Timestamp::now()).map(drop),
        }
    }

    /// Asks the provider, where the recipe says how.
    async fn ask_about_credential(&self) -> Result<Health, Error> {
        let Some(check) = &self.recipe().check else { return self.ask_for_a_session().await };
        let call = self.call(format!("cannot check the credential at {}", self.host(&check.operation)));
        let prepared = call.identified(&check.operation, &Scope::default()).await?;
        let received = call.ask(Purpose::Check, prepared).await?;
        let now = Timestamp::now();
        let meant = answer::meaning(&check.operation.answer, &received);
        if meant.meaning != HttpMeaning::Success {
            return Err(call.refusal(meant, &received));
        }
        let body = received.body.json().unwrap_or(&Value::Null);
        // What cannot be read is not known: it says nothing against the credential.
        let expires_at = check.expires.as_ref().and_then(|wanted| content::time(wanted, body, now).ok()?);
        Ok(Health { is_accepted: true, expires_at, ahead: ahead(&received.headers, now) })
    }

    /// Where nothing else can be asked, what has to be obtained for each call shows whether the credential is accepted.
    async fn ask_for_a_session(&self) -> Result<Health, Error> {
        let Some(credential) = &self.recipe().credential else { return Ok(Health::default()) };
        Ok(Health { is_accepted: self.obtains_session(credential).await?, ..Health::default() })
    }
}

/// How far the clock of an answer is ahead of ours (RFC 9110, section 6.6.1): to the second, and with the way of the
/// answer in it.
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
