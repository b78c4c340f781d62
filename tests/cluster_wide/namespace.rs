//! A namespace is deleted with everything in it: providers, their credentials, tokens and the pods that hold them.

use std::{
    collections::BTreeMap,
    sync::Arc,
    time::{Duration, Instant},
};

use k8s_openapi::api::{
    core::v1::{Namespace, Secret},
    events::v1::Event,
};
use kube::{
    Api,
    api::{DeleteParams, ListParams, Patch, PatchParams},
};
use serde_json::json;
use tokenturn::testkit::{
    contract::{ContractServer, Wire},
    wait::until,
};

use super::ALONE;
use crate::{
    example::{calls, example, set_up},
    world::{Outcome, PATIENCE, Scope, World},
};

/// How long the deletion of a namespace may take: pods first, then the settle time, then the revokes.
const WITHIN: Duration = Duration::from_secs(60);

async fn world(
    stem: &str,
    servers: BTreeMap<String, Arc<ContractServer>>,
) -> Result<World, Box<dyn std::error::Error>> {
    let world = World::of_consumers_in(stem, Scope::Cluster, calls(servers)).await?;
    let mut world = world.with_args(&["--allow-loopback-providers", "--allow-plain-http", "--log-level=debug"]);
    world.start_operator().await?;
    Ok(world)
}

async fn delete(world: &World) -> Outcome {
    let namespaces: Api<Namespace> = Api::all(world.space.client().clone());
    let begun = Instant::now();
    namespaces.delete(world.space.name(), &DeleteParams::default()).await?;
    let gone = until("the namespace to be gone", WITHIN, async || {
        matches!(namespaces.get_opt(world.space.name()).await, Ok(None)).then_some(())
    });
    gone.await.map_err(|error| format!("{error}\n{}", world.operators[0].logs()))?;
    println!("the namespace was gone after {:?}", begun.elapsed());
    Ok(())
}

/// The credential and the provider object went before the revoke: the namespace hung for ever and the tokens lived.
#[tokio::test(flavor = "multi_thread")]
async fn tokens_are_revoked_when_their_credential_goes_with_the_namespace() -> Outcome {
    let _alone = ALONE.lock().await;
    let server = Arc::new(ContractServer::start(Wire::GitLab).await?);
    let one = example("http/gitlab-project-token", &server);
    let mut other = example("http/gitlab-project-token", &server);
    other.rename("other");
    let servers = BTreeMap::from([(one.token.clone(), server.clone()), (other.token.clone(), server.clone())]);
    let world = world("goes", servers).await?;
    set_up(&world, &one).await?;
    world.apply(&other.objects[1].to_string()).await?;
    crate::example::finished(&world, &other.token, 1).await?;
    until("consumers to call", PATIENCE, async || (world.history.accepted(world.space.name()) > 0).then_some(()))
        .await?;
    // A credential that was replaced: the copy has to follow.
    let change = Patch::Merge(json!({"metadata": {"labels": {"replaced": "yes"}}, "stringData": {"more": "of it"}}));
    world.space.api::<Secret>().patch(&one.credential, &PatchParams::default(), &change).await?;
    assert_eq!(server.store().alive().len(), 2);
    delete(&world).await?;
    assert_eq!(server.store().alive(), Vec::<String>::new(), "{}", world.operators[0].logs());
    until("the records to be gone", PATIENCE, async || world.records().await.ok()?.is_empty().then_some(())).await?;
    world.history.assert_never_refused(world.space.name());
    Ok(())
}

/// A credential of which there is no copy: it is larger than what is kept.
#[tokio::test(flavor = "multi_thread")]
async fn a_namespace_whose_credential_is_lost_goes_and_what_lives_is_named() -> Outcome {
    let _alone = ALONE.lock().await;
    let server = Arc::new(ContractServer::start(Wire::GitLab).await?);
    let mut example = example("http/gitlab-project-token", &server);
    example.holds["large"] = json!("x".repeat(100_000));
    let world = world("lost", BTreeMap::from([(example.token.clone(), server.clone())])).await?;
    set_up(&world, &example).await?;
    delete(&world).await?;
    let alive = server.store().alive();
    assert_eq!(alive.len(), 1, "{}", world.operators[0].logs());
    let system: Api<Event> = Api::namespaced(world.space.client().clone(), &world.system);
    let event = until("an Event in the operator's namespace", PATIENCE, async || {
        let events = system.list(&ListParams::default()).await.ok()?.items;
        events.into_iter().find(|event| event.reason.as_deref() == Some("LeftAlive"))
    })
    .await?;
    let note = event.note.unwrap_or_default();
    assert!(note.contains(&alive[0]), "{note}");
    let secrets: Api<Secret> = Api::namespaced(world.space.client().clone(), &world.system);
    let left = secrets.list(&ListParams::default().labels("tokenturn.dev/role=left-alive")).await?.items;
    assert_eq!(left.len(), 1);
    let annotations = left[0].metadata.annotations.clone().unwrap_or_default();
    assert!(annotations["tokenturn.dev/left-alive"].contains(&alive[0]), "{annotations:?}");
    assert!(left[0].metadata.finalizers.is_none(), "a person can delete it");
    assert!(world.operators[0].logs().contains(&alive[0]));
    Ok(())
}
