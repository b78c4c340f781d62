//! Calls that a create or a try consists of, where the token is bound to a key of its own (RFC 9449): each shows a proof, and is made
//! once more with a nonce where the answer wants one.

use std::time::{Duration, Instant};

use http::HeaderValue;
use jiff::Timestamp;

use super::call::{LEAST, Prepared, stay_away};
use crate::{
    connect::Purpose,
    core::token::Owner,
    providers::{
        Class, Error,
        http::{
            Http,
            message::{
                answer::Received,
                dpop::{self, ProofClaims, ProofKey},
                render::Scope,
            },
            recipe::Operation,
        },
    },
    secret_value::TokenSet,
};

/// How long a create waits for a place among the calls to its provider.
const CREATE_PATIENCE: Duration = Duration::from_secs(5);

impl Http {
    /// Sends a create, which has what is left of its time since `started`, so that it is over before another replica gives up waiting
    /// for it: once, and where a key is given and the answer wants a nonce, which says that nothing was minted, once more.
    pub(in crate::providers::http) async fn send_create(
        &self,
        owner: &Owner,
        scope: &Scope<'_>,
        key: Option<&ProofKey>,
        started: Instant,
        doing: &str,
    ) -> Result<Received, Error> {
        let left = self.left(started, doing)?;
        let received = self.mint_once(owner, scope, key.map(|key| (key, None)), left, doing).await?;
        let Some((key, nonce)) = key.zip(dpop::wanted_nonce(&received)) else { return Ok(received) };
        let left = self.left(started, doing)?;
        self.mint_once(owner, scope, Some((key, Some(&nonce))), left, doing).await
    }

    async fn mint_once(
        &self,
        owner: &Owner,
        scope: &Scope<'_>,
        proof: Option<(&ProofKey, Option<&str>)>,
        within: Duration,
        doing: &str,
    ) -> Result<Received, Error> {
        let operation = &self.recipe.create.operation;
        let mut prepared = self.identified(owner, operation, scope, doing).await?.within(within);
        if let Some((key, nonce)) = proof {
            prove(&mut prepared, key, None, nonce, doing)?;
        }
        let lane = self.lane(owner);
        let _leave = lane.enter_within(CREATE_PATIENCE).await.map_err(|closed| stay_away(closed, doing))?;
        self.send(Purpose::Create, prepared, doing).await.map_err(|(error, unsent)| match unsent {
            true => error,
            false => Error::new(Class::Unknown, error.to_string()),
        })
    }

    /// Shows a token with a proof.
    pub(in crate::providers::http) async fn try_bound(
        &self,
        owner: &Owner,
        operation: &Operation,
        scope: &Scope<'_>,
        values: &TokenSet,
        doing: &str,
    ) -> Result<Received, Error> {
        let key = token_key(values, doing)?;
        let token = values.get(TokenSet::TOKEN).and_then(|token| token.expose_str());
        let started = Instant::now();
        let lane = self.lane(owner).of(values);
        let mut prepared = self.anonymous(owner, operation, scope, doing).await?;
        prove(&mut prepared, &key, token, None, doing)?;
        let received = self.call(&lane, Purpose::Verify, prepared, doing).await?;
        let Some(nonce) = dpop::wanted_nonce(&received) else { return about_the_token(received, doing) };
        let mut prepared = self.anonymous(owner, operation, scope, doing).await?;
        prepared = prepared.within(self.left(started, doing)?);
        prove(&mut prepared, &key, token, Some(&nonce), doing)?;
        about_the_token(self.call(&lane, Purpose::Verify, prepared, doing).await?, doing)
    }

    /// What is left of the time of an operation.
    fn left(&self, started: Instant, doing: &str) -> Result<Duration, Error> {
        let left = self.timeout.saturating_sub(started.elapsed());
        let late = || format!("{doing}: what had to be asked for first took all of its time; look at timeout");
        (left >= LEAST.min(self.timeout / 2)).then_some(left).ok_or_else(|| Error::new(Class::Unavailable, late()))
    }
}

/// A proof that is refused, as by a wrong clock, says nothing of the token: it must not count as dead.
fn about_the_token(received: Received, doing: &str) -> Result<Received, Error> {
    match dpop::refused_proof(&received) {
        None => Ok(received),
        Some(code) => {
            let why = format!("{doing}: it does not accept the proof ({code}); look at the clocks of both sides");
            Err(Error::new(Class::Unavailable, why))
        }
    }
}

/// The key that a token is bound to.
pub(in crate::providers::http) fn token_key(values: &TokenSet, doing: &str) -> Result<ProofKey, Error> {
    let text = values.get(dpop::KEY).and_then(|key| key.expose_str()).ok_or_else(|| "it is lost".to_owned());
    let wrong =
        |why: String| Error::new(Class::Invalid, format!("{doing}: its key ({}) cannot be used: {why}", dpop::KEY));
    text.and_then(ProofKey::from_jwk).map_err(wrong)
}

fn prove(
    prepared: &mut Prepared,
    key: &ProofKey,
    token: Option<&str>,
    nonce: Option<&str>,
    doing: &str,
) -> Result<(), Error> {
    let rendered = &mut prepared.rendered;
    let claims = ProofClaims { method: &rendered.method, url: &rendered.url, token, nonce, now: Timestamp::now() };
    let proof = key
        .proof(&claims)
        .and_then(|proof| HeaderValue::try_from(proof).map_err(|_| "the proof cannot stand in a header".to_owned()));
    let mut proof = proof.map_err(|why| Error::new(Class::Unavailable, format!("{doing}: {why}")))?;
    proof.set_sensitive(true);
    rendered.headers.insert("dpop", proof);
    Ok(())
}
