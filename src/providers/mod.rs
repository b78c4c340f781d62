//! Providers: who mints, verifies, lists and revokes tokens.
//!
//! One trait, one file per driver, one enum of all drivers. A driver makes calls and classifies their errors; it
//! decides nothing about when a token may be minted or revoked: [`Revocable`] and the core do. No driver repeats a
//! `create` that may have had an effect.

pub mod builtin;
pub mod error;
pub mod http;
pub mod kubernetes;

use std::time::Duration;

pub use error::{Class, Error};
use jiff::Timestamp;

use crate::{
    api::{Backend, HttpProvider, ProviderRef, TokenProviderSpec},
    core::{
        ledger::revocable::Revocable,
        token::{
            Census, Generation, Handle, Issued, Listed, Liveness, Naming, Owner, Proof, Specification, Verification,
        },
    },
    secret_value::TokenSet,
};

/// How a provider lets a token be replaced.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Strategy {
    /// Old and new are valid together until the old one is revoked.
    Overlap,
    /// The provider ends the old token itself when it issues the new one.
    InPlace,
    /// Short-lived and not revocable: minted early, never revoked.
    Reissue,
}

/// What the provider needs to revoke a token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RevokeBy {
    Id,
    Name,
    Value,
    BoundObject,
    Nothing,
}

/// How tokens of the provider end by themselves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Expiry {
    /// They do not.
    None,
    /// After a time that we ask for and the server may shorten.
    Requested,
    /// After a time that the server fixes.
    Fixed,
}

/// How a crash or a lost answer after a create is survived.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LostAnswer {
    /// The lost token is found by listing and revoked.
    ListAndRevoke,
    /// The lost token is found by listing, and revoked where the list shows its value; else a person has to look.
    ListAndRevokeIfShown,
    /// The value can be read again or was chosen by us.
    Recover,
    /// Another one is minted and the lost one expires.
    Repeat,
    /// The same; what appeared at the account meanwhile is told.
    TellAndRepeat,
    /// Another one is minted; the name of the lost one is told.
    TellItsName,
    /// The next attempt replaces it.
    ReplaceAgain,
    /// It must never be repeated; a person has to look.
    Human,
}

/// What a provider can do; the protocol is chosen by it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Capabilities {
    pub strategy: Strategy,
    pub revoke_by: RevokeBy,
    pub expiry: Expiry,
    pub lost_answer: LostAnswer,
    /// Whether a name of ours can be given at creation and found again.
    pub label: bool,
    /// Whether it is seen when a token may do more than was asked for.
    pub shows_surplus: bool,
    /// Whether the provider says when a token was used last.
    pub tells_last_use: bool,
    /// Names of the values of a token set.
    pub fields: Vec<String>,
    /// How long a new token may take to become usable.
    pub activation: Duration,
    /// How long a revoked token may go on being accepted; the first look for its death waits this long.
    pub propagation: Duration,
}

/// One token to be minted.
#[derive(Clone, Debug)]
pub struct Request {
    pub owner: Owner,
    pub generation: Generation,
    /// The name to give it.
    pub id: String,
    pub specification: Specification,
    /// How long it should live, where the provider lets us ask.
    pub lifetime: Duration,
    /// Values of the token that it ends at the provider, where that one is alive.
    pub replaces: Option<TokenSet>,
    /// Values of the token of ours that has its place at the provider, alive or not.
    pub former: Option<TokenSet>,
    /// Another token that has its place can be ours, of an attempt whose answer was lost.
    pub may_be_there: bool,
}

/// One token that was minted. Its value exists nowhere else.
#[derive(Debug)]
pub struct Minted {
    pub values: TokenSet,
    pub handle: Handle,
    pub issued_at: Timestamp,
    pub expires_at: Option<Timestamp>,
    /// What the answer lacks or has wrong, so that the token is given to nobody and revoked with what is known of it.
    pub flaw: Option<String>,
    /// What the answer could not show, in sentences for the user.
    pub unshown: Vec<String>,
}

/// Whose token a call is about, and what is asked of it. Of a token that was minted before: what was asked of it then.
#[derive(Clone, Copy, Debug)]
pub struct Subject<'a> {
    pub owner: &'a Owner,
    /// The names of its tokens.
    pub naming: &'a Naming,
    pub specification: &'a Specification,
}

/// A driver. Every call has a deadline of its own and is made once.
pub trait Provider {
    /// What the provider can do.
    fn capabilities(&self) -> Capabilities;

    /// Mistakes in permissions and parameters that can be seen without asking the provider.
    fn check(&self, specification: &Specification) -> Vec<Problem>;

    /// Whether the provider can be reached, lets us mint and revoke, and knows what is asked for; and the fingerprints
    /// of all tokens of the account, where tokens have no names. Changes nothing.
    fn preflight(&self, subject: Subject<'_>) -> impl Future<Output = Result<Option<Census>, Error>> + Send;

    /// Tokens of this owner at the provider: exactly those whose names its naming can read.
    fn list(&self, subject: Subject<'_>) -> impl Future<Output = Result<Vec<Listed>, Error>> + Send;

    /// Mints one token. Sent once; an error of class [`Class::Unknown`] says that a token may exist.
    fn create(&self, request: &Request) -> impl Future<Output = Result<Minted, Error>> + Send;

    /// Shows a token to the provider and compares what it may do with what was asked for.
    fn verify(
        &self,
        subject: Subject<'_>,
        values: &TokenSet,
    ) -> impl Future<Output = Result<Verification, Error>> + Send;

    /// Shows, with the first token that is made with a recipe, that it does what it says: that a value which was made
    /// up is refused, and that the token is listed under its name and id. Asked before the token is used; shown once,
    /// it answers without a call.
    fn prove(
        &self,
        _subject: Subject<'_>,
        _token: &Issued,
        _values: &TokenSet,
    ) -> impl Future<Output = Result<Proof, Error>> + Send {
        std::future::ready(Ok(Proof::Shown))
    }

    /// What could not be shown of it, in sentences for the user.
    fn unshown(&self, _owner: &Owner) -> Vec<String> {
        Vec::new()
    }

    /// Revokes a token. Revoking what is gone already is success.
    fn revoke(
        &self,
        subject: Subject<'_>,
        token: &Revocable,
        values: Option<&TokenSet>,
    ) -> impl Future<Output = Result<(), Error>> + Send;

    /// Whether the provider still accepts a token.
    fn liveness(
        &self,
        subject: Subject<'_>,
        token: &Issued,
        values: Option<&TokenSet>,
    ) -> impl Future<Output = Result<Liveness, Error>> + Send;

    /// When a token was used last; `None` if it was not, or the provider does not say.
    fn last_use(
        &self,
        _subject: Subject<'_>,
        _token: &Issued,
        _values: Option<&TokenSet>,
    ) -> impl Future<Output = Result<Option<Timestamp>, Error>> + Send {
        std::future::ready(Ok(None))
    }
}

/// A mistake in a specification, for the person who wrote it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Problem {
    /// A permission that the provider does not know; says which and how permissions are written.
    UnknownPermission(String),
    /// A parameter that is missing, unknown or wrong.
    Parameter(String),
}

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
        let told = |mistakes: Vec<String>| format!("cannot work as it is written: {}", mistakes.join("; "));
        let placed = |name: &str, mistakes: Vec<String>| {
            told(mistakes.into_iter().map(|mistake| format!("spec.{name}.{mistake}")).collect())
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
                driver.map(|driver| Self::OAuth2(Box::new(driver))).map_err(told)
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
