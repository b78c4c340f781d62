//! Tokens of any HTTP API, by a recipe: requests as templates, and what their answers mean.
//!
//! Each room uses only those before it:
//!
//! - [`recipe`] is what a provider object says, compiled: the language of its texts and of places in answers, and what follows from it
//! - [`message`] makes requests of it and reads what comes back, within what that may cost
//! - [`send`] sends them: what may be connected to, through which proxy, and what all tokens of an account share
//! - `identity` is who the operator is there: its Secret, and what is signed or obtained with it
//! - `operation` is what the driver does, one file for each verb of the trait
//!
//! Guarantees: each call is sent once, but for an answer that says that nothing was done and wants a nonce; a create that may have
//! been sent and was not answered is an unknown outcome; no URL is ever told, and nothing of an answer's body but a `code` that looks like one, because both may hold tokens; only
//! tokens with exactly our names are listed.
//!
//! A token counts as dead when it is not accepted and, where tokens are listed, is not listed either: a gateway that refuses
//! everything for a moment kills nothing.

pub(super) mod identity;
pub mod message;
mod operation;
pub mod recipe;
pub mod send;

use std::{sync::Arc, time::Duration};

use jiff::Timestamp;
use url::Url;

use self::recipe::{Asks, Recipe};
pub use self::{identity::Shared, operation::Health};
use super::{Capabilities, Class, Error, Minted, Problem, Provider, Request, Subject, error::detail};
use crate::{
    api::{HttpProvider, ProviderRef},
    core::{
        ledger::revocable::Revocable,
        token::{Census, Issued, Listed, Liveness, Naming, Owner, Proof, Specification, Verification},
    },
    secret_value::TokenSet,
};

/// How long an operation may take with all its calls. A create has less: it is over before another replica gives up waiting for it.
const MAX_TIME: Duration = Duration::from_secs(40);

/// The driver of one provider object.
#[derive(Clone)]
pub struct Http {
    name: &'static str,
    recipe: Arc<Recipe>,
    /// How long a call may take.
    timeout: Duration,
    ca_bundle: Option<Arc<str>>,
    reference: ProviderRef,
    shared: Shared,
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
        let told = |(place, base): (String, &Url)| Some(format!("{place}: {}", shared.reach.check(base).err()?));
        let proxy = recipe.proxy.as_ref();
        let proxy = proxy.and_then(|proxy| Some(format!("proxy.url: {}", shared.reach.check_host(&proxy.url).err()?)));
        let out_of_reach: Vec<String> = recipe.bases().into_iter().filter_map(told).chain(proxy).collect();
        if !out_of_reach.is_empty() {
            return Err(out_of_reach);
        }
        Ok(Self {
            name,
            timeout: recipe.timeout,
            recipe,
            ca_bundle: spec.ca_bundle.as_deref().map(Arc::from),
            reference: reference.clone(),
            shared: shared.clone(),
        })
    }

    /// The same for what is left of an operation.
    #[must_use]
    pub fn within(mut self, left: Duration) -> Self {
        self.timeout = self.timeout.min(left);
        self
    }

    /// An operation whose calls share one time; what was not done in it is tried again.
    async fn in_time<T>(&self, what: &str, operation: impl Future<Output = Result<T, Error>>) -> Result<T, Error> {
        let late = |_| {
            let host = self.recipe.base.host_str().unwrap_or_default();
            let seconds = MAX_TIME.as_secs();
            let why = format!("cannot {what} at {host}: all calls for it together took more than {seconds} s");
            Error::new(Class::Unavailable, why)
        };
        tokio::time::timeout(MAX_TIME, Box::pin(operation)).await.map_err(late)?
    }

    /// Name of the provider in metrics and logs.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        self.name
    }
}

impl Provider for Http {
    fn capabilities(&self) -> Capabilities {
        self.recipe.capabilities()
    }

    fn check(&self, specification: &Specification) -> Vec<Problem> {
        let recipe = &self.recipe;
        let words: Vec<&str> = recipe.permissions.keys().map(String::as_str).collect();
        let unknown = operation::asked(specification).filter(|name| !recipe.permissions.contains_key(*name));
        let permissions = unknown.take(recipe::MAX_MISTAKES).map(|name| {
            let known = match words.as_slice() {
                [] => "tokens of this provider have no permissions of their own".to_owned(),
                words => format!("it knows {}", recipe::some(words)),
            };
            let name = detail(name);
            Problem::UnknownPermission(format!("spec.permissions: the provider does not know {name:?}; {known}"))
        });
        let told = match (recipe.create.asks, specification.permissions.len()) {
            (Asks::Permissions | Asks::OnePermission, 0) => {
                Some("spec.permissions is empty; say what the token may do")
            }
            (Asks::OnePermission, 2..) => Some("spec.permissions: a token of this provider has exactly one of them"),
            _ => None,
        };
        let none = told.map(|told| Problem::UnknownPermission(told.to_owned()));
        let parameters = recipe::check_parameters(&recipe.parameters, &specification.parameters);
        permissions.chain(none).chain(parameters.into_iter().map(Problem::Parameter)).collect()
    }

    async fn preflight(&self, subject: Subject<'_>) -> Result<Option<Census>, Error> {
        let asked = async {
            if let Some(census) = self.census(subject.owner, subject.specification).await? {
                return Ok(Some(census));
            }
            // Lists nothing of anybody: no name is ours under this prefix.
            let nobody = Naming::new("preflight", "");
            if self.listed(subject.owner, &nobody, subject.specification).await?.is_none() {
                self.check_credential(&subject.owner.namespace).await?;
                self.ask_about_credential(&subject.owner.namespace).await?;
            }
            Ok(None)
        };
        self.in_time("look at the account", asked).await
    }

    async fn list(&self, subject: Subject<'_>) -> Result<Vec<Listed>, Error> {
        let listed = self.listed(subject.owner, subject.naming, subject.specification);
        Ok(self.in_time("list the tokens", listed).await?.unwrap_or_default())
    }

    async fn create(&self, request: &Request) -> Result<Minted, Error> {
        self.mint(request).await
    }

    async fn verify(&self, subject: Subject<'_>, values: &TokenSet) -> Result<Verification, Error> {
        self.in_time("verify the token", self.check_token(subject.owner, subject.specification, values)).await
    }

    async fn prove(&self, subject: Subject<'_>, token: &Issued, values: &TokenSet) -> Result<Proof, Error> {
        self.in_time("show that the recipe is right", self.show_recipe(subject.owner, token, values)).await
    }

    fn unshown(&self, owner: &Owner) -> Vec<String> {
        self.shared.proven.unshown(&self.object(owner))
    }

    async fn revoke(&self, subject: Subject<'_>, token: &Revocable, values: Option<&TokenSet>) -> Result<(), Error> {
        self.in_time("revoke the token", self.end(subject.owner, subject.specification, token, values)).await
    }

    async fn liveness(
        &self,
        subject: Subject<'_>,
        token: &Issued,
        values: Option<&TokenSet>,
    ) -> Result<Liveness, Error> {
        self.in_time("verify the token", self.look_for_life(subject.owner, subject.naming, token, values)).await
    }

    async fn last_use(
        &self,
        subject: Subject<'_>,
        token: &Issued,
        values: Option<&TokenSet>,
    ) -> Result<Option<Timestamp>, Error> {
        self.in_time("ask when the token was used", self.last_used(subject.owner, subject.naming, token, values)).await
    }
}
