//! What is listed at the API, by pages: only what has exactly our names.

use serde_json::Value;

use super::{Http, answer, calls::unreadable, paging::Next, recipe::List};
use crate::{
    api::provider::http::HttpMeaning,
    connect::Purpose,
    core::{
        census::Census,
        token::{Listed, Naming, Owner, Specification},
    },
    providers::{Class, Error},
    secret_value::{SecretValue, TokenSet},
};

/// Pages of a list that are read; a list that goes on for ever is a mistake of the recipe.
const MAX_PAGES: usize = 50;

impl Http {
    /// Everything of ours that is listed and alive; `None` if tokens are not listed.
    pub(super) async fn listed(
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
            Ok(())
        })
        .await?;
        // A page can begin with what the one before it ended with.
        found.sort_by(|one: &Listed, other| one.id.cmp(&other.id));
        found.dedup();
        Ok(Some(found))
    }

    /// The values of a token, from a list that shows them again; `None` if none does, or the token is not in it.
    pub(super) async fn values_of(
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
    pub(super) async fn census(&self, owner: &Owner, specification: &Specification) -> Result<Option<Census>, Error> {
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
    pub(super) async fn pages(
        &self,
        list: &List,
        owner: &Owner,
        specification: &Specification,
        mut look: impl FnMut(&Value, String, &str) -> Result<(), Error> + Send,
    ) -> Result<(), Error> {
        let doing = format!("cannot list the tokens at {}", self.host(&list.operation));
        let lane = self.lane(owner);
        let mut next = Next::First;
        for _ in 0..MAX_PAGES {
            let scope = self.scope(specification, &[]);
            let mut prepared = self.identified(owner, &list.operation, &scope, &doing).await?;
            next.apply(&mut prepared.rendered.url, &list.paging);
            let page = prepared.rendered.url.clone();
            let received = self.call(&lane, Purpose::List, prepared, &doing).await?;
            let meant = answer::meaning(&list.operation.answer, &received);
            if meant.meaning != HttpMeaning::Success {
                return Err(self.refusal(&lane, meant, &received, &doing));
            }
            let body = received.body.json().ok_or_else(|| unreadable(&doing))?;
            let items = list.items.query(body);
            for item in items.iter() {
                let alive = list.alive.iter().all(|expectation| answer::is_met(expectation, item));
                if let Some(name) = list.name_of(item).filter(|_| alive) {
                    look(item, name, &doing)?;
                }
            }
            match next.after(&list.paging, items.len(), body, &received.headers, &page) {
                Some(following) => next = following,
                None => return Ok(()),
            }
        }
        Err(Error::new(Class::Invalid, format!("{doing}: it goes on after {MAX_PAGES} pages; look at list.paging")))
    }
}
