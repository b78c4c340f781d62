//! A proxy before the API server, for what a layer in the client cannot do: connections that stay open and bring nothing,
//! events that get lost, answers from the past.
//!
//! It speaks plain HTTP on loopback and passes everything on over TLS, with the caller's own token, until a [`Rule`] says
//! otherwise. Rules are set and lifted while it runs. Only what is given its address goes through it: in a test the
//! operator, never the node and its consumers.

mod forward;
mod past;
mod request;
mod rule;
mod watch;

use std::{net::Ipv4Addr, sync::Arc};

use kube::Client;
use tokio::{net::TcpListener, task::AbortHandle};

use self::{past::Past, rule::Rules};
pub use self::{
    request::Asked,
    rule::{Fault, Rule},
};
use super::{ControlPlane, Error};

/// A running proxy; dropping it ends it for new connections.
pub struct Proxy {
    shared: Arc<Shared>,
    port: u16,
    server: AbortHandle,
}

/// What every connection uses.
struct Shared {
    /// Shows no credentials of its own.
    upstream: Client,
    rules: Rules,
    past: Past,
}

impl Proxy {
    /// Starts one before a control plane.
    pub async fn start(plane: &ControlPlane) -> Result<Self, Error> {
        let shared = Arc::new(Shared {
            upstream: plane.anonymous("proxy").await?,
            rules: Rules::default(),
            past: Past::default(),
        });
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.map_err(Error::io("listen for the proxy"))?;
        let port = listener.local_addr().map_err(Error::io("find the port of the proxy"))?.port();
        let router = axum::Router::new().fallback(forward::forward).with_state(shared.clone());
        let server = tokio::spawn(async move { axum::serve(listener, router).await }).abort_handle();
        Ok(Self { shared, port, server })
    }

    /// The address to give to a client instead of the API server's.
    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// Does something to every request that `applies`, until the rule is dropped. Of several rules all apply.
    pub fn rule(&self, fault: Fault, applies: impl Fn(&Asked) -> bool + Send + Sync + 'static) -> Rule {
        self.shared.rules.add(fault, applies)
    }

    /// From now on the latest answers until now are the past, which [`Fault::Past`] gives.
    pub fn remember(&self) {
        self.shared.past.remember();
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.server.abort();
    }
}
