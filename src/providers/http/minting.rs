//! A token is minted: sent once, and whatever is not a clear answer is an unknown outcome.

use jiff::Timestamp;

use super::{CREATE_PATIENCE, Http, answer, recipe::Expires, render::Scope, stay_away};
use crate::{
    api::provider::http::HttpMeaning,
    core::schedule,
    providers::{Class, Error, Minted, Request},
};

impl Http {
    /// Mints one token.
    pub(super) async fn mint(&self, request: &Request) -> Result<Minted, Error> {
        let Request { owner, id: name, specification, lifetime, .. } = request;
        let doing = format!("cannot mint a token at {}", self.host());
        let create = &self.recipe.create;
        let now = Timestamp::now();
        let permissions = self.translate(specification);
        let scope = Scope {
            name: Some(name),
            lifetime: Some(*lifetime),
            expires: Some(schedule::after(now, *lifetime)),
            ..self.scope(specification, &permissions)
        };
        let rendered = self.identified(owner, &create.operation, &scope, &doing).await?;
        let lane = self.lane(owner);
        let leave = lane.enter_within(CREATE_PATIENCE).await.map_err(|closed| stay_away(closed, &doing))?;
        let received = self.send(rendered, &doing).await.map_err(|(error, unsent)| match unsent {
            true => error,
            false => Error::new(Class::Unknown, error.to_string()),
        })?;
        drop(leave);
        let unknown = |what: &str| {
            let message = format!(
                "{doing}: it answered success, but {what} is not where the recipe says; the token is looked for by its name"
            );
            Error::new(Class::Unknown, message)
        };
        // A success that says nothing may still be one.
        if received.status.is_success() && received.body.json().is_none() {
            return Err(unknown("JSON"));
        }
        let meant = answer::meaning(&create.operation.answer, &received);
        if meant.meaning != HttpMeaning::Success {
            let error = self.refusal(&lane, meant, &received, &doing);
            // A server that fails may have done it before it failed.
            let is_open = meant.meaning == HttpMeaning::Unavailable;
            return Err(if is_open { Error::new(Class::Unknown, error.to_string()) } else { error });
        }
        let body = received.body.json().ok_or_else(|| unknown("JSON"))?;
        let values = answer::values(&create.values, body).map_err(|name| unknown(&format!("the value {name:?}")))?;
        let id =
            create.id.as_ref().map(|path| answer::scalar(path, body).ok_or_else(|| unknown("the id"))).transpose()?;
        let expires_at = match &create.expires {
            None => None,
            Some(Expires::AsAsked) => Some(schedule::after(now, *lifetime)),
            Some(Expires::Said(wanted)) => answer::time(wanted, body, now).map_err(|_| unknown("a readable expiry"))?,
        };
        // What ends a token that cannot be revoked, or found again, is its expiry.
        if expires_at.is_none() && (self.recipe.revoke.is_none() || self.recipe.list.is_none()) {
            return Err(unknown("an expiry"));
        }
        let handle = self.handle(name, id, &doing)?;
        Ok(Minted { values, handle, issued_at: now, expires_at })
    }
}
