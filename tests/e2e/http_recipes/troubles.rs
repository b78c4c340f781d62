//! What is wrong with a provider object, its Secret or the provider is told on the objects.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use k8s_openapi::{
    api::{core::v1::Secret, events::v1::Event},
    apimachinery::pkg::apis::meta::v1::Condition,
};
use kube::api::{Patch, PatchParams, PostParams};
use serde_json::json;
use tokenturn::{
    api::TokenProvider,
    testkit::{
        Token,
        contract::{ADMIN, ContractServer, Fault, Operation, Wire},
        wait::until,
    },
};

use super::example::{example, finished, rotate, set_up, status, value, world};
use crate::world::{Outcome, PATIENCE, condition, said};

/// What a provider refuses is told on the objects, and mended when it is mended.
#[tokio::test(flavor = "multi_thread")]
async fn what_is_wrong_with_a_provider_is_told() -> Outcome {
    let server = Arc::new(ContractServer::start(Wire::Grafana).await?);
    let mut example = example("http/grafana-service-account", &server);
    let world = world("recipe-troubles", BTreeMap::from([(example.token.clone(), server.clone())])).await?;
    let ready = async |what: &str, says: &str| {
        until(what, PATIENCE, async || {
            let provider = world.space.api::<TokenProvider>().get("grafana").await.ok()?;
            let conditions = provider.status?.conditions;
            let is_said = said(&conditions).1.contains(says);
            conditions.into_iter().find(|one| is_said && one.type_ == "Ready")
        })
        .await
    };
    let reported = async |says: &str| {
        until(says, PATIENCE, async || {
            let status = status(&world, "dashboards").await?;
            said(&status.conditions).1.contains(says).then_some(())
        })
        .await
    };
    // A recipe that cannot work: the place and the reason.
    let revoke = example.objects[0]["spec"]["http"]["revoke"].take();
    example.objects[0]["spec"]["http"]["revoke"] =
        json!({"request": {"method": "DELETE", "path": "/tokens/${token.nope}"}});
    for object in &example.objects {
        world.apply(&object.to_string()).await?;
    }
    let condition = ready("the recipe to be refused", "revoke.request.path").await?;
    assert_eq!(
        (condition.status.as_str(), condition.reason.as_str()),
        ("False", "InvalidSpec"),
        "{}",
        condition.message
    );
    reported("revoke.request.path").await?;
    // The credential is missing.
    example.objects[0]["spec"]["http"]["revoke"] = revoke;
    world.apply(&example.objects[0].to_string()).await?;
    ready("the credential to be missed", "does not exist; create it").await?;
    reported("does not exist; create it").await?;
    assert!(server.seen().is_empty());
    // It is there, and wrong; then it is right.
    let secret = json!({"metadata": {"name": "grafana-admin"}, "stringData": {"token": "wrong"}});
    world.space.api::<Secret>().create(&PostParams::default(), &serde_json::from_value(secret)?).await?;
    reported("does not accept the operator's credential").await?;
    let right = Patch::Merge(json!({"stringData": {"token": ADMIN}}));
    world.space.api::<Secret>().patch("grafana-admin", &PatchParams::default(), &right).await?;
    rotate(&world, "dashboards", "mended").await?;
    finished(&world, "dashboards", 1).await?;
    ready("the provider to be ready", "its credential is there").await?;
    tokio::time::sleep(Duration::from_millis(100)).await;
    assert_eq!(server.store().alive().len(), 1);
    Ok(())
}

/// The provider is asked whether it accepts the credential, and for how long.
#[tokio::test(flavor = "multi_thread")]
async fn a_credential_that_expires_or_is_refused_is_told() -> Outcome {
    let server = Arc::new(ContractServer::start(Wire::GitLab).await?);
    let mut example = example("http/gitlab-project-token", &server);
    let world = world("credential", BTreeMap::from([(example.token.clone(), server.clone())])).await?;
    let ready = async |reason: &str, status: &str| {
        until(reason, PATIENCE, async || {
            let provider = world.space.api::<TokenProvider>().get("gitlab").await.ok()?;
            let conditions = provider.status?.conditions;
            let is_so = |one: &Condition| one.type_ == "Ready" && one.reason == reason && one.status == status;
            conditions.iter().any(is_so).then(|| said(&conditions).1)
        })
        .await
    };
    let secret = json!({"metadata": {"name": example.credential}, "stringData": {"token": ADMIN}});
    world.space.api::<Secret>().create(&PostParams::default(), &serde_json::from_value(secret)?).await?;
    let day = (jiff::Timestamp::now() + Duration::from_secs(5 * 86_400)).to_string()[..10].to_owned();
    server.plan(Operation::Verify, Fault::Refused(200, json!({"active": true, "expires_at": day})));
    world.apply(&example.objects[0].to_string()).await?;
    let message = ready("CredentialExpiring", "True").await?;
    assert!(message.contains(&day), "{message}");
    until("a warning on the provider object", PATIENCE, async || {
        let events = world.space.api::<Event>().list(&kube::api::ListParams::default()).await.ok()?.items;
        let about = |event: &Event| event.regarding.as_ref().and_then(|object| object.kind.clone());
        events.into_iter().find(|event| {
            event.reason.as_deref() == Some("CredentialExpiring") && about(event).as_deref() == Some("TokenProvider")
        })
    })
    .await?;
    // Another one is put there, and it is wrong; then it is right.
    let put = async |token: &str| {
        let patch = Patch::Merge(json!({"stringData": {"token": token}}));
        world.space.api::<Secret>().patch(&example.credential, &PatchParams::default(), &patch).await
    };
    put("wrong").await?;
    example.objects[0]["spec"]["http"]["timeout"] = json!("9s");
    world.apply(&example.objects[0].to_string()).await?;
    let message = ready("CredentialRejected", "False").await?;
    assert!(message.contains(&example.credential), "{message}");
    put(ADMIN).await?;
    let message = ready("ProviderAnswers", "True").await?;
    assert!(message.contains("accepts the credential"), "{message}");
    Ok(())
}

