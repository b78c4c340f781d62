//! Tokens and calls at the account that the attacker shares with victims.

use serde_json::json;

use crate::{
    Failure,
    account::PROJECT,
    attacker::Field,
    scene::{SYSTEM, rotated_token},
};

/// How the installation calls its tokens: by the UID of its namespace.
async fn install(field: &Field<'_>) -> Result<String, Failure> {
    let path = format!("/api/v1/namespaces/{SYSTEM}");
    let namespace = crate::scene::get(&field.scene.client, &path).await?.ok_or("the operator's namespace is gone")?;
    let uid = namespace["metadata"]["uid"].as_str().ok_or("a namespace has no UID")?;
    Ok(uid.chars().filter(char::is_ascii_hexdigit).take(8).collect())
}

/// Mints a token at the account, as somebody who has a credential of it.
fn mint(field: &Field<'_>, name: &str) -> Result<(), Failure> {
    let permissions = vec![json!("read_api")];
    let mut store = field.scene.account.server().store();
    store.mint(PROJECT, name, permissions, None).map(drop).map_err(|why| format!("{why:?}").into())
}

/// Numbers that the operator would count on from.
pub async fn numbers(field: &Field<'_>) -> Result<(), Failure> {
    let install = install(field).await?;
    for victim in field.scene.victims.iter().filter(|victim| victim.name != "api") {
        let uid = &victim.uid;
        for numbers in ["1-9007199254740992", "9007199254740992-9007199254740992", "9007199254740991-1", "4000-4000"] {
            mint(field, &format!("tokenturn-{install}-{uid}-{numbers}"))?;
        }
    }
    field.victims_rotate().await?;
    field.victims_rotate().await
}

/// Tokens of somebody else: none of them is ended.
pub async fn look_alikes(field: &Field<'_>) -> Result<(), Failure> {
    let install = install(field).await?;
    let uid = field.victim("git")?.uid.clone();
    let other = super::secrets::nobodys(7);
    let names = [
        format!("tokenturn-{install}-{other}-1-1"),
        format!("tokenturn-00000000-{uid}-1-1"),
        format!("tokenturn-{install}-{uid}-01-1"),
        format!("tokenturn-{install}-{uid}-1-1 "),
        format!("tokenturn-{install}-{uid}-1-1-1"),
        format!("tokenturn-{install}-{uid}-1-+1"),
        format!("Tokenturn-{install}-{uid}-1-1"),
        format!("tokenturn-{install}-{uid}-1-99999999999999999999"),
        "\u{202e}".to_owned() + &uid,
        String::new(),
    ];
    for name in &names {
        mint(field, name)?;
    }
    field.victims_rotate().await?;
    let alive = field.scene.account.server().store().alive();
    let ended: Vec<&String> = names.iter().filter(|name| !alive.contains(name)).collect();
    // Their account is the victims' as well: they go as their owner would take them away.
    field.scene.account.server().store().revoke(|token| names.contains(&token.name));
    if ended.is_empty() { Ok(()) } else { Err(format!("tokens of somebody else were revoked: {ended:?}").into()) }
}

/// The attacker's object uses the provider that victims use.
async fn shared(field: &Field<'_>) -> Result<String, Failure> {
    let mut token = rotated_token("shared", &json!({"kind": "ClusterTokenProvider", "name": "shared"}));
    token["spec"]["parameters"] = json!({"project": PROJECT});
    token["spec"]["permissions"] = json!(["read_api"]);
    let created = field.create("RotatedToken", &token).await?;
    field.issued("shared").await?;
    Ok(created["metadata"]["uid"].as_str().ok_or("a created object has no UID")?.to_owned())
}

/// The attacker has used its own token so often that calls with it are refused for a day.
pub async fn token_limited(field: &Field<'_>) -> Result<(), Failure> {
    let uid = shared(field).await?;
    field.scene.account.refuse(&uid, 429, Some("86400"), usize::MAX);
    let before = field.scene.account.refused();
    field.rotate("shared", "1").await?;
    field.hold_until(async || field.scene.account.refused() > before).await;
    field.victims_rotate().await?;
    field.scene.account.oblige();
    // Who asked for a day is left alone for an hour, so nothing would tell until then whether this token is dead.
    field.patch("RotatedToken", "shared", &json!({"spec": {"deletionPolicy": "Orphan"}})).await?;
    Ok(())
}

/// The provider refuses the victims' tokens for a moment, to the operator only.
pub async fn refused_twice(field: &Field<'_>) -> Result<(), Failure> {
    for _ in 0..field.plan.number(3, 8) {
        for victim in field.scene.victims.iter().filter(|victim| victim.name != "api") {
            field.scene.account.refuse(&victim.uid, 401, None, 2);
        }
        field.hold().await;
        field.hold().await;
    }
    field.scene.account.oblige();
    field.victims_rotate().await
}
