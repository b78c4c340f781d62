//! A token is revoked: what has to be asked and done before, then the call that ends it.

use super::{
    Http, answer,
    calls::unreadable,
    recipe::{Operation, Reading, RevokeBy},
    render::Scope,
};
use crate::{
    api::provider::http::HttpMeaning,
    connect::Purpose,
    core::{
        revocable::Revocable,
        token::{Handle, Owner, Specification},
    },
    providers::{Class, Error},
    secret_value::TokenSet,
};

impl Http {
    /// Revokes a token; one that is gone is revoked.
    pub(super) async fn end(
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
            None if revoke.by == RevokeBy::Value => {
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
        if let Some(only_if) = &revoke.only_if
            && !self.shows(owner, specification, only_if, values, &doing).await?
        {
            return Ok(());
        }
        let token_id = match token.handle() {
            Handle::Id { id } => Some(id.as_str()),
            _ => None,
        };
        let scope =
            Scope { token_id, token_name: Some(token.id()), token_values: values, ..self.scope(specification, &[]) };
        for operation in revoke.first.iter().chain([&revoke.operation]) {
            self.end_by(owner, operation, &scope, specification, &doing).await?;
        }
        Ok(())
    }

    async fn end_by(
        &self,
        owner: &Owner,
        operation: &Operation,
        scope: &Scope<'_>,
        specification: &Specification,
        doing: &str,
    ) -> Result<(), Error> {
        let prepared = self.identified(owner, operation, scope, doing).await?;
        let lane = self.lane(owner);
        let received = self.call(&lane, Purpose::Revoke, prepared, doing).await?;
        let meant = answer::meaning(&operation.answer, &received);
        match meant.meaning {
            HttpMeaning::Success | HttpMeaning::Gone => Ok(()),
            // An API that refuses to revoke what is revoked already.
            HttpMeaning::Refused if self.is_gone(owner, specification, scope.token_values).await? => Ok(()),
            _ => Err(self.refusal(&lane, meant, &received, doing)),
        }
    }

    /// Whether the value of a token is listed no more, where values are listed.
    async fn is_gone(
        &self,
        owner: &Owner,
        specification: &Specification,
        values: Option<&TokenSet>,
    ) -> Result<bool, Error> {
        let Some(values) = values else { return Ok(false) };
        let census = self.census(owner, specification).await?;
        Ok(census.is_some_and(|census| !census.contains(&values.fingerprint())))
    }

    /// Whether the token that the API shows is this one.
    async fn shows(
        &self,
        owner: &Owner,
        specification: &Specification,
        reading: &Reading,
        values: Option<&TokenSet>,
        doing: &str,
    ) -> Result<bool, Error> {
        let shown = self.read(owner, specification, reading, doing).await?;
        let is_same = |name: &String| match (&shown, values) {
            (Some(shown), Some(values)) => shown.get(name) == values.get(name),
            _ => false,
        };
        Ok(reading.values.keys().all(is_same))
    }

    /// Values of the token that the API shows; `None` if there is none.
    pub(super) async fn read(
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
