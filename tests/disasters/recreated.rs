//! Objects that are deleted and made again under the same name, and namespaces that go in the middle of a rotation, a hundred
//! times each.

use std::time::Duration;

use futures::future::try_join_all;
use k8s_openapi::api::core::v1::{Namespace, Secret};
use kube::{
    Api, ResourceExt,
    api::{DeleteParams, Patch, PatchParams, PostParams},
};
use serde_json::json;
use tokenturn::{
    api::{RotatedToken, names::OWNER_NAMESPACE_ANNOTATION},
    testkit::{install, servers::random_hex, shared, wait::until},
};

use crate::{
    stage::{all_live, alone, cluster_wide, quiet, rss_mib, stored, strip_finalizer, tokens_made_and_ended},
    world::{Outcome, PATIENCE, World, is},
};

/// How much more memory than before a hundred deletions may need.
const ROOM_MIB: f64 = 24.0;

fn logs(world: &World) -> String {
    world.operators.iter().map(|operator| operator.logs()).collect()
}

fn dice(below: u64) -> u64 {
    u64::from_str_radix(&random_hex()[..12], 16).unwrap_or(0) % below
}

/// Ten names, each ten times, so that many go and come at the same time.
#[tokio::test(flavor = "multi_thread")]
async fn an_object_is_made_again_under_the_same_name_a_hundred_times() -> Outcome {
    const NAMES: usize = 10;
    const TIMES: usize = 10;
    let _alone = alone().await?;
    let world = World::new("recreated").await?;
    let before = crate::stage::mark(&world)?;
    let names: Vec<String> = (0..NAMES).map(|number| format!("token-{number}")).collect();
    let start_mib = rss_mib(&world)?;
    let cycles = names.iter().map(|name| {
        let world = &world;
        async move {
            for round in 0..TIMES {
                create(world, name).await?;
                tokio::time::sleep(Duration::from_millis(dice(4000))).await;
                if round + 1 < TIMES {
                    world.tokens().delete(name, &DeleteParams::default()).await?;
                    if dice(5) == 0 {
                        strip_finalizer(world, name).await;
                    }
                }
            }
            Ok::<_, Box<dyn std::error::Error>>(())
        }
    });
    try_join_all(cycles).await.map_err(|error| format!("{error}\n{}", logs(&world)))?;
    for name in &names {
        until(&format!("{name} to be ready"), PATIENCE, async || {
            let status = world.tokens().get(name).await.ok()?.status?;
            (is(&status, "Ready", "True") && status.previous.is_none()).then_some(())
        })
        .await
        .map_err(|error| format!("{error}\n{}", logs(&world)))?;
    }
    until("one token and one record for each object", PATIENCE, async || {
        let (live, records) = (world.live_tokens().await.ok()?, world.records().await.ok()?);
        (live.len() == NAMES && records.len() == NAMES).then_some(())
    })
    .await
    .map_err(|error| format!("{error}\n{}", logs(&world)))?;
    let (made, ended) = tokens_made_and_ended(&world, before)?;
    assert_eq!(made.len(), ended.len() + NAMES, "created = revoked + live");
    quiet(&world, Duration::from_secs(20)).await?;
    let end_mib = rss_mib(&world)?;
    let writes = stored(&world, before)?.len();
    println!(
        "{} minted, {} revoked, {writes} writes, {start_mib:.1} MiB before, {end_mib:.1} MiB after",
        made.len(),
        ended.len()
    );
    assert!(end_mib < start_mib + ROOM_MIB, "{start_mib:.1} MiB before, {end_mib:.1} MiB after");
    assert!(!logs(&world).contains("panicked"), "{}", logs(&world));
    Ok(())
}

