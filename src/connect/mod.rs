//! Makes a client from a configuration: for the operator itself, and for each new token that is tried.
//!
//! The one place where a build with the feature `faults` puts its layer under every call.

#[cfg(feature = "faults")]
pub mod faults;

#[cfg(feature = "faults")]
pub use faults::connect;

/// A client for `config`.
///
/// # Errors
/// The configuration is not usable, for example a certificate cannot be read.
#[cfg(not(feature = "faults"))]
pub fn connect(config: kube::Config) -> kube::Result<kube::Client> {
    kube::Client::try_from(config)
}
