//! /healthz, /readyz and /metrics.
//!
//! Liveness says that the process runs: restarting it would mend nothing else. Readiness says that it has found its cluster
//! and does its part, as leader or as stand-by: a stand-by that is not ready would block the chart's rollout.
//!
//! Anybody who reaches the port may ask, so nobody may cost much: see [`super::admission`] for connections.

use std::{
    collections::HashMap,
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
    http::{HeaderMap, StatusCode, header},
    response::IntoResponse,
    routing::get,
};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use super::{admission, exposition::Format};
use crate::reconcile::metrics::Metrics;

/// For how long an answer of /metrics is given again: what many ask for at the same time is in memory once.
const SHARED_FOR: Duration = Duration::from_millis(500);

/// What the endpoints show.
#[derive(Clone)]
pub struct Admin {
    metrics: Arc<Metrics>,
    ready: Arc<AtomicBool>,
    /// By format.
    latest: Arc<Mutex<HashMap<&'static str, (Instant, Bytes)>>>,
}

impl Admin {
    /// Shows `metrics`, and whether the process is `ready`.
    #[must_use]
    pub fn new(metrics: Arc<Metrics>, ready: Arc<AtomicBool>) -> Self {
        Self { metrics, ready, latest: Arc::default() }
    }

    fn encoded(&self, format: Format) -> Bytes {
        let mut latest = self.latest.lock().unwrap_or_else(PoisonError::into_inner);
        match latest.get(format.content_type()) {
            Some((at, text)) if at.elapsed() < SHARED_FOR => text.clone(),
            _ => {
                let text = Bytes::from(format.of(self.metrics.encode()));
                latest.insert(format.content_type(), (Instant::now(), text.clone()));
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

async fn metrics(State(admin): State<Admin>, headers: HeaderMap) -> impl IntoResponse {
    let accept: Vec<&str> = headers.get_all(header::ACCEPT).iter().filter_map(|value| value.to_str().ok()).collect();
    let format = Format::accepted(&accept.join(","));
    let described = [(header::CONTENT_TYPE, format.content_type()), (header::VARY, "Accept")];
    (described, admin.encoded(format))
}
