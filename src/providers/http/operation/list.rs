//! What is listed at the API, by pages: only what has exactly our names.

use std::time::Duration;

use serde_json::Value;
use url::Url;

use super::call::unreadable;
use crate::{
    api::provider::http::HttpMeaning,
    connect::Purpose,
    core::token::{Census, Listed, Naming, Owner, Specification},
    providers::{
        Class, Error,
        http::{
            Http,
            message::{
                answer::{self, Received},
                body::aside,
                paging::{PagingStopped, Walk},
            },
            recipe::List,
        },
    },
    secret_value::{SecretValue, TokenSet},
};

/// Tokens of one owner that a list may hold: a thousand attempts, none of which was ended.
const MAX_OURS: usize = 1_000;

impl Http {
    /// Everything of ours that is listed and alive; `None` if tokens are not listed.
    pub(in crate::providers::http) async fn listed(
        &self,
        owner: &Owner,
        naming: &Naming,
        specification: &Specification,
    ) -> Result<Option<Vec<Listed>>, Error> {
        let Some(list) = &self.recipe.list else { return Ok(None) };
        let mut found = Vec::new();
        self.pages(list, owner, specification, |item, name, doing| {
            let Some(generation) = naming.parse(&name) else { return Ok(()) };
            let id = list.id.as_ref().and_then(|id| answer::scalar(id, item));
            let handle = self.handle(&name, id, doing)?;
            found.push(Listed { generation, id: name, handle, created_at: None });
            match found.len() > MAX_OURS {
                true => {
                    Err(Error::new(Class::Invalid, format!("{doing}: more than {MAX_OURS} tokens have names of ours")))
                }
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
    pub(in crate::providers::http) async fn values_of(
        &self,
        owner: &Owner,
        name: &str,
        specification: &Specification,
    ) -> Result<Option<TokenSet>, Error> {
        let Some(list) = self.recipe.list.as_ref().filter(|list| !list.values.is_empty()) else { return Ok(None) };
        let mut found = None;
        self.pages(list, owner, specification, |item, listed, _| {
            if listed == name {
                found = answer::values(&list.values, item).ok();
            }
            Ok(())
        })
        .await?;
        Ok(found)
    }

    /// The values of all tokens of the account, by fingerprint; `None` where they are not listed.
    pub(in crate::providers::http) async fn census(
        &self,
        owner: &Owner,
        specification: &Specification,
    ) -> Result<Option<Census>, Error> {
        let Some(list) = &self.recipe.list_values else { return Ok(None) };
        let doing = format!("cannot list the tokens at {}", self.host(&list.operation));
        let lane = self.lane(owner);
        let prepared = self.identified(owner, &list.operation, &self.scope(specification, &[]), &doing).await?;
        let received = self.call(&lane, Purpose::List, prepared, &doing).await?;
        let meant = answer::meaning(&list.operation.answer, &received);
        if meant.meaning != HttpMeaning::Success {
            return Err(self.refusal(&lane, meant, &received, &doing));
        }
        let body = received.body.json().ok_or_else(|| unreadable(&doing))?;
        let values = list.values.query(body);
        let values = values.iter().filter_map(|value| value.as_str());
        Ok(Some(values.map(|value| TokenSet::single(SecretValue::new(value)).fingerprint()).collect()))
    }

    /// Looks at each token that is listed and alive, with its name.
    pub(in crate::providers::http) async fn pages(
        &self,
        list: &List,
        owner: &Owner,
        specification: &Specification,
        mut look: impl FnMut(&Value, String, &str) -> Result<(), Error> + Send,
    ) -> Result<(), Error> {
        self.items(list, owner, specification, |item, doing| match list.name_of(item).filter(|_| list.is_alive(item)) {
            Some(name) => look(item, name, doing),
            None => Ok(()),
        })
        .await
    }

    /// Looks at everything that is listed.
    pub(in crate::providers::http) async fn items(
        &self,
        list: &List,
        owner: &Owner,
        specification: &Specification,
        mut look: impl FnMut(&Value, &str) -> Result<(), Error> + Send,
    ) -> Result<(), Error> {
        let doing = format!("cannot list the tokens at {}", self.host(&list.operation));
        let stopped = |PagingStopped { class, why }| Error::new(class, format!("{doing}: {why}"));
        let mut walk = Walk::new(&list.paging);
        loop {
            let left = walk.left().map_err(stopped)?;
            let asked = self.page(list, owner, specification, &walk, left, &doing).await;
            // What was not in time may have been, if the pages before it had taken less.
            let (page, received) = asked.map_err(|error| walk.left().map_err(stopped).err().unwrap_or(error))?;
            let has_more = aside(received.body.length(), || {
                let body = received.body.json().ok_or_else(|| unreadable(&doing))?;
                let items = list.items.query(body).all();
                for item in &items {
                    look(item, &doing)?;
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
        list: &List,
        owner: &Owner,
        specification: &Specification,
        walk: &Walk<'_>,
        left: Duration,
        doing: &str,
    ) -> Result<(Url, Received), Error> {
        let lane = self.lane(owner);
        let scope = self.scope(specification, &[]);
        let mut prepared = self.identified(owner, &list.operation, &scope, doing).await?.within(left);
        walk.apply(&mut prepared.rendered.url);
        let page = prepared.rendered.url.clone();
        let received = self.call(&lane, Purpose::List, prepared, doing).await?;
        let meant = aside(received.body.length(), || answer::meaning(&list.operation.answer, &received));
        match meant.meaning {
            HttpMeaning::Success => Ok((page, received)),
            _ => Err(self.refusal(&lane, meant, &received, doing)),
        }
    }
}
