//! A world whose operator, and nobody else, reaches the API server through a proxy.

use std::time::Duration;

use crate::testkit::{OperatorProcess, Proxy, wait::until};
use k8s_openapi::api::apps::v1::Deployment;
use kube::api::{DeleteParams, Patch, PatchParams};
use serde_json::json;

use super::world::{Outcome, World, is};

pub struct Scene {
    pub world: World,
    pub proxy: Proxy,
}

impl Scene {
    /// With a Deployment that uses the first token. The end of a pod that no watch saw counts after 65 s here.
    pub async fn new(stem: &str) -> Result<Self, Box<dyn std::error::Error>> {
        let scene = Self::without_pods(stem).await?;
        scene.world.deployment("app", 2, json!({})).await?;
        scene.world.holders(&scene.world.fingerprint().await?, 2).await?;
        Ok(scene)
    }

    /// With the first token and nobody who uses it.
    pub async fn without_pods(stem: &str) -> Result<Self, Box<dyn std::error::Error>> {
        let world = World::without_operator(stem).await?.with_args(&["--kubelet-sync-period=1s"]);
        let proxy = Proxy::start(&world.space).await?;
        let mut world = world.with_server(proxy.url());
        world.start_operator().await?;
        world.rotated_token(json!({})).await?;
        world.finished(1).await?;
        Ok(Self { world, proxy })
    }

    /// Asks for a rotation, waits for its end, and judges it.
    pub async fn rotates(&self, sequence: i64, within: Duration) -> Outcome {
        self.world.rotate_now(&format!("request {sequence}")).await?;
        self.rotated(sequence, within).await
    }

    /// Waits for the end of a rotation and judges it: one live token, which every pod holds, and nobody was refused.
    pub async fn rotated(&self, sequence: i64, within: Duration) -> Outcome {
        let world = &self.world;
        let what = format!("rotation {sequence} to be finished");
        let finished = until(&what, within, async || {
            let status = world.tokens().get("api").await.ok()?.status?;
            (status.sequence == Some(sequence) && status.previous.is_none() && is(&status, "Reconciling", "False"))
                .then_some(())
        });
        finished.await.map_err(|error| format!("{error}\n{}", self.logs()))?;
        until("one live token", within, async || (world.live_tokens().await.ok()?.len() == 1).then_some(())).await?;
        world.holders(&world.fingerprint().await?, 2).await?;
        world.assert_nobody_noticed().await
    }

    /// Takes the consumers away and deletes the object: nothing stays, and nobody was refused.
    pub async fn goes(&self, within: Duration) -> Outcome {
        let world = &self.world;
        let none = Patch::Merge(json!({"spec": {"replicas": 0}}));
        world.space.api::<Deployment>().patch("app", &PatchParams::default(), &none).await?;
        world.tokens().delete("api", &DeleteParams::default()).await?;
        let gone = until("the object to go", within, async || {
            world.tokens().get_opt("api").await.ok()?.is_none().then_some(())
        });
        gone.await.map_err(|error| format!("{error}\n{}", self.logs()))?;
        assert_eq!(world.live_tokens().await?, Vec::<String>::new());
        assert!(world.records().await?.is_empty());
        world.history.assert_never_refused(world.space.name());
        Ok(())
    }

    /// Waits until the log says something that it did not say before `from`.
    pub async fn logged(&self, from: usize, line: &str) -> Outcome {
        let logged = until(line, super::world::PATIENCE, async || self.logs()[from..].contains(line).then_some(()));
        Ok(logged.await.map_err(|error| format!("{error}\n{}", self.logs()))?)
    }

    pub fn logs(&self) -> String {
        self.world.operators.iter().map(OperatorProcess::logs).collect()
    }
}
