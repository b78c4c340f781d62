//! Containers that start again in the same pod.

use std::time::Duration;

use serde_json::json;
use tokenturn::testkit::wait::until;

use super::specs::{and, pod, with_env};
use crate::{
    Failure,
    scene::PATIENCE,
    stage::{Stage, ensure, seconds},
};

pub async fn in_place(stage: &Stage<'_>) -> Result<String, Failure> {
    stage.pod("app", pod(&[with_env("app")], 5)).await?;
    stage.first_token("Auto", 1).await?;
    let written = stage.rotate().await?;
    tokio::time::sleep(Duration::from_secs(5)).await;
    stage.crash("app", "app").await?;
    stage.held(&written.new, 1).await?;
    let again = stage.starts_after(written.at).pop().ok_or("the container did not start again")?;
    // Longer than the settle time: now the pod is in the operator's list, and nothing in it holds the old token.
    let end = tokio::time::Instant::now() + Duration::from_secs(25);
    while tokio::time::Instant::now() < end {
        ensure(stage.alive().await? == 2, "the old token was revoked while its pod was there")?;
        tokio::time::sleep(Duration::from_millis(500)).await;
    }
    stage.delete_pods().await?;
    stage.released(&written).await?;
    Ok(format!("started again {:.1} s after the write with the new value", seconds(written.at, again.0)))
}

pub async fn init(stage: &Stage<'_>) -> Result<String, Failure> {
    let shared = json!([{"name": "shared", "mountPath": "/shared"}]);
    let mut render = and(with_env("render"), "COPY_TO", "/shared/token");
    render["volumeMounts"] = shared.clone();
    let app = json!({"name": "app", "env": [{"name": "TOKEN_FILE", "value": "/shared/token"}], "volumeMounts": shared});
    let mut spec = pod(&[app], 5);
    spec["initContainers"] = json!([render]);
    spec["volumes"] = json!([{"name": "shared", "emptyDir": {}}]);
    stage.pod("app", spec).await?;
    let old = stage.first_token("Auto", 1).await?;
    until("the main container to hold what the init container left", PATIENCE, async || {
        stage.holders(&old).iter().any(|seat| &*seat.container == "app").then_some(())
    })
    .await?;
    let written = stage.rotate().await?;
    tokio::time::sleep(Duration::from_secs(5)).await;
    stage.crash("app", "app").await?;
    stage.held(&written.old, 1).await?;
    let starts = stage.starts_after(written.at);
    let containers: Vec<&str> = starts.iter().map(|(_, seat, _)| &*seat.container).collect();
    ensure(containers == ["app"], format!("these were started after the crash: {containers:?}"))?;
    stage.nothing_is_revoked(&written, Duration::from_secs(25)).await?;
    stage.delete_pods().await?;
    stage.released(&written).await?;
    let at = seconds(written.at, starts[0].0);
    Ok(format!(
        "started again {at:.1} s after the write with the old value; in use until {:.0} s",
        stage.last_use(&written)?
    ))
}
