//! Whether a request can have been sent: whether the connection for it was made, tunnel and TLS included.
//!
//! The time of a call ends it wherever it is, and the error says no more than that. So the connection of each call is
//! watched; no connection is kept, so each call makes its own.

use std::{
    future::Future,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicU8, Ordering},
    },
    task::{Context, Poll},
};

use tower::{Layer, Service};

const BEGUN: u8 = 1;
const MADE: u8 = 2;

tokio::task_local! {
    static PROGRESS: Progress;
}

/// How far the connection of one call is. It never goes back.
#[derive(Clone, Default)]
pub(super) struct Progress(Arc<AtomicU8>);

impl Progress {
    /// Runs a call whose connection is watched.
    pub async fn watch<T>(&self, call: impl Future<Output = T>) -> T {
        PROGRESS.scope(self.clone(), call).await
    }

    /// It was begun and never made. What was not seen to begin says nothing.
    pub fn is_connecting(&self) -> bool {
        self.0.load(Ordering::Acquire) == BEGUN
    }

    fn reached(&self, stage: u8) {
        self.0.fetch_max(stage, Ordering::AcqRel);
    }
}

/// Watches the connections that a client makes.
#[derive(Clone)]
pub(super) struct Watching;

impl<S> Layer<S> for Watching {
    type Service = Watched<S>;

    fn layer(&self, connector: S) -> Watched<S> {
        Watched { connector }
    }
}

#[derive(Clone)]
pub(super) struct Watched<S> {
    connector: S,
}

impl<S, R> Service<R> for Watched<S>
where
    S: Service<R>,
    S::Future: Send + 'static,
{
    type Response = S::Response;
    type Error = S::Error;
    type Future = Pin<Box<dyn Future<Output = Result<S::Response, S::Error>> + Send>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.connector.poll_ready(context)
    }

    fn call(&mut self, target: R) -> Self::Future {
        // It may be finished by another task than the call's own, so it is kept here.
        let progress = PROGRESS.try_get().unwrap_or_default();
        progress.reached(BEGUN);
        let connection = self.connector.call(target);
        Box::pin(async move {
            let connection = connection.await?;
            progress.reached(MADE);
            Ok(connection)
        })
    }
}
