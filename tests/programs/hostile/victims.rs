//! Those whom no attack may reach: workloads whose consumers use their tokens all the time while these rotate one after the other.

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use http::Method;
use kube::{Client, ResourceExt};
use serde_json::{Value, json};
use tokenturn::{
    api::RotatedToken,
    testkit::{History, install, shared},
};

use super::{
    Failure,
    account::{Account, PROJECT},
    scene::{self, SYSTEM, path, rotated_token, send},
};

/// Pods of each workload.
pub const REPLICAS: usize = 2;

/// How the names of workloads begin whose tokens are of the shared account.
pub const GIT: &str = "git";

/// How long a rotation of a victim may take, whatever others do. Without attacks it takes about ten seconds on two cores; within a deadline
/// of a provider (15 s) and a few turns it has to be on its way in any case.
pub const WITHIN: Duration = Duration::from_secs(60);

/// A victim rests for this long between its rotations.
const REST: Duration = Duration::from_secs(1);

/// A RotatedToken; its Secret and its Deployment have the same name.
#[derive(Clone, Debug)]
pub struct Victim {
    pub namespace: String,
    pub name: String,
    pub uid: String,
}

/// The rotations of all victims.
#[derive(Clone, Default)]
pub struct Rotations(Arc<Mutex<Vec<Progress>>>);

/// The rotations of one.
#[derive(Clone, Debug)]
pub struct Progress {
    pub whose: String,
    pub done: usize,
    /// Since when the present one is awaited; `None` while it rests.
    pub asked: Option<Instant>,
    pub longest: Duration,
    /// The sequence that its status said last.
    pub sequence: usize,
}

/// Creates the victims: a ServiceAccount's token, one of the account by a provider for all namespaces, and one by a provider of its own.
pub async fn create(client: &Client, account: &Account) -> Result<Vec<Victim>, Failure> {
    let (shop, bank) =
        (shared::create_namespace(client, "shop").await?, shared::create_namespace(client, "bank").await?);
    install::apply_yaml(client, install::API_CLIENT, &shop).await?;
    for (namespace, name) in [(SYSTEM, "shared-account"), (&bank, "account")] {
        send(client, Method::POST, &path(namespace, "Secret"), &Account::credential(name)).await?;
    }
    let provider = |kind: &str, name: &str| json!({"kind": kind, "name": name});
    let mut cluster_wide = json!({
        "apiVersion": "tokenturn.dev/v1alpha1", "kind": "ClusterTokenProvider", "metadata": {"name": "shared"},
        "spec": {"http": account.recipe("shared-account")?, "policy": {"allowedNamespaces": ["*"]}},
    });
    install::apply_yaml(client, &cluster_wide.to_string(), "").await?;
    cluster_wide["kind"] = json!("TokenProvider");
    cluster_wide["metadata"] = json!({"name": "own"});
    cluster_wide["spec"] = json!({"http": account.recipe("account")?});
    install::apply_yaml(client, &cluster_wide.to_string(), &bank).await?;
    let mut victims = Vec::new();
    for (namespace, name, provider) in [
        (&shop, "api", provider("TokenProvider", "cluster")),
        (&shop, "git", provider("ClusterTokenProvider", "shared")),
        (&bank, "git-own", provider("TokenProvider", "own")),
    ] {
        let mut token = rotated_token(name, &provider);
        if name == "api" {
            token["spec"]["parameters"] = json!({"serviceAccount": "api-client"});
            token["spec"]["permissions"] = json!(["get configmaps", "list configmaps"]);
        } else {
            token["spec"]["parameters"] = json!({"project": PROJECT});
            token["spec"]["permissions"] = json!(["read_api"]);
        }
        let created = send(client, Method::POST, &path(namespace, "RotatedToken"), &token).await?;
        send(client, Method::POST, &path(namespace, "Deployment"), &deployment(name)).await?;
        let uid = created["metadata"]["uid"].as_str().ok_or("a created object has no UID")?.to_owned();
        victims.push(Victim { namespace: namespace.clone(), name: name.to_owned(), uid });
    }
    Ok(victims)
}

