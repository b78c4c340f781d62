//! Fresh lists of pods and workloads of a namespace, and of volumes, shared by all objects that ask for them.

use std::{collections::BTreeSet, sync::Arc, time::Duration};

use futures::FutureExt;
use kube::core::{Selector, SelectorExt};

use super::{evidence::PodEvidence, shared::Shared};
use crate::{
    api::conditions::Reason,
    core::seen::answers::Fault,
    kube_io::{
        Reader,
        pods::{self, Pod},
        volumes::{self, Volume},
        workload::{self, Workload},
    },
};

/// What one read of a namespace showed, for all objects there.
pub struct Namespace {
    pub pods: Vec<Pod>,
    pub workloads: Vec<Workload>,
}

/// Lists by namespace.
pub type Lists = Shared<Namespace>;

/// Lists of the volumes of the cluster.
pub type Volumes = Shared<Vec<Volume>>;

/// Lists of namespaces, checked against what the watches of pods have reported.
#[must_use]
pub fn namespaces(cluster: Reader, evidence: Arc<dyn PodEvidence>) -> Lists {
    Shared::new(move |namespace| {
        let (cluster, evidence) = (cluster.clone(), evidence.clone());
        async move { list(&cluster, &*evidence, &namespace).await }.boxed()
    })
}

/// The volumes of a cluster have no namespace.
pub const ALL: &str = "";

/// Lists of the volumes of the cluster.
#[must_use]
pub fn volumes(cluster: Reader) -> Volumes {
    Shared::new(move |_| {
        let cluster = cluster.clone();
        async move { Ok(volumes::list(&cluster).await?) }.boxed()
    })
}

async fn list(cluster: &Reader, evidence: &dyn PodEvidence, namespace: &str) -> Result<Namespace, Fault> {
    let before = evidence.alive(namespace);
    let (pods, mut workloads) = futures::try_join!(pods::list(cluster, namespace), workload::list(cluster, namespace))?;
    let shown: BTreeSet<&str> = pods.iter().map(|pod| pod.uid.as_str()).collect();
    if let Some(uid) = evidence.missing(namespace, &before, &shown).await {
        return Err(older_than_the_watch(&uid));
    }
    find_pods(&mut workloads, &pods);
    Ok(Namespace { pods, workloads })
}

fn older_than_the_watch(uid: &str) -> Fault {
    let message = format!(
        "the API server's list of pods lacks the pod with UID {uid}, which its watch shows; the operator reconciles again"
    );
    let retry_after = Some(Duration::from_secs(2));
    Fault { retry_after, ..Fault::passing(Reason::ApiServerUnavailable, message) }
}

/// Notes which workloads have pods in the list. Asked only of those that claim to have some.
fn find_pods(workloads: &mut [Workload], pods: &[Pod]) {
    let mut open: Vec<(&Selector, &mut bool)> = Vec::new();
    for workload in workloads {
        match &workload.selector {
            Some(selector) if workload.running > 0 => {
                open.push((selector, &mut workload.has_pods));
            }
            _ => workload.has_pods = true,
        }
    }
    for pod in pods {
        if open.is_empty() {
            return;
        }
        let labels = pod.labels.to_map();
        open.retain_mut(|(selector, has_pods)| {
            **has_pods = selector.matches(&labels);
            !**has_pods
        });
    }
}
