//! What is no name reaches no path of a request: `secretRef.name: "?limit=500"` listed every Secret of the namespace, and the client
//! printed what it could not read as one Secret into the log, at the default level.

use std::{path::Path, time::Duration};

use base64::{Engine, prelude::BASE64_STANDARD};
use k8s_openapi::{
    api::core::v1::Secret, apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition,
};
use kube::{
    Api,
    api::{DeleteParams, Patch, PatchParams, PostParams},
};
use serde_json::{Value, json};
use tokenturn::{
    api::{RotatedToken, TokenProvider, object_name::SUBDOMAIN},
    testkit::{install, wait::until},
};

use crate::world::{Outcome, PATIENCE, World, condition, is};

/// What a list has in the place of a name.
const LIST: &str = "?limit=500";

/// A value that belongs into no log.
const VICTIM: &str = "6f1d8a0c-this-is-the-value-of-somebody-else-b27e";

/// A provider whose credential is named so.
fn provider(secret: &str) -> String {
    json!({
        "apiVersion": "tokenturn.dev/v1alpha1", "kind": "TokenProvider", "metadata": {"name": "lister"},
        "spec": {"http": {
            "baseUrl": "https://example.invalid",
            "credential": {"secretRef": {"name": secret}, "headers": {"Authorization": "Bearer ${credential.token}"}},
            "create": {
                "request": {"method": "POST", "path": "/tokens", "json": {"name": "${name}"}},
                "values": {"token": "$.token"}, "id": "$.id",
            },
            "list": {"request": {"path": "/tokens"}, "items": "$[*]", "id": "$.id", "name": "$.name"},
            "verify": {"request": {"path": "/me", "headers": {"Authorization": "Bearer ${token.values.token}"}}},
            "revoke": {"request": {"method": "DELETE", "path": "/tokens/${token.id}"}},
        }},
    })
    .to_string()
}

/// Takes the patterns of names out of the schemas, as they were before there were any.
async fn forget_patterns(world: &World) -> Outcome {
    let crds: Api<CustomResourceDefinition> = Api::all(world.space.client().clone());
    for name in ["tokenproviders.tokenturn.dev", "rotatedtokens.tokenturn.dev"] {
        let mut crd = serde_json::to_value(crds.get(name).await?)?;
        let found = strip(&mut crd["spec"]["versions"][0]["schema"], "");
        assert!(found > 1, "{name} has no patterns of names");
        let patch = json!({"spec": {"versions": crd["spec"]["versions"]}});
        crds.patch(name, &PatchParams::default(), &Patch::Merge(&patch)).await?;
    }
    Ok(())
}

/// Removes `pattern` wherever the schema of a field `name` has one; how many there were.
fn strip(schema: &mut Value, field: &str) -> usize {
    match schema {
        Value::Object(fields) => {
            // That of spec.secret.name is older, and tests beside this one rely on it.
            let is_new = field == "name" && fields.get("pattern") == Some(&json!(SUBDOMAIN));
            let own = usize::from(is_new && fields.remove("pattern").is_some());
            own + fields.iter_mut().map(|(name, value)| strip(value, name)).sum::<usize>()
        }
        Value::Array(items) => items.iter_mut().map(|item| strip(item, "")).sum(),
        _ => 0,
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_name_is_refused_and_lists_nothing_where_it_was_stored_before() -> Outcome {
    let mut world = World::without_operator("badnames").await?.with_args(&["--log-level=trace"]);
    let secret = json!({"metadata": {"name": "victim"}, "stringData": {"password": VICTIM}});
    world.space.api::<Secret>().create(&PostParams::default(), &serde_json::from_value(secret)?).await?;

    let listed = json!({"rollout": {"mode": "Listed", "targets": [{"kind": "Deployment", "name": LIST}]}});
    let error = world.apply(&provider(LIST)).await.err().ok_or("the schema lets it through")?;
    let error = format!("{error}: {}", error.source().map(ToString::to_string).unwrap_or_default());
    assert!(error.contains("secretRef.name"), "{error}");
    for changes in [json!({"providerRef": {"name": LIST}}), listed.clone()] {
        assert!(world.named_token("refused", changes.clone()).await.is_err(), "{changes}");
    }

    forget_patterns(&world).await?;
    let stored = async || world.apply(&provider(LIST)).await.ok();
    until("a schema without patterns", PATIENCE, stored).await?;
    let stored = async || world.named_token("names-no-provider", json!({"providerRef": {"name": LIST}})).await.ok();
    until("a schema without patterns", PATIENCE, stored).await?;
    world.rotated_token(listed).await?;
    install::install_crds(world.space.client(), &Path::new(env!("CARGO_MANIFEST_DIR")).join("crds")).await?;

    world.start_operator().await?;
    for name in ["api", "names-no-provider"] {
        let said = until("the object to be refused", PATIENCE, async || {
            let status = world.tokens().get(name).await.ok()?.status?;
            is(&status, "Stalled", "True").then(|| condition(&status, "Stalled"))
        });
        let (reason, message) = said.await?;
        assert_eq!(reason, "InvalidSpec", "{name}: {message}");
        assert!(message.contains("\"?limit=500\" cannot be the name of a "), "{name}: {message}");
    }
    let providers = world.space.api::<TokenProvider>();
    let said = until("the provider to be refused", PATIENCE, async || {
        let mut conditions = providers.get("lister").await.ok()?.status?.conditions.into_iter();
        conditions.find(|condition| condition.type_ == "Stalled")
    });
    let said = said.await?;
    assert_eq!((said.status.as_str(), said.reason.as_str()), ("True", "InvalidSpec"), "{}", said.message);
    assert!(said.message.contains("cannot be the name of a Secret"), "{}", said.message);

    assert_silent(&world);
    let tokens: Api<RotatedToken> = world.tokens();
    for name in ["api", "names-no-provider"] {
        tokens.delete(name, &DeleteParams::default()).await?;
        until("the object to go", Duration::from_secs(30), async || {
            tokens.get_opt(name).await.ok()?.is_none().then_some(())
        })
        .await?;
    }
    assert_silent(&world);
    Ok(())
}

/// Neither the value, nor its base64 form, nor any list of Secrets.
fn assert_silent(world: &World) {
    let log = world.operators[0].logs();
    assert!(log.contains("TRACE") || log.contains("DEBUG"), "the log is not at its most talkative");
    for part in [VICTIM, &BASE64_STANDARD.encode(VICTIM), "SecretList"] {
        assert!(!log.contains(part), "the log has {part}");
    }
}
