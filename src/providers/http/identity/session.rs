//! What the operator obtains by a call to show it in others: an access token of its own, or the session of a login. It is held in memory while
//! it lives, and there is one call for it at a time.

use std::time::{Duration, Instant};

use jiff::Timestamp;
use zeroize::Zeroizing;

use super::{
    held::{Held, SharedToken, Slot},
    token_request::{self, AccessToken},
};
use crate::{
    api::provider::http::HttpMeaning,
    connect::Purpose,
    core::token::Owner,
    providers::{
        Class, Error,
        http::{
            Http,
            message::{
                answer::{self, Received},
                code,
                render::{Rendered, Scope},
            },
            operation::call::{PATIENCE, Who, pause, stay_away, unreadable},
            recipe::{ClientCredentials, Credential, Login},
            send::transport,
        },
    },
};

/// What a call shows, where it is held, and how long it took to have it.
pub(in crate::providers::http) struct PresentedToken {
    pub token: SharedToken,
    pub slot: Slot,
    pub spent: Duration,
}

impl Http {
    /// What has to be obtained for a credential; `None` if nothing has.
    pub(in crate::providers::http) async fn session(
        &self,
        owner: &Owner,
        credential: &Credential,
        who: &Who,
    ) -> Result<Option<PresentedToken>, Error> {
        match (&credential.oauth2, &credential.login) {
            (Some(wanted), _) => self.access_token(owner, wanted, who).await.map(Some),
            (None, Some(login)) => self.log_in(owner, credential, login, who).await.map(Some),
            (None, None) => Ok(None),
        }
    }

    /// Whether something has to be obtained for a credential, and was.
    pub(in crate::providers::http) async fn try_session(
        &self,
        owner: &Owner,
        credential: &Credential,
    ) -> Result<bool, Error> {
        if credential.oauth2.is_none() && credential.login.is_none() {
            return Ok(false);
        }
        let who = self.who(self.credential_namespace(owner), credential).await?;
        self.session(owner, credential, &who).await.map(|session| session.is_some())
    }

    /// An access token (RFC 6749, section 4.4).
    async fn access_token(
        &self,
        owner: &Owner,
        wanted: &ClientCredentials,
        who: &Who,
    ) -> Result<PresentedToken, Error> {
        let doing = format!("no access token from {}", wanted.token_url.host_str().unwrap_or_default());
        let made_with = who.data.digest(&wanted.settings);
        let ask = async |left| {
            let rendered = token_request::request(wanted, &who.data, Timestamp::now())?;
            let received = self.ask(owner, who, rendered, left, &doing).await?;
            token_request::read(&received, who.data.secret(), Timestamp::now()).map_err(|error| {
                let wait = match error.class() {
                    Class::RateLimited { retry_after } => retry_after,
                    Class::Unavailable => answer::back_at_work(&received.headers, Timestamp::now()),
                    _ => None,
                };
                pause(&self.lane(owner), wait);
                Error::new(error.class(), format!("{doing}: {error}"))
            })
        };
        self.held(owner, made_with, &doing, ask).await
    }

    /// A session.
    async fn log_in(
        &self,
        owner: &Owner,
        credential: &Credential,
        login: &Login,
        who: &Who,
    ) -> Result<PresentedToken, Error> {
        let doing = format!("cannot log in at {}", self.host(&login.operation));
        // What it is obtained with, and where: another address, or identity, has nothing to do with it.
        let Credential { service_account, assertion, .. } = credential;
        let made_with = who.data.digest(&(&login.settings, self.recipe.base.as_str(), service_account, assertion));
        let ask = async |left| {
            let scope = Scope { credential: Some(who.data.keys()), ..Scope::default() };
            let rendered = self.rendered(&login.operation, &scope, &doing)?;
            let received = self.ask(owner, who, rendered, left, &doing).await?;
            let meant = answer::meaning(&login.operation.answer, &received);
            if meant.meaning != HttpMeaning::Success {
                return Err(self.refusal(&self.lane(owner), meant, &received, &doing));
            }
            let now = Timestamp::now();
            let body = received.body.json().ok_or_else(|| unreadable(&doing))?;
            let token = answer::scalar(&login.value, body).map(Zeroizing::new).ok_or_else(|| unreadable(&doing))?;
            let expires = login.expires.as_ref().map(|wanted| answer::time(wanted, body, now)).transpose();
            let expires = expires.map_err(|_| unreadable(&doing))?.flatten();
            let lifetime = expires.and_then(|at| Duration::try_from(at.duration_since(now)).ok());
            Ok(AccessToken { token, lifetime })
        };
        self.held(owner, made_with, &doing, ask).await
    }

    /// What is held and was obtained with the same, or else what `ask` gives in the time that is left.
    async fn held(
        &self,
        owner: &Owner,
        made_with: [u8; 32],
        doing: &str,
        ask: impl AsyncFnOnce(Duration) -> Result<AccessToken, Error>,
    ) -> Result<PresentedToken, Error> {
        let timeout = self.timeout;
        let started = Instant::now();
        let slot = self.shared.admin_tokens.slot(&self.object(owner));
        let held = tokio::time::timeout(timeout, slot.clone().lock_owned()).await;
        let mut held = held.map_err(|_| {
            Error::new(Class::Unavailable, format!("{doing}: another call has been waiting for one all the time"))
        })?;
        if let Some(token) = held.as_ref().and_then(|held| held.usable(&made_with, Instant::now())) {
            return Ok(PresentedToken { token, slot, spent: started.elapsed() });
        }
        *held = None;
        let asked = Instant::now();
        let new = Held::new(made_with, ask(timeout.saturating_sub(started.elapsed())).await?, asked);
        let token = new.token();
        // One that does not say how long it lives is for this call only.
        *held = Some(new).filter(|new| new.usable(&made_with, asked).is_some());
        Ok(PresentedToken { token, slot, spent: started.elapsed() })
    }

    async fn ask(
        &self,
        owner: &Owner,
        who: &Who,
        rendered: Rendered,
        left: Duration,
        doing: &str,
    ) -> Result<Received, Error> {
        let lane = self.lane(owner);
        let _leave = lane.enter_within(PATIENCE).await.map_err(|closed| stay_away(closed, doing))?;
        let known = code::known(&Scope { credential: Some(who.data.keys()), ..Scope::default() });
        let received = transport::send(&who.client, Purpose::Authorize, rendered, &known, left).await;
        received.map_err(|failure| Error::new(failure.class, format!("{doing}: {}", failure.why)))
    }
}
