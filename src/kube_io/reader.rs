//! What only reads is given this instead of a client.

use kube::Client;

/// Reads the cluster, and cannot change it: only the functions of this module that store nothing take one, and nothing outside of it gets
/// the client back.
///
/// ```
/// use tokenturn::{core::token::Owner, kube_io::{Error, Reader, resource}};
/// async fn is_there(cluster: &Reader, owner: &Owner) -> Result<bool, Error> {
///     Ok(resource::read(cluster, owner).await?.is_some())
/// }
/// ```
///
/// ```compile_fail,E0308
/// use tokenturn::{api::RotatedToken, kube_io::{Reader, resource}};
/// async fn change(cluster: &Reader, object: &RotatedToken) {
///     let _ = resource::remove_finalizer(cluster, object).await;
/// }
/// ```
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
