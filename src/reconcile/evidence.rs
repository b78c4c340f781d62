//! What a watch of pods knows beyond a list. Missing evidence only delays a revoke.

use std::{collections::BTreeSet, sync::Arc};

use futures::{FutureExt, future::BoxFuture};

use crate::kube_io::pods::Pod;

/// Answers about the pods of a namespace from what a watch has reported.
pub trait PodEvidence: Send + Sync {
    /// UIDs of pods that exist; to be asked for before a list.
    fn alive(&self, namespace: &str) -> BTreeSet<String>;

    /// The UID of a pod of `before` that still exists and is not in `listed`: the list is not whole, or older than the watch.
    fn missing<'a>(
        &'a self,
        namespace: &'a str,
        before: &'a BTreeSet<String>,
        listed: &'a BTreeSet<&'a str>,
    ) -> BoxFuture<'a, Option<String>>;

    /// Pods that vanished without a last report.
    fn vanished(&self, namespace: &str) -> Vec<Arc<Pod>>;

    /// UIDs of pods that ended for sure.
    fn ended(&self, namespace: &str) -> BTreeSet<String>;
}

/// No watch runs: for a reconcile that waits for nothing.
pub struct NothingKnown;

impl PodEvidence for NothingKnown {
    fn alive(&self, _: &str) -> BTreeSet<String> {
        BTreeSet::new()
    }

    fn missing<'a>(
        &'a self,
        _: &'a str,
        _: &'a BTreeSet<String>,
        _: &'a BTreeSet<&'a str>,
    ) -> BoxFuture<'a, Option<String>> {
        std::future::ready(None).boxed()
    }

    fn vanished(&self, _: &str) -> Vec<Arc<Pod>> {
        Vec::new()
    }

    fn ended(&self, _: &str) -> BTreeSet<String> {
        BTreeSet::new()
    }
}
