//! The client: found in the usual ways, with deadlines, and without retries of its own.

use std::time::Duration;

use kube::{Client, Config};

use crate::connect::connect;

/// Every call has an answer within this time or has failed.
const READ_TIMEOUT: Duration = Duration::from_secs(30);
/// A watch that has not even brought a bookmark for this long is dead.
const WATCH_TIMEOUT: Duration = Duration::from_secs(180);
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// Finds the cluster as kubectl does: `KUBECONFIG`, `~/.kube/config`, or the ServiceAccount of the pod.
///
/// # Errors
/// None of these is usable.
pub async fn config() -> Result<Config, kube::config::InferConfigError> {
    Ok(with_deadlines(Config::infer().await?))
}

/// The same configuration with our deadlines and without hidden repeats: a create that is sent twice is two tokens.
#[must_use]
pub fn with_deadlines(mut config: Config) -> Config {
    config.connect_timeout = Some(CONNECT_TIMEOUT);
    config.read_timeout = Some(READ_TIMEOUT);
    config.write_timeout = Some(READ_TIMEOUT);
    config.default_retry = false;
    let agent = concat!("tokenturn/", env!("CARGO_PKG_VERSION"));
    config.headers.push((http::header::USER_AGENT, http::HeaderValue::from_static(agent)));
    config
}

/// A client for watches: quiet for as long as nothing changes, besides a bookmark every minute or so.
///
/// # Errors
/// As [`client`].
pub fn watch_client(mut config: Config) -> kube::Result<Client> {
    config.read_timeout = Some(WATCH_TIMEOUT);
    client(config)
}

/// A client for `config`.
///
/// # Errors
/// The configuration is not usable, for example a certificate cannot be read.
pub fn client(config: Config) -> kube::Result<Client> {
    connect(config)
}
