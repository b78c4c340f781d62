//! Somebody writes in the operator's own namespace, or takes its rights away.

use std::time::Duration;

use k8s_openapi::api::{
    core::v1::{Pod, Secret},
    rbac::v1::RoleBinding,
};
use kube::{
    Api, ResourceExt,
    api::{DeleteParams, ListParams, Patch, PatchParams, PostParams},
};
use serde_json::json;
use tokenturn::{api::RotatedTokenStatus, testkit::wait::until};

use crate::{
    aftermath::{logs, one_token, pause, still_works},
    world::{Outcome, PATIENCE, World, condition, is},
};

fn records(world: &World) -> Api<Secret> {
    Api::namespaced(world.space.client().clone(), &world.system)
}

async fn edit(world: &World, patch: serde_json::Value) -> Outcome {
    let name = world.records().await?.remove(0).name_any();
    records(world).patch(&name, &PatchParams::default(), &Patch::Merge(patch)).await?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_ledger_that_cannot_be_read_is_told_and_survived() -> Outcome {
    let world = World::new("garbage").await?;
    world.rotated_token(json!({})).await?;
    world.finished(1).await?;
    let good = world.records().await?.remove(0);
    edit(&world, json!({"stringData": {"ledger": "{garbage"}})).await?;
    world.rotate_now("now").await?;
    pause(6).await;
    let status = world.tokens().get("api").await?.status.unwrap_or_default();
    let reported = !is(&status, "Ready", "True");
    edit(&world, json!({"data": good.data})).await?;
    world.rotate_now("mended").await?;
    still_works(&world).await?;
    assert!(reported, "the status went on saying Ready while nothing could be done: {status:#?}");
    Ok(())
}

/// Numbers that would overflow, or that no name of a token can hold.
#[tokio::test(flavor = "multi_thread")]
async fn numbers_that_nobody_counted_are_told_and_survived() -> Outcome {
    let world = World::new("numbers").await?;
    world.rotated_token(json!({})).await?;
    world.finished(1).await?;
    let good = world.records().await?.remove(0);
    let ledger = good.data.as_ref().and_then(|data| data.get("ledger")).ok_or("a record without a ledger")?;
    let ledger: serde_json::Value = serde_json::from_slice(&ledger.0)?;
    for (number, wrong) in [("counter", i64::MAX), ("counter", 1 << 53), ("sequence", i64::MAX), ("counter", -5)] {
        let mut damaged = ledger.clone();
        damaged[number] = json!(wrong);
        edit(&world, json!({"stringData": {"ledger": damaged.to_string()}})).await?;
        world.rotate_now(&format!("{number}-{wrong}")).await?;
        let reported = |status: &RotatedTokenStatus| condition(status, "Stalled").1.contains("never counted");
        world.status("the record to be told", reported).await?;
        edit(&world, json!({"data": good.data})).await?;
    }
    still_works(&world).await
}

/// A value that does not fit its fingerprint is no value: it is put back from the Secret, never published.
async fn wrong_value_in_the_record(stem: &str, wrong: &str) -> Outcome {
    let world = World::new(stem).await?;
    world.rotated_token(json!({})).await?;
    world.finished(1).await?;
    let good = world.token().await?;
    edit(&world, json!({"stringData": {"value.1.1.token": wrong}})).await?;
    // A change of the target wakes the operator.
    let touch = Patch::Merge(json!({"metadata": {"annotations": {"touched": "yes"}}}));
    world.space.api::<Secret>().patch("api-token", &PatchParams::default(), &touch).await?;
    pause(3).await;
    assert_eq!(world.token().await?, good, "{wrong:?} was published");
    still_works(&world).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_value_that_was_emptied_in_the_record() -> Outcome {
    wrong_value_in_the_record("value-empty", "").await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_value_that_was_changed_in_the_record() -> Outcome {
    wrong_value_in_the_record("value-wrong", "eyJwrong").await
}

/// The API server says no to the old token, but not for good: its signing key was replaced, or the value is wrong.
#[tokio::test(flavor = "multi_thread")]
async fn an_old_token_that_cannot_be_judged_is_revoked_all_the_same() -> Outcome {
    let world = World::new("unjudged").await?;
    world.rotated_token(json!({})).await?;
    world.finished(1).await?;
    world.bare_pod("holder", json!({}), json!({})).await?;
    world.holders(&world.fingerprint().await?, 1).await?;
    world.rotate_now("now").await?;
    world.status("pickup to wait", |status| status.sequence == Some(2) && status.pickup.is_some()).await?;
    edit(&world, json!({"stringData": {"value.1.1.token": "eyJwrong"}})).await?;
    world.space.api::<Pod>().delete("holder", &DeleteParams::default()).await?;
    world.finished(2).await?;
    one_token(&world).await
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "takes minutes"]
async fn older_copies_of_the_record_come_back() -> Outcome {
    let mut world = World::new("older").await?;
    world.deployment("app", 2, json!({})).await?;
    world.rotated_token(json!({})).await?;
    world.finished(1).await?;
    let mut copies = Vec::new();
    world.rotate_now("now").await?;
    let mut last = String::new();
    while world
        .tokens()
        .get("api")
        .await?
        .status
        .is_none_or(|status| status.sequence != Some(2) || status.previous.is_some())
    {
        let record = world.records().await?.remove(0);
        let version = record.resource_version().unwrap_or_default();
        if version != last {
            last = version;
            copies.push(record.data);
        }
        tokio::time::sleep(Duration::from_millis(15)).await;
    }
    println!("{} copies", copies.len());
    for data in copies.into_iter().rev() {
        // An administrator stops the operator for a restore.
        world.operators[0].terminate(Duration::from_secs(10)).await?;
        world.operators.clear();
        let mut record = world.records().await?.remove(0);
        record.data = data;
        record.metadata.resource_version = None;
        records(&world).replace(&record.name_any(), &PostParams::default(), &record).await?;
        world.start_operator().await?;
        // A request that comes before the record is mended counts as seen.
        pause(4).await;
        still_works(&world).await?;
        world.history.assert_never_refused(world.space.name());
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn rights_are_taken_away_and_given_back() -> Outcome {
    let world = World::new("rights").await?;
    world.deployment("app", 2, json!({})).await?;
    world.rotated_token(json!({})).await?;
    world.finished(1).await?;
    world.rotate_now("now").await?;
    world.status("the promotion", |status| status.sequence == Some(2)).await?;
    let bindings = world.space.api::<RoleBinding>();
    let list = bindings.list(&ListParams::default()).await?.items;
    let ours: Vec<_> = list.into_iter().filter(|binding| binding.name_any() != "api-client").collect();
    for binding in &ours {
        bindings.delete(&binding.name_any(), &DeleteParams::default()).await?;
    }
    pause(8).await;
    for mut binding in ours {
        (binding.metadata.uid, binding.metadata.resource_version) = (None, None);
        bindings.create(&PostParams::default(), &binding).await?;
    }
    world.finished(2).await?;
    one_token(&world).await?;
    world.assert_nobody_noticed().await?;
    still_works(&world).await
}

/// A tool that writes the old value back all the time: bounded writes, no refusal, and the end when it stops.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "takes minutes"]
async fn a_tool_reverts_the_secret_all_the_time() -> Outcome {
    let world = World::new("tool").await?;
    world.deployment("app", 2, json!({})).await?;
    world.rotated_token(json!({})).await?;
    world.finished(1).await?;
    let old = world.space.api::<Secret>().get("api-token").await?;
    world.holders(&world.fingerprint().await?, 2).await?;
    world.rotate_now("now").await?;
    let end = tokio::time::Instant::now() + Duration::from_secs(25);
    let before = writes(&world)?;
    while tokio::time::Instant::now() < end {
        let back = json!({"data": old.data, "metadata": {"annotations": old.metadata.annotations}});
        world.space.api::<Secret>().patch("api-token", &PatchParams::default(), &Patch::Merge(back)).await?;
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    let during = writes(&world)? - before;
    assert!(during < 80, "{during} writes in 25 s");
    println!("{during} writes");
    world.history.assert_never_refused(world.space.name());
    let done = tokio::time::timeout(Duration::from_secs(120), async {
        while world.tokens().get("api").await.ok().and_then(|token| token.status).is_none_or(|status| {
            status.previous.is_some() || status.sequence != Some(2) || !is(&status, "Reconciling", "False")
        }) {
            pause(1).await;
        }
    });
    assert!(done.await.is_ok(), "{}", logs(&world));
    world.history.assert_never_refused(world.space.name());
    still_works(&world).await?;
    world.assert_nobody_noticed().await
}

/// Writes of the operator of this world so far.
fn writes(world: &World) -> Result<usize, Box<dyn std::error::Error>> {
    let user = format!("system:serviceaccount:{}:tokenturn", world.system);
    let events = world.space.audit_events()?;
    Ok(events
        .iter()
        .filter(|event| {
            event.user == user
                && event.resource != "leases"
                && !event.resource.contains("review")
                && !event.is_dry_run()
        })
        .count())
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "open: the rights go with the namespace before the finalizer does"]
async fn the_namespace_goes_in_mid_rotation() -> Outcome {
    let world = World::new("namespace").await?;
    world.deployment("app", 1, json!({})).await?;
    world.rotated_token(json!({})).await?;
    world.finished(1).await?;
    world.rotate_now("now").await?;
    world.status("the promotion", |status| status.sequence == Some(2)).await?;
    let namespaces: Api<k8s_openapi::api::core::v1::Namespace> = Api::all(world.space.client().clone());
    namespaces.delete(world.space.name(), &DeleteParams::default()).await?;
    let gone = until("the namespace to go", PATIENCE, async || {
        namespaces.get_opt(world.space.name()).await.ok()?.is_none().then_some(())
    })
    .await;
    assert!(gone.is_ok(), "{}", logs(&world));
    assert!(world.records().await?.is_empty());
    Ok(())
}
