//! A call that is made about an account: how long it may have to wait, and as what it is reported where it fails.

use std::{fmt::Display, time::Duration};

use super::account::Account;
use crate::{
    providers::{
        Class, Error,
        http::{
            message::{
                answer::Received,
                render::{self, Rendered, Scope},
            },
            recipe::{operation::Operation, template::Variable},
            send::throttle::{AccountLimiter, Closed, Leave, Pause},
        },
    },
    secret_value::TokenSet,
};

/// How long a call waits for a place among the calls to its provider.
pub(in crate::providers::http) const PATIENCE: Duration = Duration::from_millis(300);

/// A call about an account, or several for one purpose.
pub(in crate::providers::http) struct ProviderCall<'a> {
    pub account: &'a Account<'a>,
    pub(super) limiter: AccountLimiter,
    /// What cannot be done where it fails: all its errors begin with it.
    doing: String,
}

impl<'a> Account<'a> {
    pub fn call(&'a self, doing: String) -> ProviderCall<'a> {
        ProviderCall { account: self, limiter: self.limiter.clone(), doing }
    }
}

impl ProviderCall<'_> {
    /// The same, made without the credential, with a token in its place.
    pub fn of_token(self, values: &TokenSet) -> Self {
        let limiter = self.limiter.of(values);
        Self { limiter, ..self }
    }

    /// The same, made without the credential if the request shows the token.
    pub fn showing(self, operation: &Operation, values: Option<&TokenSet>) -> Self {
        let variables = operation.request.headers.iter().flat_map(|(_, template)| template.variables());
        let shows_token = variables.into_iter().any(|variable| matches!(variable, Variable::TokenValue(_)));
        match values.filter(|_| shows_token) {
            Some(values) => self.of_token(values),
            None => self,
        }
    }

    pub fn error(&self, class: Class, why: impl Display) -> Error {
        Error::new(class, format!("{}: {why}", self.doing))
    }

    /// The same for an error of something that the call needs.
    pub fn within(&self, error: &Error) -> Error {
        self.error(error.class(), error)
    }

    /// The answer lacks what the recipe reads.
    pub fn unreadable(&self) -> Error {
        self.error(Class::Invalid, "the answer lacks a field that the recipe reads; check the paths of the recipe")
    }

    /// The answer is not JSON.
    pub fn not_json(&self, received: &Received) -> Error {
        self.error(Class::Invalid, format!("{}; check the base URL and the path", received.not_json()))
    }

    /// A request of the recipe.
    ///
    /// # Errors
    /// A value that is missing, or that cannot stand where it should.
    pub fn rendered(&self, operation: &Operation, scope: &Scope<'_>) -> Result<Rendered, Error> {
        let rendered = render::request(&self.account.recipe().base, &operation.request, scope);
        rendered.map_err(|why| self.error(Class::Invalid, why))
    }

    /// Keeps the pause that a provider asks for. Without a word about when, there are the usual growing waits of each
    /// token.
    pub(super) fn pause(&self, asked: Option<Duration>) {
        if let Some(wait) = asked {
            self.limiter.pause(wait, Pause::Asked);
        }
    }

    /// Waits for leave to make a call.
    ///
    /// # Errors
    /// How long to stay away.
    pub async fn enter(&self, patience: Duration) -> Result<Leave, Error> {
        self.limiter.enter_within(patience).await.map_err(|closed| self.stay_away(closed))
    }

    fn stay_away(&self, closed: Closed) -> Error {
        let later = |wait| Class::RateLimited { retry_after: Some(wait) };
        let (class, why) = match closed {
            Closed::Paused(left, Pause::Asked) => {
                (later(left), "it asked for a pause that is not over; the operator waits")
            }
            Closed::Paused(left, Pause::Quota) => (
                Class::QuotaExceeded { retry_after: left },
                "the limit of the plan is used up; the operator waits until the provider resets it",
            ),
            Closed::Busy(wait) => (later(wait), "other calls to it are not answered yet; the operator waits"),
        };
        self.error(class, why)
    }
}
