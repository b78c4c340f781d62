//! How a recipe lists tokens: by name, page by page, or all of them by value.

use std::collections::BTreeMap;

use super::{
    compiler::{Compiler, Known},
    request::variables,
};
use crate::{
    api::provider::http as api,
    providers::http::recipe::{
        template::Variable,
        token::{List, ListValues, Paging},
    },
};

impl Compiler<'_> {
    pub(super) fn list(&mut self, list: &api::HttpList) -> Option<List> {
        let operation = self.operation("list", Known::List, &list.request, &list.answer);
        let names = variables(&self.recipe.create.request).contains(&Variable::Name);
        if !names {
            self.wrong("create.request", "never uses ${name}, so list could not find the tokens of an object");
        }
        let items = self.path("list.items", &list.items);
        let name = self.path("list.name", &list.name);
        self.name_ends_before(list.name_ends_before.as_deref());
        let id = self.optional_path("list.id", list.id.as_ref());
        let alive = self.expectations("list.alive", &list.alive, api::HttpMeaning::Gone);
        let mut values = BTreeMap::new();
        for (name, path) in &list.values {
            let place = format!("list.values.{name}");
            if !self.recipe.create.values.contains_key(name) {
                self.wrong(&place, "is none of create.values");
            }
            if let Some(path) = self.path(&place, path) {
                values.insert(name.clone(), path);
            }
        }
        let last_used = self.past("list.lastUsed", list.last_used.as_ref());
        let paging = self.paging(list.paging.as_ref());
        Some(List {
            operation: operation?,
            items: items?,
            name: name?,
            name_ends_before: list.name_ends_before.clone(),
            id: id?,
            last_used: last_used?,
            alive: alive?,
            values,
            paging: paging?,
        })
    }

    /// A name is cut off at the first one, so it must not be in the name itself.
    fn name_ends_before(&mut self, end: Option<&str>) {
        let Some(end) = end else { return };
        let is_of_names = |character: char| character.is_ascii_alphanumeric() || character == '-';
        if end.is_empty() {
            self.wrong("list.nameEndsBefore", "is empty");
        } else if end.chars().all(is_of_names) {
            let why = "is part of every name, or can be: take one that has something else than letters, digits and `-`";
            self.wrong("list.nameEndsBefore", why);
        }
    }

    pub(super) fn list_values(&mut self, list: &api::HttpListValues) -> Option<ListValues> {
        let operation = self.operation("listValues", Known::List, &list.request, &list.answer);
        if self.recipe.list.is_some() {
            self.wrong("listValues", "set list or listValues, not both");
        }
        if !self.recipe.create.values.keys().eq(["token"]) {
            self.wrong("listValues", "needs create.values to be one value, named token");
        }
        let values = self.path("listValues.values", &list.values);
        Some(ListValues { operation: operation?, values: values? })
    }

    fn paging(&mut self, paging: Option<&api::HttpPaging>) -> Option<Paging> {
        let Some(api::HttpPaging { page, cursor, link }) = paging else { return Some(Paging::None) };
        match (page, cursor, link) {
            (Some(page), None, None) => Some(Paging::Page { parameter: page.parameter.clone(), first: page.first }),
            (None, Some(cursor), None) => {
                let next = self.path("list.paging.cursor.next", &cursor.next)?;
                Some(Paging::Cursor { parameter: cursor.parameter.clone(), next })
            }
            (None, None, Some(api::HttpLink {})) => Some(Paging::Link),
            _ => {
                self.wrong("list.paging", "set exactly one of page, cursor and link");
                None
            }
        }
    }
}
