//! Every driver, and which one a provider object asks for.

use jiff::Timestamp;

use super::{Capabilities, Error, Minted, Problem, Provider, Request, Subject, builtin, http, kubernetes};
use crate::{
    api::{Backend, HttpProvider, ProviderRef, TokenProviderSpec},
    core::{
        ledger::revocable::Revocable,
        token::{Census, Issued, Listed, Liveness, Owner, Proof, Specification, Verification},
    },
    secret_value::TokenSet,
};

/// What drivers are made with.
#[derive(Clone)]
pub struct Drivers {
    pub kubernetes: kubernetes::Kubernetes,
    pub http: http::Shared,
}

/// Every driver.
#[derive(Clone)]
pub enum Driver {
    Kubernetes(Box<kubernetes::Kubernetes>),
    Http(Box<http::Http>),
    OAuth2(Box<builtin::oauth2::OAuth2>),
}

impl Driver {
    /// The driver that a provider object asks for.
    ///
    /// # Errors
    /// Why there is none, in words that follow the object's name.
    pub fn select(spec: &TokenProviderSpec, reference: &ProviderRef, drivers: &Drivers) -> Result<Self, String> {
        let Backend { kubernetes, http, oauth2, .. } = &spec.backend;
        let reported = |mistakes: Vec<String>| format!("cannot work as it is written: {}", mistakes.join("; "));
        let placed = |name: &str, mistakes: Vec<String>| {
            reported(mistakes.into_iter().map(|mistake| format!("spec.{name}.{mistake}")).collect())
        };
        let run = |name, recipe: &HttpProvider| {
            let driver = http::Http::new(name, recipe, reference, &drivers.http);
            driver.map(|driver| Self::Http(Box::new(driver))).map_err(|mistakes| placed(name, mistakes))
        };
        match (kubernetes, http, oauth2, builtin::recipe(&spec.backend)) {
            (Some(_), None, None, None) => Ok(Self::Kubernetes(Box::new(drivers.kubernetes.clone()))),
            (None, Some(recipe), None, None) => run("http", recipe),
            (None, None, Some(settings), None) => {
                let driver = builtin::oauth2::OAuth2::new(settings, reference, &drivers.http);
                driver.map(|driver| Self::OAuth2(Box::new(driver))).map_err(reported)
            }
            (None, None, None, Some((name, Ok(recipe)))) => run(name, &recipe),
            (None, None, None, Some((name, Err(mistakes)))) => Err(placed(name, mistakes)),
            (None, None, None, None) => Err("names no provider that this version of tokenturn knows".to_owned()),
            _ => Err("names several providers; name one".to_owned()),
        }
    }

    /// Name in metrics and logs.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Kubernetes(_) => "kubernetes",
            Self::Http(driver) => driver.name(),
            Self::OAuth2(_) => "oauth2",
        }
    }
}

/// Calls a method of the driver, whichever it is.
macro_rules! of_driver {
    ($self:ident, $driver:ident => $call:expr) => {
        match $self {
            Self::Kubernetes($driver) => $call,
            Self::Http($driver) => $call,
            Self::OAuth2($driver) => $call,
        }
    };
}

/// What a driver waits for is on the heap: the largest of them would be part of every pass, and of the stack that polls
/// it.
impl Provider for Driver {
    fn capabilities(&self) -> Capabilities {
        of_driver!(self, driver => driver.capabilities())
    }

    fn check(&self, specification: &Specification) -> Vec<Problem> {
        of_driver!(self, driver => driver.check(specification))
    }

    async fn preflight(&self, subject: Subject<'_>) -> Result<Option<Census>, Error> {
        of_driver!(self, driver => Box::pin(driver.preflight(subject)).await)
    }

    async fn list(&self, subject: Subject<'_>) -> Result<Vec<Listed>, Error> {
        of_driver!(self, driver => Box::pin(driver.list(subject)).await)
    }

    async fn create(&self, request: &Request) -> Result<Minted, Error> {
        of_driver!(self, driver => Box::pin(driver.create(request)).await)
    }

    async fn verify(&self, subject: Subject<'_>, values: &TokenSet) -> Result<Verification, Error> {
        of_driver!(self, driver => Box::pin(driver.verify(subject, values)).await)
    }

    async fn prove(&self, subject: Subject<'_>, token: &Issued, values: &TokenSet) -> Result<Proof, Error> {
        of_driver!(self, driver => Box::pin(driver.prove(subject, token, values)).await)
    }

    fn unshown(&self, owner: &Owner) -> Vec<String> {
        of_driver!(self, driver => driver.unshown(owner))
    }

    async fn revoke(&self, subject: Subject<'_>, token: &Revocable, values: Option<&TokenSet>) -> Result<(), Error> {
        of_driver!(self, driver => Box::pin(driver.revoke(subject, token, values)).await)
    }

    async fn liveness(
        &self,
        subject: Subject<'_>,
        token: &Issued,
        values: Option<&TokenSet>,
    ) -> Result<Liveness, Error> {
        of_driver!(self, driver => Box::pin(driver.liveness(subject, token, values)).await)
    }

    async fn last_use(
        &self,
        subject: Subject<'_>,
        token: &Issued,
        values: Option<&TokenSet>,
    ) -> Result<Option<Timestamp>, Error> {
        of_driver!(self, driver => Box::pin(driver.last_use(subject, token, values)).await)
    }
}
