//! Makes a client from a configuration: for the operator itself, and for each new token that is tried; asks the API server by
//! names that were checked; and names each call to a provider.
//!
//! The one place where a build with the feature `faults` puts its layer under every call.

pub mod cause;
#[cfg(feature = "faults")]
pub mod faults;
pub mod objects;
pub mod trouble;

use std::time::Duration;

use http::{Method, StatusCode};

#[cfg(feature = "faults")]
pub use faults::{ask, connect};

/// What a call to a provider is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    Create,
    List,
    Verify,
    Revoke,
    /// The operator obtains an access token for itself.
    Authorize,
    /// Where the endpoints are is looked up.
    Discover,
    /// The operator's credential is tried.
    Check,
}

/// A call to a provider, without anything that could hold a value.
#[derive(Clone, Debug)]
pub struct Call {
    pub method: Method,
    pub purpose: Purpose,
    /// How long its answer is waited for.
    pub timeout: Duration,
}

/// What comes back in the place of an answer, where a fault is planned.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Instead {
    /// Somebody refused the request and did nothing.
    Refused(StatusCode),
    /// The connection broke.
    Broken,
    /// Nothing, for as long as the caller waits.
    Silence,
}

/// A client for `config`.
///
/// # Errors
/// The configuration is not usable, for example a certificate cannot be read.
#[cfg(not(feature = "faults"))]
pub fn connect(config: kube::Config) -> kube::Result<kube::Client> {
    kube::Client::try_from(config)
}

/// Sends a call to a provider. `told` is what the caller makes of a fault.
#[cfg(not(feature = "faults"))]
pub async fn ask<T>(_: &Call, sent: impl Future<Output = T>, _: impl FnOnce(Instead) -> T) -> T {
    sent.await
}
