//! What is gone leaves nothing in memory.

use kube::{
    Resource,
    api::{DeleteParams, ListParams},
};
use serde_json::json;
use tokenturn::{
    api::{RotatedToken, TokenProvider},
    testkit::wait::until,
};

use crate::world::{Outcome, PATIENCE, World};

const OBJECTS: usize = 200;

/// What the operator holds in memory, by kind.
async fn remembered(world: &World, kind: &str) -> Option<usize> {
    let metrics = world.operators[0].metrics().await.ok()?;
    let name = format!("tokenturn_remembered_objects{{kind=\"{kind}\"}} ");
    metrics.lines().find_map(|line| line.strip_prefix(&name)?.parse().ok())
}

/// Memories, queue entries and accounts of objects stayed when the objects went.
#[tokio::test(flavor = "multi_thread")]
async fn of_hundreds_of_objects_nothing_is_remembered_when_they_are_gone() -> Outcome {
    let world = World::new("forgotten").await?;
    let mut providers = String::new();
    for number in 0..10 {
        let provider = json!({
            "apiVersion": "tokenturn.dev/v1alpha1", "kind": "TokenProvider", "metadata": {"name": format!("http-{number}")},
            "spec": {"http": {
                "baseUrl": "https://192.0.2.1", "timeout": "1s",
                "create": {"request": {"method": "POST", "path": "/tokens"}, "values": {"token": "$.token"}},
                "verify": {"request": {"path": "/me", "headers": {"Authorization": "Bearer ${token.values.token}"}}},
                "check": {"request": {"path": "/me"}},
            }},
        });
        providers.push_str(&format!("{provider}\n---\n"));
    }
    world.apply(&providers).await?;
    for number in 0..OBJECTS {
        let name = format!("t-{number}");
        let provider = if number % 4 == 0 { format!("http-{}", number % 10) } else { "absent".to_owned() };
        let changes =
            json!({"secret": {"name": name}, "providerRef": {"name": provider}, "parameters": {}, "permissions": []});
        world.named_token(&name, changes).await?;
    }
    until("the objects to be known", PATIENCE, async || {
        (remembered(&world, "objects").await? >= OBJECTS).then_some(())
    })
    .await?;
    delete_all::<RotatedToken>(&world).await?;
    delete_all::<TokenProvider>(&world).await?;
    for kind in ["objects", "queued", "pod_watches", "accounts"] {
        let what = format!("nothing of {kind} to be remembered");
        let nothing = until(&what, PATIENCE, async || (remembered(&world, kind).await? == 0).then_some(()));
        let now = remembered(&world, kind).await;
        nothing.await.map_err(|error| format!("{error}; {now:?} at first"))?;
    }
    let metrics = world.operators[0].metrics().await?;
    assert!(!metrics.contains("\"t-1\""), "a gauge of an object that is gone");
    Ok(())
}

async fn delete_all<K>(world: &World) -> Outcome
where
    K: Resource<DynamicType = (), Scope = kube::core::NamespaceResourceScope>
        + Clone
        + std::fmt::Debug
        + serde::de::DeserializeOwned,
{
    let api = world.space.api::<K>();
    api.delete_collection(&DeleteParams::default(), &ListParams::default()).await?;
    until("the objects to go", PATIENCE, async || {
        api.list(&ListParams::default()).await.ok()?.items.is_empty().then_some(())
    })
    .await?;
    Ok(())
}
