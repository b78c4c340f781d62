//! What those see who wait for an object: kstatus in every phase, and what stands in the status after each request.

use std::time::Duration;

use k8s_openapi::api::core::v1::Pod;
use kube::{
    Api, ResourceExt,
    api::{ApiResource, DeleteParams, DynamicObject, ListParams},
};
use serde_json::{Value, json};
use tokenturn::{
    api::{RotatedToken, RotatedTokenStatus, TokenProvider},
    testkit::{kstatus, wait::until},
};

use crate::world::{Outcome, PATIENCE, World, condition, is};

type Failure = Box<dyn std::error::Error>;

/// What kstatus said in each phase, in the order of the phases.
pub struct Table<'a> {
    world: &'a World,
    pub rows: Vec<(&'static str, String)>,
}

impl<'a> Table<'a> {
    pub fn new(world: &'a World) -> Self {
        Self { world, rows: Vec::new() }
    }

    /// Asks what kstatus says of the only RotatedToken now.
    pub async fn token(&mut self, phase: &'static str) -> Result<Value, Failure> {
        let object = only::<RotatedToken>(self.world).await?;
        say_each_sentence_once(phase, &object);
        self.rows.push((phase, kstatus::of(std::slice::from_ref(&object))?.remove(0)));
        Ok(object)
    }

    /// The same of the only provider that is asked over HTTP, or else of the only one.
    pub async fn provider(&mut self, phase: &'static str) -> Result<Value, Failure> {
        let object = only::<TokenProvider>(self.world).await?;
        say_each_sentence_once(phase, &object);
        self.rows.push((phase, kstatus::of(std::slice::from_ref(&object))?.remove(0)));
        Ok(object)
    }

    pub fn assert_is(&self, expected: &[(&str, &str)]) {
        let rows: Vec<(&str, &str)> = self.rows.iter().map(|(phase, says)| (*phase, says.as_str())).collect();
        assert_eq!(rows, expected);
    }
}

/// An object as kubectl and Flux see it: what the types of the operator do not know is there too.
async fn only<K>(world: &World) -> Result<Value, Failure>
where
    K: kube::Resource<DynamicType = ()>,
{
    let resource = ApiResource::erase::<K>(&());
    let api: Api<DynamicObject> = Api::namespaced_with(world.space.client().clone(), world.space.name(), &resource);
    let objects = api.list(&ListParams::default()).await?.items;
    let object = objects.into_iter().find(|object| object.data["spec"]["kubernetes"].is_null());
    let object = match object {
        Some(object) => object,
        None => api.get("cluster").await?,
    };
    Ok(serde_json::to_value(api.get(&object.name_any()).await?)?)
}

fn say_each_sentence_once(phase: &str, object: &Value) {
    let conditions = object["status"]["conditions"].as_array().cloned().unwrap_or_default();
    let of_kstatus =
        conditions.iter().filter(|one| ["Ready", "Reconciling", "Stalled"].iter().any(|type_| one["type"] == **type_));
    let mut sentences: Vec<&str> = of_kstatus.filter_map(|one| one["message"].as_str()).collect();
    let all = sentences.len();
    sentences.sort_unstable();
    sentences.dedup();
    assert_eq!(sentences.len(), all, "{phase}: {conditions:#?}");
    assert!(conditions.iter().all(|one| one["observedGeneration"].is_i64()), "{phase}: {conditions:#?}");
}

async fn deletes_pod(world: &World, name: &str) -> Outcome {
    world.space.api::<Pod>().delete(name, &DeleteParams::default()).await?;
    Ok(())
}

