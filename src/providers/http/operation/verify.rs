//! A token is tried: does it work, what may it do, is it dead.

use std::collections::HashSet;

use http::StatusCode;
use jiff::Timestamp;
use serde_json::Value;

use super::{
    bound,
    call::{asked, said, unread},
};
use crate::{
    api::provider::http::HttpMeaning,
    connect::Purpose,
    core::token::{Issued, Liveness, Naming, Owner, Specification, Verification},
    providers::{
        Class, Error,
        http::{
            Http,
            message::{
                answer::{self, Received},
                render::Scope,
            },
            recipe::Operation,
        },
    },
    secret_value::TokenSet,
};

impl Http {
    /// Shows a token at the provider.
    pub(in crate::providers::http) async fn try_out(
        &self,
        owner: &Owner,
        specification: &Specification,
        values: &TokenSet,
    ) -> Result<(HttpMeaning, Received), Error> {
        let verify = &self.recipe.verify;
        let doing = format!("cannot try the token at {}", self.host(&verify.operation));
        let scope = Scope { token_values: Some(values), ..self.scope(specification, &[]) };
        let lane = match verify.shows_credential {
            true => self.lane(owner),
            false => self.lane(owner).of(values),
        };
        let received = match (verify.shows_credential, self.recipe.create.is_bound) {
            (true, _) => {
                let prepared = self.identified(owner, &verify.operation, &scope, &doing).await?;
                self.call(&lane, Purpose::Verify, prepared, &doing).await?
            }
            (false, true) => self.try_bound(owner, &verify.operation, &scope, values, &doing).await?,
            (false, false) => {
                let prepared = self.anonymous(owner, &verify.operation, &scope, &doing).await?;
                self.call(&lane, Purpose::Verify, prepared, &doing).await?
            }
        };
        let meant = answer::meaning(&verify.operation.answer, &received);
        if answer::says_nothing_of_the_token(verify.shows_credential, received.status, meant) {
            return Err(self.refusal(&lane, meant, &received, &doing));
        }
        let meaning = meant.meaning;
        Ok((meaning, received))
    }

    /// Tries a token and compares what it may do with what was asked for.
    pub(in crate::providers::http) async fn check_token(
        &self,
        owner: &Owner,
        specification: &Specification,
        values: &TokenSet,
    ) -> Result<Verification, Error> {
        let (meaning, received) = self.try_out(owner, specification, values).await?;
        let host = self.host(&self.recipe.verify.operation);
        if meaning != HttpMeaning::Success {
            let meant = answer::meaning(&self.recipe.verify.operation.answer, &received);
            let remedy = meant.remedy.map(str::to_owned).or_else(|| unread("verify", meant, &received));
            let remedy = remedy.map(|remedy| format!("; {remedy}")).unwrap_or_default();
            let why = format!("{host} does not accept it ({}){remedy}", said(meant, &received));
            return Ok(Verification::NotYet { why });
        }
        let body = received.body.json().unwrap_or(&Value::Null);
        if self.recipe.create.is_bound && self.recipe.verify.shows_credential {
            let key = bound::token_key(values, &format!("cannot try the token at {host}"))?;
            if body["cnf"]["jkt"] != key.thumbprint() {
                return Ok(Verification::Insufficient { missing: vec!["the binding to its key".to_owned()] });
            }
        }
        let expires_at = match &self.recipe.verify.expires {
            None => None,
            Some(wanted) => answer::time(wanted, body, Timestamp::now()).unwrap_or_default(),
        };
        let (mut missing, surplus) = match &self.recipe.verify.granted {
            None => (Vec::new(), Vec::new()),
            Some(wanted) => self.compare(specification, answer::granted(wanted, body)),
        };
        drop(received);
        missing.extend(self.probe(owner, specification, values).await?);
        Ok(match missing.is_empty() {
            true => Verification::Works { surplus, expires_at },
            false => Verification::Insufficient { missing },
        })
    }

    /// What a token may not do that it should, and what it may do beyond.
    fn compare(&self, specification: &Specification, granted: Vec<Value>) -> (Vec<String>, Vec<String>) {
        let missing = self.missing(specification, &granted);
        let asked = self.translate(specification);
        let asked: HashSet<_> = asked.iter().collect();
        let beyond = granted.into_iter().filter(|found| !asked.contains(found)).map(|found| match found {
            Value::String(text) => text,
            other => other.to_string(),
        });
        (missing, beyond.collect())
    }

