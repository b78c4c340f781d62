//! The namespace of one case: a token, its consumers, and the questions that a case asks.

use std::time::{Duration, Instant};

use jiff::Timestamp;
use k8s_openapi::{
    NamespaceResourceScope,
    api::core::v1::{self, ConfigMap, ContainerStatus, Pod, Secret},
};
use kube::{
    Api, Resource, ResourceExt,
    api::{DeleteParams, ListParams, Patch, PatchParams},
};
use serde_json::{Value, json};
use tokenturn::{
    api::{RotatedToken, RotatedTokenStatus},
    testkit::{Equipment, Event, History, Seat, Token, install, shared, wait::until},
};

use super::{
    Failure,
    pods::Seen,
    scene::{PATIENCE, Scene},
};

const SECRET: &str = "api-token";

/// A rotation whose new token is in the Secret.
#[derive(Clone, Debug)]
pub struct Written {
    pub at: Timestamp,
    pub old: Token,
    pub new: Token,
}

pub struct Stage<'a> {
    pub scene: &'a Scene,
    pub namespace: String,
    pub history: History,
    equipment: Equipment,
}

impl<'a> Stage<'a> {
    pub async fn new(scene: &'a Scene, name: &str, equipment: Equipment) -> Result<Self, Failure> {
        let namespace = shared::create_namespace(&scene.client, name).await?;
        install::apply_yaml(&scene.client, install::API_CLIENT, &namespace).await?;
        Ok(Self { scene, namespace, history: scene.history.clone(), equipment })
    }

    // Acting.

    /// Issues the first token and waits until so many containers hold it.
    pub async fn first_token(&self, mode: &str, holders: usize) -> Result<Token, Failure> {
        let token = json!({
            "apiVersion": "tokenturn.dev/v1alpha1", "kind": "RotatedToken", "metadata": {"name": "api"},
            "spec": {
                "providerRef": {"name": "cluster"}, "parameters": {"serviceAccount": "api-client"},
                "permissions": ["get configmaps", "list configmaps"], "interval": "30d", "gracePeriod": "0s",
                "secret": {"name": SECRET}, "rollout": {"mode": mode},
            },
        });
        self.apply(&token).await?;
        self.finished(1).await?;
        let token = self.token().await?;
        self.held(&token, holders).await?;
        Ok(token)
    }

    /// Asks for a rotation and waits until the new token is in the Secret.
    pub async fn rotate(&self) -> Result<Written, Failure> {
        let old = self.token().await?;
        let patch = Patch::Merge(json!({"metadata": {"annotations": {"tokenturn.dev/rotate-now": "now"}}}));
        self.api::<RotatedToken>().patch("api", &PatchParams::default(), &patch).await?;
        let new = until("the new token in the Secret", PATIENCE, async || {
            self.token().await.ok().filter(|token| *token != old)
        })
        .await?;
        Ok(Written { at: Timestamp::now(), old, new })
    }

    /// Creates an object.
    pub async fn apply(&self, object: &Value) -> Result<(), Failure> {
        install::apply_yaml(&self.scene.client, &object.to_string(), &self.namespace).await?;
        Ok(())
    }

    /// Creates a Deployment, StatefulSet or DaemonSet. A DaemonSet has no replicas.
    pub async fn workload(&self, kind: &str, replicas: Option<u32>, spec: Value) -> Result<(), Failure> {
        let labels = json!({"app": "app"});
        let mut object = json!({
            "apiVersion": "apps/v1", "kind": kind, "metadata": {"name": "app"},
            "spec": {
                "selector": {"matchLabels": labels},
                "template": {"metadata": {"labels": labels}, "spec": self.equipped(spec)},
            },
        });
        if let Some(replicas) = replicas {
            object["spec"]["replicas"] = json!(replicas);
        }
        if kind == "StatefulSet" {
            object["spec"]["serviceName"] = json!("app");
        }
        self.apply(&object).await
    }

