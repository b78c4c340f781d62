//! The client: found in the usual ways, with deadlines, and without retries of its own.

use std::{error::Error as _, ffi::OsStr, io, time::Duration};

use kube::{Client, Config, config::KubeconfigError};

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
pub async fn config() -> Result<Config, NoCluster> {
    let named = std::env::var_os("KUBECONFIG").filter(|value| !value.is_empty());
    match Config::infer().await {
        Ok(config) => Ok(with_deadlines(config)),
        Err(error) => Err(NoCluster(match error.source().and_then(|cause| cause.downcast_ref()) {
            Some(cause) => no_cluster(cause, named.as_deref()),
            None => error.to_string(),
        })),
    }
}

/// Why no cluster was found, with what to do.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct NoCluster(String);

/// In one sentence, once. A kubeconfig has credentials in it: nothing of its text is quoted.
fn no_cluster(cause: &KubeconfigError, named: Option<&OsStr>) -> String {
    let begin = match named {
        Some(named) => format!("KUBECONFIG names {}", named.display()),
        None => "found no cluster: ~/.kube/config".to_owned(),
    };
    let end = if named.is_some() { "correct KUBECONFIG" } else { "set KUBECONFIG, or run in a pod" };
    match cause {
        KubeconfigError::ReadConfig(error, path) => {
            let begin = match named {
                Some(_) => format!("KUBECONFIG names {}", path.display()),
                None => format!("found no cluster: {}", path.display()),
            };
            match error.kind() {
                io::ErrorKind::NotFound => format!("{begin}: no such file; {end}"),
                io::ErrorKind::PermissionDenied => format!("{begin}: the operator may not read it; {end}"),
                _ => format!("{begin}: {error}; {end}"),
            }
        }
        KubeconfigError::Parse(_) => format!("{begin}: it is not the YAML of a kubeconfig; {end}"),
        cause => format!("{begin}: {cause}; {end}"),
    }
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

#[cfg(test)]
mod tests {
    use kube::config::{KubeConfigOptions, Kubeconfig};

    use super::*;

    fn sentence(cause: KubeconfigError, named: Option<&str>) -> String {
        no_cluster(&cause, named.map(OsStr::new))
    }

    /// It was "found no cluster: set KUBECONFIG", twice, though KUBECONFIG was set.
    #[tokio::test]
    async fn a_kubeconfig_that_cannot_be_used_is_named_once() {
        let missing = || Kubeconfig::read_from("/nonexistent/config").unwrap_err();
        assert_eq!(
            sentence(missing(), Some("/nonexistent/config")),
            "KUBECONFIG names /nonexistent/config: no such file; correct KUBECONFIG"
        );
        assert_eq!(
            sentence(missing(), None),
            "found no cluster: /nonexistent/config: no such file; set KUBECONFIG, or run in a pod"
        );
        let broken = Kubeconfig::from_yaml("users: [{token: c2VjcmV0").unwrap_err();
        let sentence_of_broken = sentence(broken, Some("x"));
        assert!(!sentence_of_broken.contains("c2VjcmV0"), "{sentence_of_broken}");
        assert!(sentence_of_broken.contains("not the YAML of a kubeconfig"), "{sentence_of_broken}");
        let empty = Config::from_custom_kubeconfig(Kubeconfig::default(), &KubeConfigOptions::default()).await;
        assert_eq!(
            sentence(empty.unwrap_err(), Some("a")),
            "KUBECONFIG names a: failed to determine current context; correct KUBECONFIG"
        );
    }
}
