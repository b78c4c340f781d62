//! What only reads is given this instead of a client.

use kube::Client;

/// Reads the cluster, and cannot change it: only the functions of this module that store nothing take one, and nothing outside of it gets the client back.
#[derive(Clone)]
pub struct Reader(Client);

impl Reader {
    /// Reads with the rights of `client`.
    #[must_use]
    pub const fn new(client: Client) -> Self {
        Self(client)
    }

    pub(super) const fn client(&self) -> &Client {
        &self.0
    }
}
