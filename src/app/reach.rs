//! Where providers may be: the administrator's rules, and the addresses of the API server, which are looked for until they are found.

use std::{collections::BTreeSet, net::IpAddr, sync::Arc, time::Duration};

use anyhow::Context as _;
use kube::{Client, Config};
use tokio_util::sync::CancellationToken;

use super::args::{EgressProfile, RunArgs};
use crate::{
    kube_io::api_server,
    providers::http::{
        send::egress::{Egress, Profile},
        send::guard::{ApiServer, Reach},
    },
};

/// How long a look for addresses may take.
const LOOK: Duration = Duration::from_secs(10);

/// How often they are looked for again, once they are known: API servers come and go.
const AGAIN: Duration = Duration::from_secs(600);

/// First and longest wait after a look that failed.
const WAIT: Duration = Duration::from_secs(2);
const LONGEST_WAIT: Duration = Duration::from_secs(60);

/// Reads the rules.
///
/// # Errors
/// The file cannot be read, or has mistakes.
pub fn reach(args: &RunArgs) -> anyhow::Result<Reach> {
    let profile = match args.egress {
        EgressProfile::Open => Profile::Open,
        EgressProfile::Strict => Profile::Strict,
    };
    let egress = match &args.egress_policy {
        None => Egress::profile(profile),
        Some(path) => {
            let text = std::fs::read_to_string(path)
                .with_context(|| format!("cannot read {} (--egress-policy)", path.display()))?;
            Egress::read(&text, profile)
                .map_err(|why| anyhow::anyhow!("the rules in {} (--egress-policy): {why}", path.display()))?
        }
    };
    Ok(Reach {
        loopback: args.allow_loopback_providers,
        plain_http: args.allow_plain_http,
        api_server: ApiServer::unknown(),
        egress: Arc::new(egress),
    })
}

/// Looks for the addresses of the API server, again and again. Until they were found once, nothing is connected to.
pub async fn keep_known(known: ApiServer, client: Client, config: Config, stop: CancellationToken) {
    let mut wait = WAIT;
    loop {
        let looked = tokio::time::timeout(LOOK, look(&client, &config)).await;
        let next = match looked.unwrap_or_else(|_| Err("no answer in time".to_owned())) {
            Ok(addresses) => {
                known.found(addresses);
                wait = WAIT;
                AGAIN
            }
            Err(why) => {
                tracing::warn!(
                    error = why,
                    "cannot find the addresses of the API server; until they are known no HTTP provider is called"
                );
                known.not_found(why);
                wait = (wait * 2).min(LONGEST_WAIT);
                wait
            }
        };
        tokio::select! {
            () = tokio::time::sleep(next) => {}
            () = stop.cancelled() => return,
        }
    }
}

/// Those of its service, as the configuration and the environment of a pod name it, and those behind it.
async fn look(client: &Client, config: &Config) -> Result<BTreeSet<IpAddr>, String> {
    let behind = api_server::endpoints(client).await;
    let mut addresses = behind.map_err(|error| match error.is_forbidden() {
        true => format!("{}; see the chart's roles", error.describe()),
        false => error.describe(),
    })?;
    let environment = std::env::var("KUBERNETES_SERVICE_HOST").ok();
    let hosts = config.cluster_url.host().map(str::to_owned).into_iter().chain(environment);
    for host in hosts.filter(|host| !host.is_empty()) {
        let host = host.trim_matches(['[', ']']);
        let found = tokio::net::lookup_host((host, 443)).await.map_err(|error| format!("{host}: {error}"))?;
        addresses.extend(found.map(|address| address.ip().to_canonical()));
    }
    Ok(addresses)
}
