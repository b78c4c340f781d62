//! A token is revoked: what has to be asked and done before, then the call that ends it.

use std::time::{Duration, Instant};

use super::{exchange::Prepared, handle::id_of};
use crate::{
    api::provider::http::HttpMeaning,
    connect::Purpose,
    core::{ledger::revocable::Revocable, token::Specification},
    providers::{
        Class, Error,
        http::{
            identity::{account::Account, call::ProviderCall},
            message::{answer, content, render::Scope},
            recipe::{
                operation::{Operation, Reading},
                token::NamedBy,
            },
        },
    },
    secret_value::TokenSet,
};

/// How old the answer of `precondition` may be when a call is sent that it speaks for: who makes another token meanwhile
/// makes it wrong.
const STILL_TRUE: Duration = Duration::from_secs(1);

/// Which token is to be revoked.
struct Revoked<'a> {
    specification: &'a Specification,
    values: Option<&'a TokenSet>,
}

impl Account<'_> {
    /// Revokes a token; one that is gone is revoked.
    pub(in crate::providers::http) async fn revoke(
        &self,
        specification: &Specification,
        token: &Revocable,
        values: Option<&TokenSet>,
    ) -> Result<(), Error> {
        // It ends by itself; nothing reports that it was revoked.
        let Some(revoke) = &self.recipe().revoke else { return Ok(()) };
        let doing = || format!("cannot revoke {} at {}", token.id(), self.host(&revoke.operation));
        let call = self.call(doing());
        let shown;
        let values = match values {
            None if revoke.by == NamedBy::Value => {
                shown = self.listed_values(token.id(), specification).await?;
                let lost = "it is revoked by its value, and the value is lost; revoke the token of this name at the provider by hand";
                Some(shown.as_ref().ok_or_else(|| call.error(Class::Invalid, lost))?)
            }
            known => known,
        };
        let scope = Scope {
            token_id: id_of(token.handle()),
            token_name: Some(token.id()),
            token_values: values,
            ..self.scope(specification, &[])
        };
        let revoked = Revoked { specification, values };
        let mut shown_at = None;
        for operation in revoke.before.iter().chain([&revoke.operation]) {
            if !call.still_shows(&revoked, revoke.precondition.as_ref(), &mut shown_at).await? {
                return Ok(());
            }
            let last = self.call(doing()).showing(operation, values);
            let prepared = last.identified(operation, &scope).await?;
            // To obtain what the call shows takes its time.
            if !call.still_shows(&revoked, revoke.precondition.as_ref(), &mut shown_at).await? {
                return Ok(());
            }
            last.send_revoke(&revoked, operation, prepared).await?;
        }
        Ok(())
    }

    /// Whether the value of a token is listed no more, where values are listed.
    async fn is_gone(&self, revoked: &Revoked<'_>) -> Result<bool, Error> {
        let Revoked { specification, values: Some(values) } = revoked else { return Ok(false) };
        let census = self.census(specification).await?;
        Ok(census.is_some_and(|census| !census.contains(&values.fingerprint())))
    }
}

impl ProviderCall<'_> {
    /// Whether the calls would end this token, as far as it is asked; anew where the last answer is old.
    async fn still_shows(
        &self,
        revoked: &Revoked<'_>,
        precondition: Option<&Reading>,
        shown_at: &mut Option<Instant>,
    ) -> Result<bool, Error> {
        let Some(precondition) = precondition else { return Ok(true) };
        if shown_at.is_some_and(|at| at.elapsed() < STILL_TRUE) {
            return Ok(true);
        }
        let is_it = self.shows(revoked, precondition).await?;
        *shown_at = Some(Instant::now());
        Ok(is_it)
    }

    async fn send_revoke(&self, revoked: &Revoked<'_>, operation: &Operation, prepared: Prepared) -> Result<(), Error> {
        let received = self.ask(Purpose::Revoke, prepared).await?;
        let meant = answer::meaning(&operation.answer, &received);
        match meant.meaning {
            HttpMeaning::Success | HttpMeaning::Gone => Ok(()),
            // An API that refuses to revoke what is revoked already.
            HttpMeaning::Refused if self.account.is_gone(revoked).await? => Ok(()),
            _ => Err(self.refusal(meant, &received)),
        }
    }

    /// Whether the token that the API shows is this one.
    async fn shows(&self, revoked: &Revoked<'_>, reading: &Reading) -> Result<bool, Error> {
        let shown = self.read(revoked.specification, reading).await?;
        let is_same = |name: &String| match (&shown, revoked.values) {
            (Some(shown), Some(values)) => shown.get(name) == values.get(name),
            _ => false,
        };
        Ok(reading.values.keys().all(is_same))
    }

    /// Values of the token that the API shows; `None` if there is none.
    pub(super) async fn read(
        &self,
        specification: &Specification,
        reading: &Reading,
    ) -> Result<Option<TokenSet>, Error> {
        let prepared = self.identified(&reading.operation, &self.account.scope(specification, &[])).await?;
        let received = self.ask(Purpose::List, prepared).await?;
        let meant = answer::meaning(&reading.operation.answer, &received);
        match meant.meaning {
            HttpMeaning::Success => {
                let body = received.body.json().ok_or_else(|| self.not_json(&received))?;
                content::values(&reading.values, body).map(Some).map_err(|_| self.unreadable())
            }
            HttpMeaning::Gone => Ok(None),
            _ => Err(self.refusal(meant, &received)),
        }
    }
}
