//! Workloads that the operator restarts.

use serde_json::{Value, json};

use super::specs::{and, pod, with_env};
use crate::{
    Failure,
    stage::{Stage, Written, ensure, seconds},
};

pub async fn env(stage: &Stage<'_>) -> Result<String, Failure> {
    stage.workload("Deployment", Some(2), pod(&[with_env("app")], 10)).await?;
    let message = stage.waits_with("CreateContainerConfigError").await?;
    // The simulated node says the same.
    ensure(message == r#"secret "api-token" not found"#, format!("without the Secret the kubelet says: {message}"))?;
    roll(stage, 2).await
}

pub async fn env_from(stage: &Stage<'_>) -> Result<String, Failure> {
    // The variable is the prefix and the key: API_token.
    let secret = json!({"prefix": "API_", "secretRef": {"name": "api-token"}});
    let name = json!({"name": "TOKEN_ENV", "value": "API_token"});
    let container = json!({"name": "app", "env": [name], "envFrom": [secret]});
    stage.workload("Deployment", Some(2), pod(&[container], 10)).await?;
    roll(stage, 2).await
}

pub async fn stateful_set(stage: &Stage<'_>) -> Result<String, Failure> {
    stage.workload("StatefulSet", Some(2), pod(&[with_env("app")], 10)).await?;
    roll(stage, 2).await
}

pub async fn daemon_set(stage: &Stage<'_>) -> Result<String, Failure> {
    stage.workload("DaemonSet", None, pod(&[with_env("app")], 10)).await?;
    roll(stage, 1).await
}

pub async fn sidecar(stage: &Stage<'_>) -> Result<String, Failure> {
    let mut side: Value = with_env("side");
    side["restartPolicy"] = json!("Always");
    let mut spec = pod(&[and(with_env("app"), "LINGER", "5s")], 20);
    spec["initContainers"] = json!([side]);
    stage.workload("Deployment", Some(1), spec).await?;
    let measured = roll(stage, 2).await?;
    let ends = stage.ends();
    let old = ends.first().map(|(seat, _)| seat.uid.clone()).ok_or("no container ended")?;
    let end_of = |container: &str| {
        ends.iter().find(|(seat, _)| seat.uid == old && &*seat.container == container).map(|(_, at)| *at)
    };
    let (Some(app), Some(side)) = (end_of("app"), end_of("side")) else {
        return Err(format!("not both containers ended: {ends:?}").into());
    };
    ensure(side >= app, "the sidecar ended before the main container")?;
    Ok(format!("sidecar ended {:.1} s after the main container; {measured}", seconds(app, side)))
}

/// One rotation of a workload with so many containers that hold the token.
async fn roll(stage: &Stage<'_>, holders: usize) -> Result<String, Failure> {
    stage.first_token("Auto", holders).await?;
    let written = stage.rotate().await?;
    stage.held(&written.new, holders).await?;
    stage.released(&written).await?;
    describe(stage, &written)
}

fn describe(stage: &Stage<'_>, written: &Written) -> Result<String, Failure> {
    let new = written.new.fingerprint();
    let starts = stage.starts_after(written.at);
    let wrong = starts.iter().find(|(_, _, held)| held.as_ref() != Some(&new));
    ensure(wrong.is_none(), format!("a container started after the roll with another token: {wrong:?}"))?;
    let reports = stage.last_reports()?;
    let last = stage.last_use(written)?;
    ensure(last > 0.0, "the old token was not used after the write")?;
    Ok(format!("old value in use until {last:.1} s after the write; {reports}"))
}
