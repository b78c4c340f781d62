//! What the operator obtains by a call to show it in others: an access token of its own, or the session of a login. It
//! is held in memory while it lives, and there is one call for it at a time.

use std::time::{Duration, Instant};

use jiff::Timestamp;
use zeroize::Zeroizing;

use super::{
    account::{Account, OperatorIdentity},
    call::{PATIENCE, ProviderCall},
    held::{Held, PresentedToken},
    token_request::{self, AccessToken},
};
use crate::{
    api::provider::http::HttpMeaning,
    connect::Purpose,
    providers::{
        Class, Error,
        http::{
            message::{
                answer::{self, Received},
                code, content,
                render::{Rendered, Scope},
                wait::back_at_work,
            },
            recipe::credential::{ClientCredentials, Credential, Login},
            send::transport,
        },
    },
};

impl Account<'_> {
    /// What has to be obtained for a credential; `None` if nothing has.
    ///
    /// # Errors
    /// Why there is none.
    pub async fn session(
        &self,
        credential: &Credential,
        operator: &OperatorIdentity,
    ) -> Result<Option<PresentedToken>, Error> {
        match (&credential.oauth2, &credential.login) {
            (Some(wanted), _) => self.access_token(wanted, operator).await.map(Some),
            (None, Some(login)) => self.log_in(credential, login, operator).await.map(Some),
            (None, None) => Ok(None),
        }
    }

    /// Whether something has to be obtained for a credential, and was.
    ///
    /// # Errors
    /// Why there is none.
    pub async fn obtains_session(&self, credential: &Credential) -> Result<bool, Error> {
        if credential.oauth2.is_none() && credential.login.is_none() {
            return Ok(false);
        }
        let operator = self.operator(credential).await?;
        self.session(credential, &operator).await.map(|session| session.is_some())
    }

    /// An access token (RFC 6749, section 4.4).
    async fn access_token(
        &self,
        wanted: &ClientCredentials,
        operator: &OperatorIdentity,
    ) -> Result<PresentedToken, Error> {
        let call = self.call(format!("no access token from {}", wanted.token_url.host_str().unwrap_or_default()));
        let made_with = operator.data.digest(&wanted.settings);
        let ask = async |left| {
            let rendered = token_request::request(wanted, &operator.data, Timestamp::now())?;
            let received = obtain(&call, operator, rendered, left).await?;
            token_request::read(&received, operator.data.secret(), Timestamp::now()).map_err(|error| {
                call.pause(match error.class() {
                    Class::RateLimited { retry_after } => retry_after,
                    Class::Unavailable => back_at_work(&received.headers, Timestamp::now()),
                    _ => None,
                });
                call.within(&error)
            })
        };
        self.held(&call, made_with, ask).await
    }

    /// A session.
    async fn log_in(
        &self,
        credential: &Credential,
        login: &Login,
        operator: &OperatorIdentity,
    ) -> Result<PresentedToken, Error> {
        let call = self.call(format!("cannot log in at {}", self.host(&login.operation)));
        // What it is obtained with, and where: another address, or identity, has nothing to do with it.
        let Credential { service_account, assertion, .. } = credential;
        let base = self.recipe().base.as_str();
        let made_with = operator.data.digest(&(&login.settings, base, service_account, assertion));
        let ask = async |left| {
            let scope = Scope { credential: Some(operator.data.keys()), ..Scope::default() };
            let rendered = call.rendered(&login.operation, &scope)?;
            let received = obtain(&call, operator, rendered, left).await?;
            let meant = answer::meaning(&login.operation.answer, &received);
            if meant.meaning != HttpMeaning::Success {
                return Err(call.refusal(meant, &received));
            }
            let now = Timestamp::now();
            let body = received.body.json().ok_or_else(|| call.not_json(&received))?;
            let token = content::scalar(&login.value, body).map(Zeroizing::new).ok_or_else(|| call.unreadable())?;
            let expires = login.expires.as_ref().map(|wanted| content::time(wanted, body, now)).transpose();
            let expires = expires.map_err(|_| call.unreadable())?.flatten();
            let lifetime = expires.and_then(|at| Duration::try_from(at.duration_since(now)).ok());
            Ok(AccessToken { token, lifetime })
        };
        self.held(&call, made_with, ask).await
    }

    /// What is held and was obtained with the same, or else what `ask` gives in the time that is left.
    async fn held(
        &self,
        call: &ProviderCall<'_>,
        made_with: [u8; 32],
        ask: impl AsyncFnOnce(Duration) -> Result<AccessToken, Error>,
    ) -> Result<PresentedToken, Error> {
        let timeout = self.connection.timeout;
        let started = Instant::now();
        let slot = self.shared().admin_tokens.slot(&self.object);
        let held = tokio::time::timeout(timeout, slot.clone().lock_owned()).await;
        let mut held =
            held.map_err(|_| call.error(Class::Unavailable, "another call has been waiting for one all the time"))?;
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
}

async fn obtain(
    call: &ProviderCall<'_>,
    operator: &OperatorIdentity,
    rendered: Rendered,
    left: Duration,
) -> Result<Received, Error> {
    let _leave = call.enter(PATIENCE).await?;
    let known = code::known(&Scope { credential: Some(operator.data.keys()), ..Scope::default() });
    let received = transport::send(&operator.client, Purpose::Authorize, rendered, &known, left).await;
    received.map_err(|failure| call.error(failure.class, failure.why))
}
