//! A token is minted: sent once, and whatever is not a clear answer is an unknown outcome.

use std::{collections::BTreeMap, time::Instant};

use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use jiff::Timestamp;
use ring::rand::{SecureRandom, SystemRandom};
use zeroize::Zeroizing;

use super::created::Answered;
use crate::{
    api::provider::http::HttpMeaning,
    core::{ledger::revocable::Revocable, schedule, token::Handle},
    providers::{
        Class, Error, Minted, Request,
        http::{
            Http,
            message::{answer, dpop, render::Scope},
        },
    },
    secret_value::{SecretValue, TokenSet},
};

impl Http {
    /// Mints one token.
    pub(in crate::providers::http) async fn mint(&self, request: &Request) -> Result<Minted, Error> {
        let Request { owner, id: name, specification, lifetime, .. } = request;
        let create = &self.recipe.create;
        let doing = format!("cannot mint a token at {}", self.host(&create.operation));
        let now = Timestamp::now();
        let started = Instant::now();
        let permissions = self.translate(specification);
        if let Some(values) = self.already_there(request, &doing).await? {
            let handle = self.handle(name, None, &doing)?;
            return Ok(Minted { values, handle, issued_at: now, expires_at: None, flaw: None, unshown: Vec::new() });
        }
        let replaced = self.to_be_replaced(request, &doing).await?;
        let random = random().map_err(|why| Error::new(Class::Unavailable, format!("{doing}: {why}")))?;
        let scope = Scope {
            name: Some(name),
            lifetime: Some(*lifetime),
            expires: Some(schedule::after(now, *lifetime)),
            replaced: replaced.as_ref(),
            random: Some(&random),
            ..self.scope(specification, &permissions)
        };
        let key = create.is_bound.then(dpop::ProofKey::generate).transpose();
        let key = key.map_err(|why| Error::new(Class::Unavailable, format!("{doing}: {why}")))?;
        let received = self.send_create(owner, &scope, key.as_ref(), started, &doing).await?;
        let lane = self.lane(owner);
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
        let meant = answer::meaning(&create.operation.answer, &received);
        if meant.meaning != HttpMeaning::Success {
            let error = self.refusal(&lane, meant, &received, &doing);
            // A server that fails may have done it before it failed.
            let is_open = meant.meaning == HttpMeaning::Unavailable;
            return Err(if is_open { Error::new(Class::Unknown, error.to_string()) } else { error });
        }
        let body = received.body.json().ok_or_else(|| unknown("JSON"))?;
        let answered = Answered { body, headers: &received.headers, key: key.as_ref(), now };
        let minted = self.minted(request, &answered, &doing).await?;
        if minted.flaw.is_some() {
            return Ok(minted);
        }
        let granted =
            create.granted.as_ref().map(|wanted| answer::granted(wanted, body)).filter(|found| !found.is_empty());
        let missing = granted.map(|granted| self.missing(specification, &granted)).unwrap_or_default();
        if !missing.is_empty() {
            return Err(self.give_back(request, minted.handle, &minted.values, &missing, &doing).await);
        }
        Ok(minted)
    }

    /// A token that may do less than was asked for is given to nobody: it is revoked while its value is known.
    async fn give_back(
        &self,
        request: &Request,
        handle: Handle,
        values: &TokenSet,
        missing: &[String],
        doing: &str,
    ) -> Error {
        let why = format!("{doing}: it granted less than was asked for, without {}", missing.join(", "));
        if !handle.is_revocable() {
            return Error::new(Class::Unknown, why);
        }
        let token = Revocable::never_given(request.generation, &request.id, handle);
        match self.end_surely(request, &token, values).await {
            Ok(true) => {
                Error::new(Class::Refused, format!("{why}; grant it there, or ask for less in spec.permissions"))
            }
            Ok(false) => Error::new(Class::Unknown, format!("{why}; it was revoked and is still accepted")),
            Err(error) => Error::new(Class::Unknown, format!("{why}; {error}")),
        }
    }

    /// Revokes a token and tries it: an answer that says `Gone` may be about something else.
    async fn end_surely(&self, request: &Request, token: &Revocable, values: &TokenSet) -> Result<bool, Error> {
        let Request { owner, specification, .. } = request;
        self.end(owner, specification, token, Some(values)).await?;
        let (meaning, _) = self.try_out(owner, specification, values).await?;
        Ok(matches!(meaning, HttpMeaning::Unauthorized | HttpMeaning::Gone))
    }

    /// The token that has taken the place already of the one that is to be replaced: by an attempt whose answer was lost, or by a person. To
    /// mint one more would end the token that is published.
    async fn already_there(&self, request: &Request, doing: &str) -> Result<Option<TokenSet>, Error> {
        let present = self.recipe.in_place.as_ref().and_then(|in_place| in_place.present.as_ref());
        // Where nothing of ours can be, there is nothing to lose, and what is there is somebody's.
        let Some(present) = present.filter(|_| request.may_be_there) else { return Ok(None) };
        let found = self.read(&request.owner, &request.specification, present, doing).await?;
        Ok(found.filter(|found| Some(found) != request.former.as_ref()))
    }

    /// The values that have to be shown for a successor: of the token before it or, where none is alive, of the one that a person has
    /// put into the credential's Secret. That one is shown only if it is accepted: it may have been used up by an attempt whose answer was
    /// lost, and to show it again can end all its successors.
    async fn to_be_replaced(&self, request: &Request, doing: &str) -> Result<Option<TokenSet>, Error> {
        let (Some(in_place), Some(credential)) = (&self.recipe.in_place, &self.recipe.credential) else {
            return Ok(None);
        };
        let initial = &in_place.initial;
        if initial.is_empty() || request.replaces.is_some() {
            return Ok(request.replaces.clone());
        }
        let namespace = self.credential_namespace(&request.owner);
        let data = self.shared.data(namespace, credential).await?;
        let told = |why: String| {
            Error::new(
                Class::Invalid,
                format!("{doing}: Secret {namespace}/{} {why}", credential.secret.as_deref().unwrap_or_default()),
            )
        };
        let mut values = BTreeMap::new();
        for (name, key) in initial {
            let bytes = data.keys().get(key).ok_or_else(|| told(format!("has no key {key:?} with the first token")))?;
            values.insert(name.clone(), SecretValue::new(bytes.trim_ascii_end()));
        }
        let values = TokenSet::new(values);
        let (meaning, _) = self.try_out(&request.owner, &request.specification, &values).await?;
        match meaning {
            HttpMeaning::Success => Ok(Some(values)),
            _ => Err(told(
                "holds a first token that is not accepted, and no other one is known to be; put a new one there and set tokenturn.dev/rotate-now".to_owned(),
            )),
        }
    }
}

/// What `${random}` stands for in one request.
fn random() -> Result<Zeroizing<String>, String> {
    let mut bytes = Zeroizing::new([0; 16]);
    SystemRandom::new().fill(bytes.as_mut_slice()).map_err(|_| "there are no random numbers".to_owned())?;
    Ok(Zeroizing::new(BASE64_URL_SAFE_NO_PAD.encode(*bytes)))
}
