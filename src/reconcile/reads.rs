//! What a reconcile reads with. Nothing in it can change the cluster or a provider.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use super::{
    drivers::Inspectors,
    evidence::PodEvidence,
    lists::{Lists, Volumes},
    metrics::Metrics,
};
use crate::{
    core::{
        fault::Fault,
        seen::observed::{Observed, Settings},
        token::{Naming, Owner},
    },
    kube_io::Reader,
    recent::Recent,
};

/// Reads the cluster and asks providers, for all reconciles.
pub struct Reads {
    pub cluster: Reader,
    /// Namespace of the records.
    pub namespace: String,
    /// Tells this installation's tokens from those of others.
    pub install: String,
    pub settings: Settings,
    pub pods: Arc<dyn PodEvidence>,
    pub lists: Lists,
    pub volumes: Volumes,
    /// That the operator has all rights that a rotation needs, by namespace.
    pub rights: Recent<String, (), Fault>,
    pub metrics: Arc<Metrics>,
    pub started: Instant,
    pub inspectors: Inspectors,
}

impl Reads {
    /// Monotonic time of this process.
    #[must_use]
    pub fn uptime(&self) -> Duration {
        self.started.elapsed()
    }

    /// When that time was, or will be.
    #[must_use]
    pub fn instant(&self, uptime: Duration) -> tokio::time::Instant {
        (self.started + uptime).into()
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
