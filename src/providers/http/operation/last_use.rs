//! When a token was used last, where the API says it: by a call, or in its list.

use jiff::Timestamp;

use super::call::unreadable;
use crate::{
    api::provider::http::HttpMeaning,
    connect::Purpose,
    core::token::{Handle, Issued, Naming, Owner},
    providers::{
        Error,
        http::{
            Http,
            message::{answer, render::Scope},
            recipe::Operation,
        },
    },
    secret_value::TokenSet,
};

impl Http {
    pub(in crate::providers::http) async fn last_used(
        &self,
        owner: &Owner,
        naming: &Naming,
        token: &Issued,
        values: Option<&TokenSet>,
    ) -> Result<Option<Timestamp>, Error> {
        let now = Timestamp::now();
        if let Some(wanted) = &self.recipe.last_used {
            let doing = format!("cannot ask when {} was used last at {}", token.id, self.host(&wanted.operation));
            let body = self.ask_about(owner, &wanted.operation, token, values, &doing).await?;
            let Some(body) = body else { return Ok(None) };
            // What is no JSON says nothing of it, least of all that it was never used.
            if body.is_null() {
                return Err(unreadable(&doing));
            }
            return answer::time(&wanted.time, &body, now).map_err(|_| unreadable(&doing));
        }
        let Some((list, wanted)) = self.recipe.list.as_ref().and_then(|list| Some((list, list.last_used.as_ref()?)))
        else {
            return Ok(None);
        };
        let mut found = None;
        self.pages(list, owner, &token.source.specification, |item, name, doing| {
            if name == token.id && naming.parse(&name).is_some() {
                found = answer::time(wanted, item, now).map_err(|_| unreadable(doing))?;
            }
            Ok(())
        })
        .await?;
        Ok(found)
    }

    /// Asks about one token; `None` if there is no such token.
    pub(in crate::providers::http) async fn ask_about(
        &self,
        owner: &Owner,
        operation: &Operation,
        token: &Issued,
        values: Option<&TokenSet>,
        doing: &str,
    ) -> Result<Option<serde_json::Value>, Error> {
        let token_id = match &token.handle {
            Handle::Id { id } => Some(id.as_str()),
            _ => None,
        };
        let scope = Scope {
            token_id,
            token_name: Some(&token.id),
            token_values: values,
            ..self.scope(&token.source.specification, &[])
        };
        let prepared = self.identified(owner, operation, &scope, doing).await?;
        let lane = self.lane_of(owner, operation, values);
        let received = self.call(&lane, Purpose::Verify, prepared, doing).await?;
        let meant = answer::meaning(&operation.answer, &received);
        match meant.meaning {
            HttpMeaning::Success => Ok(Some(received.body.json().cloned().unwrap_or_default())),
            // A gateway says 404 too: only what the recipe calls gone is.
            HttpMeaning::Gone if meant.is_said => Ok(None),
            _ => Err(self.refusal(&lane, meant, &received, doing)),
        }
    }
}
