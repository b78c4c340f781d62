//! What all reconciles share: made once, passed by reference; no globals.

use std::sync::Arc;

use kube::Client;
use tokio_util::sync::CancellationToken;

use super::{
    effects::Effects,
    metrics::Metrics,
    queue::Queue,
    reads::Reads,
    remembered::Memories,
    watch::{pods::PodWatches, reports::Reports},
};
use crate::core::{seen::observed::Observed, token::Owner};

/// Shared by all reconciles.
pub struct Context {
    pub effects: Arc<Effects>,
    /// For watches, which are silent for longer than any call may take.
    pub watch_client: Client,
    /// The namespaces that are served; empty means all.
    pub watched: Vec<String>,
    pub queue: Arc<Queue<Owner>>,
    pub memories: Memories,
    pub pods: PodWatches,
    /// What watches have reported of Secrets, and nobody has judged yet.
    pub reports: Reports,
    /// Cancelled when the process is asked to end: no further step is begun but the create of an intent that is committed.
    pub stop: CancellationToken,
}

impl Context {
    /// What only reads.
    #[must_use]
    pub fn reads(&self) -> &Reads {
        &self.effects.reads
    }

    /// The metrics of this process.
    #[must_use]
    pub fn metrics(&self) -> &Metrics {
        &self.reads().metrics
    }

    /// Watches the pods of the object's namespace for as long as it waits for the end of some.
    pub fn watch_pods(&self, owner: &Owner, observed: &Observed) {
        self.pods.set(owner, observed.awaited_pods());
    }

    /// Of how many things something is held in memory, by kind.
    #[must_use]
    pub fn remembered(&self) -> [(&'static str, usize); 4] {
        [
            ("objects", self.memories.len()),
            ("queued", self.queue.len()),
            ("pod_watches", self.pods.len()),
            ("accounts", self.effects.drivers.http.throttle.len()),
        ]
    }
}
