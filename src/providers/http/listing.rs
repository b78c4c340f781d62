//! What is listed at the API, by pages: only what has exactly our names.

use super::{Http, MAX_PAGES, answer, paging::Next, recipe::RevokeBy as Names, unreadable};
use crate::{
    api::provider::http::HttpMeaning,
    core::token::{Handle, Listed, Naming, Owner, Specification},
    providers::{Class, Error},
};

impl Http {
    /// Everything that is listed and alive, by pages.
    pub(super) async fn listed(
        &self,
        owner: &Owner,
        naming: &Naming,
        specification: &Specification,
    ) -> Result<Option<Vec<Listed>>, Error> {
        let Some(list) = &self.recipe.list else { return Ok(None) };
        let doing = format!("cannot list the tokens at {}", self.host());
        let lane = self.lane(owner);
        let mut found = Vec::new();
        let mut next = Next::First;
        for _ in 0..MAX_PAGES {
            let scope = self.scope(specification, &[]);
            let mut rendered = self.identified(owner, &list.operation, &scope, &doing).await?;
            next.apply(&mut rendered.url, &list.paging);
            let page = rendered.url.clone();
            let received = self.call(&lane, rendered, &doing).await?;
            match answer::meaning(&list.operation.answer, &received) {
                HttpMeaning::Success => {}
                meaning => return Err(self.refusal(&lane, meaning, &received, &doing)),
            }
            let body = received.body.json().ok_or_else(|| unreadable(&doing))?;
            let items = list.items.query(body);
            let ours = items.iter().filter_map(|item| {
                let name = answer::scalar(&list.name, item)?;
                let generation = naming.parse(&name)?;
                let alive = list.alive.iter().all(|expectation| answer::is_met(expectation, item));
                let id = list.id.as_ref().and_then(|id| answer::scalar(id, item));
                alive.then_some((generation, name, id))
            });
            for (generation, name, id) in ours {
                let handle = self.handle(&name, id, &doing)?;
                found.push(Listed { generation, id: name, handle, created_at: None });
            }
            match next.after(&list.paging, items.len(), body, &received.headers, &page) {
                Some(following) => next = following,
                None => {
                    // A page can begin with what the one before it ended with.
                    found.sort_by(|one: &Listed, other| one.id.cmp(&other.id));
                    found.dedup();
                    return Ok(Some(found));
                }
            }
        }
        Err(Error::new(Class::Invalid, format!("{doing}: it goes on after {MAX_PAGES} pages; look at list.paging")))
    }

    pub(super) fn handle(&self, name: &str, id: Option<String>, doing: &str) -> Result<Handle, Error> {
        Ok(match self.recipe.revoke_by() {
            None => Handle::Nothing {},
            Some(Names::Name) => Handle::Name { name: name.to_owned() },
            Some(Names::Value) => Handle::Value {},
            Some(Names::Id) => Handle::Id { id: id.ok_or_else(|| unreadable(doing))? },
        })
    }
}
