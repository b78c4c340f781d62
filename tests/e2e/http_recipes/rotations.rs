//! Every example is rotated, each in the way of its provider.

use std::{collections::BTreeMap, sync::Arc};

use k8s_openapi::api::{core::v1::Secret, events::v1::Event};
use kube::api::{Patch, PatchParams};
use serde_json::json;
use tokenturn::{
    api::TokenProvider,
    testkit::{
        Token,
        contract::{ADMIN, ContractServer, Fault, Operation, Wire},
        wait::until,
    },
};

use super::example::{DEATH, Example, example, finished, rotate, set_up, status, value, world};
use crate::world::{Outcome, PATIENCE, World, condition, said};

/// The examples, and which provider each is of. The workload that uses a token is named like its RotatedToken.
const EXAMPLES: [(&str, Wire); 12] = [
    ("http/gitlab-project-token", Wire::GitLab),
    ("http/grafana-service-account", Wire::Grafana),
    ("http/cloudflare-account-token", Wire::Cloudflare),
    ("http/datadog-api-key", Wire::Datadog),
    ("http/sentry-organization-token", Wire::Sentry),
    ("http/sonarqube-user-token", Wire::SonarQube),
    ("http/artifactory-access-token", Wire::Artifactory),
    ("http/oauth2-client-credentials", Wire::OAuth2),
    ("http/okta-client-secret", Wire::Okta),
    ("fossa/api-token", Wire::Fossa),
    ("synoptic/public-token", Wire::Synoptic),
    ("oauth2/client-secret", Wire::OAuth2),
];

/// Every recipe, at the same time: two rotations, the second after a create whose answer was lost.
#[tokio::test(flavor = "multi_thread")]
async fn every_recipe_rotates_under_its_consumers() -> Outcome {
    let mut servers = BTreeMap::new();
    let mut examples = Vec::new();
    for (name, wire) in EXAMPLES {
        let server = Arc::new(ContractServer::start(wire).await?);
        let example = example(name, &server);
        servers.insert(example.token.clone(), server.clone());
        examples.push((example, server));
    }
    let world = world("recipes", servers).await?;
    futures::future::try_join_all(examples.iter().map(|(example, _)| set_up(&world, example))).await?;
    futures::future::try_join_all(examples.iter().map(async |(example, server)| {
        let old = value(&world, example).await?;
        world.holders(&Token::new(&old).fingerprint(), 2).await?;
        // What FOSSA mints and does not answer, a person has to delete.
        if server.wire() != Wire::Fossa {
            server.plan(Operation::Create, Fault::DoneAndFailed);
        }
        rotate(&world, &example.token, "again").await?;
        finished(&world, &example.token, 2).await?;
        let new = value(&world, example).await?;
        world.holders(&Token::new(&new).fingerprint(), 2).await?;
        assert!(!server.accepts(&old) && server.accepts(&new), "{}", example.token);
        // The lost one and the old one are revoked; of OAuth 2.0 and Synoptic Data, where there is a template too, the lost one has to
        // expire.
        let counts = match server.wire() {
            Wire::Fossa => (2, 1),
            Wire::OAuth2 => (3, 2),
            Wire::Synoptic => (4, 3),
            _ => (3, 1),
        };
        assert_eq!(server.counts(), counts, "{}", example.token);
        assert_eq!(server.strange(), Vec::<String>::new(), "{}", example.token);
        Outcome::Ok(())
    }))
    .await?;
    let providers = world.space.api::<TokenProvider>().list(&kube::api::ListParams::default()).await?;
    for provider in providers.items.iter().filter(|provider| provider.spec.backend.kubernetes.is_none()) {
        let ready = provider.status.iter().flat_map(|status| &status.conditions).find(|one| one.type_ == "Ready");
        assert_eq!(ready.map(|ready| ready.status.as_str()), Some("True"), "{provider:?}");
    }
    let events = world.space.api::<Event>().list(&kube::api::ListParams::default()).await?;
    // What ends when it expires is told too, at OAuth 2.0 by its name.
    let of = |event: &&Event| event.regarding.as_ref().and_then(|object| object.name.as_deref()) == Some("weather");
    let mut reported = events.items.iter().filter(|event| event.reason.as_deref() == Some("TokenMayRemain")).filter(of);
    let reported = reported.next().ok_or("what a lost answer left behind at Synoptic Data is not told")?;
    assert_eq!(
        (reported.regarding.as_ref().and_then(|object| object.name.as_deref()), reported.type_.as_deref()),
        (Some("weather"), Some("Warning"))
    );
    let logs: String = world.operators.iter().map(|operator| operator.logs()).collect();
    for (example, server) in &examples {
        for secret in server.store().values().iter().map(String::as_str).chain([ADMIN]) {
            assert!(!logs.contains(secret), "{}", example.token);
        }
    }
    world.assert_nobody_noticed().await
}