/// A mistake that no look at the recipe can find: it is mended for the token that it was made with, too.
#[tokio::test(flavor = "multi_thread")]
async fn a_recipe_that_is_mended_revokes_what_was_minted_with_it() -> Outcome {
    let server = Arc::new(ContractServer::start(Wire::GitLab).await?);
    let mut example = example("http/gitlab-project-token", &server);
    let path = example.objects[0]["spec"]["http"]["revoke"]["request"]["path"].clone();
    let revoke = |path: &serde_json::Value| json!({"request": {"method": "DELETE", "path": path}, "answer": {"statuses": {"404": "Refused"}}});
    example.objects[0]["spec"]["http"]["revoke"] = revoke(&json!("/nowhere/${token.id}"));
    let world = world("mended-recipe", BTreeMap::from([(example.token.clone(), server.clone())])).await?;
    set_up(&world, &example).await?;
    let old = value(&world, &example).await?;
    world.holders(&Token::new(&old).fingerprint(), 2).await?;
    rotate(&world, &example.token, "again").await?;
    until("the revoke to be refused", PATIENCE, async || {
        let status = status(&world, &example.token).await?;
        said(&status.conditions).1.contains("cannot revoke").then_some(())
    })
    .await?;
    assert!(server.accepts(&old));
    example.objects[0]["spec"]["http"]["revoke"] = revoke(&path);
    world.apply(&example.objects[0].to_string()).await?;
    finished(&world, &example.token, 2).await?;
    assert!(!server.accepts(&old));
    world.assert_nobody_noticed().await
}

/// An operator that cannot use the provider any more said "Contested, look for a webhook".
#[tokio::test(flavor = "multi_thread")]
async fn a_provider_that_cannot_be_used_any_more_is_named_at_deletion() -> Outcome {
    let server = Arc::new(ContractServer::start(Wire::GitLab).await?);
    let example = example("http/gitlab-project-token", &server);
    let servers = BTreeMap::from([(example.token.clone(), server.clone())]);
    let mut world = crate::world::World::of_consumers("unusable", super::example::calls(servers)).await?;
    let flags = ["--allow-loopback-providers", "--allow-plain-http"];
    world = world.with_args(&flags);
    world.start_operator().await?;
    let secret = json!({"metadata": {"name": example.credential}, "stringData": example.holds});
    world.space.api::<Secret>().create(&PostParams::default(), &serde_json::from_value(secret)?).await?;
    for object in &example.objects {
        world.apply(&object.to_string()).await?;
    }
    finished(&world, &example.token, 1).await?;
    world.operators[0].terminate(PATIENCE).await?;
    world.operators.clear();
    world = world.without_args(&flags);
    world.start_operator().await?;
    world.tokens().delete(&example.token, &kube::api::DeleteParams::default()).await?;
    let status = until("the reason to be told", PATIENCE, async || {
        let status = status(&world, &example.token).await?;
        (condition(&status, "Stalled").0 == "ProviderMissing").then_some(status)
    })
    .await?;
    let (_, message) = condition(&status, "Stalled");
    assert!(message.contains("cannot use it any more") && message.contains("--allow"), "{message}");
    // The advice can be followed.
    let orphan = Patch::Merge(json!({"spec": {"deletionPolicy": "Orphan"}}));
    world.tokens().patch(&example.token, &PatchParams::default(), &orphan).await?;
    until("the object to go", PATIENCE, async || {
        world.tokens().get_opt(&example.token).await.ok()?.is_none().then_some(())
    })
    .await?;
    assert_eq!(server.store().alive().len(), 1);
    Ok(())
}
