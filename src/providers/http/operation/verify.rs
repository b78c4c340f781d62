//! A token is verified: does it work, and what may it do.

use std::collections::HashSet;

use jiff::Timestamp;
use serde_json::Value;

use crate::{
    api::provider::http::HttpMeaning,
    connect::Purpose,
    core::token::{Specification, Verification},
    providers::{
        Error,
        http::{
            identity::{account::Account, refusal::said},
            message::{
                answer::{self, Meant, Received},
                content, redirect,
                render::Scope,
            },
            recipe::parameters::asked,
        },
    },
    secret_value::TokenSet,
};

impl Account<'_> {
    /// Shows a token to the provider.
    pub(super) async fn show(
        &self,
        specification: &Specification,
        values: &TokenSet,
    ) -> Result<(HttpMeaning, Received), Error> {
        let verify = &self.recipe().verify;
        let call = self.call(format!("cannot verify the token at {}", self.host(&verify.operation)));
        let scope = Scope { token_values: Some(values), ..self.scope(specification, &[]) };
        let call = if verify.shows_credential { call } else { call.of_token(values) };
        let received = match (verify.shows_credential, self.recipe().create.is_bound) {
            (true, _) => call.ask(Purpose::Verify, call.identified(&verify.operation, &scope).await?).await?,
            (false, true) => call.show_bound(&verify.operation, &scope, values).await?,
            (false, false) => call.ask(Purpose::Verify, call.anonymous(&verify.operation, &scope).await?).await?,
        };
        let meant = answer::meaning(&verify.operation.answer, &received);
        if answer::says_nothing_of_the_token(verify.shows_credential, received.status, meant) {
            return Err(call.refusal(meant, &received));
        }
        let meaning = meant.meaning;
        Ok((meaning, received))
    }

    /// Verifies a token and compares what it may do with what was asked for.
    pub(in crate::providers::http) async fn verify(
        &self,
        specification: &Specification,
        values: &TokenSet,
    ) -> Result<Verification, Error> {
        let (meaning, received) = self.show(specification, values).await?;
        let verify = &self.recipe().verify;
        let host = self.host(&verify.operation);
        if meaning != HttpMeaning::Success {
            let meant = answer::meaning(&verify.operation.answer, &received);
            let remedy = meant.remedy.map(str::to_owned).or_else(|| redirect::advice(&received));
            let remedy = remedy.or_else(|| unread("verify", meant, &received));
            let remedy = remedy.map(|remedy| format!("; {remedy}")).unwrap_or_default();
            let why = format!("{host} does not accept it ({}){remedy}", said(meant, &received));
            return Ok(Verification::NotYet { why });
        }
        let body = received.body.json().unwrap_or(&Value::Null);
        if self.recipe().create.is_bound && verify.shows_credential {
            let key = self.call(format!("cannot verify the token at {host}")).token_key(values)?;
            if body["cnf"]["jkt"] != key.thumbprint() {
                return Ok(Verification::Insufficient { missing: vec!["the binding to its key".to_owned()] });
            }
        }
        let expires_at = match &verify.expires {
            None => None,
            Some(wanted) => content::time(wanted, body, Timestamp::now()).unwrap_or_default(),
        };
        let (mut missing, surplus) = match &verify.granted {
            None => (Vec::new(), Vec::new()),
            Some(wanted) => self.compare(specification, content::granted(wanted, body)),
        };
        drop(received);
        missing.extend(self.probe(specification, values).await?);
        Ok(match missing.is_empty() {
            true => Verification::Works { surplus, expires_at },
            false => Verification::Insufficient { missing },
        })
    }

    /// What a token may not do that it should, and what it may do beyond.
    fn compare(&self, specification: &Specification, granted: Vec<Value>) -> (Vec<String>, Vec<String>) {
        let missing = self.recipe().missing(specification, &granted);
        let asked = self.recipe().translate(specification);
        let asked: HashSet<_> = asked.iter().collect();
        let beyond = granted.into_iter().filter(|found| !asked.contains(found)).map(|found| match found {
            Value::String(text) => text,
            other => other.to_string(),
        });
        (missing, beyond.collect())
    }

    /// Makes the call that shows it for each permission that has one; those that the token does not have.
    async fn probe(&self, specification: &Specification, values: &TokenSet) -> Result<Vec<String>, Error> {
        let mut missing = Vec::new();
        for name in asked(specification) {
            let Some(operation) = self.recipe().verify.probes.get(name) else { continue };
            let doing = format!("cannot check whether the token has {name:?} at {}", self.host(operation));
            let call = self.call(doing).of_token(values);
            let scope = Scope { token_values: Some(values), ..self.scope(specification, &[]) };
            let prepared = call.anonymous(operation, &scope).await?;
            let received = call.ask(Purpose::Verify, prepared).await?;
            let meant = answer::meaning(&operation.answer, &received);
            match meant.meaning {
                HttpMeaning::Success => {}
                HttpMeaning::Refused | HttpMeaning::Unauthorized => missing.push(name.to_owned()),
                _ => return Err(call.refusal(meant, &received)),
            }
        }
        Ok(missing)
    }
}

/// What to do about an answer that the recipe gives no meaning to, where one is needed.
pub(super) fn unread(place: &str, meant: Meant<'_>, received: &Received) -> Option<String> {
    let status = received.status.as_u16();
    let is_unread = meant.meaning == HttpMeaning::Refused && !meant.is_said;
    is_unread.then(|| {
        format!(
            "{place} answered {status}, which the recipe does not map; set its meaning in {place}.answer.statuses, as \"{status}\": Unauthorized where \
             it means that the token is revoked"
        )
    })
}
