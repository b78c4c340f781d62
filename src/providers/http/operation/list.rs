//! Tokens are listed, by pages: only what has exactly our names.

use std::time::Duration;

use serde_json::Value;
use url::Url;

use super::exchange::Prepared;
use crate::{
    api::provider::http::HttpMeaning,
    connect::Purpose,
    core::token::{Census, Listed, Naming, Specification},
    providers::{
        Class, Error,
        http::{
            identity::{account::Account, call::ProviderCall},
            message::{
                answer::{self, Received},
                body::aside,
                content,
                paging::{PagingStopped, Walk},
            },
            recipe::token::List,
        },
    },
    secret_value::{SecretValue, TokenSet},
};

/// Tokens of one owner that a list may hold: a thousand attempts, none of which was ended.
const MAX_OURS: usize = 1_000;

impl Account<'_> {
    /// Everything of ours that is listed and alive; `None` if tokens are not listed.
    pub(in crate::providers::http) async fn list(
        &self,
        naming: &Naming,
        specification: &Specification,
    ) -> Result<Option<Vec<Listed>>, Error> {
        let Some(list) = &self.recipe().list else { return Ok(None) };
        let mut found = Vec::new();
        self.each_token(list, specification, |item, name, call| {
            let Some(serial) = naming.parse(&name) else { return Ok(()) };
            let id = list.id.as_ref().and_then(|id| content::scalar(id, item));
            let handle = call.handle(&name, id)?;
            found.push(Listed { serial, id: name, handle, created_at: None });
            match found.len() > MAX_OURS {
                true => Err(call.error(
                    Class::Invalid,
                    format!("more than {MAX_OURS} tokens have names of this object; delete those that are not in use"),
                )),
                false => Ok(()),
            }
        })
        .await?;
        // A page can begin with what the one before it ended with.
        found.sort_by(|one: &Listed, other| one.id.cmp(&other.id));
        found.dedup();
        Ok(Some(found))
    }

    /// The values of a token, from a list that shows them again; `None` if none does, or the token is not in it.
    pub(super) async fn listed_values(
        &self,
        name: &str,
        specification: &Specification,
    ) -> Result<Option<TokenSet>, Error> {
        let Some(list) = self.recipe().list.as_ref().filter(|list| !list.values.is_empty()) else { return Ok(None) };
        let mut found = None;
        self.each_token(list, specification, |item, listed, _| {
            if listed == name {
                found = content::values(&list.values, item).ok();
            }
            Ok(())
        })
        .await?;
        Ok(found)
    }

    /// The values of all tokens of the account, by fingerprint; `None` where they are not listed.
    pub(super) async fn census(&self, specification: &Specification) -> Result<Option<Census>, Error> {
        let Some(list) = &self.recipe().list_values else { return Ok(None) };
        let call = self.call(format!("cannot list the tokens at {}", self.host(&list.operation)));
        let prepared = call.identified(&list.operation, &self.scope(specification, &[])).await?;
        let received = call.ask(Purpose::List, prepared).await?;
        let meant = answer::meaning(&list.operation.answer, &received);
        if meant.meaning != HttpMeaning::Success {
            return Err(call.refusal(meant, &received));
        }
        let body = received.body.json().ok_or_else(|| call.not_json(&received))?;
        let values = list.values.query(body);
        let values = values.iter().filter_map(|value| value.as_str());
        Ok(Some(values.map(|value| TokenSet::single(SecretValue::new(value)).fingerprint()).collect()))
    }

    /// Reads each token that is listed and alive, with its name.
    pub(super) async fn each_token(
        &self,
        list: &List,
        specification: &Specification,
        mut look: impl FnMut(&Value, String, &ProviderCall<'_>) -> Result<(), Error> + Send,
    ) -> Result<(), Error> {
        self.each_item(list, specification, |item, call| match list.name_of(item).filter(|_| list.is_alive(item)) {
            Some(name) => look(item, name, call),
            None => Ok(()),
        })
        .await
    }

    /// Reads everything that is listed.
    pub(super) async fn each_item(
        &self,
        list: &List,
        specification: &Specification,
        mut look: impl FnMut(&Value, &ProviderCall<'_>) -> Result<(), Error> + Send,
    ) -> Result<(), Error> {
        let call = self.call(format!("cannot list the tokens at {}", self.host(&list.operation)));
        let stopped = |PagingStopped { class, why }| call.error(class, why);
        let mut walk = Walk::new(&list.paging);
        loop {
            let left = walk.left().map_err(stopped)?;
            let asked = self.page(&call, list, specification, &walk, left).await;
            // What was not in time may have been, if the pages before it had taken less.
            let (page, received) = asked.map_err(|error| walk.left().map_err(stopped).err().unwrap_or(error))?;
            let has_more = aside(received.body.length(), || {
                let body = received.body.json().ok_or_else(|| call.not_json(&received))?;
                let items = list.items.query(body).all();
                for item in &items {
                    look(item, &call)?;
                }
                walk.after(&items, &received.body, &received.headers, &page).map_err(stopped)
            })?;
            if !has_more {
                return Ok(());
            }
        }
    }

    /// One page, and its address.
    async fn page(
        &self,
        call: &ProviderCall<'_>,
        list: &List,
        specification: &Specification,
        walk: &Walk<'_>,
        left: Duration,
    ) -> Result<(Url, Received), Error> {
        let mut prepared: Prepared =
            call.identified(&list.operation, &self.scope(specification, &[])).await?.within(left);
        walk.apply(&mut prepared.rendered.url);
        let page = prepared.rendered.url.clone();
        let received = call.ask(Purpose::List, prepared).await?;
        let meant = aside(received.body.length(), || answer::meaning(&list.operation.answer, &received));
        match meant.meaning {
            HttpMeaning::Success => Ok((page, received)),
            _ => Err(call.refusal(meant, &received)),
        }
    }
}
