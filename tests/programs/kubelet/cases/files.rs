//! Secrets as files: which files change under a running process, and when.

use std::time::Duration;

use jiff::Timestamp;
use serde_json::json;
use tokenturn::testkit::Event;

use super::specs::{and, pod, pod_with_volume, with_file};
use crate::{
    Failure,
    stage::{Stage, Written, ensure, seconds},
};

/// More than the kubelet takes at most to refresh: one and a half sync periods.
const REFRESHED: Duration = Duration::from_secs(100);

pub async fn volume(stage: &Stage<'_>) -> Result<String, Failure> {
    stage.workload("Deployment", Some(4), pod_with_volume(&[with_file("app", None)], 5)).await?;
    let message = stage.waits_with("ContainerCreating").await?;
    // The simulated node says the same.
    ensure(message.is_empty(), format!("while the volume is not mounted the status says: {message}"))?;
    followed(stage, 4).await
}

pub async fn projected(stage: &Stage<'_>) -> Result<String, Failure> {
    let mut spec = pod(&[with_file("app", None)], 5);
    let sources = json!([{"secret": {"name": "api-token", "items": [{"key": "token", "path": "token"}]}}]);
    spec["volumes"] = json!([{"name": "token", "projected": {"sources": sources}}]);
    stage.workload("Deployment", Some(2), spec).await?;
    followed(stage, 2).await
}

/// All containers take over the new value by themselves; the operator waits all the same.
async fn followed(stage: &Stage<'_>, holders: usize) -> Result<String, Failure> {
    stage.first_token("None", holders).await?;
    let written = stage.rotate().await?;
    stage.held(&written.new, holders).await?;
    ensure(stage.alive().await? == 2, "the old token was revoked on the word of files")?;
    let mut delays = refreshes(stage, &written);
    delays.sort_by(f64::total_cmp);
    // Their successors must not be counted too: nobody would end them.
    stage.counted(holders).await?;
    let delays: Vec<String> = delays.iter().map(|delay| format!("{delay:.0}")).collect();
    stage.delete_pods().await?;
    stage.released(&written).await?;
    Ok(format!("refreshed {} s after the write", delays.join(", ")))
}

pub async fn sub_path(stage: &Stage<'_>) -> Result<String, Failure> {
    let containers = [with_file("followed", None), with_file("fixed", Some("token"))];
    stage.pod("app", pod_with_volume(&containers, 5)).await?;
    stage.first_token("None", 2).await?;
    let written = stage.rotate().await?;
    stage.held(&written.new, 1).await?;
    let refreshed = refreshes(stage, &written).into_iter().fold(0.0, f64::max);
    // Time for the other mount to follow, if it did.
    tokio::time::sleep(Duration::from_secs(10)).await;
    let holders = stage.holders(&written.old);
    ensure(holders.len() == 1 && &*holders[0].container == "fixed", format!("the old value is held by {holders:?}"))?;
    stage.delete_pods().await?;
    stage.released(&written).await?;
    let last = stage.last_use(&written)?;
    Ok(format!(
        "the other mount was refreshed after {refreshed:.0} s, this one had the old value to its end at {last:.0} s"
    ))
}

pub async fn terminating(stage: &Stage<'_>) -> Result<String, Failure> {
    // Ended by this case, so that its end has nothing to do with how long the rotation takes to begin.
    let container = and(with_file("app", None), "LINGER", "1h");
    stage.pod("app", pod_with_volume(&[container], 3600)).await?;
    stage.first_token("None", 1).await?;
    let id = stage.container_id("app", "app").await?;
    stage.delete_pods().await?;
    // A refresh that was under way when the kubelet heard of the deletion would still be carried out.
    stage.killing("app").await?;
    let written = stage.rotate().await?;
    stage.nothing_is_revoked(&written, REFRESHED).await?;
    stage.scene.node.crash(&id)?;
    stage.released(&written).await?;
    ensure(refreshes(stage, &written).is_empty(), "a terminating pod was given the new value")?;
    Ok(format!("old value until {:.0} s after the write", stage.last_use(&written)?))
}

/// How long after the write each container took over the new value, in seconds.
fn refreshes(stage: &Stage<'_>, written: &Written) -> Vec<f64> {
    let taken_over = |event| match event {
        Event::Reloaded { wall, fingerprint, .. } if fingerprint == written.new.fingerprint() => Some(wall),
        _ => None,
    };
    let taken_over: Vec<Timestamp> =
        stage.history.events(&stage.namespace).into_iter().filter_map(taken_over).collect();
    taken_over.into_iter().map(|at| seconds(written.at, at)).collect()
}
