//! Pods that are created after the Secret was written and start with the old value all the same.
//!
//! A kubelet serves a Secret that another of its pods uses already from its watch, and the watch may lag. So the API server
//! is kept as busy as it can be. How often it happens is measured and depends on the machine; that a rotation survives it
//! does not.

use std::time::Duration;

use futures::future::try_join_all;
use k8s_openapi::{
    ByteString,
    api::core::v1::{Pod, Secret},
};
use kube::{
    Api,
    api::{ObjectMeta, PostParams},
};
use serde_json::{Value, json};
use tokenturn::testkit::{Event, Token, shared, wait::until};
use tokio_util::sync::CancellationToken;

use super::{
    saturation::Saturation,
    specs::{and, pod, with_env},
};
use crate::{
    Failure,
    scene::PATIENCE,
    stage::{Stage, ensure},
};

/// Time from the write to the creation of a group of pods, and how many groups.
const DELAYS: [(Duration, usize); 4] =
    [(Duration::ZERO, 15), (Duration::from_millis(500), 5), (Duration::from_secs(1), 5), (Duration::from_secs(2), 5)];

/// Pods in a group: with more of them the last would start late, which hides a lag.
const GROUP: usize = 4;

/// Pods that are created around the write of a rotation, one after the other.
const AROUND: usize = 60;

pub async fn start(stage: &Stage<'_>) -> Result<String, Failure> {
    stage.workload("Deployment", Some(1), pod(&[with_env("app")], 5)).await?;
    stage.first_token("Auto", 1).await?;
    let groups = Groups::prepare(stage).await?;
    let busy = Saturation::begin(&stage.scene.client).await?;
    let (around, groups) = futures::try_join!(around_a_rotation(stage), groups.measure())?;
    let rate = busy.end();
    Ok(format!("{around}; {groups}; {rate:.0} writes/s meanwhile"))
}

/// One rotation with pods that are created all the time around its write.
async fn around_a_rotation(stage: &Stage<'_>) -> Result<String, Failure> {
    let pods: Api<Pod> = stage.api();
    let enough = CancellationToken::new();
    let stream = async {
        for number in 0..AROUND {
            if enough.is_cancelled() {
                break;
            }
            let container = and(with_env("app"), "RUN", "40s");
            pods.create(&PostParams::default(), &once(stage, &format!("around-{number}"), container)?).await?;
            tokio::time::sleep(Duration::from_millis(250)).await;
        }
        Ok::<_, Failure>(())
    };
    let rotation = async {
        let written = stage.rotate().await?;
        tokio::time::sleep(Duration::from_secs(3)).await;
        enough.cancel();
        Ok::<_, Failure>(written)
    };
    let (written, ()) = futures::try_join!(rotation, stream)?;
    stage.released(&written).await?;
    let starts = stage.starts_after(written.at);
    let mut starts: Vec<_> = starts.into_iter().filter(|(_, seat, _)| seat.pod.starts_with("around")).collect();
    let all = starts.len();
    ensure(all > 0, "no pod started after the write")?;
    let old = Some(written.old.fingerprint());
    starts.retain(|(_, _, held)| *held == old);
    let stale = starts.len();
    let shown = if stale == 0 { ", so nothing was provoked here" } else { "" };
    Ok(format!("around a rotation {stale} of {all} containers that started after the write had the old value{shown}"))
}

/// A Secret that is written again and again, and the pods that read it.
struct Groups<'a> {
    stage: &'a Stage<'a>,
    namespace: String,
}

impl<'a> Groups<'a> {
    async fn prepare(stage: &'a Stage<'a>) -> Result<Self, Failure> {
        let namespace = shared::create_namespace(&stage.scene.client, "stale-groups").await?;
        let groups = Self { stage, namespace };
        groups.write("value-0").await?;
        // Keeps the watch of the kubelet open.
        let witness = once(stage, "witness", silent())?;
        groups.api::<Pod>().create(&PostParams::default(), &witness).await?;
        groups.held("witness", 1).await?;
        Ok(groups)
    }

    /// How many of each delay start with an older value.
    async fn measure(&self) -> Result<String, Failure> {
        let mut reported = Vec::new();
        let mut round = 0;
        for (delay, count) in DELAYS {
            let mut stale = 0;
            for _ in 0..count {
                round += 1;
                stale += self.round(round, delay).await?;
            }
            reported.push(format!("{} s: {stale} of {}", delay.as_secs_f64(), count * GROUP));
        }
        Ok(format!("stale by delay of creation: {}", reported.join(", ")))
    }

    /// Writes a new value, creates a group of pods after a delay, and counts those that started with an older one.
    async fn round(&self, round: usize, delay: Duration) -> Result<usize, Failure> {
        let value = format!("value-{round}");
        self.write(&value).await?;
        tokio::time::sleep(delay).await;
        let stem = format!("group-{round}-");
        let container = and(silent(), "RUN", "1s");
        let pods = (0..GROUP).map(|number| once(self.stage, &format!("{stem}{number}"), container.clone()));
        let pods = pods.collect::<Result<Vec<_>, _>>()?;
        let api = self.api::<Pod>();
        try_join_all(pods.iter().map(|pod| async { api.create(&PostParams::default(), pod).await })).await?;
        let held = self.held(&stem, GROUP).await?;
        let new = Some(Token::new(&value).fingerprint());
        Ok(held.into_iter().filter(|held| *held != new).count())
    }

    /// Waits until so many pods with this stem have started; what each of them held.
    async fn held(&self, stem: &str, wanted: usize) -> Result<Vec<Option<String>>, Failure> {
        let what = format!("{wanted} pods {stem} to start");
        let held = until(&what, PATIENCE, async || {
            let events = self.stage.history.events(&self.namespace).into_iter();
            let held: Vec<Option<String>> = events
                .filter_map(|event| match event {
                    Event::Started { seat, fingerprint, .. } if seat.pod.starts_with(stem) => Some(fingerprint),
                    _ => None,
                })
                .collect();
            (held.len() >= wanted).then_some(held)
        });
        Ok(held.await?)
    }

    async fn write(&self, value: &str) -> Result<(), Failure> {
        let api = self.api::<Secret>();
        let data = [("token".to_owned(), ByteString(value.as_bytes().to_vec()))].into();
        let name = Some("api-token".to_owned());
        let mut secret =
            Secret { metadata: ObjectMeta { name, ..ObjectMeta::default() }, data: Some(data), ..Secret::default() };
        match api.get_opt("api-token").await? {
            None => drop(api.create(&PostParams::default(), &secret).await?),
            Some(before) => {
                secret.metadata.resource_version = before.metadata.resource_version;
                api.replace("api-token", &PostParams::default(), &secret).await?;
            }
        }
        Ok(())
    }

    fn api<K>(&self) -> Api<K>
    where
        K: kube::Resource<Scope = k8s_openapi::NamespaceResourceScope, DynamicType = ()>,
    {
        Api::namespaced(self.stage.scene.client.clone(), &self.namespace)
    }
}

/// A container that says what it holds and never calls: these values are no tokens.
fn silent() -> Value {
    and(with_env("app"), "CALL_EVERY", "24h")
}

/// A pod on the node without the detour over the scheduler, which nobody starts again.
fn once(stage: &Stage<'_>, name: &str, container: Value) -> Result<Pod, Failure> {
    let mut spec = stage.equipped(pod(&[container], 1));
    spec["restartPolicy"] = json!("Never");
    spec["nodeName"] = json!(stage.scene.node.name());
    Ok(serde_json::from_value(json!({"metadata": {"name": name}, "spec": spec}))?)
}
