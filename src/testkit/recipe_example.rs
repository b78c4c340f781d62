//! An example at a server that speaks as its provider, the workload that uses its tokens, and what happens to both.

use std::{collections::BTreeMap, path::Path, sync::Arc, time::Duration};

use crate::{
    api::RotatedTokenStatus,
    testkit::{
        Outcome as Call, Seat, Token,
        consumer::TokenUse,
        contract::{self, ADMIN, ContractServer, Wire},
        install,
        wait::until,
    },
};
use futures::{FutureExt, future::BoxFuture};
use k8s_openapi::api::core::v1::Secret;
use kube::api::{Patch, PatchParams, PostParams};
use serde_json::{Value, json};

use super::world::{Outcome, World, is};

/// The providers, by the name of the workload that calls each.
struct Providers {
    servers: BTreeMap<String, Arc<ContractServer>>,
    client: reqwest::Client,
}

impl TokenUse for Providers {
    fn call<'a>(&'a self, seat: &'a Seat, token: &'a Token) -> BoxFuture<'a, Call> {
        async move {
            let server = self.servers.iter().find(|(workload, _)| seat.pod.starts_with(&format!("{workload}-")));
            let Some((_, server)) = server else { return Call::Unanswered("nobody's consumer".to_owned()) };
            match server.use_token(&self.client, token.reveal()).await {
                Ok(status) => Call::Answered(status),
                Err(why) => Call::Unanswered(why),
            }
        }
        .boxed()
    }
}

/// One example as it stands, but for where its provider is, how long the old token stays, and how often it may be rotated.
pub struct Example {
    pub objects: Vec<Value>,
    pub token: String,
    pub secret: String,
    /// The keys of the Secret that a container reads, and shows as one with colons between.
    pub keys: Vec<String>,
    pub credential: String,
    /// What the credential's Secret holds.
    pub holds: Value,
}

/// An example with other settings of its provider.
pub fn read(name: &str, holds: Value, change: impl FnOnce(&mut Value)) -> Example {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("examples/{name}.yaml"));
    let text = std::fs::read_to_string(path).expect("the example");
    let documents = install::documents(&text).expect("YAML");
    let mut objects: Vec<Value> = documents.iter().map(|object| json!(object)).collect();
    let (kind, _) = name.split_once('/').expect("a folder");
    let settings = &mut objects[0]["spec"][kind];
    change(settings);
    // A test does not wait for half a day until the next rotation.
    if let Some(policy) = objects[0]["spec"]["policy"].as_object_mut() {
        policy.remove("minInterval");
    }
    let settings = &objects[0]["spec"][kind];
    let named = [&settings["credential"]["secretRef"], &settings["credentialsRef"], &settings["client"]["secretRef"]];
    // Without one, the credential is a ServiceAccount of the example.
    let credential = named.into_iter().find_map(|named| named["name"].as_str()).unwrap_or("nothing").to_owned();
    objects[1]["spec"]["gracePeriod"] = json!("0s");
    let secret = objects[1]["spec"]["secret"]["name"].as_str().expect("a Secret").to_owned();
    let data = objects[1]["spec"]["secret"]["data"].as_object();
    let keys = data.map_or_else(|| vec!["token".to_owned()], |data| data.keys().cloned().collect());
    let token = objects[1]["metadata"]["name"].as_str().expect("a name").to_owned();
    Example { objects, token, secret, keys, credential, holds }
}

impl Example {
    /// Another name for its RotatedToken, its workload and its Secret.
    pub fn rename(&mut self, name: &str) {
        self.objects[1]["metadata"]["name"] = json!(name);
        self.objects[1]["spec"]["secret"]["name"] = json!(name);
        (self.token, self.secret) = (name.to_owned(), name.to_owned());
    }
}

