//! Access tokens of an OAuth 2.0 authorization server, by the client credentials grant (RFC 6749, section 4.4).
//!
//! - [`metadata`] knows where a server says what it has, and reads it
//! - [`recipe`] makes a recipe of the settings and of where the endpoints are
//!
//! What the provider can do depends on the settings only; the endpoints are read before each operation, within its
//! time, so that a server can move them.

pub mod metadata;
pub mod recipe;

use std::{
    borrow::Cow,
    sync::Arc,
    time::{Duration, Instant},
};

use self::metadata::{Endpoints, Issuer};
use crate::{
    api::{OAuth2Provider, ProviderRef, provider::oauth2::OAuth2Revocation},
    core::{
        ledger::revocable::Revocable,
        token::{Census, Issued, Listed, Liveness, Owner, Proof, Specification, Verification},
    },
    providers::{
        Capabilities, Class, Error, Inspect, Minted, Problem, Provider, Request, Subject,
        http::{Health, Http, Shared},
    },
    secret_value::TokenSet,
};

/// How long an operation may take, where the settings do not say.
const TIMEOUT: Duration = Duration::from_secs(10);

/// An operation that has less time than this is not begun.
const LEAST: Duration = Duration::from_millis(500);

/// The driver of one provider object.
#[derive(Clone)]
pub struct OAuth2 {
    settings: Arc<OAuth2Provider>,
    /// Where the metadata is; `None` where the endpoints are said.
    issuer: Option<Issuer>,
    /// The driver for the endpoints that are said; else one whose endpoints are not known, for what needs none.
    shape: Http,
    reference: ProviderRef,
    shared: Shared,
}

impl OAuth2 {
    /// A driver for a provider object.
    ///
    /// # Errors
    /// Every mistake of the settings.
    pub fn new(settings: &OAuth2Provider, reference: &ProviderRef, shared: &Shared) -> Result<Self, Vec<String>> {
        let issuer = settings.issuer.as_deref().map(Issuer::parse).transpose().map_err(|why| vec![why])?;
        let endpoints = match (&issuer, &settings.endpoints) {
            (Some(issuer), None) => issuer.stand_ins(),
            (None, Some(said)) => Endpoints::parse(said)?,
            _ => return Err(vec!["spec.oauth2: set exactly one of issuer and endpoints".to_owned()]),
        };
        let timeout = settings.timeout.map_or(TIMEOUT, Duration::from);
        let shape = driver(settings, &endpoints, timeout, reference, shared)?;
        let (settings, reference, shared) = (Arc::new(settings.clone()), reference.clone(), shared.clone());
        Ok(Self { settings, issuer, shape, reference, shared })
    }

    /// Whether the metadata is there, and the server knows the client.
    ///
    /// # Errors
    /// What is wrong with them.
    pub async fn health(&self, namespace: &str) -> Result<Health, Error> {
        self.shape.check_credential(namespace).await?;
        self.at_work(namespace).await?.health(namespace).await
    }

    /// The driver for the endpoints as they are now.
    async fn at_work(&self, namespace: &str) -> Result<Cow<'_, Http>, Error> {
        let Some(issuer) = &self.issuer else { return Ok(Cow::Borrowed(&self.shape)) };
        let doing = format!("cannot read the metadata of {issuer}");
        let timeout = self.settings.timeout.map_or(TIMEOUT, Duration::from);
        let started = Instant::now();
        let endpoints = self.endpoints(namespace, issuer, timeout, &doing).await?;
        let left = timeout.saturating_sub(started.elapsed());
        if left < LEAST {
            let why = format!("{doing}: it took all the time of the operation; set a longer timeout");
            return Err(Error::new(Class::Unavailable, why));
        }
        driver(&self.settings, &endpoints, timeout, &self.reference, &self.shared)
            .map(|driver| Cow::Owned(driver.within(left)))
            .map_err(|mistakes| Error::new(Class::Invalid, format!("{doing}: {}", mistakes.join("; "))))
    }

    async fn endpoints(
        &self,
        namespace: &str,
        issuer: &Issuer,
        timeout: Duration,
        doing: &str,
    ) -> Result<Endpoints, Error> {
        let started = Instant::now();
        let invalid = |why: &str| Error::new(Class::Invalid, format!("{doing}: {why}"));
        for address in issuer.addresses() {
            let left = timeout.saturating_sub(started.elapsed());
            let Some(received) = self.shape.look_up(namespace, address, left, doing).await? else { continue };
            let not_json = || invalid(&format!("{}; check issuer", received.not_json()));
            let body = received.body.json().ok_or_else(not_json)?;
            return metadata::read(body, issuer, self.settings.client.client.method).map_err(|why| invalid(&why));
        }
        let [one, other] = issuer.addresses();
        Err(invalid(&format!("there is nothing at {one} and {other}; check issuer, or set endpoints")))
    }
}

fn driver(
    settings: &OAuth2Provider,
    endpoints: &Endpoints,
    timeout: Duration,
    reference: &ProviderRef,
    shared: &Shared,
) -> Result<Http, Vec<String>> {
    let recipe = recipe::recipe(settings, endpoints, timeout)?;
    // Its mistakes are reported in the words of the settings that it is made of.
    let renamed = |mistake: String| match mistake.strip_prefix("permissions") {
        Some(rest) => format!("spec.oauth2.scopes{rest}"),
        None => format!("spec.oauth2.{mistake}"),
    };
    Http::new("oauth2", &recipe, reference, shared).map_err(|mistakes| mistakes.into_iter().map(renamed).collect())
}

impl Inspect for OAuth2 {
    fn name(&self) -> &'static str {
        "oauth2"
    }

    fn capabilities(&self) -> Capabilities {
        self.shape.capabilities()
    }

    fn check(&self, specification: &Specification) -> Vec<Problem> {
        self.shape.check(specification)
    }

    async fn preflight(&self, subject: Subject<'_>) -> Result<Option<Census>, Error> {
        self.at_work(&subject.owner.namespace).await?.preflight(subject).await
    }

    /// Tokens of an authorization server have no names and are listed nowhere.
    async fn list(&self, _: Subject<'_>) -> Result<Vec<Listed>, Error> {
        Ok(Vec::new())
    }

    async fn verify(&self, subject: Subject<'_>, values: &TokenSet) -> Result<Verification, Error> {
        self.at_work(&subject.owner.namespace).await?.verify(subject, values).await
    }

    async fn prove(&self, subject: Subject<'_>, token: &Issued, values: &TokenSet) -> Result<Proof, Error> {
        self.at_work(&subject.owner.namespace).await?.prove(subject, token, values).await
    }

    fn unshown(&self, owner: &Owner) -> Vec<String> {
        self.shape.unshown(owner)
    }

    async fn liveness(
        &self,
        subject: Subject<'_>,
        token: &Issued,
        values: Option<&TokenSet>,
    ) -> Result<Liveness, Error> {
        self.at_work(&subject.owner.namespace).await?.liveness(subject, token, values).await
    }
}

impl Provider for OAuth2 {
    async fn create(&self, request: &Request) -> Result<Minted, Error> {
        self.at_work(&request.owner.namespace).await?.create(request).await
    }

    async fn revoke(&self, subject: Subject<'_>, token: &Revocable, values: Option<&TokenSet>) -> Result<(), Error> {
        // It ends by itself; the server need not be asked for that.
        if self.settings.revocation == OAuth2Revocation::Never {
            return Ok(());
        }
        self.at_work(&subject.owner.namespace).await?.revoke(subject, token, values).await
    }
}
