//! Tokens of any HTTP API, by a recipe: requests as templates, and what their answers mean.
//!
//! - [`compile`] makes a [`recipe`] of what a provider object says; [`template`] is the language of its texts
//! - [`render`] makes requests of it, [`transport`] sends them, [`answer`] reads what comes back
//! - `minting`, `listing`, `trying` are what the driver does with them
//! - [`guard`] says what may be connected to, [`throttle`] what all tokens of a provider share, [`credential`] who we are
//!
//! Guarantees: each call is sent once; a create that may have been sent and was not answered is an unknown outcome; no answer's
//! body and no URL is ever told, because both may hold tokens; only tokens with exactly our names are listed.
//!
//! A token counts as dead when it is not accepted and, where tokens are listed, is not listed either: a gateway that refuses
//! everything for a moment kills nothing.

pub mod answer;
pub mod compile;
mod compile_request;
mod credential;
pub mod guard;
mod listing;
mod minting;
mod paging;
pub mod recipe;
pub mod render;
pub mod template;
pub mod throttle;
pub mod transport;
mod trying;

use std::{sync::Arc, time::Duration};

use http::StatusCode;
use jiff::Timestamp;
use serde_json::Value;

pub use self::credential::Shared;
use self::{
    answer::{Meant, Received},
    recipe::{Asks, Operation, Recipe, RevokeBy as Names},
    render::{Parameters, Rendered, Scope},
    throttle::{Closed, Lane, Pause},
};
use super::{Capabilities, Class, Error, Minted, Problem, Provider, Request};
use crate::{
    api::{HttpProvider, ProviderRef, provider::http::HttpMeaning},
    core::{
        census::Census,
        revocable::Revocable,
        token::{Handle, Issued, Listed, Liveness, Naming, Owner, Specification, Verification},
    },
    secret_value::TokenSet,
};

/// Pages of a list that are read; a list that goes on for ever is a mistake of the recipe.
const MAX_PAGES: usize = 50;

/// How long a call waits for a place among the calls to its provider.
const PATIENCE: Duration = Duration::from_millis(300);

/// How long nothing is sent to a provider whose limit is used up, at least.
const QUOTA_PAUSE: Duration = Duration::from_secs(15 * 60);

/// How long a create waits for a place among the calls to its provider.
const CREATE_PATIENCE: Duration = Duration::from_secs(5);

