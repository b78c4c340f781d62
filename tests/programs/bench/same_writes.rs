//! The same stored writes as those of rotations, made without an operator: what the servers of this machine can take.
//!
//! As many writers as the operator has places for objects, with its account. Each has objects of its own and repeats the
//! writes of one rotation in their order, each write with the version that the last one left. Contents change from one round
//! to the next: an update that changes nothing is not stored.

use std::time::{Duration, Instant};

use futures::future::try_join_all;
use http::{Method, Request};
use k8s_openapi::api::core::v1::Secret;
use kube::{
    Api, Client,
    api::{DeleteParams, Patch, PatchParams, PostParams},
};
use serde::Deserialize;
use serde_json::{Value, json};
use tokenturn::testkit::servers::random_hex;

use super::{
    Failure,
    crowd::rotated_token,
    say,
    scene::{SYSTEM, Scene},
    traced::{Traced, Write},
};

/// What the same writes come to.
pub struct Same {
    /// Rotations' worth of writes a second.
    pub rate: f64,
    /// CPU of the servers for each.
    pub server_cpu_ms: f64,
}

/// Makes the writes for a while. No operator may run meanwhile; nothing is left that one would see.
pub async fn run(scene: &Scene, traced: &Traced, writers: usize, span: Duration) -> Result<Same, Failure> {
    say(&format!("{writers} writers make the same writes for {} s", span.as_secs()));
    let namespace = scene.namespace("same").await?;
    let client = scene.as_operator().await?;
    let writers = (0..writers).map(|number| Writer::prepare(scene, client.clone(), &namespace, number, traced));
    let mut writers = try_join_all(writers).await?;
    let (cpu, started) = (scene.servers_cpu()?, Instant::now());
    let end = started + span;
    let counts = try_join_all(writers.iter_mut().map(|writer| writer.work(traced, end))).await?;
    let (cpu, took) = (scene.servers_cpu()?.saturating_sub(cpu), started.elapsed());
    try_join_all(writers.iter().map(|writer| writer.end(scene))).await?;
    let rotations = counts.iter().sum::<usize>() as f64 / traced.writes.len().max(1) as f64;
    Ok(Same { rate: rotations / took.as_secs_f64(), server_cpu_ms: 1_000.0 * cpu.as_secs_f64() / rotations })
}

/// The version of an object, by which the next write is made.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Version {
    uid: String,
    resource_version: String,
}

#[derive(Deserialize)]
struct Stored {
    metadata: Version,
}

struct Writer {
    client: Client,
    namespace: String,
    name: String,
    round: usize,
    sent: usize,
    record: Version,
    target: Version,
    token: Version,
    /// The Secrets that tokens are bound to, the older one first.
    bound: Vec<(String, Version)>,
}

impl Writer {
    async fn prepare(
        scene: &Scene,
        client: Client,
        namespace: &str,
        number: usize,
        traced: &Traced,
    ) -> Result<Self, Failure> {
        let name = format!("same-{number}-{}", &random_hex()[..8]);
        let token = rotated_token(&name, "0s".parse()?)?;
        let token = scene.tokens(namespace).create(&PostParams::default(), &token).await?.metadata;
        let token = Version {
            uid: token.uid.unwrap_or_default(),
            resource_version: token.resource_version.unwrap_or_default(),
        };
        let [record, target] = [Version::default(), Version::default()];
        let (namespace, bound) = (namespace.to_owned(), Vec::new());
        let mut writer = Self { client, namespace, name, round: 0, sent: 0, record, target, token, bound };
        writer.record = writer.create(SYSTEM, &format!("record-{}", writer.name), &traced.record).await?;
        writer.target = writer.create(&writer.namespace, &writer.name, &traced.target).await?;
        let bound = traced.writes.iter().find_map(|write| match write {
            Write::Bound(body) => Some(body),
            _ => None,
        });
        if let Some(body) = bound {
            writer.bind(body).await?;
        }
        Ok(writer)
    }

    /// Repeats the writes until the end; how many were acknowledged.
    async fn work(&mut self, traced: &Traced, end: Instant) -> Result<usize, Failure> {
        let before = self.sent;
        loop {
            self.round += 1;
            for write in &traced.writes {
                if Instant::now() >= end {
                    return Ok(self.sent - before);
                }
                self.make(write).await?;
                self.sent += 1;
            }
        }
    }

