//! How pods end, and how long their processes use the old token meanwhile.

use std::time::Duration;

use k8s_openapi::api::core::v1::Pod;
use kube::api::DeleteParams;
use serde_json::{Value, json};

use super::specs::{and, pod, with_env};
use crate::{
    Failure,
    pods::is_finished,
    stage::{Stage, ensure, seconds},
};

pub async fn lingering(stage: &Stage<'_>) -> Result<String, Failure> {
    stage.workload("Deployment", Some(1), pod(&[hooked(five_seconds(), "20s")], 60)).await?;
    let lived = ended(stage).await?.0;
    // The hook takes 5 s, the process 20 s after TERM.
    ensure(lived > 24.0, format!("the process lived {lived:.1} s after the deletion, not 25 s"))?;
    Ok(format!("5 s of preStop and 20 s after TERM: in use until {lived:.1} s after the deletion"))
}

pub async fn killed(stage: &Stage<'_>) -> Result<String, Failure> {
    stage.workload("Deployment", Some(1), pod(&[hooked(five_seconds(), "60s")], 10)).await?;
    let (lived, code) = ended(stage).await?;
    ensure(lived > 9.0, format!("the process lived {lived:.1} s after the deletion, not 10 s"))?;
    ensure(code == Some(137), format!("its exit code is {code:?}, not 137"))?;
    Ok(format!("10 s of grace, 5 s of them in preStop: killed {lived:.1} s after the deletion, exit code 137"))
}

pub async fn long_hook(stage: &Stage<'_>) -> Result<String, Failure> {
    // The hook never ends by itself.
    let endless = json!({"exec": {"command": ["/consumer", "pause"]}});
    stage.workload("Deployment", Some(1), pod(&[hooked(endless, "60s")], 10)).await?;
    let (lived, code) = ended(stage).await?;
    ensure(lived > 11.0, format!("the process lived {lived:.1} s after the deletion, not 12 s"))?;
    ensure(code == Some(137), format!("its exit code is {code:?}, not 137"))?;
    Ok(format!("10 s of grace, all of them in preStop: killed {lived:.1} s after the deletion, exit code 137"))
}

fn five_seconds() -> Value {
    json!({"sleep": {"seconds": 5}})
}

/// A container with a preStop hook that goes on for a while after TERM.
fn hooked(hook: Value, linger: &str) -> Value {
    let mut container = and(with_env("app"), "LINGER", linger);
    container["lifecycle"] = json!({"preStop": hook});
    container
}

/// One rotation. How long the first pod's process used its token after the deletion of the pod, and its exit code.
async fn ended(stage: &Stage<'_>) -> Result<(f64, Option<i64>), Failure> {
    let old = stage.first_token("Auto", 1).await?;
    let seat = stage.holders(&old).pop().ok_or("nobody holds the first token")?;
    let written = stage.rotate().await?;
    stage.released(&written).await?;
    let pod = stage.seen(&seat)?;
    let asked = pod.asked_to_end.ok_or("the pod was never asked to end")?;
    let (_, last) = pod.removed.ok_or("the pod was not removed")?;
    let code = last.data.pointer("/status/containerStatuses/0/state/terminated/exitCode").and_then(Value::as_i64);
    Ok((seconds(asked, stage.last_call(&seat)?), code))
}

pub async fn job(stage: &Stage<'_>) -> Result<String, Failure> {
    let job = |name: &str, run: &str| {
        let mut spec = stage.equipped(pod(&[and(with_env("app"), "RUN", run)], 5));
        spec["restartPolicy"] = json!("Never");
        let template = json!({"spec": spec});
        json!({"apiVersion": "batch/v1", "kind": "Job", "metadata": {"name": name}, "spec": {"template": template}})
    };
    stage.apply(&job("first", "60s")).await?;
    stage.first_token("Auto", 1).await?;
    let written = stage.rotate().await?;
    stage.nothing_is_revoked(&written, Duration::from_secs(20)).await?;
    stage.apply(&job("second", "10s")).await?;
    stage.held(&written.new, 1).await?;
    stage.released(&written).await?;
    Ok(format!("in use until the job was done, {:.0} s after the write", stage.last_use(&written)?))
}

pub async fn forced(stage: &Stage<'_>) -> Result<String, Failure> {
    stage.pod("app", pod(&[and(with_env("app"), "LINGER", "40s")], 30)).await?;
    let old = stage.first_token("Auto", 1).await?;
    let seat = stage.holders(&old).pop().ok_or("nobody holds the first token")?;
    let written = stage.rotate().await?;
    // A pod that goes before the operator has counted who may hold the old token is in no list.
    stage.counted(1).await?;
    stage.api::<Pod>().delete("app", &DeleteParams::default().grace_period(0)).await?;
    let ended = stage.ended(&seat).await?;
    stage.released(&written).await?;
    let (removed, last) = stage.seen(&seat)?.removed.ok_or("the pod was not removed")?;
    let lived = seconds(removed, ended);
    ensure(lived > 0.0, "the process ended before its pod was gone")?;
    ensure(!is_finished(&last), "the pod went with a last report, as if it had ended")?;
    Ok(format!("wanted 30 s of grace, lived {lived:.1} s after its pod was gone from the API"))
}
