//! Pods that cost much to look at.

use serde_json::{Value, json};

use crate::{Failure, attacker::Field};

/// A pod that nobody schedules.
fn pod(name: &str, spec: Value, note: usize) -> Value {
    let mut pod = json!({
        "metadata": {"name": name, "annotations": {"note": "x".repeat(note)}},
        "spec": {
            "schedulerName": "nobody", "automountServiceAccountToken": false,
            "containers": [{"name": "app", "image": "none"}],
        },
    });
    for (key, value) in spec.as_object().into_iter().flatten() {
        pod["spec"][key] = value.clone();
    }
    pod
}

/// The containers of a pod that reads a Secret.
fn reads(secret: &str) -> Value {
    json!([{"name": "app", "image": "none", "env": [
        {"name": "TOKEN", "valueFrom": {"secretKeyRef": {"name": secret, "key": "token"}}},
    ]}])
}

/// Tokens of the attacker's own endpoint, with their first value.
async fn tokens(field: &Field<'_>, number: usize) -> Result<(), Failure> {
    for place in 0..number {
        let name = format!("pods-{place}");
        field.recipe(&name, &field.own_recipe(&name)).await?;
    }
    for place in 0..number {
        field.issued(&format!("pods-{place}")).await?;
    }
    Ok(())
}

/// As many pods as said, each of this many KiB, and some rotations beside them.
async fn crowd(field: &Field<'_>, pods: usize, kib: usize, number: usize) -> Result<(), Failure> {
    tokens(field, number).await?;
    let all = (0..pods).map(|place| {
        let spec = if place % 10 == 0 { json!({"containers": reads("pods-0")}) } else { json!({}) };
        pod(&format!("crowd-{place}"), spec, kib << 10)
    });
    let made = field.create_all("Pod", all).await;
    if made * 10 < pods * 9 {
        return Err(format!("the API server took {made} of {pods} pods").into());
    }
    for place in 0..number {
        field.rotate(&format!("pods-{place}"), "1").await?;
    }
    field.hold().await;
    field.hold().await;
    field.victims_go_on().await
}

pub async fn large(field: &Field<'_>) -> Result<(), Failure> {
    crowd(field, field.plan.number(500, 2_000), 27, 1).await
}

pub async fn many_tokens(field: &Field<'_>) -> Result<(), Failure> {
    crowd(field, field.plan.number(500, 2_000), 14, 20).await
}

/// Every place of a pod that names a Secret names a victim's, or one that is no name.
pub async fn odd(field: &Field<'_>) -> Result<(), Failure> {
    tokens(field, 1).await?;
    let many: Vec<Value> = (0..300)
        .map(|number| json!({"name": format!("E{number}"), "valueFrom": {"secretKeyRef": {"name": format!("s-{number}"), "key": "k"}}}))
        .collect();
    let projected: Vec<Value> = (0..200).map(|number| json!({"secret": {"name": format!("p-{number}")}})).collect();
    let volume = |source: Value| {
        let mut volume = json!({"name": "v"});
        for (key, value) in source.as_object().into_iter().flatten() {
            volume[key] = value.clone();
        }
        json!({"volumes": [volume]})
    };
    let all = [
        json!({"containers": [{"name": "app", "image": "none", "env": many}]}),
        json!({"containers": reads("pods-0"), "restartPolicy": "Never"}),
        json!({"imagePullSecrets": [{"name": "api"}, {"name": "git"}, {"name": "pods-0"}]}),
        volume(json!({"projected": {"sources": projected}})),
        volume(json!({"secret": {"secretName": "api"}})),
        volume(json!({"csi": {"driver": "x", "nodePublishSecretRef": {"name": "api"}}})),
        volume(json!({"cephfs": {"monitors": ["x"], "secretRef": {"name": "pods-0"}}})),
        volume(json!({"azureFile": {"secretName": "pods-0", "shareName": "x"}})),
        json!({"nodeName": "nowhere", "containers": reads("pods-0")}),
        json!({"schedulingGates": [{"name": "x/y"}], "containers": reads("pods-0")}),
        json!({"initContainers": (0..60).map(|number| json!({"name": format!("i{number}"), "image": "none"})).collect::<Vec<_>>()}),
    ];
    for (number, spec) in all.iter().enumerate() {
        // What the API server refuses is no attack.
        let _ = field.create("Pod", &pod(&format!("odd-{number}"), spec.clone(), 0)).await;
    }
    field.rotate("pods-0", "1").await?;
    field.hold().await;
    field.victims_go_on().await
}

pub async fn come_and_go(field: &Field<'_>) -> Result<(), Failure> {
    tokens(field, 3).await?;
    for round in 0..field.plan.number(3, 12) {
        let spec = json!({"containers": reads("pods-0")});
        let all = (0..60).map(|place| pod(&format!("round-{round}-{place}"), spec.clone(), 2_000));
        field.create_all("Pod", all).await;
        for place in 0..3 {
            field.rotate(&format!("pods-{place}"), &round.to_string()).await?;
        }
        for place in 0..60 {
            let now = json!({"gracePeriodSeconds": 0});
            let path = format!("{}/round-{round}-{place}", crate::scene::path(&field.namespace, "Pod"));
            let _ = crate::scene::send(&field.client, http::Method::DELETE, &path, &now).await;
        }
    }
    field.hold().await;
    Ok(())
}
