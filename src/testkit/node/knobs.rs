//! What a test can change while a node runs: the lag of its Secret cache, its contact to the API.

use std::{sync::Arc, time::Duration};

use tokio::{
    sync::watch,
    time::{Instant, sleep_until},
};

#[derive(Clone)]
pub(super) struct Knobs {
    lag: Arc<watch::Sender<Duration>>,
    contact: Arc<watch::Sender<bool>>,
}

impl Knobs {
    pub(super) fn new(lag: Duration) -> Self {
        Self { lag: Arc::new(watch::channel(lag).0), contact: Arc::new(watch::channel(true).0) }
    }

    pub(super) fn set_lag(&self, lag: Duration) {
        self.lag.send_replace(lag);
    }

    pub(super) fn set_contact(&self, contact: bool) {
        self.contact.send_replace(contact);
    }

    pub(super) fn has_contact(&self) -> bool {
        *self.contact.borrow()
    }

    /// Returns when the node can talk to the API server.
    pub(super) async fn in_contact(&self) {
        let mut contact = self.contact.subscribe();
        // The sender lives in self, so waiting cannot fail.
        let _ = contact.wait_for(|contact| *contact).await;
    }

    /// Returns when the node is cut off.
    pub(super) async fn cut_off(&self) {
        let mut contact = self.contact.subscribe();
        let _ = contact.wait_for(|contact| !*contact).await;
    }

    /// Returns when a change that arrived at `arrived` becomes visible, with the lag that is set then.
    pub(super) async fn visible(&self, arrived: Instant) {
        let mut lag = self.lag.subscribe();
        loop {
            let due = arrived + *lag.borrow_and_update();
            tokio::select! {
                () = sleep_until(due) => return,
                _ = lag.changed() => {}
            }
        }
    }
}