/// Flux and Helm timed out at each rotation, and took objects for ready that nobody had seen.
#[tokio::test(flavor = "multi_thread")]
async fn kstatus_says_what_is_so_in_every_phase() -> Outcome {
    let world = World::without_operator("kstatus").await?;
    let mut world = world.without_args(&["--settle-time=1s"]).with_args(&["--settle-time=6s"]);
    world.rotated_token(json!({"gracePeriod": "6s"})).await?;
    let mut table = Table::new(&world);
    let object = table.token("unseen").await?;
    assert_eq!(object["status"]["observedGeneration"], -1);
    let ready = &object["status"]["conditions"][0];
    assert_eq!((&ready["status"], &ready["reason"]), (&json!("Unknown"), &json!("Unseen")), "{object:#}");
    table.provider("provider unseen").await?;
    let rows = table.rows;
    world.start_operator().await?;
    world.finished(1).await?;
    let mut table = Table { world: &world, rows };
    let object = table.token("at rest").await?;
    assert!(object["status"]["install"].is_string(), "{object:#}");
    assert!(!object["status"].to_string().contains("Unseen"), "nothing is left of the default: {object:#}");
    assert!(!object["status"].to_string().contains("1970-"), "{object:#}");
    until("the provider to be ready", PATIENCE, async || {
        let status = world.space.api::<TokenProvider>().get("cluster").await.ok()?.status?;
        status.conditions.iter().any(|one| one.type_ == "Ready" && one.status == "True").then_some(())
    })
    .await?;
    table.provider("provider ready").await?;

    // It lives on for a while after it is deleted.
    let slow = json!({"testkit.tokenturn.dev/linger-ms": "8000"});
    world.bare_pod("lonely", slow, json!({"terminationGracePeriodSeconds": 30})).await?;
    world.holders(&world.fingerprint().await?, 1).await?;
    world.rotate_now("one").await?;
    let status = world.status("the rotation to be under way", |status| is(status, "Reconciling", "True")).await?;
    assert_eq!((status.last_handled_rotate_now, status.sequence), (None, Some(1)), "it is not handled yet");
    table.token("before the promotion").await?;

    let blocked = world.status("the bare pod to block", |status| is(status, "PickupBlocked", "True")).await?;
    table.token("a bare pod blocks").await?;
    blocks_with_an_age(&world, &blocked).await?;
    deletes_pod(&world, "lonely").await?;
    world
        .status("the pod to end", |status| is(status, "PickedUp", "False") && !is_shown(status, "PickupBlocked"))
        .await?;
    table.token("pickup").await?;
    world.status("the grace period", |status| condition(status, "Ready").0 == "InGrace").await?;
    table.token("grace").await?;
    world.finished(2).await?;
    table.token("at rest again").await?;

    world.patch(json!({"spec": {"providerRef": {"name": "nobody"}}})).await?;
    let status = world.status("the provider to be missing", |status| is(status, "Stalled", "True")).await?;
    table.token("the provider is missing").await?;
    assert!(is(&status, "LeastPrivilege", "Unknown") && is(&status, "ProviderReady", "False"), "{status:#?}");
    world.patch(json!({"spec": {"providerRef": {"name": "cluster"}}})).await?;
    world.status("the object to be ready", |status| is(status, "Ready", "True")).await?;
    table.token("mended").await?;

    world.bare_pod("last", json!({}), json!({})).await?;
    world.holders(&world.fingerprint().await?, 1).await?;
    world.tokens().delete("api", &DeleteParams::default()).await?;
    world.status("the deletion to wait", |status| condition(status, "Ready").0 == "Deleting").await?;
    table.token("deletion held").await?;
    deletes_pod(&world, "last").await?;
    table.assert_is(&[
        ("unseen", "InProgress"),
        ("provider unseen", "InProgress"),
        ("at rest", "Current"),
        ("provider ready", "Current"),
        ("before the promotion", "InProgress"),
        ("a bare pod blocks", "Current"),
        ("pickup", "Current"),
        ("grace", "Current"),
        ("at rest again", "Current"),
        ("the provider is missing", "Failed"),
        ("mended", "Current"),
        ("deletion held", "Terminating"),
    ]);
    Ok(())
}

