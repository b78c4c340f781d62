//! Whether a token is accepted still: it is shown, and looked for where tokens are listed or can be asked about.

use http::StatusCode;

use super::verify::unread;
use crate::{
    api::provider::http::HttpMeaning,
    core::token::{Issued, Liveness, Specification},
    providers::{
        Class, Error, Subject,
        http::{
            identity::account::Account,
            message::{
                answer,
                render::{self, Scope},
            },
            recipe::operation::Operation,
        },
    },
    secret_value::TokenSet,
};

impl Account<'_> {
    /// Whether a token is accepted still.
    pub(in crate::providers::http) async fn liveness(
        &self,
        subject: Subject<'_>,
        token: &Issued,
        values: Option<&TokenSet>,
    ) -> Result<Liveness, Error> {
        // What cannot be shown says as little as what is lost.
        let values = values.filter(|values| self.unshowable(subject.specification, values).is_none());
        let accepted = match values {
            None => None,
            Some(values) => Some(self.is_accepted(subject.specification, token, values).await?),
        };
        if accepted == Some(true) {
            return Ok(Liveness::Alive);
        }
        if let Some(confirm) = &self.recipe().confirm {
            let gone = self.is_confirmed(confirm, subject, token, values).await?;
            return Ok(match (gone, accepted) {
                (true, _) => Liveness::Dead,
                (false, Some(_)) => Liveness::StillListed,
                (false, None) => Liveness::Alive,
            });
        }
        match (accepted, self.is_listed(subject, token, values).await?) {
            (_, Some(false)) | (Some(_), None) => Ok(Liveness::Dead),
            (Some(_), Some(true)) => Ok(Liveness::StillListed),
            (None, Some(true)) => Ok(Liveness::Alive),
            (None, None) => {
                let why = "its value is lost, or cannot be shown, and tokens are not listed";
                Err(self.cannot_tell(token, why))
            }
        }
    }

    async fn is_accepted(
        &self,
        specification: &Specification,
        token: &Issued,
        values: &TokenSet,
    ) -> Result<bool, Error> {
        let (meaning, received) = self.show(specification, values).await?;
        let meant = answer::meaning(&self.recipe().verify.operation.answer, &received);
        // Forbidden is said to somebody who is known. What else the recipe does not read says neither.
        match unread("verify", meant, &received).filter(|_| received.status != StatusCode::FORBIDDEN) {
            Some(why) => Err(self.cannot_tell(token, &why)),
            None => Ok(!matches!(meaning, HttpMeaning::Unauthorized | HttpMeaning::Gone)),
        }
    }

    fn cannot_tell(&self, token: &Issued, why: &str) -> Error {
        let host = self.host(&self.recipe().verify.operation);
        Error::new(Class::Invalid, format!("cannot tell whether {} is alive at {host}: {why}", token.id))
    }

    /// Whether a token is listed, by its name or by its value; `None` where neither can be.
    async fn is_listed(
        &self,
        subject: Subject<'_>,
        token: &Issued,
        values: Option<&TokenSet>,
    ) -> Result<Option<bool>, Error> {
        Ok(match (self.list(subject.naming, subject.specification).await?, values) {
            (Some(listed), _) => Some(listed.iter().any(|found| found.id == token.id)),
            (None, Some(values)) => {
                let census = self.census(subject.specification).await?;
                census.map(|census| census.contains(&values.fingerprint()))
            }
            (None, None) => None,
        })
    }

    /// Whether the API says of a token that it is gone.
    async fn is_confirmed(
        &self,
        confirm: &Operation,
        subject: Subject<'_>,
        token: &Issued,
        values: Option<&TokenSet>,
    ) -> Result<bool, Error> {
        let call = self.call(format!("cannot ask about {} at {}", token.id, self.host(confirm)));
        let call = call.showing(confirm, values);
        call.ask_about(confirm, subject, token, values).await.map(|found| found.is_none())
    }

    /// Why the token cannot be verified: it holds something that has no place in the requests of `verify`.
    pub(super) fn unshowable(&self, specification: &Specification, values: &TokenSet) -> Option<String> {
        let verify = &self.recipe().verify;
        // Where the operator's own credential is shown, it is not known here.
        let shows_token = (!verify.shows_credential).then_some(&verify.operation);
        let scope = Scope { token_values: Some(values), ..self.scope(specification, &[]) };
        let mut operations = shows_token.into_iter().chain(verify.probes.values());
        operations.find_map(|operation| render::request(&self.recipe().base, &operation.request, &scope).err())
    }
}
