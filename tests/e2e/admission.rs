//! Policies of the cluster that refuse what the operator writes.

use k8s_openapi::api::{
    admissionregistration::v1::{ValidatingAdmissionPolicy, ValidatingAdmissionPolicyBinding},
    apps::v1::Deployment,
};
use kube::{
    Api,
    api::{DeleteParams, Patch, PatchParams},
};
use serde_json::json;
use tokenturn::testkit::{install, wait::until};

use crate::world::{Outcome, PATIENCE, World, condition};

const KEY: &str = "rotation.tokenturn.dev/";

/// A policy that answers 422 was taken for an API server that does not work: never stalled, and the pods that held the old token were not shown.
#[tokio::test(flavor = "multi_thread")]
async fn a_policy_that_refuses_restarts_is_named_and_the_pods_are_shown() -> Outcome {
    let world = World::new("policy").await?;
    world.deployment("app", 2, json!({})).await?;
    world.rotated_token(json!({})).await?;
    world.finished(1).await?;
    let first = world.token().await?;
    world.holders(&world.fingerprint().await?, 2).await?;
    let name = format!("no-restarts-{}", world.space.name());
    let annotations = "object.spec.template.metadata.annotations";
    let policy = json!({
        "apiVersion": "admissionregistration.k8s.io/v1", "kind": "ValidatingAdmissionPolicy", "metadata": {"name": name},
        "spec": {
            "matchConstraints": {
                "namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": world.space.name()}},
                "resourceRules": [{
                    "apiGroups": ["apps"], "apiVersions": ["v1"], "operations": ["UPDATE"], "resources": ["deployments"],
                }],
            },
            "validations": [{
                "expression": format!("!has({annotations}) || !{annotations}.exists(key, key.startsWith('{KEY}'))"),
                "message": "restarts need a ticket",
            }],
        },
    });
    let binding = json!({
        "apiVersion": "admissionregistration.k8s.io/v1", "kind": "ValidatingAdmissionPolicyBinding",
        "metadata": {"name": name}, "spec": {"policyName": name, "validationActions": ["Deny"]},
    });
    install::apply_yaml(world.space.client(), &format!("{policy}\n---\n{binding}"), "default").await?;
    let probe = json!({"spec": {"template": {"metadata": {"annotations": {format!("{KEY}probe"): "1"}}}}});
    let params = PatchParams { dry_run: true, ..PatchParams::default() };
    until("the policy to be in force", PATIENCE, async || {
        let refused = world.space.api::<Deployment>().patch("app", &params, &Patch::Merge(&probe)).await;
        matches!(refused, Err(kube::Error::Api(status)) if status.code == 422).then_some(())
    })
    .await?;
    world.rotate_now("now").await?;
    let status =
        world.status("the refusal to be told", |status| condition(status, "Stalled").0 == "WriteRefused").await?;
    let (_, message) = condition(&status, "Stalled");
    assert!(message.contains("restarts need a ticket"), "{message}");
    assert_eq!(status.pickup.map(|pickup| pickup.remaining), Some(2), "what is known of the pods is shown");
    let metrics = world.operators[0].metrics().await?;
    let shown = metrics.lines().find(|line| line.starts_with("tokenturn_pickup_remaining_pods{")).unwrap_or_default();
    assert!(shown.ends_with(" 2") || shown.ends_with(" 2.0"), "{shown}");
    assert!(world.accepts(&first).await?);
    let client = world.space.client();
    Api::<ValidatingAdmissionPolicyBinding>::all(client.clone()).delete(&name, &DeleteParams::default()).await?;
    Api::<ValidatingAdmissionPolicy>::all(client.clone()).delete(&name, &DeleteParams::default()).await?;
    world.finished(2).await?;
    world.assert_nobody_noticed().await
}
