//! Workloads that the operator restarts.

use serde_json::{Value, json};

use crate::{
    Failure,
    stage::{Stage, Written, ensure},
};

pub async fn env(stage: &Stage<'_>) -> Result<String, Failure> {
    stage.workload("Deployment", Some(2), pod(app())).await?;
    roll(stage, 2).await
}

/// A container with the token in a variable.
pub fn app() -> Value {
    let key = json!({"secretKeyRef": {"name": "api-token", "key": "token"}});
    json!({"name": "app", "env": [{"name": "TOKEN", "valueFrom": key}]})
}

pub fn pod(container: Value) -> Value {
    json!({"terminationGracePeriodSeconds": 10, "containers": [container]})
}

/// One rotation of a workload with so many containers that hold the token.
async fn roll(stage: &Stage<'_>, holders: usize) -> Result<String, Failure> {
    stage.first_token("Auto", holders).await?;
    let written = stage.rotate().await?;
    stage.held(&written.new, holders).await?;
    stage.released(&written).await?;
    told(stage, &written)
}

fn told(stage: &Stage<'_>, written: &Written) -> Result<String, Failure> {
    let new = written.new.fingerprint();
    let starts = stage.starts_after(written.at);
    let wrong = starts.iter().find(|(_, held)| held.as_ref() != Some(&new));
    ensure(wrong.is_none(), format!("a container started after the roll with another token: {wrong:?}"))?;
    let gone: Vec<_> =
        stage.scene.pods.of(&stage.namespace).into_values().filter(|pod| pod.removed.is_some()).collect();
    let reported = gone.iter().filter(|pod| pod.went_with_report()).count();
    ensure(reported == gone.len(), format!("{reported} of {} pods went with a full last report", gone.len()))?;
    let last = stage.last_use(written)?;
    ensure(last > 0.0, "the old token was not used after the write")?;
    Ok(format!("old value used until {last:.1} s after the write; {reported} pods went with a full last report"))
}
