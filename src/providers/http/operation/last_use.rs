//! When a token was used last, where the API says it: by a call, or in its list.

use jiff::Timestamp;

use super::handle::id_of;
use crate::{
    api::provider::http::HttpMeaning,
    connect::Purpose,
    core::token::Issued,
    providers::{
        Error, Subject,
        http::{
            identity::{account::Account, call::ProviderCall},
            message::{answer, content, render::Scope},
            recipe::operation::Operation,
        },
    },
    secret_value::TokenSet,
};

impl Account<'_> {
    pub(in crate::providers::http) async fn last_use(
        &self,
        subject: Subject<'_>,
        token: &Issued,
        values: Option<&TokenSet>,
    ) -> Result<Option<Timestamp>, Error> {
        let now = Timestamp::now();
        if let Some(wanted) = &self.recipe().last_used {
            let host = self.host(&wanted.operation);
            let call = self.call(format!("cannot ask when {} was used last at {host}", token.id));
            let call = call.showing(&wanted.operation, values);
            let body = call.ask_about(&wanted.operation, subject, token, values).await?;
            let Some(body) = body else { return Ok(None) };
            // What is no JSON says nothing of it, least of all that it was never used.
            if body.is_null() {
                return Err(call.unreadable());
            }
            return content::time(&wanted.time, &body, now).map_err(|_| call.unreadable());
        }
        let Some((list, wanted)) = self.recipe().list.as_ref().and_then(|list| Some((list, list.last_used.as_ref()?)))
        else {
            return Ok(None);
        };
        let mut found = None;
        self.each_token(list, subject.specification, |item, name, call| {
            if name == token.id && subject.naming.parse(&name).is_some() {
                found = content::time(wanted, item, now).map_err(|_| call.unreadable())?;
            }
            Ok(())
        })
        .await?;
        Ok(found)
    }
}

impl ProviderCall<'_> {
    /// Asks about one token; `None` if there is no such token.
    pub(super) async fn ask_about(
        &self,
        operation: &Operation,
        subject: Subject<'_>,
        token: &Issued,
        values: Option<&TokenSet>,
    ) -> Result<Option<serde_json::Value>, Error> {
        let scope = Scope {
            token_id: id_of(&token.handle),
            token_name: Some(&token.id),
            token_values: values,
            ..self.account.scope(subject.specification, &[])
        };
        let prepared = self.identified(operation, &scope).await?;
        let received = self.ask(Purpose::Verify, prepared).await?;
        let meant = answer::meaning(&operation.answer, &received);
        match meant.meaning {
            HttpMeaning::Success => Ok(Some(received.body.json().cloned().unwrap_or_default())),
            // A gateway says 404 too: only what the recipe calls gone is.
            HttpMeaning::Gone if meant.is_said => Ok(None),
            _ => Err(self.refusal(meant, &received)),
        }
    }
}
