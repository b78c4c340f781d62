//! An operator that serves the whole cluster, as the chart installs it by default. It has a control plane to itself, because
//! it would serve the objects of every other test too.

use tokenturn::testkit::world;

use tokenturn::testkit::recipe_example as example;
mod calls;
mod namespace;
mod owners;
mod priority;
mod slow;

use std::path::{Path, PathBuf};

use k8s_openapi::api::{
    apps::v1::Deployment,
    core::v1::{Namespace, Node},
    events::v1::Event,
};
use kube::{
    Api,
    api::{DeleteParams, ListParams},
};
use serde_json::json;
use tokenturn::{
    api::{ClusterTokenProvider, RotatedToken},
    testkit::{chart, install, wait::until},
};
use tokio::sync::Mutex;
use world::{Outcome, PATIENCE, Scope, World};

/// One operator at a time.
static ALONE: Mutex<()> = Mutex::const_new(());

#[tokio::test(flavor = "multi_thread")]
async fn a_deleted_namespace_is_not_held_up() -> Outcome {
    let _alone = ALONE.lock().await;
    let mut world = World::in_scope("namespace", Scope::Cluster).await?;
    world.start_operator().await?;
    world.deployment("app", 1, json!({})).await?;
    world.rotated_token(json!({})).await?;
    world.finished(1).await?;
    world.holders(&world.fingerprint().await?, 1).await?;
    let namespaces: kube::Api<Namespace> = kube::Api::all(world.space.client().clone());
    namespaces.delete(world.space.name(), &DeleteParams::default()).await?;
    until("the namespace to be gone", PATIENCE, async || {
        matches!(namespaces.get_opt(world.space.name()).await, Ok(None)).then_some(())
    })
    .await
    .map_err(|error| format!("{error}\n{}", world.operators[0].logs()))?;
    until("the record to be gone", PATIENCE, async || world.records().await.ok()?.is_empty().then_some(())).await?;
    Ok(())
}

/// The API server takes Events on objects without a namespace in `default` only, and the operator wrote them into its own.
#[tokio::test(flavor = "multi_thread")]
async fn a_recipe_that_is_refused_has_an_event_on_its_cluster_provider() -> Outcome {
    let _alone = ALONE.lock().await;
    let mut world = World::in_scope("cluster-event", Scope::Cluster).await?;
    world.start_operator().await?;
    let broken = |settings: &mut serde_json::Value| {
        settings["revoke"] = json!({"request": {"method": "DELETE", "path": "/tokens/${token.nope}"}});
    };
    let recipe = example::read("http/grafana-service-account", json!({}), broken).objects[0]["spec"]["http"].take();
    let provider = json!({
        "apiVersion": "tokenturn.dev/v1alpha1",
        "kind": "ClusterTokenProvider",
        "metadata": {"name": "broken"},
        "spec": {"http": recipe, "policy": {"allowedNamespaces": ["*"]}},
    });
    world.apply(&provider.to_string()).await?;
    let events: Api<Event> = Api::namespaced(world.space.client().clone(), "default");
    let about = |event: &Event| event.regarding.as_ref().and_then(|object| object.name.clone());
    until("the Event on the provider", PATIENCE, async || {
        let found = events.list(&ListParams::default()).await.ok()?.items;
        let event = found.into_iter().find(|event| about(event).as_deref() == Some("broken"))?;
        (event.reason.as_deref() == Some("InvalidSpec")).then_some(())
    })
    .await
    .map_err(|error| format!("{error}\n{}", world.operators[0].logs()))?;
    let providers: Api<ClusterTokenProvider> = Api::all(world.space.client().clone());
    providers.delete("broken", &DeleteParams::default()).await?;
    Ok(())
}

/// The YAML files of a folder of examples, in the order in which `kubectl apply -f` takes them.
fn examples(folder: &str) -> Result<Vec<PathBuf>, std::io::Error> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples").join(folder);
    let mut files: Vec<PathBuf> = std::fs::read_dir(folder)?.filter_map(|entry| Some(entry.ok()?.path())).collect();
    files.retain(|path| path.extension().is_some_and(|extension| extension == "yaml"));
    files.sort();
    Ok(files)
}

#[tokio::test(flavor = "multi_thread")]
async fn the_examples_work_as_they_stand() -> Outcome {
    let _alone = ALONE.lock().await;
    let mut world = World::in_scope("examples", Scope::Cluster).await?;
    world.start_operator().await?;
    // Nodes of earlier tests are objects that nobody runs any more; the pods of the examples choose no node.
    let nodes: Api<Node> = Api::all(world.space.client().clone());
    for node in nodes.list(&ListParams::default()).await?.items {
        let name = node.metadata.name.unwrap_or_default();
        if name != world.node.name() {
            nodes.delete(&name, &DeleteParams::default()).await?;
        }
    }
    for folder in ["kubernetes", "cluster-provider"] {
        for file in examples(folder)? {
            install::apply_yaml(world.space.client(), &std::fs::read_to_string(file)?, "default").await?;
        }
    }
    let tokens: Api<RotatedToken> = Api::namespaced(world.space.client().clone(), "shop");
    for name in ["api", "reports"] {
        until(&format!("RotatedToken {name} of the examples to be ready"), PATIENCE, async || {
            let status = tokens.get(name).await.ok()?.status?;
            world::is(&status, "Ready", "True").then_some(())
        })
        .await
        .map_err(|error| format!("{error}\n{}", world.operators[0].logs()))?;
    }
    let deployments: Api<Deployment> = Api::namespaced(world.space.client().clone(), "shop");
    until("the consumers of the examples to call with their token", PATIENCE, async || {
        let ready = deployments.get("api-client").await.ok()?.status?.ready_replicas;
        (ready == Some(3) && world.history.accepted("shop") > 0).then_some(())
    })
    .await?;
    world.history.assert_never_refused("shop");
    let namespaces: Api<Namespace> = Api::all(world.space.client().clone());
    namespaces.delete("shop", &DeleteParams::default()).await?;
    until("the namespace of the examples to be gone", PATIENCE, async || {
        matches!(namespaces.get_opt("shop").await, Ok(None)).then_some(())
    })
    .await?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn every_object_of_the_chart_is_accepted_by_the_api_server() -> Outcome {
    let _alone = ALONE.lock().await;
    let world = World::in_scope("chart", Scope::Cluster).await?;
    let settings = ["podDisruptionBudget.enabled=true", "networkPolicy.enabled=true", "metrics.service.enabled=true"];
    let rendered = chart::render("rendered", &world.system, &settings.map(str::to_owned))?;
    let applied = install::apply_yaml(world.space.client(), &rendered, &world.system).await?;
    let kinds: Vec<_> =
        applied.iter().filter_map(|object| object.types.as_ref().map(|types| types.kind.as_str())).collect();
    for kind in ["CustomResourceDefinition", "ServiceAccount", "ClusterRole", "Role", "Deployment", "NetworkPolicy"] {
        assert!(kinds.contains(&kind), "no {kind} among {kinds:?}");
    }
    Ok(())
}
