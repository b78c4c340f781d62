//! A namespace that is to be served and does not exist, or has no Role of the chart.

use std::time::Duration;

use k8s_openapi::api::core::v1::Namespace;
use kube::{
    Api,
    api::{ObjectMeta, PostParams},
};
use serde_json::json;
use tokenturn::testkit::{chart, wait::until};

use crate::world::{Outcome, PATIENCE, World};

/// Three watches asked about every second for ever, each time with a line in the log, and no metric said so.
#[tokio::test(flavor = "multi_thread")]
async fn a_missing_namespace_is_reported_once_and_served_when_it_is_there() -> Outcome {
    let world = World::without_operator("unserved").await?;
    let (served, missing) = (world.space.name().to_owned(), format!("{}-missing", world.space.name()));
    let only_one = format!("--watch-namespaces={served}");
    let both = format!("--watch-namespaces={served},{missing}");
    let mut world = world.without_args(&[&only_one]).with_args(&[&both]);
    world.start_operator().await?;
    world.rotated_token(json!({})).await?;
    world.finished(1).await?;
    // By now each watch has failed several times.
    tokio::time::sleep(Duration::from_secs(10)).await;
    let times = |logs: &str, objects: &str, what: &str| {
        let about = format!("{objects} in namespace {missing}");
        logs.lines().filter(|line| line.contains(&about) && line.contains(what)).count()
    };
    let logs = world.operators[0].logs();
    for objects in ["Secrets", "RotatedTokens", "TokenProviders"] {
        assert_eq!(times(&logs, objects, "lacks the chart's Role; correct watchNamespaces"), 1, "{objects}: {logs}");
    }
    let series = |namespace: &str, value: u8| {
        format!("tokenturn_watch_interrupted{{namespace=\"{namespace}\",watch=\"targets\"}} {value}\n")
    };
    let metrics = world.operators[0].metrics().await?;
    assert!(metrics.contains(&series(&missing, 1)) && metrics.contains(&series(&served, 0)), "{metrics}");

    let namespaces: Api<Namespace> = Api::all(world.space.client().clone());
    let metadata = ObjectMeta { name: Some(missing.clone()), ..ObjectMeta::default() };
    namespaces.create(&PostParams::default(), &Namespace { metadata, ..Namespace::default() }).await?;
    let settings = ["crds.install=false", "userRoles.create=false", "serviceAccount.name=tokenturn"];
    let mut settings: Vec<String> = settings.map(str::to_owned).into();
    settings.push(format!("watchNamespaces={{{served},{missing}}}"));
    chart::install(world.space.client(), &world.system, &world.system, &settings).await?;
    until("all watches of the namespace to run", PATIENCE, async || {
        let metrics = world.operators[0].metrics().await.ok()?;
        let about = format!("tokenturn_watch_interrupted{{namespace=\"{missing}\"");
        metrics.lines().filter(|line| line.starts_with(&about)).all(|line| line.ends_with(" 0")).then_some(())
    })
    .await
    .map_err(|error| format!("{error}\n{}", world.operators[0].logs()))?;
    let logs = world.operators[0].logs();
    for objects in ["Secrets", "RotatedTokens", "TokenProviders"] {
        assert_eq!(times(&logs, objects, "runs again"), 1, "{objects}: {logs}");
    }
    Ok(())
}
