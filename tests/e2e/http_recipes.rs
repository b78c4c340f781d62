//! The recipes under `examples`, from `kubectl apply` to the death of the old token: their consumers call the provider all
//! the time, and are never refused.

use std::{collections::BTreeMap, path::Path, sync::Arc, time::Duration};

use futures::{FutureExt, future::BoxFuture};
use k8s_openapi::api::{core::v1::Secret, events::v1::Event};
use kube::api::{Patch, PatchParams, PostParams};
use serde_json::{Value, json};
use tokenturn::{
    api::{RotatedTokenStatus, TokenProvider},
    testkit::{
        Outcome as Call, Seat, Token,
        consumer::TokenUse,
        contract::{self, ADMIN, ContractServer, Fault, Operation, Wire},
        install,
        wait::until,
    },
};

use crate::world::{Outcome, PATIENCE, World, condition, is};

/// The examples, and which provider each is of. The workload that uses a token is named like its RotatedToken.
const EXAMPLES: [(&str, Wire); 11] = [
    ("http/gitlab-project-token", Wire::GitLab),
    ("http/grafana-service-account", Wire::Grafana),
    ("http/cloudflare-account-token", Wire::Cloudflare),
    ("http/datadog-api-key", Wire::Datadog),
    ("http/sentry-organization-token", Wire::Sentry),
    ("http/sonarqube-user-token", Wire::SonarQube),
    ("http/artifactory-access-token", Wire::Artifactory),
    ("http/oauth2-client-credentials", Wire::OAuth2),
    ("fossa/api-token", Wire::Fossa),
    ("synoptic/public-token", Wire::Synoptic),
    ("oauth2/client-secret", Wire::OAuth2),
];

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

/// One example as it stands, but for where its provider is and how long the old token stays.
struct Example {
    objects: Vec<Value>,
    token: String,
    secret: String,
    key: String,
    credential: String,
    /// What new tokens have their settings from, or are made of.
    first: String,
}

fn example(name: &str, server: &ContractServer) -> Example {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("examples/{name}.yaml"));
    let text = std::fs::read_to_string(path).expect("the example");
    let documents = install::documents(&text).expect("YAML");
    let mut objects: Vec<Value> = documents.iter().map(|object| json!(object)).collect();
    let (kind, _) = name.split_once('/').expect("a folder");
    let settings = &mut objects[0]["spec"][kind];
    if kind == "oauth2" {
        let at = |path: &str| format!("{}/token{path}", server.url());
        settings["issuer"] = Value::Null;
        settings["endpoints"] =
            json!({"token": at(""), "introspection": at("/introspection"), "revocation": at("/revocation")});
        settings["client"]["clientId"] = json!(ADMIN);
    } else {
        settings["baseUrl"] = json!(server.url());
    }
    let named = [&settings["credential"]["secretRef"], &settings["credentialsRef"], &settings["client"]["secretRef"]];
    let credential = named.into_iter().find_map(|named| named["name"].as_str()).expect("a credential").to_owned();
    objects[1]["spec"]["gracePeriod"] = json!("0s");
    let secret = objects[1]["spec"]["secret"]["name"].as_str().expect("a Secret").to_owned();
    let data = objects[1]["spec"]["secret"]["data"].as_object();
    let key = data.and_then(|data| data.keys().next().cloned()).unwrap_or_else(|| "token".to_owned());
    let token = objects[1]["metadata"]["name"].as_str().expect("a name").to_owned();
    let first = match server.wire() {
        Wire::Synoptic => {
            server.store().mint("", "template", vec![json!("origins")], None).expect("a token").value.clone()
        }
        _ => server.store().consent("", vec![json!("api:read")]),
    };
    Example { objects, token, secret, key, credential, first }
}

async fn status(world: &World, token: &str) -> Option<RotatedTokenStatus> {
    world.tokens().get(token).await.ok()?.status
}

