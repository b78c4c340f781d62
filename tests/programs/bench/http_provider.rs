//! A provider outside the cluster that takes its time for each call.

use std::time::Duration;

use serde_json::{Value, json};
use tokenturn::{
    api::RotatedToken,
    testkit::{
        contract::{ContractServer, Operation, Wire},
        install, recipe_example,
    },
};

use super::{Failure, args::Plan, crowd::Crowd, report::Figures, scene::Scene};

/// How long the provider takes for each call.
const LATENCY: Duration = Duration::from_millis(100);

const RECIPE: &str = "http/gitlab-project-token";

const OPERATIONS: [Operation; 5] =
    [Operation::Create, Operation::List, Operation::Get, Operation::Verify, Operation::Revoke];

pub async fn run(scene: &mut Scene, plan: &Plan, figures: &mut Figures) -> Result<(), Failure> {
    let tokens = plan.http_tokens;
    let server = ContractServer::start(Wire::GitLab).await?;
    server.store().behaviour.latency = LATENCY;
    let example = recipe_example::example(RECIPE, &server);
    let namespace = scene.namespace("http").await?;
    let secret = json!({
        "apiVersion": "v1", "kind": "Secret",
        "metadata": {"name": example.credential}, "stringData": example.holds,
    });
    for object in [&secret, &example.objects[0]] {
        install::apply_yaml(&scene.client, &object.to_string(), &namespace).await?;
    }
    let mut crowd = Crowd::within(&namespace, token);
    let took_first = crowd.grow(scene, tokens).await?;
    scene.quiet(plan.quiet).await?;
    let first = counts(&server);
    let before = scene.used()?;
    let took = crowd.rotate(scene).await?;
    let (operator, _) = scene.used()?.millis_each(before, tokens);
    scene.quiet(plan.quiet).await?;
    let all = counts(&server);
    let strange = server.strange();
    if !strange.is_empty() {
        return Err(format!("the provider does not know these calls: {strange:?}").into());
    }
    let each = |count: usize| count as f64 / tokens as f64;
    let rate = |took: Duration| tokens as f64 / took.as_secs_f64();
    let millis = LATENCY.as_millis();
    figures.part(&format!("{tokens} tokens of one HTTP provider that takes {millis} ms for a call, all due at once"));
    figures.put("http_rotations_per_s", "rotations, settle time included", rate(took));
    figures.put("http_first_issues_per_s", "first issues", rate(took_first));
    figures.put("http_cpu_ms_rotation", "CPU of the operator for each rotation", operator);
    figures.put("provider_calls", "calls for a first issue and a rotation", each(all.iter().sum()));
    figures.put("provider_calls_first", "of these the first issue's", each(first.iter().sum()));
    for (index, operation) in OPERATIONS.iter().enumerate() {
        let (issue, rotation) = (each(first[index]), each(all[index] - first[index]));
        figures
            .line(&format!("  {:<12} first issue {issue:>5.2}   rotation {rotation:>5.2}", format!("{operation:?}")));
    }
    Ok(())
}

fn counts(server: &ContractServer) -> [usize; 5] {
    OPERATIONS.map(|operation| server.count(operation))
}

/// The example's token; each has a project of its own, as lists are of a project.
fn token(name: &str) -> Result<RotatedToken, Failure> {
    let object: Value = json!({
        "apiVersion": "tokenturn.dev/v1alpha1",
        "kind": "RotatedToken",
        "metadata": {"name": name},
        "spec": {
            "providerRef": {"name": "gitlab"},
            "parameters": {"project": name},
            "permissions": ["read_api", "read_repository"],
            "interval": "30d",
            "gracePeriod": "0s",
            "secret": {"name": name},
        },
    });
    Ok(serde_json::from_value(object)?)
}
