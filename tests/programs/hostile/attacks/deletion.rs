//! What is deleted in the wrong order.

use std::time::{Duration, Instant};

use http::Method;
use serde_json::json;

use crate::{
    Failure,
    account::{Account, PROJECT},
    attacker::Field,
    scene::{self, rotated_token, send},
};

/// How long a namespace may take to go: the namespace controller needs a few turns.
const GONE_WITHIN: Duration = Duration::from_secs(40);

/// By an administrator: credential, provider and object go at the same time. The namespace goes, and its token is revoked.
pub async fn namespace(field: &Field<'_>) -> Result<(), Failure> {
    field.create("Secret", &Account::credential("account")).await?;
    field.provider("own", &field.scene.account.recipe("account")?).await?;
    let mut token = rotated_token("own", &json!({"name": "own"}));
    token["spec"]["parameters"] = json!({"project": PROJECT});
    token["spec"]["permissions"] = json!(["read_api"]);
    let created = field.create("RotatedToken", &token).await?;
    let uid = created["metadata"]["uid"].as_str().ok_or("a created object has no UID")?.to_owned();
    field.issued("own").await?;
    let path = format!("/api/v1/namespaces/{}", field.namespace);
    send(&field.scene.client, Method::DELETE, &path, &json!({})).await?;
    let started = Instant::now();
    while scene::get(&field.scene.client, &path).await?.is_some() {
        if started.elapsed() > GONE_WITHIN {
            let without = json!({"metadata": {"finalizers": null}});
            let left = format!("{}/own", scene::path(&field.namespace, "RotatedToken"));
            let hung = scene::get(&field.scene.client, &left).await?.unwrap_or_default();
            let conditions = hung["status"]["conditions"].to_string();
            let _ = send(&field.scene.client, Method::PATCH, &left, &without).await;
            field.scene.account.server().store().revoke(|token| token.name.contains(&uid));
            let seconds = GONE_WITHIN.as_secs();
            return Err(format!("the namespace is still there after {seconds} s: {conditions}").into());
        }
        tokio::time::sleep(Duration::from_millis(250)).await;
    }
    let alive = field.scene.account.server().store().alive();
    let left: Vec<&String> = alive.iter().filter(|name| name.contains(&uid)).collect();
    if left.is_empty() { Ok(()) } else { Err(format!("the namespace went and its tokens live: {left:?}").into()) }
}