/// The driver of one provider object.
#[derive(Clone)]
pub struct Http {
    name: &'static str,
    recipe: Arc<Recipe>,
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
        let recipe =
            compile::compile(spec).map_err(|mistakes| mistakes.iter().map(ToString::to_string).collect::<Vec<_>>())?;
        if let Err(why) = shared.reach.check(&recipe.base) {
            return Err(vec![why]);
        }
        Ok(Self {
            name,
            recipe: Arc::new(recipe),
            ca_bundle: spec.ca_bundle.as_deref().map(Arc::from),
            reference: reference.clone(),
            shared: shared.clone(),
        })
    }

    /// Name of the provider in metrics and logs.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        self.name
    }

    /// Where the credential's Secret is.
    fn credential_namespace<'a>(&'a self, owner: &'a Owner) -> &'a str {
        self.shared.namespace_of(self.reference.kind, &owner.namespace)
    }

    /// Whether the credential is there and can be shown; asks the API server, not the provider.
    ///
    /// # Errors
    /// What is wrong with it.
    pub async fn check_credential(&self, namespace: &str) -> Result<(), Error> {
        let Some(credential) = &self.recipe.credential else { return Ok(()) };
        let namespace = self.shared.namespace_of(self.reference.kind, namespace);
        self.shared.data(namespace, credential).await?.headers(&credential.shown).map(drop)
    }

    fn lane(&self, owner: &Owner) -> Arc<Lane> {
        let Self { reference, shared, .. } = self;
        let namespace = shared.namespace_of(reference.kind, &owner.namespace);
        shared.throttle.lane(&format!("{}/{namespace}/{}", reference.kind.as_str(), reference.name))
    }

    /// The parameters and permissions of a specification, for templates.
    fn scope<'a>(&'a self, specification: &'a Specification, permissions: &'a [Value]) -> Scope<'a> {
        Scope {
            permissions,
            parameters: Some(Parameters { known: &self.recipe.parameters, given: &specification.parameters }),
            ..Scope::default()
        }
    }

    fn render(&self, operation: &Operation, scope: &Scope<'_>, doing: &str) -> Result<Rendered, Error> {
        render::request(&self.recipe.base, &operation.request, scope)
            .map_err(|why| Error::new(Class::Invalid, format!("{doing}: {why}")))
    }

    /// A request that shows who we are, unless it says otherwise itself.
    async fn identified(
        &self,
        owner: &Owner,
        operation: &Operation,
        scope: &Scope<'_>,
        doing: &str,
    ) -> Result<Rendered, Error> {
        let Some(credential) = &self.recipe.credential else { return self.render(operation, scope, doing) };
        let within = |error: Error| Error::new(error.class(), format!("{doing}: {error}"));
        let data = self.shared.data(self.credential_namespace(owner), credential).await.map_err(within)?;
        let mut rendered = self.render(operation, &Scope { credential: Some(data.keys()), ..*scope }, doing)?;
        for (name, value) in data.headers(&credential.shown).map_err(within)? {
            rendered.headers.entry(name).or_insert(value);
        }
        Ok(rendered)
    }

    async fn send(&self, rendered: Rendered, doing: &str) -> Result<Received, (Error, bool)> {
        let client = self.shared.client(self.ca_bundle.as_deref(), self.recipe.timeout);
        let client = client.map_err(|why| (Error::new(Class::Invalid, format!("{doing}: {why}")), true))?;
        transport::send(&client, rendered).await.map_err(|failure| {
            let error = Error::new(Class::Unavailable, format!("{doing}: {}", failure.why));
            (error, failure.unsent)
        })
    }

    /// A call that may be repeated later.
    async fn call(&self, lane: &Lane, rendered: Rendered, doing: &str) -> Result<Received, Error> {
        let _leave = lane.enter_within(PATIENCE).await.map_err(|closed| stay_away(closed, doing))?;
        self.send(rendered, doing).await.map_err(|(error, _)| error)
    }

    /// What an answer that is no success means.
    fn refusal(&self, lane: &Lane, meant: Meant<'_>, received: &Received, doing: &str) -> Error {
        let status = told(received.status);
        let do_this = || meant.remedy.map_or_else(|| self.remedy(), str::to_owned);
        let (class, what) = match meant.meaning {
            HttpMeaning::RateLimited => {
                let retry_after = answer::retry_after(&received.headers, Timestamp::now());
                // Without a word about when, the usual growing waits of each token.
                if let Some(wait) = retry_after {
                    lane.pause(wait, Pause::TooFast);
                }
                (Class::RateLimited { retry_after }, format!("it asks to slow down ({status})"))
            }
            HttpMeaning::QuotaExceeded => {
                let asked = answer::retry_after(&received.headers, Timestamp::now());
                let retry_after = asked.map_or(QUOTA_PAUSE, |wait| wait.max(QUOTA_PAUSE));
                lane.pause(retry_after, Pause::Quota);
                (Class::QuotaExceeded { retry_after }, format!("the limit of the plan is used up ({status})"))
            }
            HttpMeaning::AccountSuspended => {
                (Class::AccountSuspended, format!("the account may not use it now ({status})"))
            }
            HttpMeaning::Unavailable => (Class::Unavailable, format!("it does not work now ({status})")),
            HttpMeaning::Unauthorized => {
                let what = format!("it does not accept the operator's credential ({status}); {}", do_this());
                return Error::new(Class::Unauthorized, format!("{doing}: {what}"));
            }
            HttpMeaning::Refused if received.status == StatusCode::FORBIDDEN => {
                let what = format!("the operator's credential may not do this ({status}); {}", do_this());
                return Error::new(Class::Refused, format!("{doing}: {what}"));
            }
            HttpMeaning::Duplicate => (Class::Conflict, format!("it has a token of this name already ({status})")),
            HttpMeaning::Gone => {
                (Class::Invalid, format!("it finds nothing there ({status}); look at baseUrl, path and parameters"))
            }
            HttpMeaning::Refused | HttpMeaning::Success => {
                (Class::Invalid, format!("it refuses the request ({status}); look at the recipe and the parameters"))
            }
        };
        let remedy = meant.remedy.map(|remedy| format!("; {remedy}")).unwrap_or_default();
        Error::new(class, format!("{doing}: {what}{remedy}"))
    }

    fn remedy(&self) -> String {
        match &self.recipe.credential {
            Some(credential) => format!("look at the Secret {} of its credential", credential.secret),
            None => "the provider object names no credential".to_owned(),
        }
    }

    fn host(&self) -> &str {
        self.recipe.base.host_str().unwrap_or_default()
    }

    /// Whether the value of a token is listed no more, where values are listed.
    async fn is_gone(
        &self,
        owner: &Owner,
        specification: &Specification,
        values: Option<&TokenSet>,
    ) -> Result<bool, Error> {
        let Some(values) = values else { return Ok(false) };
        let census = self.census(owner, specification).await?;
        Ok(census.is_some_and(|census| !census.contains(&values.fingerprint())))
    }

    fn translate(&self, specification: &Specification) -> Vec<Value> {
        let known = &self.recipe.permissions;
        specification.permissions.iter().filter_map(|name| known.get(name)).cloned().collect()
    }
}

