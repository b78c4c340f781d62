//! Bad input: refused at apply, or Stalled with a reason and a sentence that says what to do; nothing is minted or loops.

use std::time::Duration;

use kube::api::{Patch, PatchParams};
use serde_json::{Value, json};

use crate::world::{Outcome, World, condition, is, said};

/// Waits until the object is stalled and says why.
async fn stalled(world: &World) -> Result<(String, String), Box<dyn std::error::Error>> {
    let status = world.status("the object to stall", |status| is(status, "Stalled", "True")).await?;
    assert!(is(&status, "Ready", "False") && is(&status, "Reconciling", "False"));
    Ok(condition(&status, "Stalled"))
}

#[tokio::test(flavor = "multi_thread")]
async fn specs_that_cannot_be_meant_are_refused_at_apply() -> Outcome {
    let world = World::without_operator("refused").await?;
    let long_name = "x".repeat(64);
    let refused = [
        ("api", json!({"interval": "59s"}), "interval must be at least 1m"),
        ("api", json!({"interval": "soon"}), "spec.interval"),
        ("api", json!({"interval": ""}), "spec.interval"),
        ("api", json!({"interval": null}), "spec.interval"),
        ("api", json!({"gracePeriod": "-1h"}), "spec.gracePeriod"),
        ("api", json!({"interval": "1h", "renewBefore": "1h"}), "renewBefore must be shorter"),
        ("api", json!({"secret": {"name": "Not_A_Name"}}), "spec.secret.name"),
        ("api", json!({"secret": {"data": {"a/b": "token"}}}), "letters, digits"),
        ("api", json!({"secret": {"data": {}}}), "spec.secret.data"),
        ("api", json!({"secret": {"labels": {"tokenturn.dev/role": "target"}}}), "labels of tokenturn itself"),
        ("api", json!({"secret": {"annotations": {"tokenturn.dev/fence": "1"}}}), "annotations of tokenturn itself"),
        ("api", json!({"rollout": {"mode": "Listed"}}), "rollout.targets is needed for mode Listed"),
        (
            "api",
            json!({"rollout": {"targets": [{"kind": "Deployment", "name": "x"}]}}),
            "rollout.targets is needed for mode Listed",
        ),
        ("api", json!({"rollout": {"mode": "Listed", "targets": [{"kind": "Job", "name": "x"}]}}), "Unsupported value"),
        ("api", json!({"deletionPolicy": "Maybe"}), "Unsupported value"),
        ("api", json!({"providerRef": {"kind": "Provider"}}), "Unsupported value"),
        (&long_name, json!({}), "at most 63 characters"),
    ];
    for (name, changes, sentence) in refused {
        let error =
            world.named_token(name, changes.clone()).await.map(drop).err().ok_or(format!("{changes} was accepted"))?;
        assert!(error.to_string().contains(sentence), "{changes}: {error}");
    }
    for accepted in [
        json!({"interval": "1m"}),
        json!({"interval": "1d"}),
        json!({"interval": "1h30m"}),
        json!({"gracePeriod": "0s"}),
    ] {
        world.rotated_token(accepted.clone()).await.map_err(|error| format!("{accepted}: {error}"))?;
        world.tokens().delete("api", &Default::default()).await?;
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn what_workloads_rely_on_cannot_be_changed() -> Outcome {
    let world = World::without_operator("immutable").await?;
    world.rotated_token(json!({"secret": {"data": {"token": "token", "KEY": "token"}}})).await?;
    for (change, sentence) in [
        (json!({"name": "another"}), "secret.name cannot be changed"),
        (json!({"type": "tokenturn.dev/other"}), "secret.type cannot be changed"),
        (json!({"data": {"KEY": null}}), "cannot be removed"),
    ] {
        let error = world
            .patch(json!({"spec": {"secret": change}}))
            .await
            .map(drop)
            .err()
            .ok_or(format!("{change} was accepted"))?;
        assert!(error.to_string().contains(sentence), "{change}: {error}");
    }
    world.patch(json!({"spec": {"secret": {"data": {"MORE": "token"}}}})).await?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn providers_are_checked_at_apply() -> Outcome {
    let world = World::without_operator("providers").await?;
    let provider = |kind: &str, spec: Value| {
        json!({"apiVersion": "tokenturn.dev/v1alpha1", "kind": kind, "metadata": {"name": "other"}, "spec": spec})
            .to_string()
    };
    let oauth2 = json!({"issuer": "https://as.example", "client": {"secretRef": {"name": "client"}}});
    for (kind, spec, sentence) in [
        ("TokenProvider", json!({}), "name exactly one provider"),
        ("TokenProvider", json!({"kubernetes": {}, "oauth2": oauth2}), "name exactly one provider"),
        ("TokenProvider", json!({"oauth2": {"client": oauth2["client"]}}), "exactly one of issuer and endpoints"),
        (
            "TokenProvider",
            json!({"oauth2": {"client": oauth2["client"], "endpoints": {"token": "https://as.example/token"}}}),
            "set endpoints.introspection or verify.url",
        ),
        (
            "TokenProvider",
            json!({"kubernetes": {}, "policy": {"allowedNamespaces": ["a"]}}),
            "belongs to a ClusterTokenProvider",
        ),
        ("ClusterTokenProvider", json!({"kubernetes": {}}), "policy"),
        ("ClusterTokenProvider", json!({"kubernetes": {}, "policy": {}}), "must list the namespaces"),
        ("TokenProvider", json!({"kubernetes": {}, "policy": {"maxLiveTokens": 1}}), "maxLiveTokens"),
        ("TokenProvider", json!({"kubernetes": {}, "policy": {"minInterval": "x"}}), "minInterval"),
    ] {
        let error = world.apply(&provider(kind, spec.clone())).await.err().ok_or(format!("{spec} was accepted"))?;
        let error = format!("{error}: {}", error.source().map(ToString::to_string).unwrap_or_default());
        assert!(error.contains(sentence), "{spec}: {error}");
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn mistakes_that_only_the_operator_sees_stall_with_a_sentence() -> Outcome {
    let world = World::new("stalled").await?;
    world.rotated_token(json!({"providerRef": {"name": "absent"}})).await?;
    let mistakes = [
        (json!({}), "ProviderMissing", "create it or correct spec.providerRef"),
        (json!({"providerRef": {"name": "cluster"}, "permissions": ["fly configmaps"]}), "UnknownPermission", "fly"),
        (json!({"permissions": ["get unicorns"]}), "UnknownPermission", "unicorns"),
        (
            json!({"permissions": ["get configmaps"], "parameters": {"serviceAccount": "nobody"}}),
            "InvalidSpec",
            "nobody",
        ),
        (json!({"parameters": {"serviceAccount": null}}), "InvalidSpec", "serviceAccount"),
        (json!({"parameters": {"serviceAccount": "api-client", "colour": "red"}}), "InvalidSpec", "colour"),
        (json!({"parameters": {"colour": null}, "secret": {"data": {"MORE": "colour"}}}), "InvalidSpec", "MORE"),
    ];
    for (change, reason, part) in mistakes {
        world.patch(json!({"spec": change.clone()})).await?;
        let generation = world.tokens().get("api").await?.metadata.generation;
        let status = world
            .status(&format!("{reason} for {change}"), |status| {
                status.observed_generation == generation && condition(status, "Stalled").0 == reason
            })
            .await?;
        let (_, message) = condition(&status, "Stalled");
        assert!(is(&status, "Stalled", "True") && message.contains(part), "{change}: {message}");
    }
    assert!(world.live_tokens().await?.is_empty(), "nothing was minted");
    // Mended, it goes on by itself.
    world.patch(json!({"spec": {"secret": {"data": {"MORE": "token"}}}})).await?;
    world.finished(1).await?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_provider_that_appears_later_is_noticed() -> Outcome {
    let world = World::new("later").await?;
    world.rotated_token(json!({"providerRef": {"name": "late"}})).await?;
    assert_eq!(stalled(&world).await?.0, "ProviderMissing");
    let provider = json!({"apiVersion": "tokenturn.dev/v1alpha1", "kind": "TokenProvider", "metadata": {"name": "late"}, "spec": {"kubernetes": {}}});
    world.apply(&provider.to_string()).await?;
    world.finished(1).await?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_that_was_granted_less_is_never_published() -> Outcome {
    let world = World::new("less").await?;
    world.rotated_token(json!({})).await?;
    world.finished(1).await?;
    let before = world.token().await?;
    world.patch(json!({"spec": {"permissions": ["get configmaps", "delete secrets"]}})).await?;
    let status = world
        .status("the missing permission to be told", |status| condition(status, "Ready").0 == "PermissionsMissing")
        .await?;
    assert!(said(&status.conditions).1.contains("delete secrets"));
    world
        .never("a publication", Duration::from_secs(3), async || world.token().await.is_ok_and(|now| now != before))
        .await?;
    assert!(world.accepts(&before).await?);
    // Granted, the next attempt succeeds.
    let role = json!({"rules": [
        {"apiGroups": [""], "resources": ["configmaps"], "verbs": ["get", "list"]},
        {"apiGroups": [""], "resources": ["secrets"], "verbs": ["delete"]},
    ]});
    let roles = world.space.api::<k8s_openapi::api::rbac::v1::Role>();
    roles.patch("api-client", &PatchParams::default(), &Patch::Merge(role)).await?;
    world.finished(2).await?;
    assert_eq!(world.live_tokens().await?.len(), 1, "refused tokens are revoked");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_first_token_that_was_granted_less_leaves_nothing_alive() -> Outcome {
    let world = World::new("first-less").await?;
    world.rotated_token(json!({"permissions": ["delete secrets"]})).await?;
    let reported = |status: &tokenturn::api::RotatedTokenStatus| condition(status, "Ready").0 == "PermissionsMissing";
    let status = world.status("the missing permission to be told", reported).await?;
    assert!(said(&status.conditions).1.contains("delete secrets"), "while the token is being revoked as well");
    assert!(world.space.api::<k8s_openapi::api::core::v1::Secret>().get_opt("api-token").await?.is_none());
    world.patch(json!({"spec": {"permissions": ["get configmaps", "list configmaps"]}})).await?;
    world.finished(1).await?;
    assert_eq!(world.live_tokens().await?.len(), 1);
    assert!(world.event_reasons().await?.contains(&"PermissionsMissing".to_owned()));
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_policy_is_kept() -> Outcome {
    let world = World::new("policy").await?;
    let policy = json!({"minInterval": "1h", "maxInterval": "90d", "allowedPermissions": ["get configmaps"]});
    let provider = json!({"apiVersion": "tokenturn.dev/v1alpha1", "kind": "TokenProvider", "metadata": {"name": "strict"}, "spec": {"kubernetes": {}, "policy": policy}});
    world.apply(&provider.to_string()).await?;
    world.rotated_token(json!({"providerRef": {"name": "strict"}, "interval": "5m"})).await?;
    let (reason, message) = stalled(&world).await?;
    assert_eq!(reason, "PolicyForbids");
    assert!(
        message.contains("shorter than 1h") && message.contains("list configmaps"),
        "all problems at once: {message}"
    );
    world.patch(json!({"spec": {"interval": "2h", "permissions": ["get configmaps"]}})).await?;
    world.finished(1).await?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_secret_that_cannot_be_written_mints_nothing() -> Outcome {
    let world = World::new("immutable-secret").await?;
    let secret = json!({"apiVersion": "v1", "kind": "Secret", "immutable": true, "stringData": {"token": "old"},
        "metadata": {"name": "api-token", "annotations": {"tokenturn.dev/adopt": "api"}}});
    world.apply(&secret.to_string()).await?;
    world.rotated_token(json!({})).await?;
    let (reason, message) = stalled(&world).await?;
    assert_eq!((reason.as_str(), message.contains("immutable")), ("CannotPublish", true), "{message}");
    assert!(world.live_tokens().await?.is_empty());
    Ok(())
}
