//! A watch that is interrupted: longer and longer pauses, one line when that begins and one when it is over, and a metric.

use std::{sync::Arc, time::Duration};

use futures::{Stream, StreamExt};
use kube::{
    Error,
    runtime::{
        utils::Backoff,
        watcher::{self, DefaultBackoff},
    },
};

use super::super::metrics::Metrics;
use crate::kube_io;

/// A watch that goes on from where it was tells nothing while nothing changes. One that has not failed for so long goes on: longer than a
/// connection takes.
const GOES_ON: Duration = Duration::from_secs(15);

/// What a watch is about.
#[derive(Clone, Debug)]
pub struct Watched {
    /// As in logs and metrics.
    pub watch: &'static str,
    /// The objects, as users call them.
    pub objects: &'static str,
    /// `None` for the whole cluster.
    pub namespace: Option<String>,
    pub rights: Rights,
}

/// Where the chart grants the rights for a watch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rights {
    /// In each namespace that is served, or in all.
    Served,
    /// In the operator's namespace.
    Own,
    /// In the cluster.
    Cluster,
}

/// Why a watch does not go on, as far as there are different things to do about it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cause {
    Forbidden,
    /// There are no such objects: their CRD is missing.
    Unknown,
    Other,
}

impl Cause {
    fn of_code(code: u16) -> Self {
        match code {
            403 => Self::Forbidden,
            404 => Self::Unknown,
            _ => Self::Other,
        }
    }

    /// Of a failed call.
    #[must_use]
    pub fn of(error: &Error) -> Self {
        match error {
            Error::Api(status) => Self::of_code(status.code),
            _ => Self::Other,
        }
    }

    /// The same, where the call was one of our own reads.
    #[must_use]
    pub fn of_read(error: &kube_io::Error) -> Self {
        match error.is_forbidden() {
            true => Self::Forbidden,
            false => Self::Other,
        }
    }

    /// Of a watch.
    #[must_use]
    pub fn of_watch(error: &watcher::Error) -> Self {
        match error {
            watcher::Error::InitialListFailed(error)
            | watcher::Error::WatchStartFailed(error)
            | watcher::Error::WatchFailed(error) => Self::of(error),
            watcher::Error::WatchError(status) => Self::of_code(status.code),
            watcher::Error::NoResourceVersion => Self::Other,
        }
    }
}

impl Watched {
    /// One sentence: what happened to which watch, and what to do.
    fn sentence(&self, cause: Cause) -> String {
        let whole = self.name();
        match (cause, self.rights, &self.namespace) {
            (Cause::Forbidden, Rights::Served, Some(_)) => format!(
                "cannot watch {whole}: it does not exist or lacks the chart's Role; correct watchNamespaces or install the Role"
            ),
            (Cause::Forbidden, Rights::Own, _) => {
                format!("cannot watch {whole}: the operator lacks the chart's Role there; install the Role")
            }
            (Cause::Forbidden, ..) => {
                format!(
                    "cannot watch {whole}: the operator lacks the chart's ClusterRole; install it, or set watchNamespaces"
                )
            }
            (Cause::Unknown, ..) => {
                format!("cannot watch {whole}: the API server does not know them; apply the chart's CRDs")
            }
            (Cause::Other, ..) => format!("the watch of {whole} was interrupted; it is repeated until it works"),
        }
    }

    fn name(&self) -> String {
        match &self.namespace {
            Some(namespace) => format!("{} in namespace {namespace}", self.objects),
            None if self.rights == Rights::Served => format!("{} in all namespaces", self.objects),
            None => self.objects.to_owned(),
        }
    }
}

/// Whether a watch is interrupted, and since how many failures.
pub struct Interruption {
    metrics: Arc<Metrics>,
    watched: Watched,
    backoff: DefaultBackoff,
    cause: Option<Cause>,
}

impl Interruption {
    /// A watch that runs.
    #[must_use]
    pub fn none(metrics: Arc<Metrics>, watched: Watched) -> Self {
        metrics.watch_interrupted(watched.watch, watched.namespace.as_deref(), false);
        Self { metrics, watched, backoff: DefaultBackoff::default(), cause: None }
    }