    /// Creates a pod that nobody recreates.
    pub async fn pod(&self, name: &str, spec: Value) -> Result<(), Failure> {
        let spec = self.equipped(spec);
        self.apply(&json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name}, "spec": spec})).await
    }

    /// Deletes all pods that exist now.
    pub async fn delete_pods(&self) -> Result<(), Failure> {
        for pod in self.api::<Pod>().list(&ListParams::default()).await? {
            self.api::<Pod>().delete(&pod.name_any(), &DeleteParams::default()).await?;
        }
        Ok(())
    }

    /// Kills the process of a container of the pod, and returns when it runs again.
    pub async fn crash(&self, pod: &str, container: &str) -> Result<(), Failure> {
        self.scene.node.crash(&self.container_id(pod, container).await?)?;
        let runs = |status: &ContainerStatus| status.restart_count > 0 && is_running(status);
        self.container(pod, container, "to run again", runs).await.map(drop)
    }

    /// Waits until the kubelet says that it ends the containers of a pod.
    pub async fn killing(&self, pod: &str) -> Result<(), Failure> {
        let events = self.api::<v1::Event>();
        let said = until("the kubelet to end the pod", PATIENCE, async || {
            let events = events.list(&ListParams::default()).await.ok()?.items;
            let is_end = |event: &v1::Event| {
                event.reason.as_deref() == Some("Killing") && event.involved_object.name.as_deref() == Some(pod)
            };
            events.iter().any(is_end).then_some(())
        });
        Ok(said.await?)
    }

    /// The id of a container, when it runs.
    pub async fn container_id(&self, pod: &str, container: &str) -> Result<String, Failure> {
        let status = self.container(pod, container, "to run", is_running).await?;
        Ok(status.container_id.ok_or("the container has no id")?)
    }

    async fn container(
        &self,
        pod: &str,
        container: &str,
        what: &str,
        wanted: impl Fn(&ContainerStatus) -> bool,
    ) -> Result<ContainerStatus, Failure> {
        let pods = self.api::<Pod>();
        let what = format!("container {container} of {pod} {what}");
        let found = until(&what, PATIENCE, async || {
            let status = pods.get(pod).await.ok()?.status?;
            let mut statuses = status.container_statuses.into_iter().flatten();
            statuses.find(|status| status.name == container).filter(|status| wanted(status))
        });
        Ok(found.await?)
    }

    pub fn equipped(&self, mut spec: Value) -> Value {
        self.equipment.equip(&mut spec);
        spec
    }

    // Asking.

    /// The value in the Secret.
    pub async fn token(&self) -> Result<Token, Failure> {
        let secret = self.api::<Secret>().get(SECRET).await?;
        let value = secret.data.and_then(|mut data| data.remove("token")).ok_or("the Secret has no key token")?;
        Ok(Token::new(std::str::from_utf8(&value.0)?))
    }

    /// Waits until a rotation is finished: its token is current and no older one is alive.
    pub async fn finished(&self, sequence: i64) -> Result<(), Failure> {
        self.status(&format!("rotation {sequence} to be finished"), |status| {
            status.sequence == Some(sequence)
                && status.previous.is_none()
                && status.conditions.iter().any(|one| one.type_ == "Reconciling" && one.status == "False")
        })
        .await
        .map(drop)
    }

    /// Waits until the status says what a case looks for.
    pub async fn status(
        &self,
        what: &str,
        says: impl Fn(&RotatedTokenStatus) -> bool,
    ) -> Result<RotatedTokenStatus, Failure> {
        let tokens = self.api::<RotatedToken>();
        let status = async || tokens.get("api").await.ok().and_then(|token| token.status);
        match until(what, PATIENCE, async || status().await.filter(|status| says(status))).await {
            Ok(status) => Ok(status),
            Err(error) => Err(format!("{error}; last status: {}", json!(status().await)).into()),
        }
    }

    /// Waits until so many containers of this namespace hold a token.
    pub async fn held(&self, token: &Token, wanted: usize) -> Result<(), Failure> {
        let fingerprint = token.fingerprint();
        let what = format!("{wanted} containers to hold {fingerprint}");
        let found = until(&what, PATIENCE, async || (self.holders(token).len() == wanted).then_some(()));
        found.await.map_err(|error| format!("{error}; holding: {:?}", self.history.holding(&self.namespace)).into())
    }

    pub fn holders(&self, token: &Token) -> Vec<Seat> {
        self.history.holders(&token.fingerprint())
    }

    /// Names of the Secrets that tokens of this namespace are bound to: what is alive at the provider.
    pub async fn alive(&self) -> Result<usize, Failure> {
        let params = ListParams::default().labels("tokenturn.dev/role=bound-token");
        Ok(self.api::<Secret>().list(&params).await?.items.len())
    }

    /// Watches for a while that containers hold the old token, use it, and that it is accepted.
    pub async fn nothing_is_revoked(&self, written: &Written, during: Duration) -> Result<(), Failure> {
        let end = Instant::now() + during;
        while Instant::now() < end {
            if self.alive().await? < 2 {
                return Err("the old token was revoked while containers held it".into());
            }
            if self.holders(&written.old).is_empty() {
                let holding = self.history.holding(&self.namespace);
                return Err(format!("no container holds the old token any more; holding: {holding:?}").into());
            }
            tokio::time::sleep(Duration::from_millis(500)).await;
        }
        Ok(())
    }

    /// Waits until the operator has counted, after the settle time, so many pods that may hold the old token.
    pub async fn counted(&self, pods: usize) -> Result<(), Failure> {
        let counted = |status: &RotatedTokenStatus| {
            status.pickup.as_ref().is_some_and(|pickup| usize::try_from(pickup.total) == Ok(pods))
        };
        self.status(&format!("{pods} pods to be counted"), |status| status.sequence == Some(2) && counted(status))
            .await
            .map(drop)
    }

    /// Waits for the end of a container, and says when it was.
    pub async fn ended(&self, seat: &Seat) -> Result<Timestamp, Failure> {
        let what = format!("the end of {}", seat.pod);
        let end =
            until(&what, PATIENCE, async || self.ends().into_iter().find(|(ended, _)| ended == seat).map(|(_, at)| at));
        Ok(end.await?)
    }

    /// The end of every case: the rotation finishes, the old token is refused and the new one is not, nothing else is alive.
    pub async fn released(&self, written: &Written) -> Result<(), Failure> {
        self.finished(2).await?;
        if self.accepts(&written.old).await? {
            return Err("the old token still works after its release".into());
        }
        if !self.accepts(&written.new).await? {
            return Err("the new token does not work".into());
        }
        match self.alive().await? {
            1 => Ok(()),
            alive => Err(format!("{alive} tokens are alive after the rotation, not one").into()),
        }
    }

    /// Whether the API server accepts a token now.
    pub async fn accepts(&self, token: &Token) -> Result<bool, Failure> {
        let client = self.scene.plane.client_with_token(token.reveal(), "probe").await?;
        match Api::<ConfigMap>::namespaced(client, &self.namespace).list(&ListParams::default()).await {
            Ok(_) => Ok(true),
            Err(kube::Error::Api(status)) if status.code == 401 => Ok(false),
            Err(error) => Err(error.into()),
        }
    }

    /// Starts of containers after a moment: when, which, and what each held.
    pub fn starts_after(&self, at: Timestamp) -> Vec<(Timestamp, Seat, Option<String>)> {
        let events = self.history.events(&self.namespace).into_iter();
        let starts = events.filter_map(|event| match event {
            Event::Started { wall, seat, fingerprint, .. } if wall > at => Some((wall, seat, fingerprint)),
            _ => None,
        });
        starts.collect()
    }

    /// Ends of containers, in order.
    pub fn ends(&self) -> Vec<(Seat, Timestamp)> {
        let events = self.history.events(&self.namespace).into_iter();
        let ends = events.filter_map(|event| match event {
            Event::Stopped { wall, seat, .. } => Some((seat, wall)),
            _ => None,
        });
        ends.collect()
    }

    /// What the API showed of the pod of a container.
    pub fn seen(&self, seat: &Seat) -> Result<Seen, Failure> {
        let pods = self.scene.pods.of(&self.namespace);
        pods.get(&*seat.uid).cloned().ok_or_else(|| format!("pod {} was never seen", seat.pod).into())
    }

    /// An error unless every pod that is gone went with a report that says that all its containers were terminated.
    pub fn last_reports(&self) -> Result<String, Failure> {
        let gone: Vec<Seen> =
            self.scene.pods.of(&self.namespace).into_values().filter(|pod| pod.removed.is_some()).collect();
        let silent: Vec<&str> = gone.iter().filter(|pod| !pod.went_with_report()).map(|pod| &*pod.name).collect();
        ensure(!gone.is_empty() && silent.is_empty(), format!("these went without a full last report: {silent:?}"))?;
        Ok(format!("{} pods went with a full last report", gone.len()))
    }

    /// Waits until a container waits with this reason; the message that says why.
    pub async fn waits_with(&self, reason: &str) -> Result<String, Failure> {
        let pods = self.api::<Pod>();
        let what = format!("a container that waits with {reason}");
        let waiting = until(&what, PATIENCE, async || {
            let pods = pods.list(&ListParams::default()).await.ok()?.items;
            let statuses = pods.into_iter().filter_map(|pod| pod.status?.container_statuses).flatten();
            statuses.filter_map(|status| status.state?.waiting).find(|one| one.reason.as_deref() == Some(reason))
        });
        Ok(waiting.await?.message.unwrap_or_default())
    }

    /// When a container last called with any token.
    pub fn last_call(&self, seat: &Seat) -> Result<Timestamp, Failure> {
        let calls = self.history.calls(&self.namespace);
        let last = calls.iter().rev().find(|call| call.seat == *seat).ok_or("the container never called")?;
        Ok(last.wall)
    }

    /// How long after the write the old token was last used, in seconds.
    pub fn last_use(&self, written: &Written) -> Result<f64, Failure> {
        let fingerprint = written.old.fingerprint();
        let calls = self.history.calls(&self.namespace);
        let last =
            calls.iter().rev().find(|call| call.fingerprint == fingerprint).ok_or("the old token was not used")?;
        Ok(seconds(written.at, last.wall))
    }

    pub fn api<K>(&self) -> Api<K>
    where
        K: Resource<Scope = NamespaceResourceScope, DynamicType = ()>,
    {
        Api::namespaced(self.scene.client.clone(), &self.namespace)
    }
}

fn is_running(status: &ContainerStatus) -> bool {
    status.state.as_ref().is_some_and(|state| state.running.is_some())
}

pub fn seconds(from: Timestamp, to: Timestamp) -> f64 {
    to.duration_since(from).as_secs_f64()
}

/// An error unless something holds.
pub fn ensure(holds: bool, otherwise: impl Into<String>) -> Result<(), Failure> {
    if holds { Ok(()) } else { Err(otherwise.into().into()) }
}
