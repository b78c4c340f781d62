//! The clients of all drivers: one for each set of certificates, with or without a client certificate.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use reqwest::Client;
use sha2::{Digest, Sha256};
use zeroize::Zeroizing;

use super::{guard::Reach, transport};

/// Clients that are kept; beyond that all are made anew.
const MAX_CLIENTS: usize = 64;

/// How long a client that holds a private key is kept after it was last made: a certificate that was replaced leaves the memory.
const KEY_KEPT: Duration = Duration::from_secs(300);

/// A client certificate with its private key, in PEM.
pub(super) struct Identity {
    pub pem: Zeroizing<Vec<u8>>,
}

/// What tells clients apart: the authorities that they trust, and a digest of the certificate that they show.
type Key = (Option<String>, Option<[u8; 32]>);

#[derive(Clone, Default)]
pub(super) struct Clients(Arc<Mutex<HashMap<Key, (Instant, Client)>>>);

impl Clients {
    /// A client, made once for each set of certificates.
    ///
    /// # Errors
    /// What is wrong with the certificates.
    pub fn get(
        &self,
        ca_bundle: Option<&str>,
        identity: Option<&Identity>,
        reach: &Arc<Reach>,
    ) -> Result<Client, String> {
        let digest = identity.map(|identity| Sha256::digest(&*identity.pem).into());
        let key = (ca_bundle.map(str::to_owned), digest);
        let mut clients = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        clients.retain(|(_, identity), (made, _)| identity.is_none() || made.elapsed() < KEY_KEPT);
        if let Some((_, client)) = clients.get(&key) {
            return Ok(client.clone());
        }
        let client = transport::client(ca_bundle, identity, reach)?;
        if clients.len() >= MAX_CLIENTS {
            clients.clear();
        }
        clients.insert(key, (Instant::now(), client.clone()));
        Ok(client)
    }
}
