//! The stored writes of one rotation, as the operator makes them: kinds and order from the audit log, bodies from watches.

use std::{
    collections::VecDeque,
    time::{Duration, Instant},
};

use futures::{StreamExt, pin_mut};
use k8s_openapi::api::{core::v1::Secret, events::v1::Event};
use kube::{
    Api, Resource, ResourceExt,
    api::{ListParams, PatchParams, WatchEvent, WatchParams},
};
use serde::{Serialize, de::DeserializeOwned};
use serde_json::Value;

use super::{
    Failure,
    calls::Kind,
    crowd::{Crowd, finished, request},
    scene::{SYSTEM, Scene},
};

/// How long the servers are asked for what they have stored since the trace began.
const REPLAY: u32 = 3;

/// One stored write, with the object that it led to.
#[derive(Clone, Debug)]
pub enum Write {
    /// PUT of the record.
    Record(Value),
    /// Merge patch of the target.
    Target(Value),
    /// POST of a Secret that the new token is bound to.
    Bound(Value),
    /// TokenRequest, for a token that is bound to it.
    Token,
    /// DELETE of the Secret that the old token is bound to.
    Unbound,
    /// PUT of the status.
    Status(Value),
    /// POST of an Event.
    Event(Value),
}

/// One rotation's writes, and the objects as they were before.
pub struct Traced {
    pub writes: Vec<Write>,
    pub record: Value,
    pub target: Value,
    /// How long it took from the request to the end of the old token, while nothing else was to be done.
    pub alone: Duration,
}

impl Traced {
    /// How many of each, and how large they are as JSON.
    pub fn describe(&self) -> String {
        let size = |value: &Value| value.to_string().len();
        let each = self.writes.iter().map(|write| match write {
            Write::Record(body) => format!("record {} B", size(body)),
            Write::Target(body) => format!("target {} B", size(body)),
            Write::Bound(body) => format!("bound Secret {} B", size(body)),
            Write::Token => "token request".to_owned(),
            Write::Unbound => "delete of a bound Secret".to_owned(),
            Write::Status(body) => format!("status {} B", size(&body["status"])),
            Write::Event(body) => format!("Event {} B", size(body)),
        });
        each.collect::<Vec<_>>().join(", ")
    }
}

/// Rotates a token of its own and notes every write.
pub async fn trace(scene: &Scene) -> Result<Traced, Failure> {
    let mut crowd = Crowd::new("traced", 1);
    crowd.grow(scene, 1).await?;
    scene.quiet(Duration::from_secs(3)).await?;
    let (namespace, name) = &crowd.tokens()[0];
    let secrets: Api<Secret> = Api::all(scene.client.clone());
    let (tokens, events) = (scene.tokens(namespace), Api::<Event>::namespaced(scene.client.clone(), namespace));
    let token = tokens.get(name).await?;
    let record_name = format!("record-{}", token.uid().unwrap_or_default());
    let record = Api::<Secret>::namespaced(scene.client.clone(), SYSTEM).get(&record_name).await?;
    let target = Api::<Secret>::namespaced(scene.client.clone(), namespace).get(name).await?;
    let events_before = events.list_metadata(&ListParams::default()).await?.items.len();
    let secrets_version = secrets.list_metadata(&ListParams::default().limit(1)).await?.metadata.resource_version;
    let tokens_version = tokens.list_metadata(&ListParams::default()).await?.metadata.resource_version;

    let (mark, started) = (scene.mark()?, Instant::now());
    tokens.patch_metadata(name, &PatchParams::default(), &request(2)).await?;
    finished(scene, crowd.tokens(), 2).await?;
    let alone = started.elapsed();
    scene.quiet(Duration::from_secs(3)).await?;
    let calls = scene.calls_since(mark)?;

    let versions = since(&secrets, secrets_version).await?;
    let named = |wanted: &dyn Fn(&Value) -> bool| versions.iter().filter(|body| wanted(body)).cloned().collect();
    let mut records: VecDeque<Value> = named(&|body| body["metadata"]["name"] == *record_name);
    let mut targets: VecDeque<Value> =
        named(&|body| body["metadata"]["namespace"] == **namespace && body["metadata"]["name"] == **name);
    let mut bound: VecDeque<Value> = named(&|body| body["metadata"]["labels"]["tokenturn.dev/role"] == "bound-token");
    let mut shown = serde_json::to_value(&token)?["status"].take();
    let mut statuses = VecDeque::new();
    for body in since(&tokens, tokens_version).await? {
        // Not the request for the rotation, which changed the rest.
        if body["status"] != shown {
            shown = body["status"].clone();
            statuses.push_back(body);
        }
    }
    let listed = events.list(&ListParams::default()).await?.items;
    let mut listed: Vec<Value> = listed.iter().map(serde_json::to_value).collect::<Result<_, _>>()?;
    listed.sort_by_key(|event| event["eventTime"].to_string());
    let mut noted: VecDeque<Value> = listed.into_iter().skip(events_before).collect();

    let mut writes = Vec::new();
    for (kind, event) in calls.writes() {
        let next = |queue: &mut VecDeque<Value>| {
            queue.pop_front().map(stripped).ok_or_else(|| format!("no object was stored by a write of kind {kind:?}"))
        };
        writes.push(match (kind, event.verb.as_str()) {
            (Kind::Review | Kind::Lease, _) => continue,
            (Kind::Record, _) => Write::Record(next(&mut records)?),
            (Kind::Target, _) => Write::Target(next(&mut targets)?),
            (Kind::Provider, "delete") => Write::Unbound,
            (Kind::Provider, _) if event.subresource == "token" => Write::Token,
            (Kind::Provider, _) => Write::Bound(next(&mut bound)?),
            (Kind::Status, _) => Write::Status(next(&mut statuses)?),
            (Kind::Event, _) => Write::Event(next(&mut noted)?),
            (Kind::Stamp | Kind::Finalizer | Kind::ProviderStatus | Kind::Other, _) => {
                return Err(format!("a rotation without a workload makes a write of kind {kind:?}").into());
            }
        });
    }
    let [record, target] = [&record, &target].map(|secret| serde_json::to_value(secret).map(stripped));
    Ok(Traced { writes, record: record?, target: target?, alone })
}

/// Every version of objects that was stored after another one, in order, but for deletions.
async fn since<K>(api: &Api<K>, version: Option<String>) -> Result<Vec<Value>, Failure>
where
    K: Resource<DynamicType = ()> + Clone + std::fmt::Debug + DeserializeOwned + Serialize,
{
    let version = version.ok_or("a list has no version")?;
    let watch = api.watch(&WatchParams::default().timeout(REPLAY), &version).await?;
    pin_mut!(watch);
    let mut bodies = Vec::new();
    while let Some(event) = watch.next().await {
        match event? {
            WatchEvent::Added(object) | WatchEvent::Modified(object) => bodies.push(serde_json::to_value(&object)?),
            WatchEvent::Error(status) => return Err(format!("the watch failed: {status:?}").into()),
            WatchEvent::Deleted(_) | WatchEvent::Bookmark(_) => {}
        }
    }
    Ok(bodies)
}

/// What a client sends of an object: not what the server adds.
fn stripped(mut object: Value) -> Value {
    if let Some(metadata) = object["metadata"].as_object_mut() {
        for added in ["managedFields", "creationTimestamp", "generation", "uid", "resourceVersion", "deletionTimestamp"]
        {
            metadata.remove(added);
        }
    }
    object
}
