//! A token is tried: does it work, what may it do, is it dead.

use jiff::Timestamp;
use serde_json::Value;
use serde_json_path::JsonPath;

use super::{
    Http,
    answer::{self, Received},
    render::Scope,
    told,
};
use crate::{
    api::provider::http::HttpMeaning,
    core::token::{Issued, Liveness, Naming, Owner, Specification, Verification},
    providers::{Class, Error},
    secret_value::TokenSet,
};

impl Http {
    /// Shows a token at the provider.
    async fn try_out(
        &self,
        owner: &Owner,
        specification: &Specification,
        values: &TokenSet,
    ) -> Result<(HttpMeaning, Received), Error> {
        let doing = format!("cannot try the token at {}", self.host());
        let scope = Scope { token_values: Some(values), ..self.scope(specification, &[]) };
        let verify = &self.recipe.verify;
        let rendered = match verify.shows_credential {
            true => self.identified(owner, &verify.operation, &scope, &doing).await?,
            false => self.render(&verify.operation, &scope, &doing)?,
        };
        let lane = self.lane(owner);
        let received = self.call(&lane, rendered, &doing).await?;
        let meaning = answer::meaning(&verify.operation.answer, &received);
        if answer::says_nothing_of_the_token(verify, meaning, received.status) {
            return Err(self.refusal(&lane, meaning, &received, &doing));
        }
        Ok((meaning, received))
    }

    /// What an answer says that a token may do, one by one.
    fn granted(&self, path: &JsonPath, body: &Value) -> Vec<Value> {
        let found = path.query(body);
        if !self.recipe.verify.with_spaces {
            return found.iter().map(|value| (*value).clone()).collect();
        }
        let texts = found.iter().filter_map(|value| value.as_str());
        texts.flat_map(str::split_whitespace).map(Value::from).collect()
    }

    /// Tries a token and compares what it may do with what was asked for.
    pub(super) async fn check_token(
        &self,
        owner: &Owner,
        specification: &Specification,
        values: &TokenSet,
    ) -> Result<Verification, Error> {
        let (meaning, received) = self.try_out(owner, specification, values).await?;
        let host = self.host();
        if meaning != HttpMeaning::Success {
            return Ok(Verification::NotYet { why: format!("{host} does not accept it ({})", told(received.status)) });
        }
        let body = received.body.json().unwrap_or(&Value::Null);
        let expires_at = match &self.recipe.verify.expires {
            None => None,
            Some(wanted) => answer::time(wanted, body, Timestamp::now()).unwrap_or_default(),
        };
        let Some(path) = &self.recipe.verify.permissions else {
            return Ok(Verification::Works { surplus: Vec::new(), expires_at });
        };
        let granted = self.granted(path, body);
        let has = |value: &Value| granted.contains(value);
        let known = &self.recipe.permissions;
        let missing: Vec<String> =
            specification.permissions.iter().filter(|name| !known.get(*name).is_some_and(has)).cloned().collect();
        if !missing.is_empty() {
            return Ok(Verification::Insufficient { missing });
        }
        let asked = self.translate(specification);
        let beyond = granted.into_iter().filter(|found| !asked.contains(found)).map(|found| match found {
            Value::String(text) => text,
            other => other.to_string(),
        });
        Ok(Verification::Works { surplus: beyond.collect(), expires_at })
    }

    /// Whether a token is accepted still.
    pub(super) async fn look_for_life(
        &self,
        owner: &Owner,
        naming: &Naming,
        token: &Issued,
        values: Option<&TokenSet>,
    ) -> Result<Liveness, Error> {
        let (name, specification) = (&token.id, &token.source.specification);
        let accepted = match values {
            None => None,
            Some(values) => {
                let (meaning, _) = self.try_out(owner, specification, values).await?;
                // Forbidden is said to somebody who is known.
                Some(!matches!(meaning, HttpMeaning::Unauthorized | HttpMeaning::Gone))
            }
        };
        if accepted == Some(true) {
            return Ok(Liveness::Alive);
        }
        let listed = self.listed(owner, naming, specification).await?;
        let is_listed = listed.map(|listed| listed.iter().any(|found| found.id == *name));
        match (accepted, is_listed) {
            (_, Some(false)) | (Some(_), None) => Ok(Liveness::Dead),
            (Some(_), Some(true)) => Ok(Liveness::Ending),
            (None, Some(true)) => Ok(Liveness::Alive),
            (None, None) => Err(Error::new(
                Class::Invalid,
                format!(
                    "cannot tell whether {name} is alive at {}: its value is lost, and tokens are not listed",
                    self.host()
                ),
            )),
        }
    }
}
