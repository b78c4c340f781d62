//! The ways to use Keycloak, at a real one: access tokens of a client, clients that are made and deleted, and secrets that one client has in turn.

use std::sync::Arc;

use futures::{FutureExt, future::BoxFuture};
use k8s_openapi::api::core::v1::Secret;
use kube::api::{Patch, PatchParams};
use serde_json::{Value, json};
use tokenturn::testkit::{Keycloak, Outcome as Call, Realm, Seat, Token, consumer::TokenUse};

use super::example::{Example, finished, read, rotate, set_up, value, world_of};
use crate::world::Outcome;

const SECRET: &str = "canary s%cret &";

/// The client whose secrets rotate.
const CLIENT: &str = "orders";

/// Whoever has an access token asks who it is; whoever has a client, or the secret of one, obtains a token with it.
struct Consumers(Arc<Realm>);

impl TokenUse for Consumers {
    fn call<'a>(&'a self, _: &'a Seat, token: &'a Token) -> BoxFuture<'a, Call> {
        async move {
            match accepts(&self.0, token.reveal()).await {
                Ok(status) => Call::Answered(status),
                Err(why) => Call::Unanswered(why.to_string()),
            }
        }
        .boxed()
    }
}

/// The status, where 401 stands for every refusal.
async fn accepts(realm: &Realm, value: &str) -> Result<u16, tokenturn::testkit::Error> {
    let status = match value.split_once(':') {
        Some((id, secret)) => realm.use_client(id, secret).await?,
        None if !value.contains('.') => realm.use_client(CLIENT, value).await?,
        None => realm.use_token(value).await?,
    };
    Ok(if status.is_client_error() { 401 } else { status.as_u16() })
}

/// Access tokens, which `userinfo` takes for the scope `openid`.
fn access_tokens(realm: &Realm) -> Example {
    let mut example = read("oauth2/client-secret", json!({"clientSecret": SECRET}), |settings| {
        settings["issuer"] = json!(realm.issuer());
        settings["scopes"] = json!(["openid", "api:read"]);
    });
    example.objects[1]["spec"]["permissions"] = json!(["openid", "api:read"]);
    example
}

fn clients(realm: &Realm) -> Example {
    let mut example = read("http/keycloak-client", json!({"clientSecret": SECRET}), |settings| {
        settings["baseUrl"] = json!(realm.url());
        let token = format!("{}/protocol/openid-connect/token", realm.issuer());
        settings["credential"]["oauth2"]["tokenUrl"] = json!(token);
    });
    example.objects[1]["spec"]["parameters"]["realm"] = json!(realm.name());
    example
}

/// Clients that are registered by a token of the realm.
fn registered(realm: &Realm, initial: &str) -> Example {
    let mut example = read("http/oauth2-client-registration", json!({"token": initial}), |settings| {
        settings["baseUrl"] = json!(realm.issuer());
        let path = "/clients-registrations/openid-connect";
        settings["create"]["request"]["path"] = json!(path);
        settings["revoke"]["request"]["path"] = json!(format!("{path}/${{token.id}}"));
        settings["verify"]["request"]["path"] = json!("/protocol/openid-connect/token");
    });
    // What the client is for is not what it can be found by.
    example.objects[1]["spec"]["permissions"] = json!(["api:read"]);
    example
}

/// Secrets of a client of the realm, by its internal id.
fn secrets(realm: &Realm, client: &str) -> Example {
    let mut example = read("http/keycloak-client-secret", json!({"clientSecret": SECRET}), |settings| {
        settings["baseUrl"] = json!(realm.url());
        let token = format!("{}/protocol/openid-connect/token", realm.issuer());
        settings["credential"]["oauth2"]["tokenUrl"] = json!(token);
    });
    example.objects[1]["spec"]["parameters"] = json!({"realm": realm.name(), "client": client, "clientId": CLIENT});
    example
}

