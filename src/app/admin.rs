//! /healthz, /readyz and /metrics.
//!
//! Liveness says that the process runs: restarting it would mend nothing else. Readiness says that it has found its cluster
//! and does its part, as leader or as stand-by: a stand-by that is not ready would block the chart's rollout.
//!
//! Anybody who reaches the port may ask, so nobody may cost much: see [`super::admission`] for connections.

use std::{
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use axum::{
    Router,
    body::Bytes,
    extract::State,
    http::{StatusCode, header},
    response::IntoResponse,
    routing::get,
};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use super::admission;
use crate::reconcile::metrics::Metrics;

/// For how long an answer of /metrics is given again: what many ask for at the same time is in memory once.
const SHARED_FOR: Duration = Duration::from_millis(500);

/// What the endpoints show.
#[derive(Clone)]
pub struct Admin {
    metrics: Arc<Metrics>,
    ready: Arc<AtomicBool>,
    latest: Arc<Mutex<Option<(Instant, Bytes)>>>,
}

impl Admin {
    /// Shows `metrics`, and whether the process is `ready`.
    #[must_use]
    pub fn new(metrics: Arc<Metrics>, ready: Arc<AtomicBool>) -> Self {
        Self { metrics, ready, latest: Arc::default() }
    }

    fn encoded(&self) -> Bytes {
        let mut latest = self.latest.lock().unwrap_or_else(PoisonError::into_inner);
        match &*latest {
            Some((at, text)) if at.elapsed() < SHARED_FOR => text.clone(),
            _ => {
                let text = Bytes::from(self.metrics.encode());
                *latest = Some((Instant::now(), text.clone()));
                text
            }
        }
    }
}

/// Serves until `stop`.
///
/// # Errors
/// The socket failed.
pub async fn serve(listener: TcpListener, admin: Admin, stop: CancellationToken) -> std::io::Result<()> {
    let router = Router::new()
        .route("/healthz", get(|| async { "ok" }))
        .route("/readyz", get(readyz))
        .route("/metrics", get(metrics))
        .with_state(admin);
    admission::serve(listener, router, stop).await
}

async fn readyz(State(admin): State<Admin>) -> impl IntoResponse {
    if admin.ready.load(Ordering::Relaxed) {
        (StatusCode::OK, "ok")
    } else {
        (StatusCode::SERVICE_UNAVAILABLE, "starting: the cluster has not answered yet")
    }
}

async fn metrics(State(admin): State<Admin>) -> impl IntoResponse {
    let content_type = "application/openmetrics-text; version=1.0.0; charset=utf-8";
    ([(header::CONTENT_TYPE, content_type)], admin.encoded())
}
