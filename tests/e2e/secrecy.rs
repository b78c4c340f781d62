//! Token values are in the Secret, in the record, and nowhere else.

use std::collections::BTreeSet;

use base64::Engine;
use k8s_openapi::api::core::v1::{Event, Secret};
use serde_json::json;

use crate::world::{Outcome, World};

#[tokio::test(flavor = "multi_thread")]
async fn no_value_is_in_any_log_event_status_annotation_or_metric() -> Outcome {
    let mut world = World::new("secrecy").await?;
    world.operators[0].terminate(std::time::Duration::from_secs(10)).await?;
    world.operators.clear();
    // The most talkative log that a user can ask for.
    let mut world = world.with_args(&["--log-level=trace"]);
    world.start_operator().await?;
    world.deployment("app", 1, json!({})).await?;
    world.rotated_token(json!({})).await?;
    world.finished(1).await?;
    let mut values = BTreeSet::from([world.token().await?]);
    world.rotate_now("now").await?;
    world.finished(2).await?;
    values.insert(world.token().await?);
    // A token that does not pass, a stall, drift and a deletion talk too.
    world.patch(json!({"spec": {"permissions": ["get configmaps", "delete secrets"]}})).await?;
    let bound = |status: &tokenturn::api::RotatedTokenStatus| {
        crate::world::condition(status, "Ready").0 == "PermissionsMissing"
    };
    world.status("the refusal", bound).await?;
    for record in world.records().await? {
        for (key, value) in record.data.unwrap_or_default() {
            if key.starts_with("value.") {
                values.insert(String::from_utf8(value.0)?);
            }
        }
        let annotations = serde_json::to_string(&record.metadata)?;
        assert_silent(&values, "metadata of the record", &annotations);
    }
    assert!(values.len() >= 2);
    assert_silent(&values, "log", &world.operators[0].logs());
    assert_silent(&values, "metrics", &world.operators[0].metrics().await?);
    let events = world.space.api::<Event>().list(&Default::default()).await?;
    assert_silent(&values, "Events", &serde_json::to_string(&events.items)?);
    let tokens = world.tokens().list(&Default::default()).await?;
    assert_silent(&values, "RotatedTokens", &serde_json::to_string(&tokens.items)?);
    let deployments = world.space.api::<k8s_openapi::api::apps::v1::Deployment>().list(&Default::default()).await?;
    assert_silent(&values, "workloads", &serde_json::to_string(&deployments.items)?);
    for secret in world.space.api::<Secret>().list(&Default::default()).await? {
        assert_silent(&values, "metadata of Secrets", &serde_json::to_string(&secret.metadata)?);
        if secret.metadata.name.as_deref() != Some("api-token") {
            assert_silent(&values, "other Secrets", &serde_json::to_string(&secret.data)?);
        }
    }
    assert_silent(&values, "audit log of the API server", &std::fs::read_to_string(world.space.audit_log())?);
    Ok(())
}

/// Neither a value, nor a part of it that would be of use, nor its base64 form.
fn assert_silent(values: &BTreeSet<String>, place: &str, text: &str) {
    for value in values {
        // The signature is what makes a JWT a credential; header and claims by themselves are not secret but have no
        // business there either.
        for part in value.split('.').filter(|part| part.len() > 40) {
            assert!(!text.contains(part), "a part of a token value is in the {place}");
            let encoded = base64::engine::general_purpose::STANDARD.encode(part);
            assert!(
                !text.contains(&encoded[..encoded.len() - 4]),
                "an encoded part of a token value is in the {place}"
            );
        }
    }
}