/// Tokens that nothing revokes: nobody waits for their end but the record, and the next rotation does not.
#[tokio::test(flavor = "multi_thread")]
async fn a_token_that_cannot_be_revoked_is_left_to_its_expiry() -> Outcome {
    let mut servers = BTreeMap::new();
    let mut examples = Vec::new();
    for (name, wire) in [("licensing/access-token", Wire::Licensing), ("fossa/exchange", Wire::Fossa)] {
        let server = Arc::new(ContractServer::start(wire).await?);
        let example = example(name, &server);
        servers.insert(example.token.clone(), server.clone());
        examples.push((example, server));
    }
    let world = world("reissue", servers).await?;
    futures::future::try_join_all(examples.iter().map(|(example, server)| left_to_its_expiry(&world, example, server)))
        .await?;
    let reasons = world.event_reasons().await?;
    assert!(
        reasons.iter().any(|reason| reason == "AwaitingExpiry") && !reasons.iter().any(|reason| reason == "Revoked")
    );
    world.assert_nobody_noticed().await
}

async fn left_to_its_expiry(world: &World, example: &Example, server: &ContractServer) -> Outcome {
    set_up(world, example).await?;
    let mut values = vec![value(world, example).await?];
    for sequence in 2..4 {
        rotate(world, &example.token, &sequence.to_string()).await?;
        until("the old token to be left to its expiry", PATIENCE, async || {
            let status = status(world, &example.token).await?;
            let (reason, message) = said(&status.conditions);
            let left = reason == "AwaitingExpiry" && message.contains("ends by itself when it expires, at ");
            (status.sequence == Some(sequence) && left).then_some(())
        })
        .await?;
        values.push(value(world, example).await?);
        world.holders(&Token::new(&values[values.len() - 1]).fingerprint(), 2).await?;
    }
    assert!(values.iter().all(|value| server.accepts(value)), "nothing was revoked");
    assert_eq!((server.counts(), server.count(Operation::Revoke)), ((3, 3), 0));
    Ok(())
}

/// Each refresh token is shown once. After a lost answer nothing more is shown until a person gives a new one; workloads go on with the
/// access token that they have.
#[tokio::test(flavor = "multi_thread")]
async fn a_refresh_token_is_rotated_in_place() -> Outcome {
    let server = Arc::new(ContractServer::start(Wire::OAuth2).await?);
    let example = example("http/oauth2-refresh-token", &server);
    let world = world("in-place", BTreeMap::from([(example.token.clone(), server.clone())])).await?;
    set_up(&world, &example).await?;
    let warned = status(&world, &example.token).await.ok_or("a status")?;
    assert_eq!(condition(&warned, "Overlap").0, "InPlace");
    rotate(&world, &example.token, "again").await?;
    finished(&world, &example.token, 2).await?;
    let second = value(&world, &example).await?;
    world.holders(&Token::new(&second).fingerprint(), 2).await?;
    server.plan(Operation::Refresh, Fault::DoneAndFailed);
    rotate(&world, &example.token, "lost").await?;
    until("a person to be asked for a new token", DEATH, async || {
        let status = status(&world, &example.token).await?;
        said(&status.conditions).1.contains("put a new one there").then_some(())
    })
    .await?;
    assert_eq!(value(&world, &example).await?, second);
    assert_eq!(server.count(Operation::Refresh), 3, "used up, and not shown again");
    let consent = server.store().consent("", vec![json!("api:read")]);
    let given = Patch::Merge(json!({"stringData": {"refreshToken": consent}}));
    world.space.api::<Secret>().patch(&example.credential, &PatchParams::default(), &given).await?;
    rotate(&world, &example.token, "mended").await?;
    finished(&world, &example.token, 3).await?;
    let third = value(&world, &example).await?;
    world.holders(&Token::new(&third).fingerprint(), 2).await?;
    assert_eq!((server.count(Operation::Refresh), server.count(Operation::Revoke)), (4, 0));
    assert!([&second, &third].iter().all(|value| server.accepts(value)), "no family was ended");
    world.assert_nobody_noticed().await
}