fn is_shown(status: &RotatedTokenStatus, type_: &str) -> bool {
    status.conditions.iter().any(|condition| condition.type_ == type_)
}

/// The condition names the pod, says since when and what to do; time that passes writes nothing.
async fn blocks_with_an_age(world: &World, blocked: &RotatedTokenStatus) -> Outcome {
    assert_eq!((blocked.last_handled_rotate_now.as_deref(), blocked.sequence), (Some("one"), Some(2)));
    let shown = blocked.conditions.iter().find(|one| one.type_ == "PickupBlocked").ok_or("no condition")?;
    let since = format!("since {}", shown.last_transition_time.0);
    assert!(shown.message.starts_with(&since) && shown.message.contains("lonely (container app): bare pod"));
    assert!(blocked.pickup.iter().flat_map(|pickup| &pickup.blockers).all(|blocker| blocker.action_needed));
    tokio::time::sleep(Duration::from_secs(3)).await;
    let before = world.tokens().get("api").await?;
    let since = |object: &RotatedToken| condition(object.status.as_ref().expect("a status"), "PickupBlocked").1;
    assert_eq!(since(&before), shown.message);
    tokio::time::sleep(Duration::from_secs(6)).await;
    assert_eq!(world.tokens().get("api").await?.resource_version(), before.resource_version(), "nothing was written");
    Ok(())
}

/// The table "What to wait for" of docs/conditions.md, by the fields that `kubectl wait` looks at.
#[tokio::test(flavor = "multi_thread")]
async fn after_each_request_there_is_something_to_wait_for() -> Outcome {
    let world = World::new("waits").await?;
    world.rotated_token(json!({})).await?;
    world.status("the first token", |status| is(status, "Ready", "True")).await?;
    // jsonpath='{.status.lastHandledRotateNow}'=VALUE
    world.rotate_now("monday").await?;
    let handled = |value: &'static str| {
        move |status: &RotatedTokenStatus| status.last_handled_rotate_now.as_deref() == Some(value)
    };
    let status = world.status("the request to be handled", handled("monday")).await?;
    assert_eq!((status.sequence, is(&status, "Ready", "True")), (Some(2), true));
    // jsonpath='{.status.observedGeneration}'=GENERATION, then condition=Ready.
    let edited = world.patch(json!({"spec": {"permissions": ["get configmaps"]}})).await?;
    let generation = edited.metadata.generation;
    let status = world.status("the edit to be seen", |status| status.observed_generation == generation).await?;
    assert!(is(&status, "Ready", "False") || status.sequence == Some(3), "{status:#?}");
    let status = world.status("the edit to be carried out", |status| is(status, "Ready", "True")).await?;
    assert_eq!(status.current.map(|current| current.permissions), Some(vec!["get configmaps".to_owned()]));
    // jsonpath='{.status.conditions[?(@.type=="Ready")].reason}'=Rotated
    let status = world.status("the old token to be dead", |status| condition(status, "Ready").0 == "UpToDate").await?;
    assert!(status.previous.is_none() && world.live_tokens().await?.len() == 1);
    // A request that is refused is handled too, and the reason is there.
    world.patch(json!({"spec": {"providerRef": {"name": "nobody"}}})).await?;
    world.rotate_now("tuesday").await?;
    let status = world.status("the request to be refused", handled("tuesday")).await?;
    assert_eq!((condition(&status, "Stalled").0.as_str(), status.sequence), ("ProviderMissing", Some(3)));
    // One that waits is not.
    world.patch(json!({"spec": {"providerRef": {"name": "cluster"}, "suspend": true}})).await?;
    world.rotate_now("wednesday").await?;
    let waits = world.status("the request to wait", |status| condition(status, "Ready").0 == "Suspended").await?;
    assert_eq!(waits.last_handled_rotate_now.as_deref(), Some("tuesday"));
    Ok(())
}