async fn finished(world: &World, token: &str, sequence: i64) -> Outcome {
    let what = format!("rotation {sequence} of {token} to be finished");
    let found = until(&what, PATIENCE, async || {
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
async fn world(
    stem: &str,
    servers: BTreeMap<String, Arc<ContractServer>>,
) -> Result<World, Box<dyn std::error::Error>> {
    let calls = Arc::new(Providers { servers, client: contract::client() });
    let world = World::of_consumers(stem, calls).await?;
    let mut world = world.with_args(&["--allow-loopback-providers", "--allow-plain-http", "--log-level=trace"]);
    world.start_operator().await?;
    Ok(world)
}

async fn set_up(world: &World, example: &Example) -> Outcome {
    let secret = json!({
        "metadata": {"name": example.credential},
        "stringData": {
            "token": ADMIN, "apiKey": ADMIN, "applicationKey": ADMIN, "username": ADMIN, "password": ADMIN, "userToken": ADMIN,
            "template": example.first, "refreshToken": example.first, "clientSecret": ADMIN,
        },
    });
    world.space.api::<Secret>().create(&PostParams::default(), &serde_json::from_value(secret)?).await?;
    for object in &example.objects {
        world.apply(&object.to_string()).await?;
    }
    finished(world, &example.token, 1).await?;
    let env = json!([{"name": "TOKEN", "valueFrom": {"secretKeyRef": {"name": example.secret, "key": example.key}}}]);
    let containers = json!([{"name": "app", "image": "none", "env": env}]);
    let changes = json!({"spec": {"template": {"spec": {"containers": containers}}}});
    world.deployment(&example.token, 2, changes).await?;
    Ok(())
}

async fn value(world: &World, example: &Example) -> Result<String, Box<dyn std::error::Error>> {
    let secret = world.space.api::<Secret>().get(&example.secret).await?;
    let value = secret.data.and_then(|mut data| data.remove(&example.key)).ok_or("the Secret lacks its key")?;
    Ok(String::from_utf8(value.0)?)
}

async fn rotate(world: &World, token: &str, request: &str) -> Outcome {
    let patch = json!({"metadata": {"annotations": {"tokenturn.dev/rotate-now": request}}});
    world.tokens().patch(token, &PatchParams::default(), &Patch::Merge(patch)).await?;
    Ok(())
}

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
        let ready =
            provider.status.iter().flat_map(|status| &status.conditions).find(|one| one.type_ == "ProviderReady");
        assert_eq!(ready.map(|ready| ready.status.as_str()), Some("True"), "{provider:?}");
    }
    let events = world.space.api::<Event>().list(&kube::api::ListParams::default()).await?;
    let mut told = events.items.iter().filter(|event| event.reason.as_deref() == Some("LeftBehind"));
    let told = told.next().ok_or("what a lost answer left behind at Synoptic Data is not told")?;
    assert_eq!(
        (told.regarding.as_ref().and_then(|object| object.name.as_deref()), told.type_.as_deref()),
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
            conditions.into_iter().find(|one| one.type_ == "ProviderReady" && one.message.contains(says))
        })
        .await
    };
    let told = async |says: &str| {
        until(says, PATIENCE, async || {
            let status = status(&world, "dashboards").await?;
            condition(&status, "Ready").1.contains(says).then_some(())
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
    told("revoke.request.path").await?;
    // The credential is missing.
    example.objects[0]["spec"]["http"]["revoke"] = revoke;
    world.apply(&example.objects[0].to_string()).await?;
    ready("the credential to be missed", "does not exist; create it").await?;
    told("does not exist; create it").await?;
    assert!(server.seen().is_empty());
    // It is there, and wrong; then it is right.
    let secret = json!({"metadata": {"name": "grafana-admin"}, "stringData": {"token": "wrong"}});
    world.space.api::<Secret>().create(&PostParams::default(), &serde_json::from_value(secret)?).await?;
    told("does not accept the operator's credential").await?;
    let right = Patch::Merge(json!({"stringData": {"token": ADMIN}}));
    world.space.api::<Secret>().patch("grafana-admin", &PatchParams::default(), &right).await?;
    rotate(&world, "dashboards", "mended").await?;
    finished(&world, "dashboards", 1).await?;
    ready("the provider to be ready", "its credential is there").await?;
    tokio::time::sleep(Duration::from_millis(100)).await;
    assert_eq!(server.store().alive().len(), 1);
    Ok(())
}

/// A token that nothing revokes: nobody waits for its end but the record, and the next rotation does not.
#[tokio::test(flavor = "multi_thread")]
async fn a_token_that_cannot_be_revoked_is_left_to_its_expiry() -> Outcome {
    let server = Arc::new(ContractServer::start(Wire::Licensing).await?);
    let example = example("licensing/access-token", &server);
    let world = world("reissue", BTreeMap::from([(example.token.clone(), server.clone())])).await?;
    set_up(&world, &example).await?;
    let mut values = vec![value(&world, &example).await?];
    for sequence in 2..4 {
        rotate(&world, &example.token, &sequence.to_string()).await?;
        until("the old token to be left to its expiry", PATIENCE, async || {
            let status = status(&world, &example.token).await?;
            let (reason, message) = condition(&status, "Reconciling");
            let left = reason == "AwaitingExpiry" && message.contains("ends by itself when it expires, at ");
            (status.sequence == Some(sequence) && left).then_some(())
        })
        .await?;
        values.push(value(&world, &example).await?);
        world.holders(&Token::new(&values[values.len() - 1]).fingerprint(), 2).await?;
    }
    assert!(values.iter().all(|value| server.accepts(value)), "nothing was revoked");
    assert_eq!((server.counts(), server.count(Operation::Revoke)), ((3, 3), 0));
    let reasons = world.event_reasons().await?;
    assert!(
        reasons.iter().any(|reason| reason == "AwaitingExpiry") && !reasons.iter().any(|reason| reason == "Revoked")
    );
    world.assert_nobody_noticed().await
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
    until("a person to be asked for a new token", PATIENCE, async || {
        let status = status(&world, &example.token).await?;
        condition(&status, "Reconciling").1.contains("put a new one there").then_some(())
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

/// The provider is asked whether it accepts the credential, and for how long.
#[tokio::test(flavor = "multi_thread")]
async fn a_credential_that_expires_or_is_refused_is_told() -> Outcome {
    let server = Arc::new(ContractServer::start(Wire::GitLab).await?);
    let mut example = example("http/gitlab-project-token", &server);
    let world = world("credential", BTreeMap::from([(example.token.clone(), server.clone())])).await?;
    let ready = async |reason: &str, status: &str| {
        until(reason, PATIENCE, async || {
            let provider = world.space.api::<TokenProvider>().get("gitlab").await.ok()?;
            let mut conditions = provider.status?.conditions.into_iter();
            conditions.find(|one| one.type_ == "ProviderReady" && one.reason == reason && one.status == status)
        })
        .await
    };
    let secret = json!({"metadata": {"name": example.credential}, "stringData": {"token": ADMIN}});
    world.space.api::<Secret>().create(&PostParams::default(), &serde_json::from_value(secret)?).await?;
    let day = (jiff::Timestamp::now() + Duration::from_secs(5 * 86_400)).to_string()[..10].to_owned();
    server.plan(Operation::Verify, Fault::Refused(200, json!({"active": true, "expires_at": day})));
    world.apply(&example.objects[0].to_string()).await?;
    let condition = ready("CredentialExpiring", "True").await?;
    assert!(condition.message.contains(&day), "{}", condition.message);
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
    let condition = ready("CredentialRejected", "False").await?;
    assert!(condition.message.contains(&example.credential), "{}", condition.message);
    put(ADMIN).await?;
    let condition = ready("ProviderAnswers", "True").await?;
    assert!(condition.message.contains("accepts the credential"), "{}", condition.message);
    Ok(())
}
