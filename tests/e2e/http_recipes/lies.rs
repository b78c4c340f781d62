//! Recipes and providers that mislead, from the object to the server: no Secret, one token, revoked or named, and a
//! condition that says why.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use k8s_openapi::api::{core::v1::Secret, events::v1::Event};
use kube::api::{DeleteParams, ListParams, PostParams};
use serde_json::{Value, json};
use tokenturn::testkit::{
    contract::{ContractServer, Lie, Operation, Wire},
    wait::until,
};

use super::example::{Example, example, finished, status, world};
use crate::world::{Outcome, PATIENCE, World, condition};

/// A token without a Secret is fenced off by time, and one that is accepted for ever is waited for.
const LONG: Duration = Duration::from_secs(180);

type Change = fn(&mut Value);

/// An example, its wrong recipe or lying server, what is said of it, and whether its token lives.
type Wrong = (&'static str, Wire, &'static [Lie], Change, (&'static str, &'static str, bool));
const WRONG: [Wrong; 4] = [
    ("http/gitlab-project-token", Wire::GitLab, &[Lie::NamesCut(40)], |_| {}, ("RecipeWrong", "list.name", false)),
    (
        "http/grafana-service-account",
        Wire::Grafana,
        &[Lie::AcceptsAll],
        |_| {},
        ("TokenMayRemain", "verify.request accepts", false),
    ),
    (
        "http/oauth2-client-credentials",
        Wire::OAuth2,
        &[],
        |recipe| recipe["create"]["expires"] = json!({"path": "$.auth.lease"}),
        ("RecipeWrong", "create.expires ($.auth.lease)", false),
    ),
    // Nothing revokes a token by an id that nobody knows.
    (
        "http/cloudflare-account-token",
        Wire::Cloudflare,
        &[Lie::Lacks(Operation::Create, "id"), Lie::ListsNothing],
        |_| {},
        ("TokenMayRemain", "cannot be revoked by it", true),
    ),
];

async fn apply(world: &World, example: &Example) -> Outcome {
    let secret = json!({"metadata": {"name": example.credential}, "stringData": example.holds});
    world.space.api::<Secret>().create(&PostParams::default(), &serde_json::from_value(secret)?).await?;
    for object in &example.objects {
        world.apply(&object.to_string()).await?;
    }
    Ok(())
}

/// Five live tokens in 45 seconds, and a deletion that said that nothing was left.
#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_recipe_publishes_nothing_and_leaves_nothing_unnamed() -> Outcome {
    let (mut servers, mut examples) = (BTreeMap::new(), Vec::new());
    for (name, wire, lies, change, said) in WRONG {
        let server = Arc::new(ContractServer::start(wire).await?);
        server.store().behaviour.lies = lies.to_vec();
        let mut example = example(name, &server);
        let recipe = &mut example.objects[0]["spec"]["http"];
        recipe["activation"] = json!("3s");
        change(recipe);
        servers.insert(example.token.clone(), server.clone());
        examples.push((example, server, said));
    }
    let world = world("lies", servers).await?;
    futures::future::try_join_all(examples.iter().map(|(example, ..)| apply(&world, example))).await?;
    futures::future::try_join_all(examples.iter().map(async |(example, server, (reason, word, lives))| {
        until(&format!("{} to be stalled", example.token), LONG, async || {
            let (found, message) = condition(&status(&world, &example.token).await?, "Stalled");
            (found == *reason && message.contains(word) && message.contains("before it is changed")).then_some(())
        })
        .await?;
        // As long as five attempts took.
        tokio::time::sleep(Duration::from_secs(20)).await;
        assert_eq!(server.counts().0, 1, "{}: minted", example.token);
        let (_, message) = condition(&status(&world, &example.token).await.ok_or("a status")?, "Stalled");
        let alive = server.store().alive();
        assert!(alive.iter().all(|name| message.contains(name)), "{}: {alive:?} of {message}", example.token);
        assert_eq!(!alive.is_empty(), *lives, "{}: {alive:?}", example.token);
        assert!(world.space.api::<Secret>().get_opt(&example.secret).await?.is_none(), "{}", example.token);
        Outcome::Ok(())
    }))
    .await?;
    // The deletion says what is left, and where nothing is left the object goes without a word.
    let [.., left] = examples.as_slice() else { return Err("an example".into()) };
    world.tokens().delete(&left.0.token, &DeleteParams::default()).await?;
    until("the object to go", PATIENCE, async || {
        world.tokens().get_opt(&left.0.token).await.ok()?.is_none().then_some(())
    })
    .await?;
    let events = world.space.api::<Event>().list(&ListParams::default()).await?;
    let name = left.1.store().alive().join("");
    let is_told = |event: &Event| {
        event.action.as_deref() == Some("Delete") && event.note.as_deref().is_some_and(|note| note.contains(&name))
    };
    assert!(events.items.iter().any(is_told), "{name} is not named by any of {:?}", events.items);
    // The right recipe is tried at once.
    let (mended, server, _) = &examples[2];
    let mut provider = mended.objects[0].clone();
    provider["spec"]["http"]["create"]["expires"] = json!({"path": "$.expires_in", "format": "SecondsFromNow"});
    world.apply(&provider.to_string()).await?;
    finished(&world, &mended.token, 1).await?;
    assert_eq!(server.counts(), (2, 1));
    Ok(())
}
