//! What changes the cluster and the tokens at providers. Only `perform`, `mint` and `keep` use it, and the reports of what they did.

use std::sync::Arc;

use kube::Client;
use tokio_util::task::TaskTracker;

use super::{drivers, reads::Reads, stamps::Stamps};
use crate::{
    core::{ledger::kept::Kept, seen::answers::Fault, token::Source},
    kube_io::events::Events,
    providers::{Driver, Drivers},
};

/// Carries effects out.
pub struct Effects {
    pub reads: Reads,
    pub client: Client,
    pub drivers: Drivers,
    pub events: Events,
    pub stamps: Stamps,
    /// Tasks that the process waits for before it ends: above all a create and the store of its answer.
    pub tasks: TaskTracker,
}

impl Effects {
    /// The driver for tokens that exist, or may.
    #[must_use]
    pub fn driver(&self, source: &Source) -> Option<Driver> {
        drivers::of(&self.drivers, source)
    }

    /// The same with what was kept for an object that goes.
    ///
    /// # Errors
    /// Why there is no driver; for the user.
    pub fn driver_with(&self, source: &Source, kept: Option<&Arc<Kept>>) -> Result<Driver, Fault> {
        drivers::with_kept(&self.drivers, source, kept)
    }
}