fn told(status: StatusCode) -> String {
    format!("status {}", status.as_u16())
}

fn unreadable(doing: &str) -> Error {
    Error::new(Class::Invalid, format!("{doing}: the answer does not say what the recipe expects; look at its paths"))
}

fn stay_away(closed: Closed, doing: &str) -> Error {
    let later = |wait| Class::RateLimited { retry_after: Some(wait) };
    let (class, why) = match closed {
        Closed::Paused(left, Pause::TooFast) => (later(left), "it asked for a pause that is not over"),
        Closed::Paused(left, Pause::Quota) => {
            (Class::QuotaExceeded { retry_after: left }, "the limit of the plan was used up a moment ago")
        }
        Closed::Busy(wait) => (later(wait), "other calls to it have not been answered yet"),
    };
    Error::new(class, format!("{doing}: {why}"))
}

impl Provider for Http {
    fn capabilities(&self) -> Capabilities {
        self.recipe.capabilities()
    }

    fn check(&self, specification: &Specification) -> Vec<Problem> {
        let recipe = &self.recipe;
        let words: Vec<&str> = recipe.permissions.keys().map(String::as_str).collect();
        let unknown = specification.permissions.iter().filter(|name| !recipe.permissions.contains_key(*name));
        let permissions = unknown.map(|name| {
            let known = match words.as_slice() {
                [] => "tokens of this provider have no permissions of their own".to_owned(),
                few if few.len() <= 20 => format!("it knows {}", few.join(", ")),
                many => format!("it knows {} and {} more", many[..20].join(", "), many.len() - 20),
            };
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

    async fn preflight(&self, owner: &Owner, specification: &Specification) -> Result<Option<Census>, Error> {
        if let Some(census) = self.census(owner, specification).await? {
            return Ok(Some(census));
        }
        // Lists nothing of anybody: no name is ours under this prefix.
        let nobody = Naming::new("preflight", "");
        if self.listed(owner, &nobody, specification).await?.is_none() {
            self.check_credential(&owner.namespace).await?;
        }
        Ok(None)
    }

    async fn list(&self, owner: &Owner, naming: &Naming, specification: &Specification) -> Result<Vec<Listed>, Error> {
        Ok(self.listed(owner, naming, specification).await?.unwrap_or_default())
    }

    async fn create(&self, request: &Request) -> Result<Minted, Error> {
        self.mint(request).await
    }

    async fn verify(
        &self,
        owner: &Owner,
        specification: &Specification,
        values: &TokenSet,
    ) -> Result<Verification, Error> {
        self.check_token(owner, specification, values).await
    }

    async fn revoke(
        &self,
        owner: &Owner,
        specification: &Specification,
        token: &Revocable,
        values: Option<&TokenSet>,
    ) -> Result<(), Error> {
        // It ends by itself; nobody is told that it was revoked.
        let Some((operation, by)) = &self.recipe.revoke else { return Ok(()) };
        let doing = format!("cannot revoke {} at {}", token.id(), self.host());
        let token_id = match token.handle() {
            Handle::Id { id } => Some(id.as_str()),
            _ => None,
        };
        let shown;
        let values = match values {
            None if *by == Names::Value => {
                shown = self.values_of(owner, token.id(), specification).await?;
                let Some(values) = &shown else {
                    let message = format!(
                        "{doing}: it is revoked by its value, and that is lost; revoke the token of this name at the provider by hand"
                    );
                    return Err(Error::new(Class::Invalid, message));
                };
                Some(values)
            }
            known => known,
        };
        let scope =
            Scope { token_id, token_name: Some(token.id()), token_values: values, ..self.scope(specification, &[]) };
        let rendered = self.identified(owner, operation, &scope, &doing).await?;
        let lane = self.lane(owner);
        let received = self.call(&lane, rendered, &doing).await?;
        let meant = answer::meaning(&operation.answer, &received);
        match meant.meaning {
            HttpMeaning::Success | HttpMeaning::Gone => Ok(()),
            // An API that refuses to revoke what is revoked already.
            HttpMeaning::Refused if self.is_gone(owner, specification, values).await? => Ok(()),
            _ => Err(self.refusal(&lane, meant, &received, &doing)),
        }
    }

    async fn liveness(
        &self,
        owner: &Owner,
        naming: &Naming,
        token: &Issued,
        values: Option<&TokenSet>,
    ) -> Result<Liveness, Error> {
        self.look_for_life(owner, naming, token, values).await
    }
}
