//! Tokens of any HTTP API, by a recipe: requests as templates, and what their answers mean.
//!
//! Each room uses only those before it:
//!
//! - [`recipe`] is what a provider object says, compiled: the language of its texts and of places in answers, and what
//!   follows from it
//! - [`message`] makes requests of it and reads what comes back, within what that may cost
//! - [`send`] sends them: what may be connected to, through which proxy, and what all tokens of an account share
//! - `identity` is who the operator is there: its Secret, and what is signed or obtained with it
//! - `operation` is what the driver does, one file for each verb of the trait
//!
//! Guarantees: each call is sent once, but for an answer that says that nothing was done and wants a nonce; a create
//! that may have been sent and was not answered is an unknown outcome; no URL is ever shown, and nothing of an answer's
//! body but a `code` that looks like one, because both may hold tokens; only tokens with exactly our names are listed.
//!
//! A token counts as dead when it is not accepted and, where tokens are listed, is not listed either: a gateway that
//! refuses everything for a moment kills nothing.

pub(super) mod identity;
pub mod message;
mod operation;
pub mod recipe;
pub mod send;

use std::{sync::Arc, time::Duration};

use jiff::Timestamp;
use url::Url;

pub use self::{identity::Shared, operation::Health};
use self::{
    identity::account::{Account, Connection},
    message::answer::Received,
};
use super::{Capabilities, Class, Error, Inspect, Minted, Problem, Provider, Request, Subject};
use crate::{
    api::{HttpProvider, ProviderRef},
    core::{
        ledger::revocable::Revocable,
        token::{Census, Issued, Listed, Liveness, Owner, Proof, Specification, Verification},
    },
    secret_value::TokenSet,
};

/// How long an operation may take with all its calls. A create has less: it is over before another replica gives up
/// waiting for it.
const MAX_TIME: Duration = Duration::from_secs(40);

/// The driver of one provider object.
#[derive(Clone)]
pub struct Http {
    name: &'static str,
    connection: Connection,
}

impl Http {
    /// A driver for a provider object. `name` is the provider's: that of the recipe, where it is a built-in one.
    ///
    /// # Errors
    /// Every mistake of the recipe, with its place from the provider's spec on.
    pub fn new(
        name: &'static str,
        spec: &HttpProvider,
        reference: &ProviderRef,
        shared: &Shared,
    ) -> Result<Self, Vec<String>> {
        let recipe = shared.recipes.get(spec)?;
        let reported = |(place, base): (String, &Url)| Some(format!("{place}: {}", shared.reach.check(base).err()?));
        let proxy = recipe.proxy.as_ref();
        let proxy = proxy.and_then(|proxy| Some(format!("proxy.url: {}", shared.reach.check_host(&proxy.url).err()?)));
        let out_of_reach: Vec<String> = recipe.bases().into_iter().filter_map(reported).chain(proxy).collect();
        if !out_of_reach.is_empty() {
            return Err(out_of_reach);
        }
        let connection = Connection {
            timeout: recipe.timeout,
            recipe,
            ca_bundle: spec.ca_bundle.as_deref().map(Arc::from),
            reference: reference.clone(),
            shared: shared.clone(),
        };
        Ok(Self { name, connection })
    }

    /// The same for what is left of an operation.
    #[must_use]
    pub fn within(mut self, left: Duration) -> Self {
        self.connection.timeout = self.connection.timeout.min(left);
        self
    }

    /// Whether the credential is there and can be shown; asks the API server, not the provider.
    ///
    /// # Errors
    /// What is wrong with it.
    pub async fn check_credential(&self, namespace: &str) -> Result<(), Error> {
        self.connection.account(namespace).check_credential().await
    }

    /// Whether the credential is there, and accepted where the recipe says how to ask.
    ///
    /// # Errors
    /// What is wrong with it.
    pub async fn health(&self, namespace: &str) -> Result<Health, Error> {
        self.in_time("check the credential", self.connection.account(namespace).health()).await
    }

    /// Asks for something that is public, showing nobody; `None` if it is not there.
    pub(super) async fn look_up(
        &self,
        namespace: &str,
        url: Url,
        timeout: Duration,
        doing: &str,
    ) -> Result<Option<Received>, Error> {
        self.connection.account(namespace).look_up(url, timeout, doing).await
    }

    fn account<'a>(&'a self, owner: &'a Owner) -> Account<'a> {
        self.connection.account(&owner.namespace)
    }

    /// An operation whose calls share one time; what was not done in it is tried again.
    async fn in_time<T>(&self, what: &str, operation: impl Future<Output = Result<T, Error>>) -> Result<T, Error> {
        let late = |_| {
            let host = self.connection.recipe.base.host_str().unwrap_or_default();
            let seconds = MAX_TIME.as_secs();
            let why = format!("cannot {what} at {host}: all calls for it together took more than {seconds} s");
            Error::new(Class::Unavailable, why)
        };
        tokio::time::timeout(MAX_TIME, Box::pin(operation)).await.map_err(late)?
    }
}

impl Inspect for Http {
    fn name(&self) -> &'static str {
        self.name
    }

    fn capabilities(&self) -> Capabilities {
        self.connection.recipe.capabilities()
    }

    fn check(&self, specification: &Specification) -> Vec<Problem> {
        self.connection.recipe.check(specification)
    }

    async fn preflight(&self, subject: Subject<'_>) -> Result<Option<Census>, Error> {
        let account = self.account(subject.owner);
        self.in_time("read the account", account.preflight(subject.specification)).await
    }

    async fn list(&self, subject: Subject<'_>) -> Result<Vec<Listed>, Error> {
        let account = self.account(subject.owner);
        let listed = account.list(subject.naming, subject.specification);
        Ok(self.in_time("list the tokens", listed).await?.unwrap_or_default())
    }

    async fn verify(&self, subject: Subject<'_>, values: &TokenSet) -> Result<Verification, Error> {
        let account = self.account(subject.owner);
        self.in_time("verify the token", account.verify(subject.specification, values)).await
    }

    async fn prove(&self, subject: Subject<'_>, token: &Issued, values: &TokenSet) -> Result<Proof, Error> {
        let account = self.account(subject.owner);
        self.in_time("show that the recipe is right", account.prove(subject, token, values)).await
    }

    fn unshown(&self, owner: &Owner) -> Vec<String> {
        self.connection.shared.proofs.unshown(&self.account(owner).object)
    }

    async fn liveness(
        &self,
        subject: Subject<'_>,
        token: &Issued,
        values: Option<&TokenSet>,
    ) -> Result<Liveness, Error> {
        let account = self.account(subject.owner);
        self.in_time("verify the token", account.liveness(subject, token, values)).await
    }

    async fn last_use(
        &self,
        subject: Subject<'_>,
        token: &Issued,
        values: Option<&TokenSet>,
    ) -> Result<Option<Timestamp>, Error> {
        let account = self.account(subject.owner);
        self.in_time("ask when the token was used", account.last_use(subject, token, values)).await
    }
}

impl Provider for Http {
    async fn create(&self, request: &Request) -> Result<Minted, Error> {
        self.account(&request.owner).create(request).await
    }

    async fn revoke(&self, subject: Subject<'_>, token: &Revocable, values: Option<&TokenSet>) -> Result<(), Error> {
        let account = self.account(subject.owner);
        self.in_time("revoke the token", account.revoke(subject.specification, token, values)).await
    }
}