    async fn make(&mut self, write: &Write) -> Result<(), Failure> {
        let (namespace, name, round) = (&self.namespace, &self.name, self.round);
        match write {
            Write::Record(body) => {
                let record = format!("record-{name}");
                let mut body = named(body, SYSTEM, &record, Some(&self.record));
                body["metadata"]["annotations"]["tokenturn.dev/owner-name"] = json!(format!("{name}-{round}"));
                let path = format!("{}/{record}?fieldManager=tokenturn", secrets(SYSTEM));
                self.record = self.send(Method::PUT, &path, "application/json", &body).await?;
            }
            Write::Target(body) => {
                let Version { uid, resource_version } = &self.target;
                let mut annotations = body["metadata"]["annotations"].clone();
                annotations["tokenturn.dev/generation"] = json!(format!("{round}.1"));
                let metadata = json!({
                    "name": name, "uid": uid, "resourceVersion": resource_version,
                    "labels": body["metadata"]["labels"], "annotations": annotations,
                });
                let body = json!({"metadata": metadata, "data": body["data"]});
                let path = format!("{}/{name}?fieldManager=tokenturn", secrets(namespace));
                self.target = self.send(Method::PATCH, &path, "application/merge-patch+json", &body).await?;
            }
            Write::Bound(body) => self.bind(body).await?,
            Write::Token => {
                let (bound, Version { uid, .. }) = self.bound.last().ok_or("a token before its Secret")?;
                let object = json!({"apiVersion": "v1", "kind": "Secret", "name": bound, "uid": uid});
                let body = json!({
                    "apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "metadata": {},
                    "spec": {"audiences": [], "boundObjectRef": object, "expirationSeconds": 3_888_000},
                });
                let path = format!("/api/v1/namespaces/{namespace}/serviceaccounts/api-client/token");
                self.text(Method::POST, &path, "application/json", &body).await?;
            }
            Write::Unbound => {
                let (bound, Version { uid, resource_version }) = self.bound.remove(0);
                let preconditions = json!({"uid": uid, "resourceVersion": resource_version});
                let body = json!({"apiVersion": "v1", "kind": "DeleteOptions", "preconditions": preconditions});
                let path = format!("{}/{bound}", secrets(namespace));
                self.text(Method::DELETE, &path, "application/json", &body).await?;
            }
            Write::Status(body) => {
                let mut body = named(body, namespace, name, Some(&self.token));
                body["status"]["sequence"] = json!(round);
                let path = format!(
                    "/apis/tokenturn.dev/v1alpha1/namespaces/{namespace}/rotatedtokens/{name}/status?fieldManager=tokenturn"
                );
                self.token = self.send(Method::PUT, &path, "application/json", &body).await?;
            }
            Write::Event(body) => {
                let event = format!("{name}.{}", random_hex());
                let body = named(body, namespace, &event, None);
                let path = format!("/apis/events.k8s.io/v1/namespaces/{namespace}/events");
                self.text(Method::POST, &path, "application/json", &body).await?;
            }
        }
        Ok(())
    }

    /// Removes what an operator would take for its own.
    async fn end(&self, scene: &Scene) -> Result<(), Failure> {
        let params = DeleteParams::default();
        let (records, record) = (secrets_of(scene, SYSTEM), format!("record-{}", self.name));
        let patch = Patch::Merge(json!({"metadata": {"finalizers": null}}));
        records.patch_metadata(&record, &PatchParams::default(), &patch).await?;
        records.delete(&record, &params).await?;
        scene.tokens(&self.namespace).delete(&self.name, &params).await?;
        let own = secrets_of(scene, &self.namespace);
        for name in self.bound.iter().map(|(name, _)| name).chain([&self.name]) {
            own.delete(name, &params).await?;
        }
        Ok(())
    }

    async fn bind(&mut self, body: &Value) -> Result<(), Failure> {
        let bound = format!("tokenturn-same-{}", random_hex());
        let version = self.create(&self.namespace, &bound, body).await?;
        self.bound.push((bound, version));
        Ok(())
    }

    async fn create(&self, namespace: &str, name: &str, body: &Value) -> Result<Version, Failure> {
        let path = format!("{}?fieldManager=tokenturn", secrets(namespace));
        self.send(Method::POST, &path, "application/json", &named(body, namespace, name, None)).await
    }

    async fn send(&self, method: Method, path: &str, content: &str, body: &Value) -> Result<Version, Failure> {
        let answer = self.text(method, path, content, body).await?;
        Ok(serde_json::from_str::<Stored>(&answer)?.metadata)
    }

    async fn text(&self, method: Method, path: &str, content: &str, body: &Value) -> Result<String, Failure> {
        let what = format!("{method} {}", path.split('?').next().unwrap_or_default());
        let request = Request::builder().method(method).uri(path).header("content-type", content);
        let request = request.body(serde_json::to_vec(body)?)?;
        self.client.request_text(request).await.map_err(|error| format!("{what}: {error}").into())
    }
}

fn secrets_of(scene: &Scene, namespace: &str) -> Api<Secret> {
    Api::namespaced(scene.client.clone(), namespace)
}

fn secrets(namespace: &str) -> String {
    format!("/api/v1/namespaces/{namespace}/secrets")
}

/// A body under another name, by a version if it is there already.
fn named(body: &Value, namespace: &str, name: &str, version: Option<&Version>) -> Value {
    let mut body = body.clone();
    body["metadata"]["name"] = json!(name);
    body["metadata"]["namespace"] = json!(namespace);
    if let Some(Version { uid, resource_version }) = version {
        body["metadata"]["uid"] = json!(uid);
        body["metadata"]["resourceVersion"] = json!(resource_version);
    }
    body
}
