//! A token is revoked: what has to be asked and done before, then the call that ends it.

use std::time::{Duration, Instant};

use super::call::{Prepared, unreadable};
use crate::{
    api::provider::http::HttpMeaning,
    connect::Purpose,
    core::{
        ledger::revocable::Revocable,
        token::{Handle, Owner, Specification},
    },
    providers::{
        Class, Error,
        http::{
            Http,
            message::{answer, render::Scope},
            recipe::{NamedBy, Operation, Reading},
        },
    },
    secret_value::TokenSet,
};

/// How old the answer of `onlyIf` may be when a call is sent that it speaks for: who makes another token meanwhile makes it wrong.
const STILL_TRUE: Duration = Duration::from_secs(1);

/// Which token is to be ended.
struct Ended<'a> {
    owner: &'a Owner,
    specification: &'a Specification,
    values: Option<&'a TokenSet>,
}

impl Http {
    /// Revokes a token; one that is gone is revoked.
    pub(in crate::providers::http) async fn end(
        &self,
        owner: &Owner,
        specification: &Specification,
        token: &Revocable,
        values: Option<&TokenSet>,
    ) -> Result<(), Error> {
        // It ends by itself; nobody is told that it was revoked.
        let Some(revoke) = &self.recipe.revoke else { return Ok(()) };
        let doing = format!("cannot revoke {} at {}", token.id(), self.host(&revoke.operation));
        let shown;
        let values = match values {
            None if revoke.by == NamedBy::Value => {
                shown = self.values_of(owner, token.id(), specification).await?;
                let Some(values) = &shown else {
                    let message = format!(
                        "{doing}: it is revoked by its value, and that is lost; revoke the token of this name at the provider by hand"
                    );
                    return Err(Error::new(Class::Invalid, message));
                };
                Some(values)
            }
            known => known,
        };
        let token_id = match token.handle() {
            Handle::Id { id } => Some(id.as_str()),
            _ => None,
        };
        let scope =
            Scope { token_id, token_name: Some(token.id()), token_values: values, ..self.scope(specification, &[]) };
        let ended = Ended { owner, specification, values };
        let mut shown_at = None;
        for operation in revoke.first.iter().chain([&revoke.operation]) {
            if !self.still_shows(&ended, revoke.only_if.as_ref(), &mut shown_at, &doing).await? {
                return Ok(());
            }
            let prepared = self.identified(owner, operation, &scope, &doing).await?;
            // To obtain what the call shows takes its time.
            if !self.still_shows(&ended, revoke.only_if.as_ref(), &mut shown_at, &doing).await? {
                return Ok(());
            }
            self.end_by(&ended, operation, prepared, &doing).await?;
        }
        Ok(())
    }

    /// Whether the calls would end this token, as far as it is asked; anew where the last answer is old.
    async fn still_shows(
        &self,
        ended: &Ended<'_>,
        only_if: Option<&Reading>,
        shown_at: &mut Option<Instant>,
        doing: &str,
    ) -> Result<bool, Error> {
        let Some(only_if) = only_if else { return Ok(true) };
        if shown_at.is_some_and(|at| at.elapsed() < STILL_TRUE) {
            return Ok(true);
        }
        let is_it = self.shows(ended, only_if, doing).await?;
        *shown_at = Some(Instant::now());
        Ok(is_it)
    }

    async fn end_by(
        &self,
        ended: &Ended<'_>,
        operation: &Operation,
        prepared: Prepared,
        doing: &str,
    ) -> Result<(), Error> {
        let lane = self.lane_of(ended.owner, operation, ended.values);
        let received = self.call(&lane, Purpose::Revoke, prepared, doing).await?;
        let meant = answer::meaning(&operation.answer, &received);
        match meant.meaning {
            HttpMeaning::Success | HttpMeaning::Gone => Ok(()),
            // An API that refuses to revoke what is revoked already.
            HttpMeaning::Refused if self.is_gone(ended).await? => Ok(()),
            _ => Err(self.refusal(&lane, meant, &received, doing)),
        }
    }

    /// Whether the value of a token is listed no more, where values are listed.
    async fn is_gone(&self, ended: &Ended<'_>) -> Result<bool, Error> {
        let Ended { owner, specification, values: Some(values) } = ended else { return Ok(false) };
        let census = self.census(owner, specification).await?;
        Ok(census.is_some_and(|census| !census.contains(&values.fingerprint())))
    }

    /// Whether the token that the API shows is this one.
    async fn shows(&self, ended: &Ended<'_>, reading: &Reading, doing: &str) -> Result<bool, Error> {
        let shown = self.read(ended.owner, ended.specification, reading, doing).await?;
        let is_same = |name: &String| match (&shown, ended.values) {
            (Some(shown), Some(values)) => shown.get(name) == values.get(name),
            _ => false,
        };
        Ok(reading.values.keys().all(is_same))
    }

    /// Values of the token that the API shows; `None` if there is none.
    pub(in crate::providers::http) async fn read(
        &self,
        owner: &Owner,
        specification: &Specification,
        reading: &Reading,
        doing: &str,
    ) -> Result<Option<TokenSet>, Error> {
        let scope = self.scope(specification, &[]);
        let prepared = self.identified(owner, &reading.operation, &scope, doing).await?;
        let lane = self.lane(owner);
        let received = self.call(&lane, Purpose::List, prepared, doing).await?;
        let meant = answer::meaning(&reading.operation.answer, &received);
        match meant.meaning {
            HttpMeaning::Success => {
                let body = received.body.json().ok_or_else(|| unreadable(doing))?;
                answer::values(&reading.values, body).map(Some).map_err(|_| unreadable(doing))
            }
            HttpMeaning::Gone => Ok(None),
            _ => Err(self.refusal(&lane, meant, &received, doing)),
        }
    }
}