    /// Makes the call that shows it for each permission that has one; those that the token does not have.
    async fn probe(
        &self,
        owner: &Owner,
        specification: &Specification,
        values: &TokenSet,
    ) -> Result<Vec<String>, Error> {
        let mut missing = Vec::new();
        for name in asked(specification) {
            let Some(operation) = self.recipe.verify.probes.get(name) else { continue };
            let doing = format!("cannot try whether the token has {name:?} at {}", self.host(operation));
            let scope = Scope { token_values: Some(values), ..self.scope(specification, &[]) };
            let prepared = self.anonymous(owner, operation, &scope, &doing).await?;
            let lane = self.lane(owner).of(values);
            let received = self.call(&lane, Purpose::Verify, prepared, &doing).await?;
            let meant = answer::meaning(&operation.answer, &received);
            match meant.meaning {
                HttpMeaning::Success => {}
                HttpMeaning::Refused | HttpMeaning::Unauthorized => missing.push(name.to_owned()),
                _ => return Err(self.refusal(&lane, meant, &received, &doing)),
            }
        }
        Ok(missing)
    }

    /// Whether a token is accepted still.
    pub(in crate::providers::http) async fn look_for_life(
        &self,
        owner: &Owner,
        naming: &Naming,
        token: &Issued,
        values: Option<&TokenSet>,
    ) -> Result<Liveness, Error> {
        let (name, specification) = (&token.id, &token.source.specification);
        // What cannot be shown says as little as what is lost.
        let values = values.filter(|values| self.unshowable(specification, values).is_none());
        let accepted = match values {
            None => None,
            Some(values) => {
                let (meaning, received) = self.try_out(owner, specification, values).await?;
                let verify = &self.recipe.verify.operation;
                let meant = answer::meaning(&verify.answer, &received);
                // Forbidden is said to somebody who is known. What else the recipe does not read says neither.
                if let Some(why) =
                    unread("verify", meant, &received).filter(|_| received.status != StatusCode::FORBIDDEN)
                {
                    let why = format!("cannot tell whether {name} is alive at {}: {why}", self.host(verify));
                    return Err(Error::new(Class::Invalid, why));
                }
                Some(!matches!(meaning, HttpMeaning::Unauthorized | HttpMeaning::Gone))
            }
        };
        if accepted == Some(true) {
            return Ok(Liveness::Alive);
        }
        if let Some(confirm) = &self.recipe.confirm {
            let gone = self.is_confirmed(owner, confirm, token, values).await?;
            return Ok(match (gone, accepted) {
                (true, _) => Liveness::Dead,
                (false, Some(_)) => Liveness::StillListed,
                (false, None) => Liveness::Alive,
            });
        }
        let is_listed = match (self.listed(owner, naming, specification).await?, values) {
            (Some(listed), _) => Some(listed.iter().any(|found| found.id == *name)),
            (None, Some(values)) => {
                self.census(owner, specification).await?.map(|census| census.contains(&values.fingerprint()))
            }
            (None, None) => None,
        };
        match (accepted, is_listed) {
            (_, Some(false)) | (Some(_), None) => Ok(Liveness::Dead),
            (Some(_), Some(true)) => Ok(Liveness::StillListed),
            (None, Some(true)) => Ok(Liveness::Alive),
            (None, None) => Err(Error::new(
                Class::Invalid,
                format!(
                    "cannot tell whether {name} is alive at {}: its value is lost, or cannot be shown, and tokens are not listed",
                    self.host(&self.recipe.verify.operation)
                ),
            )),
        }
    }

    /// Whether the API says of a token that it is gone.
    async fn is_confirmed(
        &self,
        owner: &Owner,
        confirm: &Operation,
        token: &Issued,
        values: Option<&TokenSet>,
    ) -> Result<bool, Error> {
        let doing = format!("cannot ask about {} at {}", token.id, self.host(confirm));
        self.ask_about(owner, confirm, token, values, &doing).await.map(|found| found.is_none())
    }
}
