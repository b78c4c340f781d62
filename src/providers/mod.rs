//! Providers: who mints, verifies, lists and revokes tokens.
//!
//! One trait, one file per driver, one enum of all drivers. A driver makes calls and classifies their errors; it
//! decides nothing about when a token may be minted or revoked: [`Revocable`] and the core do. No driver repeats a
//! `create` that may have had an effect.

pub mod builtin;
mod capabilities;
mod driver;
pub mod error;
pub mod http;
pub mod kubernetes;

use std::time::Duration;

pub use self::{
    capabilities::{Capabilities, Expiry, LostAnswer, RevokeBy, Strategy},
    driver::{Driver, Drivers},
    error::{Class, Error},
};
use jiff::Timestamp;

use crate::{
    core::{
        ledger::revocable::Revocable,
        predecessor::Predecessor,
        token::{Census, Handle, Issued, Listed, Liveness, Naming, Owner, Proof, Serial, Specification, Verification},
    },
    secret_value::TokenSet,
};

/// One token to be minted.
#[derive(Clone, Debug)]
pub struct Request {
    pub owner: Owner,
    pub serial: Serial,
    /// The name to give it.
    pub id: String,
    pub specification: Specification,
    /// How long it should live, where the provider lets us ask.
    pub lifetime: Duration,
    /// Values of what has the place that it takes, where there is one place only.
    pub predecessor: Predecessor<TokenSet>,
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

/// What can be asked of a provider. No call changes a token or makes one; each has a deadline of its own and is made once.
pub trait Inspect {
    /// Name in metrics and logs.
    fn name(&self) -> &'static str;

    /// What the provider can do.
    fn capabilities(&self) -> Capabilities;

    /// Mistakes in permissions and parameters that can be seen without asking the provider.
    fn check(&self, specification: &Specification) -> Vec<Problem>;

    /// Whether the provider can be reached, lets us mint and revoke, and knows what is asked for; and the fingerprints
    /// of all tokens of the account, where tokens have no names. Changes nothing.
    fn preflight(&self, subject: Subject<'_>) -> impl Future<Output = Result<Option<Census>, Error>> + Send;

    /// Tokens of this owner at the provider: exactly those whose names its naming can read.
    fn list(&self, subject: Subject<'_>) -> impl Future<Output = Result<Vec<Listed>, Error>> + Send;

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

/// A driver: what can be asked, and what changes tokens. Every call has a deadline of its own and is made once.
pub trait Provider: Inspect {
    /// Mints one token. Sent once; an error of class [`Class::Unknown`] says that a token may exist.
    fn create(&self, request: &Request) -> impl Future<Output = Result<Minted, Error>> + Send;

    /// Revokes a token. Revoking what is gone already is success.
    fn revoke(
        &self,
        subject: Subject<'_>,
        token: &Revocable,
        values: Option<&TokenSet>,
    ) -> impl Future<Output = Result<(), Error>> + Send;
}

/// A mistake in a specification, for the person who wrote it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Problem {
    /// A permission that the provider does not know; says which and how permissions are written.
    UnknownPermission(String),
    /// A parameter that is missing, unknown or wrong.
    Parameter(String),
}
