//! What every pass needs: clients, clocks, settings. Made once, passed by reference; no globals.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use kube::Client;
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use super::{
    consumers::Namespace, memory::Memories, metrics::Metrics, pod_watch::PodWatches, queue::Queue, shared::Shared,
    stamps::Stamps,
};
use crate::{
    api::{ProviderRef, TokenProviderSpec, conditions::Reason},
    core::{
        ledger::kept::Kept,
        seen::{
            answers::Fault,
            observed::{Observed, Settings},
        },
        token::{Naming, Owner, Source},
    },
    kube_io::{events::Events, volumes::Volume},
    providers::{Driver, Drivers},
};

/// Shared by all passes.
pub struct Context {
    pub client: Client,
    /// For watches, which are silent for longer than any call may take.
    pub watch_client: Client,
    pub drivers: Drivers,
    /// Namespace of the records.
    pub namespace: String,
    /// The namespaces that are served; empty means all.
    pub watched: Vec<String>,
    /// Tells this installation's tokens from those of others.
    pub install: String,
    pub settings: Settings,
    pub started: Instant,
    pub queue: Arc<Queue<Owner>>,
    pub memories: Memories,
    pub metrics: Arc<Metrics>,
    pub events: Events,
    pub pods: PodWatches,
    /// Lists of pods and workloads, shared by the objects of a namespace.
    pub looks: Shared<Namespace>,
    /// Lists of PersistentVolumes, shared by all objects.
    pub volumes: Shared<Vec<Volume>>,
    pub stamps: Stamps,
    /// Tasks that the process waits for before it ends: above all a create and the store of its answer.
    pub tasks: TaskTracker,
    /// Cancelled when the process is asked to end: no further step is begun but the create of an intent that is committed.
    pub stop: CancellationToken,
}

impl Context {
    /// Monotonic time of this process.
    #[must_use]
    pub fn uptime(&self) -> Duration {
        self.started.elapsed()
    }

    /// The driver of a provider object.
    ///
    /// # Errors
    /// Why there is none, in words that follow the object's name.
    pub fn make_driver(&self, spec: &TokenProviderSpec, reference: &ProviderRef) -> Result<Driver, String> {
        Driver::select(spec, reference, &self.drivers)
    }

    /// The driver for tokens that exist, or may.
    #[must_use]
    pub fn driver(&self, source: &Source) -> Option<Driver> {
        self.make_driver(&source.provider, &source.specification.provider).ok()
    }

    /// The same with what was kept for an object that goes.
    ///
    /// # Errors
    /// Why there is no driver; for a person.
    pub fn driver_with(&self, source: &Source, kept: Option<&Arc<Kept>>) -> Result<Driver, Fault> {
        let reference = &source.specification.provider;
        let mut drivers = self.drivers.clone();
        if let Some(kept) = kept.filter(|kept| kept.serves(source)) {
            drivers.http = drivers.http.with_kept(kept.clone());
        }
        Driver::select(&source.provider, reference, &drivers).map_err(|why| {
            let message = format!(
                "{} {} {why}; that is how it was when the token was minted, and this operator cannot use it any more: start the operator \
                 as it was then, or correct the provider, or set spec.deletionPolicy: Orphan and revoke by hand",
                reference.kind.as_str(),
                reference.name
            );
            Fault { reason: Reason::ProviderMissing, message, needs_person: true, retry_after: None }
        })
    }

    /// Of how many things something is held in memory, by kind.
    #[must_use]
    pub fn remembered(&self) -> [(&'static str, usize); 4] {
        [
            ("objects", self.memories.len()),
            ("queued", self.queue.len()),
            ("pod_watches", self.pods.len()),
            ("accounts", self.drivers.http.throttle.len()),
        ]
    }

    /// The names of an owner's tokens: by the installation that its record names, or the object where there is no record yet.
    #[must_use]
    pub fn naming(&self, observed: &Observed) -> Naming {
        let noted = match &observed.record {
            Some(record) => record.ledger.install.as_deref(),
            None => observed.resource.as_ref().and_then(|resource| resource.named_by.as_deref()),
        };
        self.named_by(noted, &observed.owner)
    }

    /// The names of an owner's tokens, by the installation that was noted for them.
    #[must_use]
    pub fn named_by(&self, install: Option<&str>, owner: &Owner) -> Naming {
        Naming::new(install.unwrap_or(&self.install), &owner.uid)
    }
}
