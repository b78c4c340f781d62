//! What kstatus says of a provider and its token while the provider does not do as it should.

use std::sync::Arc;

use k8s_openapi::api::core::v1::{Event, Secret};
use kube::api::{ListParams, PostParams};
use serde_json::json;
use tokenturn::{
    api::TokenProvider,
    testkit::{
        Token,
        contract::{ContractServer, Fault, Operation, Wire},
        wait::until,
    },
};

use super::example::{calls, example, finished, rotate, status, value};
use crate::{
    kstatus::Table,
    world::{Outcome, PATIENCE, World, condition, is, said},
};

#[tokio::test(flavor = "multi_thread")]
async fn kstatus_of_a_provider_and_its_token_is_what_is_so() -> Outcome {
    let server = Arc::new(ContractServer::start(Wire::GitLab).await?);
    let example = example("http/gitlab-project-token", &server);
    let world = World::of_consumers("kstatus-http", calls([(example.token.clone(), server.clone())].into())).await?;
    let mut world = world.with_args(&["--allow-loopback-providers", "--allow-plain-http"]);
    for object in &example.objects {
        world.apply(&object.to_string()).await?;
    }
    world.start_operator().await?;
    let mut table = Table::new(&world);
    let ready = async |reason: &str, value: &str| {
        until(reason, PATIENCE, async || {
            let conditions = world.space.api::<TokenProvider>().get("gitlab").await.ok()?.status?.conditions;
            conditions.into_iter().find(|one| one.type_ == "Ready" && one.reason == reason && one.status == value)
        })
        .await
    };
    ready("CredentialMissing", "False").await?;
    table.provider("provider lacks its credential").await?;
    until("an Event on the provider", PATIENCE, async || {
        let events = world.space.api::<Event>().list(&ListParams::default()).await.ok()?.items;
        let missing = events.iter().filter(|event| event.involved_object.kind.as_deref() == Some("TokenProvider"));
        (missing.filter(|event| event.reason.as_deref() == Some("CredentialMissing")).count() == 1).then_some(())
    })
    .await?;
    (0..4).for_each(|_| server.plan(Operation::Create, Fault::Status(503, Vec::new())));
    (0..4).for_each(|_| server.plan(Operation::Verify, Fault::Status(503, Vec::new())));
    let secret = json!({"metadata": {"name": example.credential}, "stringData": example.holds});
    world.space.api::<Secret>().create(&PostParams::default(), &serde_json::from_value(secret)?).await?;
    ready("ProviderUnavailable", "False").await?;
    table.provider("provider does not answer").await?;
    rotate(&world, &example.token, "sooner").await?;
    let issuing = until("the first issue to be under way", PATIENCE, async || {
        status(&world, &example.token).await.filter(|status| is(status, "Reconciling", "True"))
    });
    let issuing = issuing.await?;
    assert!(is(&issuing, "Ready", "False") && !said(&issuing.conditions).1.is_empty(), "{issuing:#?}");
    table.token("first issue").await?;
    finished(&world, &example.token, 1).await?;
    ready("ProviderAnswers", "True").await?;
    table.provider("provider answers").await?;

    (0..4).for_each(|_| server.plan(Operation::Revoke, Fault::Status(503, Vec::new())));
    let first = value(&world, &example).await?;
    rotate(&world, &example.token, "again").await?;
    until("the old token to be revoked", PATIENCE, async || {
        let status = status(&world, &example.token).await?;
        (status.sequence == Some(2) && status.previous.is_some() && is(&status, "PickedUp", "True")).then_some(())
    })
    .await?;
    table.token("revoking").await?;
    finished(&world, &example.token, 2).await?;
    assert_ne!(Token::new(&first).fingerprint(), Token::new(&value(&world, &example).await?).fingerprint());

    // Every call of the operator is answered with a redirect: that is no provider that is ready.
    for operation in [Operation::List, Operation::Create, Operation::Verify] {
        (0..6).for_each(|_| server.plan(operation, Fault::Redirect("https://login.example".to_owned())));
    }
    rotate(&world, &example.token, "redirected").await?;
    until("the redirect to be shown", PATIENCE, async || {
        let status = status(&world, &example.token).await?;
        (is(&status, "ProviderReady", "False") && condition(&status, "ProviderReady").1.contains("307")).then_some(())
    })
    .await?;
    table.assert_is(&[
        ("provider lacks its credential", "Failed"),
        ("provider does not answer", "InProgress"),
        ("first issue", "InProgress"),
        ("provider answers", "Current"),
        ("revoking", "Current"),
    ]);
    Ok(())
}
