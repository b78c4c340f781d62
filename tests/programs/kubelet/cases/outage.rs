//! A kubelet that is killed and comes back. Its containers know nothing of it.

use std::time::{Duration, Instant};

use jiff::Timestamp;
use k8s_openapi::api::core::v1::{Node, Pod};
use kube::{Api, api::DeleteParams};
use tokenturn::testkit::wait::until;

use super::specs::{pod, with_env};
use crate::{
    Failure,
    scene::PATIENCE,
    stage::{Stage, ensure, seconds},
};

/// How long nothing must be revoked, after the node is known to be silent.
const SILENCE: Duration = Duration::from_secs(20);

pub async fn away(stage: &Stage<'_>) -> Result<String, Failure> {
    stage.workload("Deployment", Some(1), pod(&[with_env("app")], 5)).await?;
    stage.pod("forced", pod(&[with_env("app")], 5)).await?;
    let old = stage.first_token("Auto", 2).await?;
    let forced = stage.holders(&old).into_iter().find(|seat| &*seat.pod == "forced");
    let forced = forced.ok_or("the pod that is to be force-deleted does not hold the token")?;

    let mut node = stage.scene.lost.lock().await;
    node.kill_kubelet().await?;
    let killed = Instant::now();
    let written = stage.rotate().await?;
    silent(stage, node.name()).await?;
    // A pod that goes before the operator has counted who may hold the old token is in no list.
    stage.counted(2).await?;
    stage.api::<Pod>().delete("forced", &DeleteParams::default().grace_period(0)).await?;
    let end = Instant::now() + SILENCE;
    while Instant::now() < end {
        ensure(stage.alive().await? == 2, "the old token was revoked while its node was silent")?;
        ensure(stage.holders(&old).len() == 2, "a container ended while its kubelet was away")?;
        tokio::time::sleep(Duration::from_millis(500)).await;
    }
    let (back, away) = (Timestamp::now(), killed.elapsed());
    node.start_kubelet(&stage.scene.plane).await?;
    drop(node);

    let ended = stage.ended(&forced).await?;
    stage.released(&written).await?;
    let (removed, _) = stage.seen(&forced)?.removed.ok_or("the pod was not removed")?;
    Ok(format!(
        "away for {:.0} s; the process of a force-deleted pod lived {:.0} s without it and ended {:.1} s after the \
         kubelet was started again; old value in use until {:.0} s after the write",
        away.as_secs_f64(),
        seconds(removed, ended),
        seconds(back, ended),
        stage.last_use(&written)?,
    ))
}

/// Waits until the control plane has noticed that the node is silent.
async fn silent(stage: &Stage<'_>, node: &str) -> Result<(), Failure> {
    let nodes: Api<Node> = Api::all(stage.scene.client.clone());
    until("the node to be known as silent", PATIENCE, async || {
        let conditions = nodes.get(node).await.ok()?.status?.conditions?;
        conditions.iter().any(|one| one.type_ == "Ready" && one.status != "True").then_some(())
    })
    .await?;
    Ok(())
}
