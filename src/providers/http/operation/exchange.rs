//! A request is prepared, with what it shows, and sent once.

use std::time::Duration;

use http::{HeaderValue, StatusCode, header};
use zeroize::Zeroizing;

use crate::{
    connect::Purpose,
    providers::{
        Class, Error,
        http::{
            identity::{
                call::{PATIENCE, ProviderCall},
                held::PresentedToken,
            },
            message::{
                answer::Received,
                code,
                render::{Rendered, Scope},
            },
            recipe::{credential::SESSION, operation::Operation},
            send::{client::Client, transport},
        },
    },
};

/// A call that has less time than this is not begun: it would only be unclear whether it was made.
pub(super) const LEAST: Duration = Duration::from_millis(500);

/// A request that is ready to be sent, and by whom.
pub(super) struct Prepared {
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
    /// One that was made without a secret, and shows nobody.
    pub fn public(rendered: Rendered, client: Client, timeout: Duration) -> Self {
        Self { rendered, known: Zeroizing::default(), client, timeout, access_token: None }
    }

    /// The same with no more time than this.
    pub fn within(mut self, span: Duration) -> Self {
        self.timeout = self.timeout.min(span);
        self
    }
}

impl ProviderCall<'_> {
    /// A request that shows nobody.
    pub(super) async fn anonymous(&self, operation: &Operation, scope: &Scope<'_>) -> Result<Prepared, Error> {
        let rendered = self.rendered(operation, scope)?;
        let client = self.account.plain_client().await.map_err(|error| self.within(&error))?;
        let timeout = self.account.connection.timeout;
        Ok(Prepared { rendered, known: code::known(scope), client, timeout, access_token: None })
    }

    /// A request that shows who we are, unless it says otherwise itself.
    pub(super) async fn identified(&self, operation: &Operation, scope: &Scope<'_>) -> Result<Prepared, Error> {
        let Some(credential) = &self.account.recipe().credential else { return self.anonymous(operation, scope).await };
        let within = |error: Error| self.within(&error);
        let mut operator = self.account.operator(credential).await.map_err(within)?;
        let session = self.account.session(credential, &operator).await.map_err(within)?;
        if let Some(shown) = session.as_ref().filter(|_| credential.login.is_some()) {
            operator.data.put(SESSION, shown.token().as_bytes());
        }
        let data = &operator.data;
        let scope = Scope { credential: Some(data.keys()), ..*scope };
        let mut rendered = self.rendered(operation, &scope)?;
        let known = code::known(&scope);
        for (name, value) in data.headers(&credential.shown).map_err(within)? {
            rendered.headers.entry(name).or_insert(value);
        }
        let timeout = self.account.connection.timeout;
        let timeout = session.as_ref().map_or(timeout, |shown| timeout.saturating_sub(shown.spent));
        if let Some(shown) = session.as_ref().filter(|_| credential.oauth2.is_some()) {
            let value = bearer(shown.token()).map_err(|why| within(data.wrong(&why)))?;
            rendered.headers.entry(header::AUTHORIZATION).or_insert(value);
        }
        Ok(Prepared { rendered, known, client: operator.client, timeout, access_token: session })
    }

    /// Sends a request once. The flag beside an error says that it cannot have arrived.
    pub(super) async fn send(&self, purpose: Purpose, prepared: Prepared) -> Result<Received, (Error, bool)> {
        let Prepared { rendered, known, client, timeout, access_token } = prepared;
        if access_token.is_some() && timeout < LEAST.min(self.account.connection.timeout / 2) {
            let why = "the operator obtained its access token too late; set a longer timeout";
            return Err((self.error(Class::Unavailable, why), true));
        }
        let sent = transport::send(&client, purpose, rendered, &known, timeout).await;
        let received = sent.map_err(|failure| (self.error(failure.class, failure.why), failure.unsent))?;
        // It may have been revoked before its time: the next call gets another one. This one is not repeated.
        // What it may do can be in it, so one that was granted a right is obtained anew too.
        let is_refused = matches!(received.status, StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN);
        if let Some(token) = access_token.filter(|_| is_refused) {
            token.forget().await;
        }
        Ok(received)
    }

    /// Sends what may be repeated later.
    pub(super) async fn ask(&self, purpose: Purpose, prepared: Prepared) -> Result<Received, Error> {
        let _leave = self.enter(PATIENCE).await?;
        self.send(purpose, prepared).await.map_err(|(error, _)| error)
    }
}

fn bearer(token: &str) -> Result<HeaderValue, String> {
    let written = Zeroizing::new(format!("Bearer {token}"));
    let value = HeaderValue::try_from(written.as_str());
    let mut value = value.map_err(|_| "the access token has characters that a header cannot carry".to_owned())?;
    value.set_sensitive(true);
    Ok(value)
}
