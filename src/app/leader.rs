//! Holding the lease: wait for it, keep it, say when it is lost, give it back.

use std::{sync::Arc, time::Instant};

use jiff::Timestamp;
use tokio_util::sync::CancellationToken;

use crate::{
    kube_io::lease::{Candidate, DURATION, Leadership, RENEW},
    reconcile::metrics::Metrics,
};

/// Waits until the lease is ours, and says since when at the latest; `None` if the process is asked to end before.
pub async fn acquire(candidate: &mut Candidate, stop: &CancellationToken) -> Option<Instant> {
    let (mut reported, mut failed) = (false, String::new());
    loop {
        let begun = Instant::now();
        match candidate.try_hold(Timestamp::now()).await {
            // An answer that comes later than the lease lasts is none.
            Ok(Leadership::Ours) if begun.elapsed() < DURATION => {
                tracing::info!("leading");
                return Some(begun);
            }
            Ok(Leadership::Ours) => {}
            Ok(Leadership::Theirs) => {
                if !reported {
                    tracing::info!("standing by, another replica leads");
                }
                (reported, failed) = (true, String::new());
            }
            // Again and again, for as long as a Role is missing: said once.
            Err(error) if error.describe() != failed => {
                failed = error.describe();
                tracing::warn!(
                    error = failed,
                    "cannot acquire the lease, nothing is rotated by this replica; check that the chart's Role in the operator's namespace \
                     is bound to its ServiceAccount"
                );
            }
            Err(_) => {}
        }
        tokio::select! {
            () = tokio::time::sleep(candidate.look_after()) => {}
            () = stop.cancelled() => return None,
        }
    }
}

/// Renews the lease, ours since `held`, until the process ends, then gives it back. Cancels `lost` when another replica has it, or when it
/// could not be renewed for as long as it lasts.
pub async fn keep(
    mut candidate: Candidate,
    mut held: Instant,
    metrics: Arc<Metrics>,
    stop: CancellationToken,
    lost: CancellationToken,
) {
    loop {
        tokio::select! {
            () = tokio::time::sleep(RENEW) => {}
            () = stop.cancelled() => break,
        }
        let begun = Instant::now();
        // A call that hangs leaves time for the next one.
        let left = DURATION.saturating_sub(held.elapsed()).min(RENEW);
        match tokio::time::timeout(left, candidate.try_hold(Timestamp::now())).await {
            Ok(Ok(Leadership::Ours)) => held = begun,
            // A conflict can be our own write whose answer was lost: the next attempt shows it.
            Ok(Ok(Leadership::Theirs)) => tracing::warn!("another replica holds the lease"),
            Ok(Err(error)) => tracing::warn!(error = error.describe(), "could not renew the lease"),
            Err(_) => tracing::warn!("could not renew the lease: the API server does not answer"),
        }
        if held.elapsed() >= DURATION {
            tracing::error!("lease lost, no further step is begun");
            metrics.leading(false);
            lost.cancel();
            return;
        }
    }
    metrics.leading(false);
    if let Err(error) = candidate.release().await {
        tracing::warn!(error = error.describe(), "could not give the lease back; it expires");
    }
}
