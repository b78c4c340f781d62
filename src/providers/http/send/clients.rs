//! The clients of all drivers: one for each set of certificates and proxy, with or without a client certificate.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use sha2::{Digest, Sha256};

use super::{
    client::{self, Client, Identity},
    guard::Reachable,
    proxy::ProxyRoute,
};
use crate::providers::{Class, Error, http::message::body::Room};

/// Clients that are kept; beyond that the one that was not used for longest is made anew.
const MAX_CLIENTS: usize = 64;

/// How long a client that holds a private key or a password is kept after it was last made: what was replaced leaves
/// the memory.
const KEY_KEPT: Duration = Duration::from_secs(300);

/// What tells clients apart: the rules for where they may go, the authorities that they trust, the proxy, and digests
/// of what they show.
#[derive(PartialEq, Eq, Hash)]
struct ClientKey {
    whose: String,
    ca_bundle: Option<String>,
    identity: Option<[u8; 32]>,
    proxy: Option<String>,
    authorization: Option<[u8; 32]>,
}

impl ClientKey {
    fn holds_secrets(&self) -> bool {
        self.identity.is_some() || self.authorization.is_some()
    }
}

#[derive(Clone, Default)]
pub(in crate::providers::http) struct Clients {
    kept: Arc<Mutex<HashMap<ClientKey, KeptClient>>>,
    room: Room,
}

struct KeptClient {
    made: Instant,
    used: Instant,
    http: reqwest::Client,
}

impl Clients {
    /// A client, made once for each set of certificates and each way to a proxy.
    ///
    /// # Errors
    /// What is wrong with the certificates, or why the proxy may not be used.
    pub fn get(
        &self,
        ca_bundle: Option<&str>,
        identity: Option<&Identity>,
        via: Option<ProxyRoute>,
        reach: Reachable,
    ) -> Result<Client, Error> {
        let authorization = via.as_ref().and_then(|via| via.authorization.as_ref());
        if let Some(via) = &via {
            let within = |error: Error| Error::new(error.class(), format!("proxy.url: {error}"));
            reach.check_proxy(&via.url).map_err(within)?;
        }
        let key = ClientKey {
            whose: reach.whose().to_owned(),
            ca_bundle: ca_bundle.map(str::to_owned),
            identity: identity.map(|identity| Sha256::digest(&*identity.pem).into()),
            proxy: via.as_ref().map(|via| via.url.to_string()),
            authorization: authorization.map(|header| Sha256::digest(header).into()),
        };
        let now = Instant::now();
        let mut clients = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        clients.retain(|key, kept| !key.holds_secrets() || kept.made.elapsed() < KEY_KEPT);
        let http = match clients.get_mut(&key) {
            Some(kept) => {
                kept.used = now;
                kept.http.clone()
            }
            None => {
                let http = client::build(ca_bundle, identity, via.as_ref(), &reach);
                let http = http.map_err(|why| Error::new(Class::Invalid, why))?;
                if clients.len() >= MAX_CLIENTS {
                    let oldest = clients.values().map(|kept| kept.used).min();
                    clients.retain(|_, kept| Some(kept.used) != oldest);
                }
                clients.insert(key, KeptClient { made: now, used: now, http: http.clone() });
                http
            }
        };
        Ok(Client { http, via: via.map(Arc::new), room: self.room.clone(), reach })
    }
}
