//! Proofs of possession (DPoP, RFC 9449): each is good once, and so is the nonce in it.

use std::collections::BTreeSet;

use super::{Store, fastrand};

/// What was given and shown.
#[derive(Debug, Default)]
pub(super) struct Proofs {
    nonces: BTreeSet<String>,
    given: usize,
    shown: BTreeSet<String>,
}

impl Store {
    /// A nonce for one proof.
    pub fn give_nonce(&mut self) -> String {
        self.proofs.given += 1;
        let nonce = format!("nonce-{:016x}", fastrand(self.proofs.given as u64));
        self.proofs.nonces.insert(nonce.clone());
        nonce
    }

    /// Uses a nonce up; false if it is not good.
    pub fn take_nonce(&mut self, nonce: &str) -> bool {
        self.proofs.nonces.remove(nonce)
    }

    /// Remembers a proof by its id; false if it was shown before.
    pub fn take_proof(&mut self, id: &str) -> bool {
        self.proofs.shown.insert(id.to_owned())
    }

    /// How many nonces were asked for.
    pub fn nonces(&self) -> usize {
        self.proofs.given
    }

    /// Binds the token that was minted last to a key.
    pub fn bind_latest(&mut self, thumbprint: &str) {
        if let Some(token) = self.tokens.last_mut() {
            token.bound_to = Some(thumbprint.to_owned());
        }
    }
}
