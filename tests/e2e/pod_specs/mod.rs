//! Generated pod specs: for every field of the API that can name a Secret, one pod that does, and the operator has to find it.

mod example;
mod schema;

use std::collections::{BTreeMap, BTreeSet};

use k8s_openapi::api::core::v1::Pod;
use kube::api::{DeleteParams, Patch, PatchParams};
use serde_json::{Value, json};
use tokenturn::{
    api::RotatedTokenStatus,
    core::pods::usage::{PodSpec, Usage},
    testkit::wait::until,
};

use self::schema::{Path, Schemas, written};
use crate::world::{Outcome, PATIENCE, World};

/// What Kubernetes 1.36 has. Fewer means that the walk over the schema is broken.
const KNOWN: [&str; 18] = [
    "containers[].env[].valueFrom.secretKeyRef.name",
    "containers[].envFrom[].secretRef.name",
    "ephemeralContainers[].env[].valueFrom.secretKeyRef.name",
    "ephemeralContainers[].envFrom[].secretRef.name",
    "imagePullSecrets[].name",
    "initContainers[].env[].valueFrom.secretKeyRef.name",
    "initContainers[].envFrom[].secretRef.name",
    "volumes[].azureFile.secretName",
    "volumes[].cephfs.secretRef.name",
    "volumes[].cinder.secretRef.name",
    "volumes[].csi.nodePublishSecretRef.name",
    "volumes[].flexVolume.secretRef.name",
    "volumes[].iscsi.secretRef.name",
    "volumes[].projected.sources[].secret.name",
    "volumes[].rbd.secretRef.name",
    "volumes[].scaleIO.secretRef.name",
    "volumes[].secret.secretName",
    "volumes[].storageos.secretRef.name",
];

/// No process gets what is named here.
const PULLS: &str = "imagePullSecrets[].name";

/// Called so, and no name of a Secret: the path of a file on the node.
const NO_REFERENCE: &str = "volumes[].cephfs.secretFile";

/// The schemas of the API server, and every path that one of the two rules finds in them.
async fn generated(client: &kube::Client) -> Result<(Schemas, BTreeSet<Path>), Box<dyn std::error::Error>> {
    let document: Value = client.request(http::Request::get("/openapi/v3/api/v1").body(Vec::new())?).await?;
    let schemas = Schemas::new(&document).ok_or("the API server serves no schemas")?;
    let found = schemas.references();
    assert!(found.unclear.is_empty(), "called secret, but nothing in it is the name of one: {:?}", found.unclear);
    let only_by_type: Vec<String> = found.by_type.difference(&found.by_name).map(|path| written(path)).collect();
    assert!(only_by_type.is_empty(), "references to Secrets that are not called so: {only_by_type:?}");
    let both = found.by_type.union(&found.by_name).cloned();
    let paths: BTreeSet<Path> = both.filter(|path| written(path) != NO_REFERENCE).collect();
    let texts: BTreeSet<String> = paths.iter().map(|path| written(path)).collect();
    let missing: Vec<&&str> = KNOWN.iter().filter(|known| !texts.contains(**known)).collect();
    assert!(missing.is_empty(), "not found in the schema: {missing:?}");
    Ok((schemas, paths))
}

/// What the operator finds in a spec as it comes from the API server.
fn usage(spec: &Value, secret: &str) -> Option<Usage> {
    serde_json::from_str::<PodSpec>(&spec.to_string()).ok()?.secrets.usage(secret)
}

#[tokio::test(flavor = "multi_thread")]
async fn every_field_of_the_schema_that_names_a_secret_makes_a_consumer() -> Outcome {
    let world = World::without_operator("fields").await?;
    let (schemas, paths) = generated(world.space.client()).await?;
    println!("{} fields of a pod spec can name a Secret:", paths.len());
    for path in &paths {
        let text = written(path);
        println!("  {text}");
        let spec = example::pod_spec(&schemas, path, "api-token").ok_or("no spec")?;
        let found = usage(&spec, "api-token").ok_or_else(|| format!("{text} is not found in {spec}"))?;
        let held = Usage::Held { container: example::container(path).map(str::to_owned) };
        assert_eq!(found, if text == PULLS { Usage::Pull } else { held }, "{text}");
        assert_eq!(usage(&spec, "api-toke"), None, "{text}: another Secret is not this one");
        let other = example::pod_spec(&schemas, path, "other").ok_or("no spec")?;
        assert_eq!(usage(&other, "api-token"), None, "{text} names another Secret");
    }
    Ok(())
}

/// A kubelet says how it gets on with a pod's image.
async fn image_pull(world: &World, pod: &str, reason: &str) -> Result<(), kube::Error> {
    let container = json!({
        "name": "app", "image": "none", "imageID": "", "ready": false, "restartCount": 0, "state": {"waiting": {"reason": reason}},
    });
    let patch = Patch::Merge(json!({"status": {"containerStatuses": [container]}}));
    world.space.api::<Pod>().patch_status(pod, &PatchParams::default(), &patch).await.map(drop)
}

