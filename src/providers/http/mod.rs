//! Tokens of any HTTP API, by a recipe: requests as templates, and what their answers mean.
//!
//! - [`compile`] makes a [`recipe`] of what a provider object says; [`template`] is the language of its texts
//! - [`render`] makes requests of it, [`transport`] sends them, [`answer`] reads what comes back
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
mod paging;
pub mod recipe;
pub mod render;
pub mod template;
pub mod throttle;
pub mod transport;

use std::{sync::Arc, time::Duration};

use http::StatusCode;
use jiff::Timestamp;
use serde_json::Value;
use serde_json_path::JsonPath;

pub use self::credential::Shared;
use self::{
    answer::Received,
    paging::Next,
    recipe::{Operation, Recipe, RevokeBy as Names},
    render::{Parameters, Rendered, Scope},
    throttle::{Closed, Lane},
};
use super::{Capabilities, Class, Error, Minted, Problem, Provider, Request};
use crate::{
    api::{HttpProvider, ProviderRef, provider::http::HttpMeaning},
    core::{
        revocable::Revocable,
        schedule,
        token::{Handle, Issued, Listed, Liveness, Naming, Owner, Specification, Verification},
    },
    secret_value::TokenSet,
};

/// Pages of a list that are read; a list that goes on for ever is a mistake of the recipe.
const MAX_PAGES: usize = 50;

/// How long a call waits for a place among the calls to its provider.
const PATIENCE: Duration = Duration::from_millis(300);

/// How long a create waits for a place among the calls to its provider.
const CREATE_PATIENCE: Duration = Duration::from_secs(5);

/// The driver of one provider object.
#[derive(Clone)]
pub struct Http {
    recipe: Arc<Recipe>,
    ca_bundle: Option<Arc<str>>,
    reference: ProviderRef,
    shared: Shared,
}

