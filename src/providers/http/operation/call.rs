//! The calls of a driver: who shows what, sent once, and what an answer that is no success is told as.

use std::{
    collections::{BTreeSet, HashSet},
    time::Duration,
};

use http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use jiff::Timestamp;
use serde_json::Value;

use crate::{
    api::provider::http::HttpMeaning,
    connect::Purpose,
    core::token::{Handle, Owner, Specification},
    providers::{
        Class, Error,
        http::{
            Http,
            identity::{
                held::forget,
                session::PresentedToken,
                shared::{Data, SESSION, Shared},
                token_request,
            },
            message::{
                answer::{self, Meant, Received},
                code,
                render::{self, Parameters, Rendered, Scope},
            },
            recipe::{AnswerRules, Credential, NamedBy, Operation, template::Variable},
            send::{
                clients::{Client, Identity},
                proxy::ProxyRoute,
                throttle::{AccountLimiter, Closed, Pause},
                transport,
            },
        },
    },
    secret_value::TokenSet,
};
use url::Url;
use zeroize::Zeroizing;

/// How long a call waits for a place among the calls to its provider.
pub(in crate::providers::http) const PATIENCE: Duration = Duration::from_millis(300);

/// How long nothing is sent to a provider whose limit is used up, at least.
const QUOTA_PAUSE: Duration = Duration::from_secs(15 * 60);

/// A call that has less time than this is not begun: it would only be unclear whether it was made.
pub(in crate::providers::http) const LEAST: Duration = Duration::from_millis(500);

/// Who the operator is in a call: what its Secret says, and a client that shows its certificate, if it has one.
pub(in crate::providers::http) struct Who {
    pub data: Data,
    pub client: Client,
}

/// A request that is ready to be sent, and by whom.
pub(in crate::providers::http) struct Prepared {
    pub rendered: Rendered,
    /// The secrets that it was made with.
    known: Zeroizing<Vec<u8>>,
    client: Client,
    /// What is left of the time that the call may take.
    timeout: Duration,
    /// The access token that it shows.
    access_token: Option<PresentedToken>,
}

impl Prepared {
    /// The same with no more time than this.
    pub fn within(mut self, span: Duration) -> Self {
        self.timeout = self.timeout.min(span);
        self
    }
}

impl Http {
    /// Where the credential's Secret is.
    pub(in crate::providers::http) fn credential_namespace<'a>(&'a self, owner: &'a Owner) -> &'a str {
        self.shared.namespace_of(self.reference.kind, &owner.namespace)
    }

    /// Whether the credential is there and can be shown; asks the API server, not the provider.
    ///
    /// # Errors
    /// What is wrong with it.
    pub async fn check_credential(&self, namespace: &str) -> Result<(), Error> {
        let namespace = self.shared.namespace_of(self.reference.kind, namespace);
        let Some(credential) = &self.recipe.credential else { return self.via(namespace).await.map(drop) };
        let Who { data, .. } = self.who(namespace, credential).await?;
        // A session is not obtained for a look.
        if credential.login.is_none() {
            data.headers(&credential.shown)?;
        }
        for key in &self.recipe.credential_keys {
            data.text(key)?;
        }
        match &credential.oauth2 {
            None => Ok(()),
            Some(wanted) => token_request::request(wanted, &data, Timestamp::now()).map(drop),
        }
    }

    /// Who we are, read anew.
    pub(in crate::providers::http) async fn who(&self, namespace: &str, credential: &Credential) -> Result<Who, Error> {
        let data = self.shared.data(namespace, credential).await?;
        let identity = credential.certificate.as_ref().map(|wanted| data.identity(wanted)).transpose()?;
        let via = self.via(namespace).await?;
        let client = self.client(identity.as_ref(), via, namespace).map_err(|error| match identity {
            // What is wrong may be in the Secret.
            Some(_) if error.class() == Class::Invalid => data.wrong(&error.to_string()),
            _ => error,
        })?;
        Ok(Who { data, client })
    }

    /// The provider object's name among all.
    pub(in crate::providers::http) fn object(&self, owner: &Owner) -> String {
        let Self { reference, .. } = self;
        format!("{}/{}/{}", reference.kind.as_str(), self.credential_namespace(owner), reference.name)
    }

    /// What all tokens of an account share: it is the same for provider objects with the same address and the same Secret.
    pub(in crate::providers::http) fn lane(&self, owner: &Owner) -> AccountLimiter {
        let secret = self.recipe.credential.as_ref().and_then(|credential| credential.secret.as_ref());
        let account = match secret {
            None => self.object(owner),
            Some(secret) => {
                let origin = self.recipe.base.origin().ascii_serialization();
                format!("{origin} {}/{secret}", self.credential_namespace(owner))
            }
        };
        self.shared.throttle.lane(&account)
    }