    /// The watch has failed, or has failed again. How long to wait before it is repeated.
    pub fn failed(&mut self, cause: Cause, error: String) -> Duration {
        let Watched { watch, namespace, .. } = &self.watched;
        if self.cause.replace(cause) != Some(cause) {
            let namespace = namespace.as_deref();
            tracing::warn!(watch, namespace, error, "{}", self.watched.sentence(cause));
            self.metrics.watch_interrupted(watch, namespace, true);
        }
        self.backoff.next().unwrap_or(GOES_ON)
    }

    /// The watch runs.
    pub fn over(&mut self) {
        if self.cause.take().is_some() {
            let Watched { watch, namespace, .. } = &self.watched;
            let namespace = namespace.as_deref();
            tracing::info!(watch, namespace, "the watch of {} runs again", self.watched.name());
            self.metrics.watch_interrupted(watch, namespace, false);
            self.backoff.reset();
        }
    }

    /// What a watch tells next. One that was interrupted, and neither tells anything nor fails for a while, runs.
    pub async fn next<S: Stream + Unpin>(&mut self, events: &mut S) -> Option<S::Item> {
        if self.cause.is_some() {
            match tokio::time::timeout(GOES_ON, events.next()).await {
                Ok(next) => return next,
                Err(_) => self.over(),
            }
        }
        events.next().await
    }
}

impl Drop for Interruption {
    fn drop(&mut self) {
        self.metrics.watch_ended(self.watched.watch, self.watched.namespace.as_deref());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_cause_names_the_watch_and_what_to_do() {
        let watched = |namespace: Option<&str>, rights| Watched {
            watch: "targets",
            objects: "Secrets",
            namespace: namespace.map(str::to_owned),
            rights,
        };
        assert_eq!(
            watched(Some("nopens"), Rights::Served).sentence(Cause::Forbidden),
            "cannot watch Secrets in namespace nopens: it does not exist or lacks the chart's Role; correct watchNamespaces or \
             install the Role"
        );
        for (watched, cause, what) in [
            (
                watched(None, Rights::Served),
                Cause::Forbidden,
                "Secrets in all namespaces: the operator lacks the chart's ClusterRole",
            ),
            (watched(None, Rights::Cluster), Cause::Forbidden, "Secrets: the operator lacks the chart's ClusterRole"),
            (
                watched(Some("own"), Rights::Own),
                Cause::Forbidden,
                "in namespace own: the operator lacks the chart's Role there",
            ),
            (watched(Some("shop"), Rights::Served), Cause::Unknown, "apply the chart's CRDs"),
            (
                watched(Some("shop"), Rights::Served),
                Cause::Other,
                "the watch of Secrets in namespace shop was interrupted",
            ),
        ] {
            let sentence = watched.sentence(cause);
            assert!(sentence.contains(what), "{sentence}");
        }
    }

    /// It was about a second for ever: the library takes the begin of each attempt for the end of the trouble.
    #[tokio::test(start_paused = true)]
    async fn pauses_grow_until_the_watch_runs_and_the_metric_says_so() {
        let metrics = Arc::new(Metrics::default());
        metrics.leading(true);
        let watched = Watched {
            watch: "targets",
            objects: "Secrets",
            namespace: Some("shop".to_owned()),
            rights: Rights::Served,
        };
        let series = |value: &str| {
            let line = format!("tokenturn_watch_interrupted{{namespace=\"shop\",watch=\"targets\"}} {value}\n");
            metrics.encode().contains(&line)
        };
        let mut interruption = Interruption::none(metrics.clone(), watched);
        assert!(series("0"), "{}", metrics.encode());
        let waits: Vec<_> = (0..8).map(|_| interruption.failed(Cause::Forbidden, String::new())).collect();
        assert!(waits[7] >= Duration::from_secs(30) && waits[5] > 4 * waits[1], "{waits:?}");
        assert!(series("1"), "{}", metrics.encode());
        let started = tokio::time::Instant::now();
        let mut silent = futures::stream::pending::<()>();
        let told = tokio::time::timeout(4 * GOES_ON, interruption.next(&mut silent)).await;
        assert!(told.is_err() && started.elapsed() == 4 * GOES_ON, "a watch that runs ends when it is dropped");
        assert!(series("0"), "{}", metrics.encode());
        assert!(interruption.failed(Cause::Other, String::new()) < Duration::from_secs(2));
        drop(interruption);
        assert!(!metrics.encode().contains("watch=\"targets\""), "{}", metrics.encode());
    }
}
