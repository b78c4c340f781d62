//! A token that others are minted with: its rotation ends them.

use std::{collections::BTreeMap, sync::Arc};

use k8s_openapi::api::core::v1::Secret;
use kube::api::{Patch, PatchParams};
use serde_json::json;
use tokenturn::testkit::{
    Token,
    contract::{ADMIN, ContractServer, Wire},
    wait::until,
};

use super::example::{DEATH, example, finished, set_up, status, value, world};
use crate::world::{Outcome, PATIENCE, condition};

/// A User Token that leaked is replaced in place: with it go its access tokens, and new ones are there at once.
#[tokio::test(flavor = "multi_thread")]
async fn access_tokens_follow_the_user_token_that_they_are_minted_with() -> Outcome {
    let server = Arc::new(ContractServer::start(Wire::Licensing).await?);
    let access = example("licensing/access-token", &server);
    let mut user = example("licensing/user-token", &server);
    let world = world("chain", BTreeMap::from([(access.token.clone(), server.clone())])).await?;
    set_up(&world, &access).await?;
    let first = value(&world, &access).await?;
    let adopted = json!({"metadata": {"annotations": {"tokenturn.dev/adopt": user.token}}});
    let secrets = world.space.api::<Secret>();
    secrets.patch(&access.credential, &PatchParams::default(), &Patch::Merge(adopted)).await?;
    for object in &user.objects {
        world.apply(&object.to_string()).await?;
    }
    // It is told before anything happens, and nothing happens.
    until("the warning", PATIENCE, async || {
        let status = status(&world, &user.token).await?;
        (condition(&status, "Overlap").0 == "InPlace").then_some(())
    })
    .await?;
    assert!(server.accepts(&first));
    let leaked = secrets.get(&user.secret).await?.data.expect("data")["userToken"].clone();
    assert_eq!(leaked.0, ADMIN.as_bytes());
    user.objects[1]["spec"]["suspend"] = json!(false);
    world.apply(&user.objects[1].to_string()).await?;
    finished(&world, &user.token, 1).await?;
    let sequence = async || status(&world, &access.token).await.and_then(|status| status.sequence);
    until("another access token", DEATH, async || (sequence().await? == 2).then_some(())).await?;
    let second = value(&world, &access).await?;
    world.holders(&Token::new(&second).fingerprint(), 2).await?;
    assert!(!server.accepts(&first) && server.accepts(&second));
    let logs: String = world.operators.iter().map(|operator| operator.logs()).collect();
    let values = server.store().values();
    assert!(values.iter().map(String::as_str).chain([ADMIN]).all(|secret| !logs.contains(secret)));
    Ok(())
}