/// All at the same time.
#[tokio::test(flavor = "multi_thread")]
async fn access_tokens_and_clients_of_keycloak_rotate_under_their_consumers() -> Outcome {
    let realm = Arc::new(Keycloak::get().await?.realm(&["api:read"]).await?);
    let client = |id: &str, scopes: Value| json!({"clientId": id, "secret": SECRET, "optionalClientScopes": scopes});
    realm.client(&client("billing", json!(["api:read"]))).await?;
    let admin = realm.client(&client("tokenturn", json!([]))).await?;
    realm.may_manage_clients(&admin).await?;
    let world = world_of("keycloak", Arc::new(Consumers(realm.clone()))).await?;
    let initial = realm.initial_access_token(&["api:read"]).await?;
    let mut examples = [access_tokens(&realm), clients(&realm), registered(&realm, &initial)];
    // Two of the examples have one name.
    examples[2].rename("registered");
    let rotated = examples.iter().map(async |example| {
        set_up(&world, example).await?;
        let old = value(&world, example).await?;
        world.holders(&Token::new(&old).fingerprint(), 2).await?;
        rotate(&world, &example.token, "again").await?;
        finished(&world, &example.token, 2).await?;
        let new = value(&world, example).await?;
        world.holders(&Token::new(&new).fingerprint(), 2).await?;
        let accepted = [accepts(&realm, &old).await?, accepts(&realm, &new).await?];
        assert_eq!(accepted, [401, 200], "{}", example.token);
        Ok::<_, Box<dyn std::error::Error>>([old, new])
    });
    let values = futures::future::try_join_all(rotated).await?.concat();
    assert_eq!(
        realm.clients("tokenturn-").await?.len(),
        2,
        "one that was made, one that was registered, none left behind"
    );
    let logs: String = world.operators.iter().map(|operator| operator.logs()).collect();
    // A client's id is no secret: it is the token's name.
    let secrets = values.iter().map(|value| value.rsplit(':').next().unwrap_or_default());
    assert!(secrets.chain([SECRET]).all(|secret| !logs.contains(secret)));
    world.assert_nobody_noticed().await
}

/// The client stays, and so does its secret for a while: nobody is refused. The operator's own client goes the same way, into the Secret that it
/// reads its credential from.
#[tokio::test(flavor = "multi_thread")]
async fn secrets_of_a_client_and_of_the_operator_rotate_under_their_consumers() -> Outcome {
    let realm = Arc::new(Keycloak::get().await?.realm(&[]).await?);
    realm.keeps_rotated_secrets().await?;
    let client = realm.client(&json!({"clientId": CLIENT, "secret": "canary of a person"})).await?;
    let admin = realm.client(&json!({"clientId": "tokenturn", "secret": SECRET})).await?;
    realm.may_manage_clients(&admin).await?;
    let world = world_of("secrets", Arc::new(Consumers(realm.clone()))).await?;
    let example = secrets(&realm, &client);
    set_up(&world, &example).await?;
    // The operator's own, which a person has put there and hands over.
    let adopted = json!({"metadata": {"annotations": {"tokenturn.dev/adopt": "own"}}});
    let credentials = world.space.api::<Secret>();
    credentials.patch(&example.credential, &PatchParams::default(), &Patch::Merge(adopted)).await?;
    let mut own = example.objects[1].clone();
    own["metadata"]["name"] = json!("own");
    own["spec"]["secret"] = json!({"name": example.credential, "data": {"clientSecret": "clientSecret"}});
    own["spec"]["parameters"]["client"] = json!(admin);
    own["spec"]["parameters"]["clientId"] = json!("tokenturn");
    world.apply(&own.to_string()).await?;
    finished(&world, "own", 1).await?;
    let own = async || {
        let data = credentials.get(&example.credential).await?.data.ok_or("the Secret is empty")?;
        Ok::<_, Box<dyn std::error::Error>>(String::from_utf8(data["clientSecret"].0.clone())?)
    };
    let mut past = Vec::new();
    for sequence in 2..4 {
        past = vec![value(&world, &example).await?, own().await?];
        world.holders(&Token::new(&past[0]).fingerprint(), 2).await?;
        for token in [&example.token, "own"] {
            rotate(&world, token, &sequence.to_string()).await?;
            finished(&world, token, sequence).await?;
        }
    }
    let now = [value(&world, &example).await?, own().await?];
    for (id, old, new) in [(CLIENT, &past[0], &now[0]), ("tokenturn", &past[1], &now[1])] {
        assert_ne!(old, new, "{id}");
        assert_eq!(realm.use_client(id, old).await?.as_u16(), 401, "{id}");
        assert_eq!(realm.use_client(id, new).await?.as_u16(), 200, "{id}");
    }
    let logs: String = world.operators.iter().map(|operator| operator.logs()).collect();
    assert!(past.iter().chain(&now).all(|secret| !logs.contains(secret.as_str())));
    world.assert_nobody_noticed().await
}
