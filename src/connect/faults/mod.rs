//! Faults on demand, under every call of the operator. Never in a released binary.
//!
//! [`effect`] says which requests count and what each is called; [`plan`] says which of them is to go wrong, and how, and
//! keeps the journal; `breaking` carries it out, and [`layer`] is what sits under the client of the API server.
//!
//! [`plan::VARIABLE`] names the plan. Until the file exists nothing is counted, so that a runner can bring an object to any
//! state first and then switch the faults on.

mod breaking;
pub mod effect;
mod layer;
pub mod plan;

use kube::{Client, Config, client::ClientBuilder};

use self::effect::Effect;
use super::{Call, Instead};

/// A client for `config` with the layer under it.
///
/// # Errors
/// The configuration is not usable, for example a certificate cannot be read.
pub fn connect(config: Config) -> kube::Result<Client> {
    Ok(ClientBuilder::try_from(config)?.with_layer(&layer::Faults).build())
}

/// Sends a call to a provider, or does with it what is planned. `reported` is what the caller makes of a fault.
pub async fn ask<T>(call: &Call, sent: impl Future<Output = T>, reported: impl FnOnce(Instead) -> T) -> T {
    // No path: those of providers may hold tokens.
    match plan::meet(&Effect::asked(&call.method, call.purpose), "") {
        None => sent.await,
        Some(met) => met.carry_out(sent, call.timeout, reported).await,
    }
}