/// Creates an object of its own Secret, as soon as the one before it is gone.
async fn create(world: &World, name: &str) -> Outcome {
    let end = tokio::time::Instant::now() + 2 * PATIENCE;
    loop {
        match world.named_token(name, json!({"secret": {"name": name}})).await {
            Ok(()) => return Ok(()),
            Err(kube::Error::Api(answer)) if answer.code == 409 && tokio::time::Instant::now() < end => {
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
            Err(error) => return Err(format!("{name}: {error}").into()),
        }
        // What a force left behind is in the way until somebody takes it out of it, as its condition says.
        if let Ok(Some(secret)) = world.space.api::<Secret>().get_opt(name).await
            && world.tokens().get_opt(name).await.is_ok_and(|token| token.is_none())
        {
            let _ = world.space.api::<Secret>().delete(&secret.name_any(), &DeleteParams::default()).await;
        }
    }
}

const TOKEN: &str = r#"
apiVersion: tokenturn.dev/v1alpha1
kind: RotatedToken
metadata: {name: api}
spec:
  providerRef: {name: cluster}
  parameters: {serviceAccount: api-client}
  permissions: ["get configmaps", "list configmaps"]
  interval: 30d
  gracePeriod: 0s
  secret: {name: api-token}
"#;

#[tokio::test(flavor = "multi_thread")]
async fn a_namespace_goes_in_the_middle_of_a_rotation_a_hundred_times() -> Outcome {
    const LANES: usize = 10;
    const STEM: &str = "going-";
    const TIMES: usize = 10;
    let _alone = alone().await?;
    let world = cluster_wide("namespaces").await?;
    let start_mib = rss_mib(&world)?;
    let lanes = (0..LANES).map(|lane| {
        let world = &world;
        async move {
            for _ in 0..TIMES {
                one_namespace(world, &format!("{STEM}{lane}")).await?;
            }
            Ok::<_, Box<dyn std::error::Error>>(())
        }
    });
    try_join_all(lanes).await.map_err(|error| format!("{error}\n{}", logs(&world)))?;
    // The operator serves the whole cluster, and so what other tests have left behind.
    let is_ours = |record: &Secret| {
        record.annotations().get(OWNER_NAMESPACE_ANNOTATION).is_some_and(|namespace| namespace.starts_with(STEM))
    };
    until("no record and no token to be left", PATIENCE, async || {
        let recorded = world.records().await.ok()?.iter().any(is_ours);
        (!recorded && all_live(&world, STEM).await.ok()?.is_empty()).then_some(())
    })
    .await
    .map_err(|error| format!("{error}\n{}", logs(&world)))?;
    quiet(&world, Duration::from_secs(20)).await?;
    let end_mib = rss_mib(&world)?;
    println!("{start_mib:.1} MiB before, {end_mib:.1} MiB after");
    assert!(end_mib < start_mib + ROOM_MIB, "{start_mib:.1} MiB before, {end_mib:.1} MiB after");
    assert!(!logs(&world).contains("panicked"), "{}", logs(&world));
    Ok(())
}

async fn one_namespace(world: &World, stem: &str) -> Outcome {
    let client = world.space.client();
    let name = shared::create_namespace(client, stem).await?;
    install::apply_yaml(client, &[install::API_CLIENT, TOKEN].join("---"), &name).await?;
    let secrets: Api<Secret> = Api::namespaced(client.clone(), &name);
    let pod = json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "holder"}, "spec": world.pod_spec()});
    let pods: Api<k8s_openapi::api::core::v1::Pod> = Api::namespaced(client.clone(), &name);
    pods.create(&PostParams::default(), &serde_json::from_value(pod)?).await?;
    until("the first issue", PATIENCE, async || secrets.get_opt("api-token").await.ok().flatten()).await?;
    let tokens: Api<RotatedToken> = Api::namespaced(client.clone(), &name);
    let now = Patch::Merge(json!({"metadata": {"annotations": {"tokenturn.dev/rotate-now": "now"}}}));
    tokens.patch("api", &PatchParams::default(), &now).await?;
    tokio::time::sleep(Duration::from_millis(dice(4000))).await;
    let namespaces: Api<Namespace> = Api::all(client.clone());
    namespaces.delete(&name, &DeleteParams::default()).await?;
    let what = format!("namespace {name} to be gone");
    let gone = until(&what, 2 * PATIENCE, async || matches!(namespaces.get_opt(&name).await, Ok(None)).then_some(()));
    if let Err(error) = gone.await {
        let status = namespaces.get_opt(&name).await?.and_then(|namespace| namespace.status);
        return Err(format!("{error}: {status:#?}").into());
    }
    Ok(())
}
