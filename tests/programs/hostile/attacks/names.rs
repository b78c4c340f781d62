//! Names that are more than names once they stand in a request.

use serde_json::{Value, json};

use super::secrets::{labelled, nobodys};
use crate::{Failure, attacker::Field, scene::rotated_token};

/// Queries, paths and breaks.
const ODD: [&str; 12] = [
    "?limit=500",
    "?limit=500#",
    "?watch=true",
    "",
    ".",
    "..",
    "../secrets?limit=500",
    "%2e%2e%2fsecrets",
    "a/b",
    "a#b",
    "a\r\nX-Evil: 1",
    "a\u{0}b",
];

/// A provider and an object for each name in a place of the recipe.
async fn in_recipes(field: &Field<'_>, names: &[String], place: &str) -> Result<(), Failure> {
    for (number, name) in names.iter().enumerate() {
        let mut recipe = field.own_recipe("names");
        if let Some(place) = recipe.pointer_mut(place) {
            *place = json!(name);
        }
        // What the API server refuses is no attack.
        let _ = field.recipe(&format!("odd-{number}"), &recipe).await;
    }
    field.hold().await;
    Ok(())
}

pub async fn query(field: &Field<'_>) -> Result<(), Failure> {
    let names: Vec<String> = ODD.iter().map(|name| (*name).to_owned()).collect();
    in_recipes(field, &names, "/credential/secretRef/name").await
}

/// Lead to the Secrets of victims and to the records.
pub async fn path(field: &Field<'_>) -> Result<(), Failure> {
    let mut names = vec!["../../tokenturn-system/secrets?limit=100".to_owned()];
    for victim in &field.scene.victims {
        let (namespace, name, uid) = (&victim.namespace, &victim.name, &victim.uid);
        names.push(format!("../../{namespace}/secrets/{name}"));
        names.push(format!("..%2f..%2f{namespace}%2fsecrets%2f{name}"));
        names.push(format!("../../tokenturn-system/secrets/record-{uid}"));
        names.push(format!("x/../../../{namespace}/secrets/{name}"));
    }
    in_recipes(field, &names, "/credential/secretRef/name").await
}

pub async fn owner_path(field: &Field<'_>) -> Result<(), Failure> {
    let victim = field.victim("api")?;
    let paths =
        [format!("../../{}/rotatedtokens/{}", victim.namespace, victim.name), "../../../../../version".to_owned()];
    let names = ODD.iter().map(|name| (*name).to_owned()).chain(paths);
    for (number, owner) in names.enumerate() {
        for (role, uid) in [("target", nobodys(number)), ("bound-token", victim.uid.clone())] {
            let _ = field.create("Secret", &labelled(&format!("owner-{role}-{number}"), role, &uid, &owner)).await;
        }
    }
    field.hold().await;
    Ok(())
}

pub async fn unicode(field: &Field<'_>) -> Result<(), Failure> {
    let texts =
        ["\u{202e}gnp", "\u{1f980}".repeat(64).leak(), "ａ", "\u{feff}", "'; DROP", "${credential.token}", "\u{1b}[2J"];
    for (number, text) in texts.iter().enumerate() {
        let name = format!("text-{number}");
        let mut token = rotated_token(&name, &json!({"name": text}));
        token["metadata"]["annotations"] = json!({"tokenturn.dev/rotate-now": text});
        token["spec"]["permissions"] = json!([text]);
        token["spec"]["parameters"] = json!({*text: text});
        let _ = field.create("RotatedToken", &token).await;
        let _ = field.create("Secret", &labelled(&name, "target", &nobodys(number), text)).await;
    }
    let names: Vec<String> = texts.iter().map(|text| (*text).to_owned()).collect();
    in_recipes(field, &names, "/credential/secretRef/name").await
}

pub async fn account(field: &Field<'_>) -> Result<(), Failure> {
    let provider = json!({
        "apiVersion": "tokenturn.dev/v1alpha1", "kind": "TokenProvider", "metadata": {"name": "cluster"},
        "spec": {"kubernetes": {}},
    });
    field.create("TokenProvider", &provider).await?;
    let victim = field.victim("api")?;
    let paths = [
        format!("../../{}/serviceaccounts/api-client", victim.namespace),
        "../../tokenturn-system/serviceaccounts/tokenturn".to_owned(),
        "../../tokenturn-system/serviceaccounts/tokenturn/token?".to_owned(),
    ];
    for (number, name) in paths.into_iter().chain(ODD.iter().map(|name| (*name).to_owned())).enumerate() {
        let mut token = rotated_token(&format!("account-{number}"), &json!({"name": "cluster"}));
        token["spec"]["parameters"] = json!({"serviceAccount": name});
        token["spec"]["permissions"] = json!(["get configmaps"]);
        let _ = field.create("RotatedToken", &token).await;
    }
    field.hold().await;
    for token in (0..).map(|number| format!("account-{number}")).take(3) {
        let secret = field.get("Secret", &token).await?;
        if secret.is_some_and(|secret| secret["data"]["token"].is_string()) {
            return Err(format!("{token} has a token of an account of another namespace").into());
        }
    }
    Ok(())
}

pub async fn rollout(field: &Field<'_>) -> Result<(), Failure> {
    let victim = field.victim("api")?;
    let paths =
        [format!("../../{}/deployments/{}", victim.namespace, victim.name), "x?fieldManager=y&force=true".to_owned()];
    let targets: Vec<Value> = ODD
        .iter()
        .map(|name| (*name).to_owned())
        .chain(paths)
        .map(|name| json!({"kind": "Deployment", "name": name}))
        .collect();
    field.provider("own", &field.own_recipe("own")).await?;
    for (number, target) in targets.iter().enumerate() {
        let mut token = rotated_token(&format!("rollout-{number}"), &json!({"name": "own"}));
        token["spec"]["rollout"] = json!({"mode": "Listed", "targets": [target]});
        if field.create("RotatedToken", &token).await.is_ok() {
            field.rotate(&format!("rollout-{number}"), "1").await?;
        }
    }
    field.hold().await;
    Ok(())
}
