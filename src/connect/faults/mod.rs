//! Faults on demand, under every call of the operator. Never in a released binary.
//!
//! [`effect`] says which requests count and what each is called; [`plan`] says which of them is to go wrong, and how, and
//! keeps the journal; [`layer`] is what sits under the client and carries it out.
//!
//! [`plan::VARIABLE`] names the plan. Until the file exists nothing is counted, so that a runner can bring an object to any
//! state first and then switch the faults on.

pub mod effect;
mod layer;
pub mod plan;

use kube::{Client, Config, client::ClientBuilder};

/// A client for `config` with the layer under it.
///
/// # Errors
/// The configuration is not usable, for example a certificate cannot be read.
pub fn connect(config: Config) -> kube::Result<Client> {
    Ok(ClientBuilder::try_from(config)?.with_layer(&layer::Faults).build())
}
