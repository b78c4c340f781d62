//! What a compiled recipe is: every template parsed, every path compiled, every name known. [`compile`] makes it.

pub(super) mod cache;
mod capabilities;
pub mod compile;
pub(super) mod credential;
pub(super) mod operation;
pub(super) mod parameters;
pub mod path;
pub(super) mod proofs;
pub mod template;
pub(super) mod token;

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use serde_json::Value;
use url::Url;

use self::{
    credential::{Credential, ProxySettings},
    operation::Operation,
    token::{Check, Create, InPlace, LastUsed, List, ListValues, NamedBy, Revoke, Verify},
};
use crate::api::provider::http as api;

/// A compiled recipe.
#[derive(Clone, Debug)]
pub struct Recipe {
    pub base: Url,
    /// What all requests go through.
    pub proxy: Option<ProxySettings>,
    pub timeout: Duration,
    pub activation: Duration,
    pub propagation: Duration,
    pub credential: Option<Credential>,
    /// Keys of its Secret that the requests name.
    pub credential_keys: BTreeSet<String>,
    pub parameters: BTreeMap<String, api::HttpParameter>,
    /// What stands for each permission in `${permissions}`.
    pub permissions: BTreeMap<String, Value>,
    pub create: Create,
    pub list: Option<List>,
    /// Where tokens have no names: everything there is, by value.
    pub list_values: Option<ListValues>,
    pub verify: Verify,
    pub check: Option<Check>,
    /// A new token ends the old one, or takes its place.
    pub in_place: Option<InPlace>,
    /// Asks when a token was used last.
    pub last_used: Option<LastUsed>,
    /// Asks whether a token that was revoked is gone.
    pub confirm: Option<Operation>,
    /// How a token is revoked; `None` where tokens end when they expire.
    pub revoke: Option<Revoke>,
}

impl Recipe {
    /// Where requests go, by the place where that is said.
    #[must_use]
    pub fn bases(&self) -> Vec<(String, &Url)> {
        let own = [("baseUrl".to_owned(), &self.base)];
        let oauth2 = self.credential.iter().filter_map(|credential| credential.oauth2.as_ref());
        let oauth2 = oauth2.map(|oauth2| ("credential.oauth2.tokenUrl".to_owned(), &oauth2.token_url));
        let elsewhere = self.operations().into_iter().filter_map(|(place, operation)| {
            operation.request.base.as_ref().map(|base| (format!("{place}.request.baseUrl"), base))
        });
        own.into_iter().chain(oauth2).chain(elsewhere).collect()
    }

    /// Every operation, by its place.
    fn operations(&self) -> Vec<(String, &Operation)> {
        let login = self.credential.iter().filter_map(|credential| credential.login.as_ref());
        let revoke = self.revoke.iter().flat_map(|revoke| {
            let precondition = revoke.precondition.iter().map(|read| ("revoke.precondition", &read.operation));
            let first = revoke.before.iter().map(|operation| ("revoke.before", operation));
            precondition.chain(first).chain([("revoke", &revoke.operation)])
        });
        let present = self.in_place.iter().filter_map(|in_place| in_place.present.as_ref());
        let named = (login.map(|login| ("credential.login", &login.operation)))
            .chain([("create", &self.create.operation), ("verify", &self.verify.operation)])
            .chain(self.list.iter().map(|list| ("list", &list.operation)))
            .chain(self.list_values.iter().map(|list| ("listValues", &list.operation)))
            .chain(revoke)
            .chain(present.map(|present| ("inPlace.present", &present.operation)))
            .chain(self.confirm.iter().map(|operation| ("confirm", operation)))
            .chain(self.last_used.iter().map(|last_used| ("lastUsed", &last_used.operation)))
            .chain(self.check.iter().map(|check| ("check", &check.operation)));
        let probes = self.verify.probes.iter().map(|(name, probe)| (format!("verify.probes.{name}"), probe));
        named.map(|(name, operation)| (name.to_owned(), operation)).chain(probes).collect()
    }

    /// What revoke names a token by; `None` where nothing revokes.
    #[must_use]
    pub fn revoke_by(&self) -> Option<NamedBy> {
        self.revoke.as_ref().map(|revoke| revoke.by)
    }
}