    /// The lane of a call that is made without the credential, or with a token in its place.
    pub(in crate::providers::http) fn lane_of(
        &self,
        owner: &Owner,
        operation: &Operation,
        values: Option<&TokenSet>,
    ) -> AccountLimiter {
        let lane = self.lane(owner);
        let shows_token = operation.request.headers.iter().flat_map(|(_, template)| template.variables());
        let shows_token = shows_token.into_iter().any(|variable| matches!(variable, Variable::TokenValue(_)));
        match values.filter(|_| shows_token) {
            Some(values) => lane.of(values),
            None => lane,
        }
    }

    /// The parameters and permissions of a specification, for templates.
    pub(in crate::providers::http) fn scope<'a>(
        &'a self,
        specification: &'a Specification,
        permissions: &'a [Value],
    ) -> Scope<'a> {
        Scope {
            permissions,
            parameters: Some(Parameters { known: &self.recipe.parameters, given: &specification.parameters }),
            ..Scope::default()
        }
    }

    pub(in crate::providers::http) fn rendered(
        &self,
        operation: &Operation,
        scope: &Scope<'_>,
        doing: &str,
    ) -> Result<Rendered, Error> {
        render::request(&self.recipe.base, &operation.request, scope)
            .map_err(|why| Error::new(Class::Invalid, format!("{doing}: {why}")))
    }

    /// `namespace` is that of the provider object's Secrets.
    fn client(&self, identity: Option<&Identity>, via: Option<ProxyRoute>, namespace: &str) -> Result<Client, Error> {
        let Shared { clients, reach, .. } = &self.shared;
        let reach = reach.of(self.reference.kind, namespace, &self.reference.name);
        clients.get(self.ca_bundle.as_deref(), identity, via, reach)
    }

    /// A client that shows nobody to the API.
    async fn plain_client(&self, owner: &Owner, doing: &str) -> Result<Client, Error> {
        let namespace = self.credential_namespace(owner);
        let via = self.via(namespace).await;
        let client = via.and_then(|via| self.client(None, via, namespace));
        client.map_err(|error| Error::new(error.class(), format!("{doing}: {error}")))
    }

    /// A request that shows nobody.
    pub(in crate::providers::http) async fn anonymous(
        &self,
        owner: &Owner,
        operation: &Operation,
        scope: &Scope<'_>,
        doing: &str,
    ) -> Result<Prepared, Error> {
        let rendered = self.rendered(operation, scope, doing)?;
        let client = self.plain_client(owner, doing).await?;
        Ok(Prepared { rendered, known: code::known(scope), client, timeout: self.timeout, access_token: None })
    }

    /// A request that shows who we are, unless it says otherwise itself.
    pub(in crate::providers::http) async fn identified(
        &self,
        owner: &Owner,
        operation: &Operation,
        scope: &Scope<'_>,
        doing: &str,
    ) -> Result<Prepared, Error> {
        let Some(credential) = &self.recipe.credential else {
            return self.anonymous(owner, operation, scope, doing).await;
        };
        let within = |error: Error| Error::new(error.class(), format!("{doing}: {error}"));
        let mut who = self.who(self.credential_namespace(owner), credential).await.map_err(within)?;
        let session = self.session(owner, credential, &who).await.map_err(within)?;
        if let Some(shown) = session.as_ref().filter(|_| credential.login.is_some()) {
            who.data.put(SESSION, shown.token.as_bytes());
        }
        let data = &who.data;
        let scope = Scope { credential: Some(data.keys()), ..*scope };
        let mut rendered = self.rendered(operation, &scope, doing)?;
        let known = code::known(&scope);
        for (name, value) in data.headers(&credential.shown).map_err(within)? {
            rendered.headers.entry(name).or_insert(value);
        }
        let timeout = session.as_ref().map_or(self.timeout, |shown| self.timeout.saturating_sub(shown.spent));
        if let Some(shown) = session.as_ref().filter(|_| credential.oauth2.is_some()) {
            let value = bearer(&shown.token).map_err(|why| within(data.wrong(&why)))?;
            rendered.headers.entry(header::AUTHORIZATION).or_insert(value);
        }
        Ok(Prepared { rendered, known, client: who.client, timeout, access_token: session })
    }

    /// Sends a request once. The flag beside an error says that it cannot have arrived.
    pub(in crate::providers::http) async fn send(
        &self,
        purpose: Purpose,
        prepared: Prepared,
        doing: &str,
    ) -> Result<Received, (Error, bool)> {
        let Prepared { rendered, known, client, timeout, access_token } = prepared;
        if access_token.is_some() && timeout < LEAST.min(self.timeout / 2) {
            let why = format!("{doing}: what the operator has to obtain first came too late; look at timeout");
            return Err((Error::new(Class::Unavailable, why), true));
        }
        let received = transport::send(&client, purpose, rendered, &known, timeout).await.map_err(|failure| {
            let error = Error::new(failure.class, format!("{doing}: {}", failure.why));
            (error, failure.unsent)
        })?;
        // It may have been revoked before its time: the next call gets another one. This one is not repeated.
        // What it may do can be in it, so one that was granted a right is obtained anew too.
        let is_refused = matches!(received.status, StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN);
        if let Some(PresentedToken { token, slot, .. }) = access_token.filter(|_| is_refused) {
            forget(&slot, &token).await;
        }
        Ok(received)
    }

    /// A call that may be repeated later.
    pub(in crate::providers::http) async fn call(
        &self,
        lane: &AccountLimiter,
        purpose: Purpose,
        prepared: Prepared,
        doing: &str,
    ) -> Result<Received, Error> {
        let _leave = lane.enter_within(PATIENCE).await.map_err(|closed| stay_away(closed, doing))?;
        self.send(purpose, prepared, doing).await.map_err(|(error, _)| error)
    }

    /// Asks for something that is public, showing nobody.
    pub(in crate::providers) async fn look_up(
        &self,
        owner: &Owner,
        url: Url,
        timeout: Duration,
        doing: &str,
    ) -> Result<Received, Error> {
        let client = self.plain_client(owner, doing).await?;
        let accept = (header::ACCEPT, HeaderValue::from_static("application/json"));
        let rendered = Rendered { method: Method::GET, url, headers: HeaderMap::from_iter([accept]), body: None };
        let prepared = Prepared { rendered, known: Zeroizing::default(), client, timeout, access_token: None };
        self.call(&self.lane(owner), Purpose::Discover, prepared, doing).await
    }

    /// Why it was not found.
    pub(in crate::providers) fn not_looked_up(&self, owner: &Owner, received: &Received, doing: &str) -> Error {
        match answer::usual(received.status) {
            HttpMeaning::RateLimited | HttpMeaning::Unavailable => {
                let usual = AnswerRules::default();
                self.refusal(&self.lane(owner), answer::meaning(&usual, received), received, doing)
            }
            _ => Error::new(Class::Invalid, format!("{doing}: it is not given to us ({})", told(received.status))),
        }
    }

    /// What an answer that is no success means.
    pub(in crate::providers::http) fn refusal(
        &self,
        lane: &AccountLimiter,
        meant: Meant<'_>,
        received: &Received,
        doing: &str,
    ) -> Error {
        let status = said(meant, received);
        let asked = || answer::retry_after(&received.headers, Timestamp::now());
        let (class, what, advice) = match meant.meaning {
            HttpMeaning::RateLimited => {
                let retry_after = asked();
                pause(lane, retry_after);
                (Class::RateLimited { retry_after }, "it asks to slow down", None)
            }
            HttpMeaning::QuotaExceeded => {
                let retry_after = asked().map_or(QUOTA_PAUSE, |wait| wait.max(QUOTA_PAUSE));
                lane.pause(retry_after, Pause::Quota);
                (Class::QuotaExceeded { retry_after }, "the limit of the plan is used up", None)
            }
            HttpMeaning::AccountSuspended => (Class::AccountSuspended, "the account may not use it now", None),
            HttpMeaning::Unavailable => {
                pause(lane, answer::back_at_work(&received.headers, Timestamp::now()));
                (Class::Unavailable, "it does not work now", None)
            }
            HttpMeaning::Unauthorized => {
                (Class::Unauthorized, "it does not accept the operator's credential", Some(self.remedy()))
            }
            HttpMeaning::Refused if received.status == StatusCode::FORBIDDEN => {
                (Class::Refused, "the operator's credential may not do this", Some(self.remedy()))
            }
            HttpMeaning::Duplicate => (Class::Conflict, "it has a token of this name already", None),
            HttpMeaning::Gone => {
                let advice = "look at baseUrl, path and parameters".to_owned();
                (Class::Invalid, "it finds nothing there", Some(advice))
            }
            HttpMeaning::Refused | HttpMeaning::Success => match meant.lacks {
                Some(path) => {
                    let advice = format!("look at what is expected of {path}");
                    (Class::Invalid, "the answer is not as it should be", Some(advice))
                }
                None => {
                    let advice = "look at the recipe and the parameters".to_owned();
                    (Class::Invalid, "it refuses the request", Some(advice))
                }
            },
        };
        let advice = meant.remedy.map(str::to_owned).or(advice);
        let advice = advice.map(|advice| format!("; {advice}")).unwrap_or_default();
        Error::new(class, format!("{doing}: {what} ({status}){advice}"))
    }

    pub(in crate::providers::http) fn remedy(&self) -> String {
        match &self.recipe.credential {
            Some(credential) => format!("look at {}", credential.told()),
            None => "the provider object names no credential".to_owned(),
        }
    }

    /// Where an operation's request goes, for messages.
    pub(in crate::providers::http) fn host<'a>(&'a self, operation: &'a Operation) -> &'a str {
        operation.request.base.as_ref().unwrap_or(&self.recipe.base).host_str().unwrap_or_default()
    }

    /// What revoke will name a token by.
    pub(in crate::providers::http) fn handle(
        &self,
        name: &str,
        id: Option<String>,
        doing: &str,
    ) -> Result<Handle, Error> {
        Ok(match self.recipe.revoke_by() {
            None if self.recipe.in_place.is_some() => Handle::Replaced {},
            Some(_) if self.recipe.in_place.is_some() => Handle::Displaced {},
            None => Handle::Nothing {},
            Some(NamedBy::Name) => Handle::Name { name: name.to_owned() },
            Some(NamedBy::Value) => Handle::Value {},
            Some(NamedBy::Id) => Handle::Id { id: id.ok_or_else(|| unreadable(doing))? },
        })
    }

    /// Which of the permissions that were asked for are not among those that were granted.
    pub(in crate::providers::http) fn missing(&self, specification: &Specification, granted: &[Value]) -> Vec<String> {
        let (known, granted) = (&self.recipe.permissions, granted.iter().collect::<HashSet<_>>());
        let is_granted = |name: &str| known.get(name).is_some_and(|value| granted.contains(value));
        asked(specification).filter(|name| !is_granted(name)).map(str::to_owned).collect()
    }

    /// What the permissions stand for.
    pub(in crate::providers::http) fn translate(&self, specification: &Specification) -> Vec<Value> {
        asked(specification).filter_map(|name| self.recipe.permissions.get(name)).cloned().collect()
    }
}

