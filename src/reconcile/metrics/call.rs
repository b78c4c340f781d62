//! One call to a provider, from its begin to its end.

use std::time::Instant;

use super::{
    Metrics,
    labels::{Operation, Provider},
};
use crate::providers::{Error, http::Health};

/// The class of a call that was given up: its reconcile has come to its deadline, or the process ends.
const CANCELLED: &str = "cancelled";

/// A call that runs. One that is dropped before it has ended counts as cancelled.
#[must_use = "it measures until it is ended"]
pub struct Call<'a> {
    metrics: &'a Metrics,
    provider: Provider,
    operation: Operation,
    began: Instant,
    class: &'static str,
}

impl<'a> Call<'a> {
    pub(super) fn begin(metrics: &'a Metrics, provider: Provider, operation: Operation) -> Self {
        Self { metrics, provider, operation, began: Instant::now(), class: CANCELLED }
    }

    /// Waits for the answer of a check, and notes when the credential expires.
    ///
    /// # Errors
    /// Those of the call.
    pub async fn health(self, asked: impl Future<Output = Result<Health, Error>>) -> Result<Health, Error> {
        let found = asked.await;
        if let Ok(health) = &found {
            self.metrics.credential_expires(&self.provider, health.expires_at);
        }
        self.ended(found.as_ref().err());
        found
    }

    /// It was answered, or failed.
    pub fn ended(mut self, error: Option<&Error>) {
        self.class = error.map_or("ok", |error| error.class().label());
    }
}

impl Drop for Call<'_> {
    fn drop(&mut self) {
        self.metrics.called(std::mem::take(&mut self.provider), &self.operation, self.class, self.began.elapsed());
    }
}