fn deployment(name: &str) -> Value {
    json!({
        "apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": name},
        "spec": {
            "replicas": REPLICAS, "revisionHistoryLimit": 1, "selector": {"matchLabels": {"app": name}},
            "template": {
                "metadata": {"labels": {"app": name}},
                "spec": {
                    "automountServiceAccountToken": false, "terminationGracePeriodSeconds": 5,
                    "containers": [{
                        "name": "app", "image": "none",
                        "env": [{"name": "TOKEN", "valueFrom": {"secretKeyRef": {"name": name, "key": "token"}}}],
                    }],
                },
            },
        },
    })
}

impl Victim {
    pub async fn object(&self, client: &Client) -> Result<RotatedToken, Failure> {
        let path = format!("{}/{}", path(&self.namespace, "RotatedToken"), self.name);
        let found = scene::get(client, &path).await?.ok_or_else(|| format!("{path} is gone"))?;
        Ok(serde_json::from_value(found)?)
    }

    /// How many containers of its workload were ever started.
    pub fn starts(&self, history: &History) -> usize {
        let events = history.events(&self.namespace);
        let of_workload = |pod: &str| {
            // Name of the Deployment, of the ReplicaSet, of the pod.
            pod.rsplitn(3, '-').nth(2) == Some(self.name.as_str())
        };
        let starts = events
            .iter()
            .filter(|event| matches!(event, tokenturn::testkit::Event::Started { seat, .. } if of_workload(&seat.pod)));
        starts.count()
    }
}

impl Rotations {
    /// Waits for the first tokens and rotates all victims from then on, until the runtime ends.
    pub async fn start(client: &Client, victims: &[Victim], patience: Duration) -> Result<Self, Failure> {
        let rotations = Self::default();
        for (place, victim) in victims.iter().enumerate() {
            let started = Instant::now();
            while !is_finished(&victim.object(client).await?, 1) {
                if started.elapsed() > patience {
                    let status = victim.object(client).await?.status;
                    return Err(format!("{} was never issued: {status:#?}", victim.name).into());
                }
                tokio::time::sleep(Duration::from_millis(200)).await;
            }
            rotations.lock().push(Progress {
                whose: format!("{}/{}", victim.namespace, victim.name),
                done: 0,
                asked: None,
                longest: Duration::ZERO,
                sequence: 1,
            });
            let (client, victim, rotations) = (client.clone(), victim.clone(), rotations.clone());
            tokio::spawn(async move { rotations.drive(&client, &victim, place).await });
        }
        Ok(rotations)
    }

    pub fn progress(&self) -> Vec<Progress> {
        self.lock().clone()
    }

    async fn drive(&self, client: &Client, victim: &Victim, place: usize) {
        let target = format!("{}/{}", path(&victim.namespace, "RotatedToken"), victim.name);
        for number in 1_i64.. {
            tokio::time::sleep(REST).await;
            let ask = json!({"metadata": {"annotations": {"tokenturn.dev/rotate-now": number.to_string()}}});
            while let Err(error) = send(client, Method::PATCH, &target, &ask).await {
                super::say(&format!("cannot ask for a rotation of {target}: {error}"));
                tokio::time::sleep(REST).await;
            }
            let started = Instant::now();
            self.lock()[place].asked = Some(started);
            loop {
                if let Ok(object) = victim.object(client).await {
                    let sequence = object.status.as_ref().and_then(|status| status.sequence).unwrap_or_default();
                    self.lock()[place].sequence = usize::try_from(sequence).unwrap_or_default();
                    if is_finished(&object, number + 1) {
                        break;
                    }
                }
                tokio::time::sleep(Duration::from_millis(200)).await;
            }
            let mut progress = self.lock();
            let progress = &mut progress[place];
            (progress.done, progress.asked) = (progress.done + 1, None);
            progress.longest = progress.longest.max(started.elapsed());
        }
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Progress>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Whether a rotation is over, its old token revoked.
fn is_finished(object: &RotatedToken, sequence: i64) -> bool {
    let Some(status) = &object.status else { return false };
    let rests = status.conditions.iter().any(|one| one.type_ == "Reconciling" && one.status == "False");
    status.sequence >= Some(sequence) && status.previous.is_none() && rests && !object.name_any().is_empty()
}
