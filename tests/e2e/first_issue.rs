//! The first token: minted, verified, published, readable; nothing is rolled and nothing revoked.

use serde_json::json;

use crate::world::{Outcome, World, condition, is};

#[tokio::test(flavor = "multi_thread")]
async fn first_issue_publishes_a_working_token() -> Outcome {
    let world = World::new("first").await?;
    world.deployment("app", 2, json!({})).await?;
    world.rotated_token(json!({})).await?;
    let status = world.finished(1).await?;
    for (type_, value) in [
        ("Ready", "True"),
        ("Stalled", "False"),
        ("PickedUp", "True"),
        ("ProviderReady", "True"),
        ("LeastPrivilege", "True"),
    ] {
        assert!(is(&status, type_, value), "{type_}: {:?}", condition(&status, type_));
    }
    let token = world.token().await?;
    assert!(world.accepts(&token).await?);
    let current = status.current.ok_or("no current token in the status")?;
    assert_eq!(current.fingerprint, world.fingerprint().await?);
    assert!(current.expires_at.is_some(), "ServiceAccount tokens expire");
    assert_eq!(world.live_tokens().await?, [current.id]);
    world.holders(&current.fingerprint, 2).await?;
    world.assert_nobody_noticed().await?;
    assert_eq!(world.event_reasons().await?, ["Published"]);
    Ok(())
}
