//! What the answer to a create says of the new token, also where it lacks something that the recipe reads: what it
//! does say is what the token can be revoked by.

use http::HeaderMap;
use jiff::{SignedDuration, Timestamp};
use serde_json::Value;

use crate::{
    api::provider::http::HttpTimeFormat,
    core::{plan::MIN_INTERVAL, schedule, token::Handle},
    providers::{
        Class, Error, Minted, Request,
        http::{
            identity::{account::Account, call::ProviderCall},
            message::{content, dpop::ProofKey, wait},
            recipe::{
                operation::Time,
                token::{Expires, NamedBy, PROOF_KEY},
            },
        },
    },
    secret_value::{SecretValue, TokenSet},
};

/// The answer to a create that succeeded.
pub(super) struct Answered<'a> {
    pub body: &'a Value,
    pub headers: &'a HeaderMap,
    /// The key that the token is bound to.
    pub key: Option<&'a ProofKey>,
    /// When it was asked for.
    pub now: Timestamp,
}

/// What an answer has of the values of a token.
struct FoundValues {
    values: TokenSet,
    /// They are whole, and can be shown or revoked.
    has_values: bool,
    flaws: Vec<String>,
}

impl Account<'_> {
    /// The token of an answer, with what is wrong about it.
    pub(super) async fn read_created(
        &self,
        call: &ProviderCall<'_>,
        request: &Request,
        answered: &Answered<'_>,
    ) -> Result<Minted, Error> {
        let recipe = self.recipe();
        let create = &recipe.create;
        let Answered { body, now, .. } = *answered;
        let FoundValues { values, has_values, mut flaws } = self.values(request, answered);
        let id = create.id.as_ref().and_then(|path| content::scalar(path, body));
        let missing_id = create.id.as_ref().filter(|_| id.is_none());
        flaws.extend(missing_id.map(|path| format!("create.id ({path}) finds no text or number")));
        let expires_at = self.expiry(request, answered).unwrap_or_else(|flaw| {
            flaws.push(flaw);
            None
        });
        let lost = |why: String| call.error(Class::Unknown, format!("it answered success, but {why}"));
        // Where a list has shown tokens before, an answer that says nothing of what it should is one that was lost:
        // what the create made is looked for by its name.
        let says_nothing = !has_values && id.is_none() && expires_at.is_none();
        let is_found = recipe.list.is_some() && self.shared().proofs.is_known(&self.object);
        if !flaws.is_empty() && (recipe.in_place.is_some() || (says_nothing && is_found)) {
            return Err(lost(format!("{}; the operator looks for the token by its name", flaws.join("; "))));
        }
        let handle = match recipe.revoke_by() {
            // Where the list cannot say it now, it is asked again before anything else is minted.
            Some(NamedBy::Id) if id.is_none() => self.handle_by_name(request).await.map_err(|error| {
                lost(format!("{}; the operator looks for the token by its name: {error}", flaws.join("; ")))
            })?,
            Some(NamedBy::Value) if !has_values && !self.lists_values() => Handle::Nothing {},
            _ => call.handle(&request.id, id)?,
        };
        let flaw = (!flaws.is_empty()).then(|| {
            let what = flaws.join("; ");
            let then = "the token is published nowhere and is revoked; correct the recipe";
            call.error(Class::Invalid, format!("it answered success, but {what}; {then}")).to_string()
        });
        let unshown = self.ungranted(request, body).into_iter().chain(self.endless(body)).collect();
        Ok(Minted { values, handle, issued_at: now, expires_at, flaw, unshown })
    }

    /// The values of an answer, as far as something can be done with them.
    fn values(&self, request: &Request, answered: &Answered<'_>) -> FoundValues {
        let recipe = self.recipe();
        let wanted = &recipe.create.values;
        let Answered { body, key, .. } = *answered;
        let mut flaws = Vec::new();
        let values = match content::values(wanted, body) {
            Ok(values) => {
                key.iter().fold(values, |values, key| values.with(PROOF_KEY, SecretValue::new(key.jwk().as_bytes())))
            }
            Err(_) => {
                let lacks = wanted.iter().filter(|(_, path)| content::scalar(path, body).is_none());
                flaws.extend(lacks.map(|(name, path)| format!("create.values.{name} ({path}) finds no value")));
                TokenSet::new([].into())
            }
        };
        let unshowable = self.unshowable(&request.specification, &values).filter(|_| flaws.is_empty());
        // Nothing can be done with it but to revoke it by itself.
        let is_of_use = unshowable.is_none() || matches!(recipe.revoke_by(), Some(NamedBy::Value));
        let values = if is_of_use { values } else { TokenSet::new([].into()) };
        let has_values = flaws.is_empty() && is_of_use;
        flaws.extend(unshowable.map(|why| format!("verify cannot show what create.values finds: {why}")));
        FoundValues { values, has_values, flaws }
    }

    /// When the token expires, or what is wrong about that.
    fn expiry(&self, request: &Request, answered: &Answered<'_>) -> Result<Option<Timestamp>, String> {
        let Answered { body, now, .. } = *answered;
        let create = &self.recipe().create;
        // What ends a token that cannot be revoked, or found again, is its expiry.
        let has_no_end = self.recipe().revoke.is_none() || (self.recipe().list.is_none() && !create.tells_lost);
        let needs_end = has_no_end && self.recipe().in_place.is_none();
        match &create.expires {
            None if needs_end => Err("has no expiry, and nothing else ends the token".to_owned()),
            None => Ok(None),
            Some(Expires::AsAsked) => Ok(Some(schedule::after(now, request.lifetime))),
            Some(Expires::Said(wanted)) => {
                let place = format!("create.expires ({})", wanted.path);
                match content::time(wanted, body, now) {
                    Err(content::Unreadable) => Err(format!("{place} finds no time in its format")),
                    Ok(None) if needs_end => Err(format!("{place} finds no expiry, and nothing else ends the token")),
                    Ok(None) => Ok(None),
                    Ok(Some(at)) => match too_near(at, answered) {
                        None => Ok(Some(at)),
                        Some(why) => Err(format!("{place} says {at}, {why}{}", hint(wanted))),
                    },
                }
            }
        }
    }

    /// The id that the list shows for the name of a token whose create did not say it.
    async fn handle_by_name(&self, request: &Request) -> Result<Handle, Error> {
        let Some(list) = &self.recipe().list else { return Ok(Handle::Nothing {}) };
        let mut found = None;
        let looked = self.each_token(list, &request.specification, |item, listed, _| {
            if listed == request.id {
                found = list.id.as_ref().and_then(|id| content::scalar(id, item));
            }
            Ok(())
        });
        looked.await?;
        Ok(found.map_or(Handle::Nothing {}, |id| Handle::Id { id }))
    }

    fn lists_values(&self) -> bool {
        self.recipe().list.as_ref().is_some_and(|list| !list.values.is_empty())
    }

    /// What cannot be said of the end of a token, where the answer has nothing at all in the place of its expiry.
    fn endless(&self, body: &Value) -> Option<String> {
        let Some(Expires::Said(wanted)) = &self.recipe().create.expires else { return None };
        let is_silent = wanted.path.query(body).is_empty() && wanted.default.is_none();
        is_silent.then(|| {
            format!(
                "create.expires ({}) finds nothing in the answer, so the token counts as valid until it is revoked",
                wanted.path
            )
        })
    }

    /// What cannot be said of the permissions that were granted. Where OAuth 2.0 is spoken, silence says that they
    /// are as asked for (RFC 6749, section 5.1), and where a verify names them, it is believed.
    fn ungranted(&self, request: &Request, body: &Value) -> Option<String> {
        let wanted = self.recipe().create.granted.as_ref()?;
        let is_shown = wanted.with_spaces || self.recipe().verify.granted.is_some();
        let is_silent = wanted.path.query(body).is_empty() && !request.specification.permissions.is_empty();
        (is_silent && !is_shown).then(|| {
            format!(
                "create.permissions ({}) finds nothing in the answer, so what the token was granted is not known",
                wanted.path
            )
        })
    }
}

/// Why a token that expires then is of no use: it would be over before it could be replaced. A clock of the provider
/// that is behind ours is no mistake of the recipe.
fn too_near(at: Timestamp, answered: &Answered<'_>) -> Option<String> {
    let there = wait::date(answered.headers).unwrap_or(answered.now);
    let least = SignedDuration::try_from(MIN_INTERVAL).unwrap_or_default();
    let left = at.duration_since(answered.now).max(at.duration_since(there));
    (left < least).then(|| match left.as_secs() {
        left @ 1.. => format!("in {left} s: too soon for any rotation"),
        _ => "which is over already".to_owned(),
    })
}

fn hint(wanted: &Time) -> &'static str {
    match wanted.format {
        HttpTimeFormat::SecondsFromNow => "; is it in another unit than seconds?",
        _ => "; is that when it was made, or a duration (format: SecondsFromNow)?",
    }
}
