//! The proxy before the API server: it changes nothing without a rule, and what a rule says when there is one.

use std::time::Duration;

use futures::{StreamExt, TryStreamExt};
use k8s_openapi::api::core::v1::ConfigMap;
use kube::{
    Api, ResourceExt,
    api::{DeleteParams, ListParams, PostParams, WatchEvent, WatchParams},
};
use serde_json::json;
use tokenturn::testkit::{
    Proxy, SharedControlPlane, TestNamespace,
    proxy::{Asked, Fault},
    wait::until,
};

use crate::scene::{Outcome, PATIENCE};

/// Longer than an answer takes, shorter than anybody wants to wait.
const SHORT: Duration = Duration::from_secs(2);

struct Scene {
    space: TestNamespace,
    proxy: Proxy,
    /// Through the proxy.
    maps: Api<ConfigMap>,
}

impl Scene {
    async fn new(stem: &str) -> Result<Self, Box<dyn std::error::Error>> {
        let space = SharedControlPlane::namespace(stem).await?;
        let proxy = Proxy::start(&space).await?;
        let maps = Api::namespaced(space.client_at(&proxy.url(), "proxied").await?, space.name());
        Ok(Self { space, proxy, maps })
    }

    async fn create(&self, name: &str) -> Result<(), kube::Error> {
        let map = serde_json::from_value(json!({"metadata": {"name": name}})).map_err(kube::Error::SerdeError)?;
        self.maps.create(&PostParams::default(), &map).await.map(drop)
    }

    async fn names(&self) -> Result<Vec<String>, kube::Error> {
        let list = self.maps.list(&ListParams::default()).await?;
        Ok(list.iter().map(ResourceExt::name_any).filter(|name| name != "kube-root-ca.crt").collect())
    }
}

fn maps(asked: &Asked) -> bool {
    asked.path.contains("/configmaps")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_proxy_without_rules_changes_nothing() -> Outcome {
    let scene = Scene::new("through").await?;
    scene.create("one").await?;
    assert_eq!(scene.names().await?, ["one"]);
    assert!(matches!(scene.create("one").await, Err(kube::Error::Api(status)) if status.code == 409));
    let nobody = tokenturn::testkit::operator::account_token(&scene.space, scene.space.name(), "default").await?;
    let path = scene.space.kubeconfig_at(&scene.proxy.url(), "nobody", &nobody)?;
    let config = kube::config::Kubeconfig::read_from(path)?;
    let config = kube::Config::from_custom_kubeconfig(config, &Default::default()).await?;
    let refused = Api::<ConfigMap>::namespaced(kube::Client::try_from(config)?, scene.space.name()).get("one").await;
    assert!(
        matches!(refused, Err(kube::Error::Api(status)) if status.code == 403),
        "the caller's own token counts, not one of the proxy"
    );
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn answers_hang_come_late_or_from_the_past() -> Outcome {
    let scene = Scene::new("answers").await?;
    let hang = scene.proxy.rule(Fault::Hang, |asked| maps(asked) && asked.method == "POST");
    assert!(tokio::time::timeout(SHORT, scene.create("never")).await.is_err());
    assert_eq!(hang.hits(), 1);
    drop(hang);
    assert!(scene.names().await?.is_empty(), "the API server never saw it");

    let unanswered = scene.proxy.rule(Fault::HangAnswer, |asked| maps(asked) && asked.method == "POST");
    assert!(tokio::time::timeout(SHORT, scene.create("one")).await.is_err());
    drop(unanswered);
    assert_eq!(scene.names().await?, ["one"], "it was done, only nobody heard");

    let slow = scene.proxy.rule(Fault::Slow(SHORT), |asked| asked.lists("configmaps"));
    let started = std::time::Instant::now();
    scene.names().await?;
    assert!(started.elapsed() >= SHORT);
    drop(slow);

    scene.proxy.remember();
    scene.create("two").await?;
    let past = scene.proxy.rule(Fault::Past, |asked| asked.lists("configmaps"));
    assert_eq!(scene.names().await?, ["one"]);
    assert!(scene.maps.get("two").await.is_ok(), "only what the rule is about");
    assert_eq!(past.hits(), 1);
    drop(past);
    assert_eq!(scene.names().await?, ["one", "two"]);
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn watches_lose_events_freeze_and_break() -> Outcome {
    let scene = Scene::new("watches").await?;
    let start = scene.maps.list(&ListParams::default()).await?.metadata.resource_version.unwrap_or_default();
    let watch = async || scene.maps.watch(&WatchParams::default(), &start).await.map(StreamExt::boxed);
    let lost = scene.proxy.rule(Fault::Lose("DELETED"), |asked| asked.watches("configmaps"));
    let mut events = watch().await?;
    scene.create("one").await?;
    scene.maps.delete("one", &DeleteParams::default()).await?;
    scene.create("two").await?;
    let seen = [events.try_next().await?, events.try_next().await?];
    let name = |event: &Option<WatchEvent<ConfigMap>>| match event {
        Some(WatchEvent::Added(map)) => map.name_any(),
        other => format!("{other:?}"),
    };
    assert_eq!(seen.map(|event| name(&event)), ["one", "two"], "the deletion between them is lost");
    assert_eq!(lost.hits(), 1);

    let was_immutable = scene.proxy.rule(Fault::Freeze, |asked| asked.watches("configmaps"));
    until("the watch to freeze", PATIENCE, async || (was_immutable.hits() > 0).then_some(())).await?;
    scene.create("three").await?;
    assert!(tokio::time::timeout(SHORT, events.try_next()).await.is_err(), "open, and silent");
    drop(was_immutable);
    assert_eq!(name(&events.try_next().await?), "three", "held back, not lost");

    let cut = scene.proxy.rule(Fault::Cut(Duration::ZERO), |asked| asked.watches("configmaps"));
    assert!(!matches!(events.try_next().await, Ok(Some(_))), "it ended or broke");
    assert!(cut.hits() > 0);
    drop(cut);

    let later = scene.maps.list(&ListParams::default()).await?.metadata.resource_version.unwrap_or_default();
    let from = scene.proxy.rule(Fault::From(start.clone()), |asked| asked.watches("configmaps"));
    let mut events = scene.maps.watch(&WatchParams::default(), &later).await?.boxed();
    assert_eq!(name(&events.try_next().await?), "one", "told again, from the old revision on");
    assert_eq!(from.hits(), 1);
    Ok(())
}
