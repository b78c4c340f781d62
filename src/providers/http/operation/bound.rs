//! Tokens that are bound to a key of their own (RFC 9449): each call shows a proof, and is made once more with a nonce
//! where the answer wants one.

use std::time::{Duration, Instant};

use http::HeaderValue;
use jiff::Timestamp;

use super::exchange::{LEAST, Prepared};
use crate::{
    connect::Purpose,
    providers::{
        Class, Error,
        http::{
            identity::call::ProviderCall,
            message::{
                answer::Received,
                dpop::{self, ProofClaims, ProofKey},
                render::Scope,
            },
            recipe::{operation::Operation, token::PROOF_KEY},
        },
    },
    secret_value::TokenSet,
};

/// How long a create waits for a place among the calls to its provider.
const CREATE_PATIENCE: Duration = Duration::from_secs(5);

impl ProviderCall<'_> {
    /// Sends a create, which has what is left of its time since `started`, so that it is over before another replica
    /// gives up waiting for it: once, and where a key is given and the answer wants a nonce, which says that nothing
    /// was minted, once more.
    pub(super) async fn send_create(
        &self,
        scope: &Scope<'_>,
        key: Option<&ProofKey>,
        started: Instant,
    ) -> Result<Received, Error> {
        let left = self.left(started)?;
        let received = self.send_create_once(scope, key.map(|key| (key, None)), left).await?;
        let Some((key, nonce)) = key.zip(dpop::wanted_nonce(&received)) else { return Ok(received) };
        let left = self.left(started)?;
        self.send_create_once(scope, Some((key, Some(&nonce))), left).await
    }

    async fn send_create_once(
        &self,
        scope: &Scope<'_>,
        proof: Option<(&ProofKey, Option<&str>)>,
        within: Duration,
    ) -> Result<Received, Error> {
        let operation = &self.account.recipe().create.operation;
        let mut prepared = self.identified(operation, scope).await?.within(within);
        if let Some((key, nonce)) = proof {
            self.add_proof(&mut prepared, key, None, nonce)?;
        }
        let _leave = self.enter(CREATE_PATIENCE).await?;
        self.send(Purpose::Create, prepared).await.map_err(|(error, unsent)| match unsent {
            true => error,
            false => Error::new(Class::Unknown, error.to_string()),
        })
    }

    /// Shows a token with a proof.
    pub(super) async fn show_bound(
        &self,
        operation: &Operation,
        scope: &Scope<'_>,
        values: &TokenSet,
    ) -> Result<Received, Error> {
        let key = self.token_key(values)?;
        let token = values.get(TokenSet::TOKEN).and_then(|token| token.expose_str());
        let started = Instant::now();
        let mut prepared = self.anonymous(operation, scope).await?;
        self.add_proof(&mut prepared, &key, token, None)?;
        let received = self.ask(Purpose::Verify, prepared).await?;
        let Some(nonce) = dpop::wanted_nonce(&received) else { return self.about_the_token(received) };
        let mut prepared = self.anonymous(operation, scope).await?;
        prepared = prepared.within(self.left(started)?);
        self.add_proof(&mut prepared, &key, token, Some(&nonce))?;
        self.about_the_token(self.ask(Purpose::Verify, prepared).await?)
    }

    /// What is left of the time of an operation.
    fn left(&self, started: Instant) -> Result<Duration, Error> {
        let timeout = self.account.connection.timeout;
        let left = timeout.saturating_sub(started.elapsed());
        let late = "the calls that come before it took all of its time; set a longer timeout";
        (left >= LEAST.min(timeout / 2)).then_some(left).ok_or_else(|| self.error(Class::Unavailable, late))
    }

    /// A proof that is refused, as by a wrong clock, says nothing of the token: it must not count as dead.
    fn about_the_token(&self, received: Received) -> Result<Received, Error> {
        match dpop::refused_proof(&received) {
            None => Ok(received),
            Some(code) => {
                let why = format!("it does not accept the proof ({code}); check the clocks of both sides");
                Err(self.error(Class::Unavailable, why))
            }
        }
    }

    /// The key that a token is bound to.
    pub(super) fn token_key(&self, values: &TokenSet) -> Result<ProofKey, Error> {
        let text = values.get(PROOF_KEY).and_then(|key| key.expose_str()).ok_or_else(|| "it is lost".to_owned());
        let wrong = |why: String| self.error(Class::Invalid, format!("its key ({PROOF_KEY}) cannot be used: {why}"));
        text.and_then(ProofKey::from_jwk).map_err(wrong)
    }

    fn add_proof(
        &self,
        prepared: &mut Prepared,
        key: &ProofKey,
        token: Option<&str>,
        nonce: Option<&str>,
    ) -> Result<(), Error> {
        let rendered = &mut prepared.rendered;
        let claims = ProofClaims { method: &rendered.method, url: &rendered.url, token, nonce, now: Timestamp::now() };
        let proof = key.proof(&claims).and_then(|proof| {
            HeaderValue::try_from(proof).map_err(|_| "the proof has characters that a header cannot carry".to_owned())
        });
        let mut proof = proof.map_err(|why| self.error(Class::Unavailable, why))?;
        proof.set_sensitive(true);
        rendered.headers.insert("dpop", proof);
        Ok(())
    }
}