impl Http {
    /// A driver for a provider object.
    ///
    /// # Errors
    /// Every mistake of the recipe.
    pub fn new(spec: &HttpProvider, reference: &ProviderRef, shared: &Shared) -> Result<Self, Vec<String>> {
        let recipe =
            compile::compile(spec).map_err(|mistakes| mistakes.iter().map(ToString::to_string).collect::<Vec<_>>())?;
        if let Err(why) = shared.reach.check(&recipe.base) {
            return Err(vec![why]);
        }
        Ok(Self {
            recipe: Arc::new(recipe),
            ca_bundle: spec.ca_bundle.as_deref().map(Arc::from),
            reference: reference.clone(),
            shared: shared.clone(),
        })
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
    fn refusal(&self, lane: &Lane, meaning: HttpMeaning, received: &Received, doing: &str) -> Error {
        let status = told(received.status);
        let (class, what) = match meaning {
            HttpMeaning::RateLimited => {
                let retry_after = answer::retry_after(&received.headers, Timestamp::now());
                // Without a word about when, the usual growing waits of each token.
                if let Some(wait) = retry_after {
                    lane.pause(wait);
                }
                (Class::RateLimited { retry_after }, format!("it asks to slow down ({status})"))
            }
            HttpMeaning::Unavailable => (Class::Unavailable, format!("it does not work now ({status})")),
            HttpMeaning::Unauthorized => {
                (Class::Refused, format!("it does not accept the operator's credential ({status}); {}", self.remedy()))
            }
            HttpMeaning::Refused if received.status == StatusCode::FORBIDDEN => {
                (Class::Refused, format!("the operator's credential may not do this ({status}); {}", self.remedy()))
            }
            HttpMeaning::Duplicate => (Class::Conflict, format!("it has a token of this name already ({status})")),
            HttpMeaning::Gone => {
                (Class::Invalid, format!("it finds nothing there ({status}); look at baseUrl, path and parameters"))
            }
            HttpMeaning::Refused | HttpMeaning::Success => {
                (Class::Invalid, format!("it refuses the request ({status}); look at the recipe and the parameters"))
            }
        };
        Error::new(class, format!("{doing}: {what}"))
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

    /// Everything that is listed and alive, by pages.
    async fn listed(
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

    fn handle(&self, name: &str, id: Option<String>, doing: &str) -> Result<Handle, Error> {
        Ok(match self.recipe.revoke_by() {
            None => Handle::Nothing {},
            Some(Names::Name) => Handle::Name { name: name.to_owned() },
            Some(Names::Value) => Handle::Value {},
            Some(Names::Id) => Handle::Id { id: id.ok_or_else(|| unreadable(doing))? },
        })
    }

    /// Shows a token at the provider.
    async fn try_out(
        &self,
        owner: &Owner,
        specification: &Specification,
        values: &TokenSet,
    ) -> Result<(HttpMeaning, Received), Error> {
        let doing = format!("cannot try the token at {}", self.host());
        let scope = Scope { token_values: Some(values), ..self.scope(specification, &[]) };
        let verify = &self.recipe.verify;
        let rendered = match verify.shows_credential {
            true => self.identified(owner, &verify.operation, &scope, &doing).await?,
            false => self.render(&verify.operation, &scope, &doing)?,
        };
        let lane = self.lane(owner);
        let received = self.call(&lane, rendered, &doing).await?;
        let meaning = answer::meaning(&verify.operation.answer, &received);
        if answer::says_nothing_of_the_token(verify, meaning, received.status) {
            return Err(self.refusal(&lane, meaning, &received, &doing));
        }
        Ok((meaning, received))
    }

    /// What an answer says that a token may do, one by one.
    fn granted(&self, path: &JsonPath, body: &Value) -> Vec<Value> {
        let found = path.query(body);
        if !self.recipe.verify.with_spaces {
            return found.iter().map(|value| (*value).clone()).collect();
        }
        let texts = found.iter().filter_map(|value| value.as_str());
        texts.flat_map(str::split_whitespace).map(Value::from).collect()
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
    let (wait, why) = match closed {
        Closed::Paused(left) => (left, "it asked for a pause that is not over"),
        Closed::Busy(wait) => (wait, "other calls to it have not been answered yet"),
    };
    Error::new(Class::RateLimited { retry_after: Some(wait) }, format!("{doing}: {why}"))
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
        let none = (specification.permissions.is_empty() && !words.is_empty())
            .then(|| Problem::UnknownPermission("spec.permissions is empty; say what the token may do".to_owned()));
        let parameters = recipe::check_parameters(&recipe.parameters, &specification.parameters);
        permissions.chain(none).chain(parameters.into_iter().map(Problem::Parameter)).collect()
    }

    async fn preflight(&self, owner: &Owner, specification: &Specification) -> Result<(), Error> {
        // Lists nothing of anybody: no name is ours under this prefix.
        let nobody = Naming::new("preflight", "");
        if self.listed(owner, &nobody, specification).await?.is_some() {
            return Ok(());
        }
        self.check_credential(&owner.namespace).await
    }

    async fn list(&self, owner: &Owner, naming: &Naming, specification: &Specification) -> Result<Vec<Listed>, Error> {
        Ok(self.listed(owner, naming, specification).await?.unwrap_or_default())
    }

    async fn create(&self, request: &Request) -> Result<Minted, Error> {
        let Request { owner, id: name, specification, lifetime, .. } = request;
        let doing = format!("cannot mint a token at {}", self.host());
        let create = &self.recipe.create;
        let now = Timestamp::now();
        let permissions = self.translate(specification);
        let scope = Scope {
            name: Some(name),
            lifetime: Some(*lifetime),
            expires: Some(schedule::after(now, *lifetime)),
            ..self.scope(specification, &permissions)
        };
        let rendered = self.identified(owner, &create.operation, &scope, &doing).await?;
        let lane = self.lane(owner);
        let leave = lane.enter_within(CREATE_PATIENCE).await.map_err(|closed| stay_away(closed, &doing))?;
        let received = self.send(rendered, &doing).await.map_err(|(error, unsent)| match unsent {
            true => error,
            false => Error::new(Class::Unknown, error.to_string()),
        })?;
        drop(leave);
        let unknown = |what: &str| {
            let message = format!(
                "{doing}: it answered success, but {what} is not where the recipe says; the token is looked for by its name"
            );
            Error::new(Class::Unknown, message)
        };
        // A success that says nothing may still be one.
        if received.status.is_success() && received.body.json().is_none() {
            return Err(unknown("JSON"));
        }
        match answer::meaning(&create.operation.answer, &received) {
            HttpMeaning::Success => {}
            // A server that fails may have done it before it failed.
            HttpMeaning::Unavailable => {
                let error = self.refusal(&lane, HttpMeaning::Unavailable, &received, &doing);
                return Err(Error::new(Class::Unknown, error.to_string()));
            }
            meaning => return Err(self.refusal(&lane, meaning, &received, &doing)),
        }
        let body = received.body.json().ok_or_else(|| unknown("JSON"))?;
        let values = answer::values(&create.values, body).map_err(|name| unknown(&format!("the value {name:?}")))?;
        let id =
            create.id.as_ref().map(|path| answer::scalar(path, body).ok_or_else(|| unknown("the id"))).transpose()?;
        let expires_at = match &create.expires {
            None => None,
            Some(wanted) => answer::time(wanted, body, now).map_err(|_| unknown("a readable expiry"))?,
        };
        // What ends a token that cannot be revoked, or found again, is its expiry.
        if expires_at.is_none() && (self.recipe.revoke.is_none() || self.recipe.list.is_none()) {
            return Err(unknown("an expiry"));
        }
        let handle = self.handle(name, id, &doing)?;
        Ok(Minted { values, handle, issued_at: now, expires_at })
    }

    async fn verify(
        &self,
        owner: &Owner,
        specification: &Specification,
        values: &TokenSet,
    ) -> Result<Verification, Error> {
        let (meaning, received) = self.try_out(owner, specification, values).await?;
        let host = self.host();
        if meaning != HttpMeaning::Success {
            return Ok(Verification::NotYet { why: format!("{host} does not accept it ({})", told(received.status)) });
        }
        let body = received.body.json().unwrap_or(&Value::Null);
        let expires_at = match &self.recipe.verify.expires {
            None => None,
            Some(wanted) => answer::time(wanted, body, Timestamp::now()).unwrap_or_default(),
        };
        let Some(path) = &self.recipe.verify.permissions else {
            return Ok(Verification::Works { surplus: Vec::new(), expires_at });
        };
        let granted = self.granted(path, body);
        let has = |value: &Value| granted.contains(value);
        let known = &self.recipe.permissions;
        let missing: Vec<String> =
            specification.permissions.iter().filter(|name| !known.get(*name).is_some_and(has)).cloned().collect();
        if !missing.is_empty() {
            return Ok(Verification::Insufficient { missing });
        }
        let asked = self.translate(specification);
        let beyond = granted.into_iter().filter(|found| !asked.contains(found)).map(|found| match found {
            Value::String(text) => text,
            other => other.to_string(),
        });
        Ok(Verification::Works { surplus: beyond.collect(), expires_at })
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
        if *by == Names::Value && values.is_none() {
            let message = format!(
                "{doing}: it is revoked by its value, and that is lost; revoke the token of this name at the provider by hand"
            );
            return Err(Error::new(Class::Invalid, message));
        }
        let scope =
            Scope { token_id, token_name: Some(token.id()), token_values: values, ..self.scope(specification, &[]) };
        let rendered = self.identified(owner, operation, &scope, &doing).await?;
        let lane = self.lane(owner);
        let received = self.call(&lane, rendered, &doing).await?;
        match answer::meaning(&operation.answer, &received) {
            HttpMeaning::Success | HttpMeaning::Gone => Ok(()),
            meaning => Err(self.refusal(&lane, meaning, &received, &doing)),
        }
    }

    async fn liveness(
        &self,
        owner: &Owner,
        naming: &Naming,
        token: &Issued,
        values: Option<&TokenSet>,
    ) -> Result<Liveness, Error> {
        let (name, specification) = (&token.id, &token.source.specification);
        let accepted = match values {
            None => None,
            Some(values) => {
                let (meaning, _) = self.try_out(owner, specification, values).await?;
                // Forbidden is said to somebody who is known.
                Some(!matches!(meaning, HttpMeaning::Unauthorized | HttpMeaning::Gone))
            }
        };
        if accepted == Some(true) {
            return Ok(Liveness::Alive);
        }
        let listed = self.listed(owner, naming, specification).await?;
        let is_listed = listed.map(|listed| listed.iter().any(|found| found.id == *name));
        match (accepted, is_listed) {
            (_, Some(false)) | (Some(_), None) => Ok(Liveness::Dead),
            (Some(_), Some(true)) => Ok(Liveness::Ending),
            (None, Some(true)) => Ok(Liveness::Alive),
            (None, None) => Err(Error::new(
                Class::Invalid,
                format!(
                    "cannot tell whether {name} is alive at {}: its value is lost, and tokens are not listed",
                    self.host()
                ),
            )),
        }
    }
}