/// The permissions that are asked for, each once: a person may name one a thousand times.
pub(in crate::providers::http) fn asked(specification: &Specification) -> impl Iterator<Item = &str> {
    let mut seen = BTreeSet::new();
    specification.permissions.iter().map(String::as_str).filter(move |name| seen.insert(*name))
}

/// Keeps the pause that a provider asks for. Without a word about when, there are the usual growing waits of each token.
pub(in crate::providers::http) fn pause(lane: &AccountLimiter, asked: Option<Duration>) {
    if let Some(wait) = asked {
        lane.pause(wait, Pause::Asked);
    }
}

fn bearer(token: &str) -> Result<HeaderValue, String> {
    let written = Zeroizing::new(format!("Bearer {token}"));
    let value = HeaderValue::try_from(written.as_str());
    let mut value = value.map_err(|_| "the access token that it gets cannot stand in a header".to_owned())?;
    value.set_sensitive(true);
    Ok(value)
}

/// The status of an answer, and the word or code that it has.
pub(in crate::providers::http) fn said(meant: Meant<'_>, received: &Received) -> String {
    match meant.word.or_else(|| received.body.code()) {
        None => told(received.status),
        Some(word) => format!("{}, {word}", told(received.status)),
    }
}

/// What to do about an answer that the recipe gives no meaning to, where one is needed.
pub(in crate::providers::http) fn unread(place: &str, meant: Meant<'_>, received: &Received) -> Option<String> {
    let status = received.status.as_u16();
    let is_unread = meant.meaning == HttpMeaning::Refused && !meant.is_said;
    is_unread.then(|| {
        format!(
            "{place} answered {status}, which the recipe does not read; say in {place}.answer.statuses what it means, as \"{status}\": Unauthorized where \
             it says so of a token that is dead"
        )
    })
}

pub(in crate::providers::http) fn told(status: StatusCode) -> String {
    format!("status {}", status.as_u16())
}

pub(in crate::providers::http) fn unreadable(doing: &str) -> Error {
    Error::new(Class::Invalid, format!("{doing}: the answer does not say what the recipe expects; look at its paths"))
}

pub(in crate::providers::http) fn stay_away(closed: Closed, doing: &str) -> Error {
    let later = |wait| Class::RateLimited { retry_after: Some(wait) };
    let (class, why) = match closed {
        Closed::Paused(left, Pause::Asked) => (later(left), "it asked for a pause that is not over"),
        Closed::Paused(left, Pause::Quota) => {
            (Class::QuotaExceeded { retry_after: left }, "the limit of the plan was used up a moment ago")
        }
        Closed::Busy(wait) => (later(wait), "other calls to it have not been answered yet"),
    };
    Error::new(class, format!("{doing}: {why}"))
}
