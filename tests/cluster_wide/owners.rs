//! Secrets that say they belong to a RotatedToken of somebody else: forged by whoever may write Secrets in another served namespace, or
//! copied by a backup or replication tool.

use std::{collections::BTreeMap, time::Duration};

use k8s_openapi::api::core::v1::Secret;
use kube::{
    Api, ResourceExt,
    api::{DeleteParams, ObjectMeta, Patch, PatchParams, PostParams},
};
use serde_json::json;
use tokenturn::testkit::shared;

use crate::{
    ALONE,
    world::{Outcome, Scope, World},
};

/// How long the victim is watched: many times what a deletion without consumers takes.
const WATCHED: Duration = Duration::from_secs(12);

/// A victim at rest with consumers, under an operator that serves every namespace.
async fn victim(stem: &str) -> Result<World, Box<dyn std::error::Error>> {
    let mut world = World::in_scope(stem, Scope::Cluster).await?;
    world.start_operator().await?;
    world.deployment("app", 2, json!({})).await?;
    world.rotated_token(json!({})).await?;
    world.finished(1).await?;
    world.holders(&world.fingerprint().await?, 2).await?;
    Ok(world)
}

fn secret(name: &str, labels: &[(&str, &str)], annotations: &[(&str, &str)]) -> Secret {
    let pairs = |pairs: &[(&str, &str)]| {
        Some(pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect::<BTreeMap<_, _>>())
    };
    Secret {
        metadata: ObjectMeta {
            name: Some(name.to_owned()),
            labels: pairs(labels),
            annotations: pairs(annotations),
            ..ObjectMeta::default()
        },
        ..Secret::default()
    }
}

/// Nothing of the victim's was revoked, written or begun, and it still rotates.
async fn unharmed(world: &World, before: &Secret, record: &Secret) -> Outcome {
    let token = world.token().await?;
    world
        .never("a change of the victim's record or Secret", WATCHED, async || {
            let records = world.records().await.unwrap_or_default();
            let now = world.space.api::<Secret>().get("api-token").await.ok();
            records.iter().all(|other| other.resource_version() != record.resource_version())
                || now.is_none_or(|now| now.resource_version() != before.resource_version())
        })
        .await
        .map_err(|error| format!("{error}\n{}", world.operators[0].logs()))?;
    assert!(world.accepts(&token).await?, "the victim's token was revoked");
    assert_eq!(world.live_tokens().await?.len(), 1);
    world.assert_nobody_noticed().await?;
    world.rotate_now("after").await?;
    world.finished(2).await?;
    world.assert_nobody_noticed().await
}

/// Labels and annotations of another's target made the operator look at an object that is not there, which it took for gone: it revoked the
/// live token of the victim while its pods ran.
#[tokio::test(flavor = "multi_thread")]
async fn s1_s16_labels_on_a_secret_revoke_nothing_of_somebody_else() -> Outcome {
    let _alone = ALONE.lock().await;
    let mut world = victim("forged").await?;
    let client = world.space.client().clone();
    let uid = world.tokens().get("api").await?.uid().ok_or("no UID")?;
    let before = world.space.api::<Secret>().get("api-token").await?;
    let record = world.records().await?.pop().ok_or("no record")?;
    let attacker = shared::create_namespace(&client, "attacker").await?;
    let theirs: Api<Secret> = Api::namespaced(client.clone(), &attacker);
    let mut forged = 0;
    for role in ["target", "bound-token", "record"] {
        for (name, owner) in [("api-token", "api"), ("other-token", "other"), ("unnamed", "")] {
            let labels = [("tokenturn.dev/role", role), ("tokenturn.dev/owner-uid", uid.as_str())];
            let annotations = [
                ("tokenturn.dev/owner-name", owner),
                ("tokenturn.dev/owner-namespace", world.space.name()),
                ("tokenturn.dev/generation", "1.1"),
            ];
            let name = format!("{name}-{role}");
            theirs.create(&PostParams::default(), &secret(&name, &labels, &annotations)).await?;
            forged += 1;
        }
    }
    // The name of the victim's own Secret, and one in the victim's namespace.
    let labels = [("tokenturn.dev/role", "target"), ("tokenturn.dev/owner-uid", uid.as_str())];
    for name in ["api", "gone"] {
        let annotations = [("tokenturn.dev/owner-name", name)];
        let own = world.space.api::<Secret>();
        own.create(&PostParams::default(), &secret(&format!("copied-{name}"), &labels, &annotations)).await?;
    }
    theirs
        .create(&PostParams::default(), &secret("api-token", &labels, &[("tokenturn.dev/owner-name", "api")]))
        .await?;
    assert_eq!(forged, 9);
    // Changed and deleted again, and seen by an operator that starts anew.
    let change = Patch::Merge(json!({"metadata": {"annotations": {"changed": "yes"}}}));
    theirs.patch("api-token", &PatchParams::default(), &change).await?;
    theirs.delete("other-token-target", &DeleteParams::default()).await?;
    world.operators.clear();
    world.start_operator().await?;
    unharmed(&world, &before, &record).await
}

/// A backup or replication tool copies the Secret with its labels into other namespaces; the consumers of a copy are scaled to 0 later.
#[tokio::test(flavor = "multi_thread")]
async fn s1_a_copy_of_a_secret_does_nothing_also_when_nobody_uses_it() -> Outcome {
    let _alone = ALONE.lock().await;
    let world = victim("copied").await?;
    let client = world.space.client().clone();
    let before = world.space.api::<Secret>().get("api-token").await?;
    let record = world.records().await?.pop().ok_or("no record")?;
    let elsewhere = shared::create_namespace(&client, "replica").await?;
    let copies: Api<Secret> = Api::namespaced(client.clone(), &elsewhere);
    let copy = |name: &str| {
        let mut copy = before.clone();
        let ObjectMeta { labels, annotations, .. } = copy.metadata;
        copy.metadata = ObjectMeta { name: Some(name.to_owned()), labels, annotations, ..ObjectMeta::default() };
        copy
    };
    copies.create(&PostParams::default(), &copy("api-token")).await?;
    world.space.api::<Secret>().create(&PostParams::default(), &copy("backup-of-api-token")).await?;
    let app = json!({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "app"}, "spec": {
        "replicas": 1, "selector": {"matchLabels": {"app": "copy"}},
        "template": {"metadata": {"labels": {"app": "copy"}}, "spec": world.pod_spec()},
    }});
    let deployments: Api<k8s_openapi::api::apps::v1::Deployment> = Api::namespaced(client.clone(), &elsewhere);
    deployments.create(&PostParams::default(), &serde_json::from_value(app)?).await?;
    world.holders(&world.fingerprint().await?, 3).await?;
    let none = Patch::Merge(json!({"spec": {"replicas": 0}}));
    deployments.patch("app", &PatchParams::default(), &none).await?;
    world.holders(&world.fingerprint().await?, 2).await?;
    // The tool writes its copy again, and takes it away.
    let change = Patch::Merge(json!({"metadata": {"annotations": {"copied-at": "now"}}}));
    copies.patch("api-token", &PatchParams::default(), &change).await?;
    unharmed(&world, &before, &record).await?;
    copies.delete("api-token", &DeleteParams::default()).await?;
    world.assert_nobody_noticed().await
}
