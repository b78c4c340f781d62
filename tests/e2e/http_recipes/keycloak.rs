//! The two ways to use Keycloak, at a real one: access tokens of a client, and clients that are made and deleted.

use std::sync::Arc;

use futures::{FutureExt, future::BoxFuture};
use serde_json::{Value, json};
use tokenturn::testkit::{Keycloak, Outcome as Call, Realm, Seat, Token, consumer::TokenUse};

use super::example::{Example, finished, read, rotate, set_up, value, world_of};
use crate::world::Outcome;

const SECRET: &str = "canary s%cret &";

/// Whoever has an access token asks who it is; whoever has a client obtains a token with it.
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

/// Both at the same time.
#[tokio::test(flavor = "multi_thread")]
async fn access_tokens_and_clients_of_keycloak_rotate_under_their_consumers() -> Outcome {
    let realm = Arc::new(Keycloak::get().await?.realm(&["api:read"]).await?);
    let client = |id: &str, scopes: Value| json!({"clientId": id, "secret": SECRET, "optionalClientScopes": scopes});
    realm.client(&client("billing", json!(["api:read"]))).await?;
    let admin = realm.client(&client("tokenturn", json!([]))).await?;
    realm.may_manage_clients(&admin).await?;
    let world = world_of("keycloak", Arc::new(Consumers(realm.clone()))).await?;
    let examples = [access_tokens(&realm), clients(&realm)];
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
    assert_eq!(realm.clients("tokenturn-").await?.len(), 1, "no client is left behind");
    let logs: String = world.operators.iter().map(|operator| operator.logs()).collect();
    // A client's id is no secret: it is the token's name.
    let secrets = values.iter().map(|value| value.rsplit(':').next().unwrap_or_default());
    assert!(secrets.chain([SECRET]).all(|secret| !logs.contains(secret)));
    world.assert_nobody_noticed().await
}
