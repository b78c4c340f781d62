//! Makes a client from a configuration: for the operator itself, and for each new token that is tried.
//!
//! The one place where a build with the feature `faults` puts its layer under every call.

#[cfg(feature = "faults")]
pub mod faults;

use kube::{Client, Config};

/// A client for `config`.
///
/// # Errors
/// The configuration is not usable, for example a certificate cannot be read.
pub fn connect(config: Config) -> kube::Result<Client> {
    #[cfg(not(feature = "faults"))]
    return Client::try_from(config);
    #[cfg(feature = "faults")]
    return faults::connect(config);
}
