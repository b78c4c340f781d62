//! Stamps of several tokens of one workload go out together: one rollout, not one for each.

use std::{
    collections::{BTreeMap, HashMap},
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use futures::future::join_all;
use kube::Client;
use tokio::sync::oneshot;

use crate::{
    api::WorkloadRef,
    core::{seen::answers::Fault, token::Owner},
    kube_io::{Swap, workload},
};

/// How long the first stamp of a workload waits for others.
const WINDOW: Duration = Duration::from_secs(1);

type Key = (String, WorkloadRef);
type Answer = Result<Swap, Fault>;

#[derive(Default)]
struct Batch {
    stamps: BTreeMap<String, String>,
    waiting: Vec<oneshot::Sender<Answer>>,
}

/// Collects stamps per workload.
#[derive(Clone)]
pub struct Stamps {
    client: Client,
    batches: Arc<Mutex<HashMap<Key, Batch>>>,
}

impl Stamps {
    /// Stamps written with `client`.
    #[must_use]
    pub fn new(client: Client) -> Self {
        Self { client, batches: Arc::default() }
    }

    /// Stamps workloads for an owner and waits until each is written or failed.
    pub async fn write(
        &self,
        owner: &Owner,
        workloads: impl IntoIterator<Item = WorkloadRef>,
        stamp: &str,
    ) -> Vec<(WorkloadRef, Answer)> {
        let writes = workloads.into_iter().map(|workload| async move {
            let answer = self.one(owner, workload.clone(), stamp).await;
            (workload, answer)
        });
        join_all(writes).await
    }

    async fn one(&self, owner: &Owner, workload: WorkloadRef, stamp: &str) -> Answer {
        let key = (owner.namespace.clone(), workload);
        let (sender, receiver) = oneshot::channel();
        let first = {
            let mut batches = self.batches.lock().unwrap_or_else(PoisonError::into_inner);
            let batch = batches.entry(key.clone()).or_default();
            batch.stamps.insert(workload::stamp_key(&owner.name), stamp.to_owned());
            batch.waiting.push(sender);
            batch.waiting.len() == 1
        };
        if first {
            let stamps = self.clone();
            // A task of its own: the others of the batch must not depend on the first one's pass.
            tokio::spawn(async move { stamps.flush(key).await });
        }
        receiver.await.unwrap_or(Ok(Swap::Conflict))
    }

    async fn flush(&self, key: Key) {
        tokio::time::sleep(WINDOW).await;
        let batch = self.batches.lock().unwrap_or_else(PoisonError::into_inner).remove(&key);
        let Some(Batch { stamps, waiting }) = batch else { return };
        let (namespace, workload) = &key;
        let answer: Answer = workload::stamp(&self.client, namespace, workload, &stamps).await.map_err(Fault::from);
        for sender in waiting {
            // A pass that is gone looks again when it comes back.
            let _ = sender.send(answer.clone());
        }
    }
}
