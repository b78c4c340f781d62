//! How the API server takes the operator's calls: apart from those of all workloads, by the chart's FlowSchemas.

use serde_json::json;

use super::{
    ALONE,
    world::{Outcome, Scope, World},
};

#[tokio::test(flavor = "multi_thread")]
async fn calls_of_the_operator_have_priority_levels_of_their_own() -> Outcome {
    let _alone = ALONE.lock().await;
    let mut world = World::in_scope("priority", Scope::Cluster).await?;
    world.start_operator().await?;
    world.rotated_token(json!({})).await?;
    world.finished(1).await?;
    let request = http::Request::get("/metrics").body(Vec::new())?;
    let metrics = world.space.client().request_text(request).await?;
    let taken = |schema: &str| -> Vec<&str> {
        let schema = format!("flow_schema=\"{schema}\"");
        let lines = metrics.lines().filter(|line| line.starts_with("apiserver_flowcontrol_dispatched_requests_total{"));
        lines.filter(|line| line.contains(&schema)).collect()
    };
    let name = format!("{}-tokenturn", world.system);
    for (schema, level) in [(format!("{name}-lease"), "leader-election"), (name, "workload-high")] {
        let lines = taken(&schema);
        let level = format!("priority_level=\"{level}\"");
        assert!(!lines.is_empty() && lines.iter().all(|line| line.contains(&level)), "{schema}: {lines:?}");
    }
    Ok(())
}
