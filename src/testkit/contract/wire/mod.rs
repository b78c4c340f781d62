//! How each provider speaks: paths, bodies and statuses, as its contract says. One file for each.

mod artifactory;
mod cloudflare;
mod datadog;
mod fossa;
mod gitlab;
mod grafana;
mod keycloak;
mod licensing;
mod oauth2;
mod okta;
mod proof;
mod sentry;
mod sonarqube;
mod synoptic;
mod used;

use http::Method;
use jiff::Timestamp;
use serde_json::{Value, json};

pub use self::used::Use;
use super::{
    ADMIN, Answer, Asked, Operation,
    store::{Behaviour, Store, Stored},
};

/// A provider.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wire {
    GitLab,
    Grafana,
    Cloudflare,
    Datadog,
    Sentry,
    SonarQube,
    Artifactory,
    OAuth2,
    Licensing,
    Fossa,
    Synoptic,
    Okta,
    Keycloak,
}

/// Tokens on one page, so that a few tokens need several.
const PAGE: usize = 2;

/// How one provider speaks; [`Wire`] says what each function is for.
trait Speech {
    fn prefix(&self) -> &'static str;

    fn use_of_a_token(&self, token: &str, account: &str) -> Use;

    fn behaviour(&self) -> Behaviour {
        Behaviour::default()
    }

    fn is_admin(&self, asked: &Asked, _: &Store) -> bool {
        asked.bearer() == ADMIN
    }

    /// What it answers to a wrong credential of the operator.
    fn refusal(&self) -> Answer {
        Answer::refused(401)
    }

    /// What it answers to who asks too often.
    fn too_many(&self) -> Answer {
        Answer::refused(429)
    }

    fn operation(&self, asked: &Asked) -> Option<Operation>;

    fn answer(&self, operation: Operation, asked: &Asked, store: &mut Store) -> Answer;
}

impl Wire {
    /// Those for which nothing real can run here; each has an example of ours.
    pub const ALL: [Self; 12] = [
        Self::GitLab,
        Self::Grafana,
        Self::Cloudflare,
        Self::Datadog,
        Self::Sentry,
        Self::SonarQube,
        Self::Artifactory,
        Self::OAuth2,
        Self::Licensing,
        Self::Fossa,
        Self::Synoptic,
        Self::Okta,
    ];

    fn speech(self) -> &'static dyn Speech {
        match self {
            Self::GitLab => &gitlab::GitLab,
            Self::Grafana => &grafana::Grafana,
            Self::Cloudflare => &cloudflare::Cloudflare,
            Self::Datadog => &datadog::Datadog,
            Self::Sentry => &sentry::Sentry,
            Self::SonarQube => &sonarqube::SonarQube,
            Self::Artifactory => &artifactory::Artifactory,
            Self::OAuth2 => &oauth2::OAuth2,
            Self::Licensing => &licensing::Licensing,
            Self::Fossa => &fossa::Fossa,
            Self::Synoptic => &synoptic::Synoptic,
            Self::Okta => &okta::Okta,
            Self::Keycloak => &keycloak::Keycloak,
        }
    }

    /// What its API's paths begin with.
    pub fn prefix(self) -> &'static str {
        self.speech().prefix()
    }

    /// How consumers use a token; some show whose it is too.
    pub fn use_of_a_token(self, token: &str, account: &str) -> Use {
        self.speech().use_of_a_token(token, account)
    }

    /// What is peculiar to it, whatever a test asks for besides.
    pub fn behaviour(self) -> Behaviour {
        self.speech().behaviour()
    }

    /// Whether the operator's credential is shown where this provider expects it.
    pub fn is_admin(self, asked: &Asked, store: &Store) -> bool {
        self.speech().is_admin(asked, store)
    }

    /// The answer to somebody who is not the operator.
    pub fn refusal(self) -> Answer {
        self.speech().refusal()
    }

    /// The answer to who asks too often, without its headers.
    pub fn too_many(self) -> Answer {
        self.speech().too_many()
    }

    /// What a request is for; `None` if it is not in the contract.
    pub fn operation(self, asked: &Asked) -> Option<Operation> {
        self.speech().operation(asked)
    }

    /// Carries a request out.
    pub fn answer(self, operation: Operation, asked: &Asked, store: &mut Store) -> Answer {
        self.speech().answer(operation, asked, store)
    }
}

/// The operation, if the request has the method that it needs.
fn on(method: &Method, wanted: &Method, operation: Operation) -> Option<Operation> {
    (method == wanted).then_some(operation)
}

/// POST makes one more, GET lists them.
fn collection(method: &Method) -> Option<Operation> {
    on(method, &Method::POST, Operation::Create).or(on(method, &Method::GET, Operation::List))
}

fn text<'a>(body: &'a Value, field: &str) -> &'a str {
    body[field].as_str().unwrap_or_default()
}

fn list_of(value: &Value) -> Vec<Value> {
    value.as_array().cloned().unwrap_or_default()
}

/// A date, which means when it begins.
fn date(text: &str) -> Option<Timestamp> {
    format!("{text}T00:00:00Z").parse().ok()
}

fn day(at: Option<Timestamp>) -> Value {
    at.map_or(Value::Null, |at| json!(at.to_string()[..10]))
}

fn has_id(segment: &str) -> impl Fn(&Stored) -> bool {
    move |token| token.id.to_string() == segment
}