/// An example at a server that speaks as its provider.
pub fn example(name: &str, server: &ContractServer) -> Example {
    // What new tokens have their settings from, or are made of.
    let first = match server.wire() {
        Wire::Synoptic => {
            server.store().mint("", "template", vec![json!("origins")], None).expect("a token").value.clone()
        }
        _ => server.store().consent("", vec![json!("api:read")]),
    };
    let holds = json!({
        "token": ADMIN, "apiKey": ADMIN, "applicationKey": ADMIN, "username": ADMIN, "password": ADMIN, "userToken": ADMIN,
        "template": first, "refreshToken": first, "clientSecret": ADMIN,
    });
    let is_oauth2 = name.starts_with("oauth2/");
    let mut example = read(name, holds, |settings| match is_oauth2 {
        true => {
            let at = |path: &str| format!("{}/token{path}", server.url());
            settings["issuer"] = Value::Null;
            settings["endpoints"] =
                json!({"token": at(""), "introspection": at("/introspection"), "revocation": at("/revocation")});
            settings["client"]["clientId"] = json!(ADMIN);
        }
        false => settings["baseUrl"] = json!(server.url()),
    });
    // One value is what its server accepts.
    example.keys.truncate(1);
    example
}

pub async fn status(world: &World, token: &str) -> Option<RotatedTokenStatus> {
    world.tokens().get(token).await.ok()?.status
}

/// How long it takes at most until a token that is refused counts as dead: several refusals, over two minutes.
pub const DEATH: Duration = Duration::from_secs(240);

pub async fn finished(world: &World, token: &str, sequence: i64) -> Outcome {
    let what = format!("rotation {sequence} of {token} to be finished");
    let found = until(&what, DEATH, async || {
        let status = status(world, token).await?;
        let done =
            status.sequence == Some(sequence) && status.previous.is_none() && is(&status, "Reconciling", "False");
        done.then_some(())
    });
    match found.await {
        Ok(()) => Ok(()),
        Err(error) => Err(format!("{error}\nlast status: {:#?}", status(world, token).await).into()),
    }
}

/// A world with servers, their credentials and an operator that may reach them.
pub async fn world(
    stem: &str,
    servers: BTreeMap<String, Arc<ContractServer>>,
) -> Result<World, Box<dyn std::error::Error>> {
    world_of(stem, calls(servers)).await
}

/// Calls to servers, by the name of the workload that makes them.
pub fn calls(servers: BTreeMap<String, Arc<ContractServer>>) -> Arc<dyn TokenUse> {
    Arc::new(Providers { servers, client: contract::client() })
}

/// The same with consumers that say themselves what they call.
pub async fn world_of(stem: &str, calls: Arc<dyn TokenUse>) -> Result<World, Box<dyn std::error::Error>> {
    let world = World::of_consumers(stem, calls).await?;
    let mut world = world.with_args(&["--allow-loopback-providers", "--allow-plain-http", "--log-level=trace"]);
    world.start_operator().await?;
    Ok(world)
}

pub async fn set_up(world: &World, example: &Example) -> Outcome {
    let secret = json!({"metadata": {"name": example.credential}, "stringData": example.holds});
    world.space.api::<Secret>().create(&PostParams::default(), &serde_json::from_value(secret)?).await?;
    for object in &example.objects {
        world.apply(&object.to_string()).await?;
    }
    finished(world, &example.token, 1).await?;
    let read = |key: &String| json!({"name": key, "valueFrom": {"secretKeyRef": {"name": example.secret, "key": key}}});
    let mut env: Vec<Value> = example.keys.iter().map(read).collect();
    let all: Vec<String> = example.keys.iter().map(|key| format!("$({key})")).collect();
    env.push(json!({"name": "TOKEN", "value": all.join(":")}));
    let containers = json!([{"name": "app", "image": "none", "env": env}]);
    let changes = json!({"spec": {"template": {"spec": {"containers": containers}}}});
    world.deployment(&example.token, 2, changes).await?;
    Ok(())
}

pub async fn value(world: &World, example: &Example) -> Result<String, Box<dyn std::error::Error>> {
    let data = world.space.api::<Secret>().get(&example.secret).await?.data.ok_or("the Secret is empty")?;
    let value =
        |key| data.get(key).and_then(|value| std::str::from_utf8(&value.0).ok()).ok_or("the Secret lacks a key");
    Ok(example.keys.iter().map(value).collect::<Result<Vec<_>, _>>()?.join(":"))
}

pub async fn rotate(world: &World, token: &str, request: &str) -> Outcome {
    let patch = json!({"metadata": {"annotations": {"tokenturn.dev/rotate-now": request}}});
    world.tokens().patch(token, &PatchParams::default(), &Patch::Merge(patch)).await?;
    Ok(())
}