/// Creates a pod of this world from a generated spec; a container for debugging can only be added to a pod that exists.
async fn create(world: &World, name: &str, mut spec: Value) -> Result<(), kube::Error> {
    let ephemeral = spec.as_object_mut().and_then(|fields| fields.remove("ephemeralContainers"));
    // The scene's own container names the Secret; this pod does so in one place only.
    spec["terminationGracePeriodSeconds"] = json!(1);
    spec["automountServiceAccountToken"] = json!(false);
    spec["nodeSelector"] = json!({"world": world.space.name()});
    let pod = json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name}, "spec": spec});
    let pod = serde_json::from_value(pod).map_err(kube::Error::SerdeError)?;
    let pods = world.space.api::<Pod>();
    pods.create(&Default::default(), &pod).await?;
    if let Some(containers) = ephemeral {
        let patch = Patch::Strategic(json!({"spec": {"ephemeralContainers": containers}}));
        pods.patch_subresource("ephemeralcontainers", name, &PatchParams::default(), &patch).await?;
    }
    Ok(())
}

/// Each of them holds the old token up in a rotation until it is deleted, but those that pull their images with the Secret: they stay,
/// and hold it up while an image cannot be pulled.
#[tokio::test(flavor = "multi_thread")]
async fn every_field_that_names_a_secret_holds_the_revoke() -> Outcome {
    let world = World::new("holding").await?;
    let (schemas, paths) = generated(world.space.client()).await?;
    world.rotated_token(json!({})).await?;
    world.finished(1).await?;
    let (mut created, mut pulling) = (BTreeMap::new(), vec!["by-account".to_owned()]);
    for (number, path) in paths.iter().enumerate() {
        let spec = example::pod_spec(&schemas, path, "api-token").ok_or("no spec")?;
        let name = example::pod_name(number, path);
        match create(&world, &name, spec).await {
            Ok(()) if written(path) == PULLS => pulling.push(name),
            Ok(()) => drop(created.insert(name, example::container(path))),
            Err(error) => println!("not admitted: {}: {error}", written(path)),
        }
    }
    // Pods of this account pull with the Secret though their own specs, as written, say nothing.
    world
        .apply(
            "{apiVersion: v1, kind: ServiceAccount, metadata: {name: puller}, imagePullSecrets: [{name: api-token}]}",
        )
        .await?;
    let plain = json!({"serviceAccountName": "puller", "containers": [{"name": "app", "image": "none"}]});
    create(&world, "by-account", plain).await?;
    let pods = world.space.api::<Pod>();
    until("the pod that pulls to run", PATIENCE, async || {
        let status = pods.get("by-account").await.ok()?.status?;
        (status.phase.as_deref() == Some("Running")).then_some(())
    })
    .await?;
    image_pull(&world, "by-account", "ImagePullBackOff").await?;
    create(&world, "by-nothing", json!({"containers": [{"name": "app", "image": "none"}]})).await?;
    println!("{} pods were admitted", created.len() + pulling.len());
    assert!(created.len() + pulling.len() > KNOWN.len(), "the API server took {created:?} and {pulling:?} only");
    world.rotate_now("now").await?;
    let total = i64::try_from(created.len())?;
    let counted = |status: &RotatedTokenStatus| status.pickup.as_ref().map(|pickup| pickup.total);
    let status = world.status("the pods to be counted", |status| counted(status).is_some()).await?;
    assert_eq!(counted(&status), Some(total), "{:?}", status.pickup);
    // A status names some of them at a time: those that are named are ended, until none is left.
    let mut named = BTreeMap::new();
    while named.len() < created.len() {
        let is_new = |name: &str, named: &BTreeMap<String, Option<String>>| !named.contains_key(name);
        let status = world
            .status("further pods to be named", |status| {
                let blockers = status.pickup.iter().flat_map(|pickup| &pickup.blockers);
                blockers.map(|blocker| blocker.pod.as_str()).any(|name| is_new(name, &named))
            })
            .await?;
        for blocker in status.pickup.into_iter().flat_map(|pickup| pickup.blockers) {
            if is_new(&blocker.pod, &named) {
                assert_eq!(world.live_tokens().await?.len(), 2, "the old token is alive while {} is", blocker.pod);
                world.space.api::<Pod>().delete(&blocker.pod, &DeleteParams::default()).await?;
                named.insert(blocker.pod, blocker.container);
            }
        }
    }
    let expected: BTreeMap<_, _> =
        created.into_iter().map(|(name, container)| (name, container.map(str::to_owned))).collect();
    assert_eq!(named, expected);
    let blockers =
        |status: &RotatedTokenStatus| status.pickup.as_ref().map(|pickup| pickup.blockers.clone()).unwrap_or_default();
    let status = world
        .status("the image that cannot be pulled to be told", |status| {
            blockers(status).iter().any(|blocker| blocker.why.contains("ImagePullBackOff"))
        })
        .await?;
    let pods: Vec<String> = blockers(&status).into_iter().map(|blocker| blocker.pod).collect();
    assert_eq!((pods, world.live_tokens().await?.len()), (vec!["by-account".to_owned()], 2));
    image_pull(&world, "by-account", "ContainerCreating").await?;
    world.finished(2).await?;
    for pod in &pulling {
        assert!(world.space.api::<Pod>().get_opt(pod).await?.is_some(), "{pod} was not restarted");
    }
    assert!(world.space.api::<Pod>().get_opt("by-nothing").await?.is_some(), "it was in nobody's way");
    Ok(())
}
