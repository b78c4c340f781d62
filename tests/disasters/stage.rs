//! What every disaster needs: the control plane for itself, and figures that the operator has no part in.

use std::{collections::BTreeSet, time::Duration};

use k8s_openapi::api::core::v1::Secret;
use kube::{
    Api, ResourceExt,
    api::{ListParams, Patch, PatchParams},
};
use serde_json::json;
use tokenturn::testkit::{AuditEvent, ControlPlaneOptions, SharedControlPlane, Token, wait::until};
use tokio::sync::{Mutex, MutexGuard};

use crate::{
    faketime,
    world::{Outcome, PATIENCE, Scope, World, is},
};

static ALONE: Mutex<()> = Mutex::const_new(());

/// Every name of a Secret that a token is bound to begins like this.
const BOUND_NAME: &str = "tokenturn-";

/// Waits until no other disaster runs. The first one starts the control plane.
pub async fn alone() -> Result<MutexGuard<'static, ()>, Box<dyn std::error::Error>> {
    let guard = ALONE.lock().await;
    let options = ControlPlaneOptions {
        // One file, because everything is counted in it.
        api_server_args: vec!["--audit-log-maxsize=8000".to_owned()],
        controller_manager_args: vec![
            "--node-monitor-grace-period=8s".to_owned(),
            "--node-monitor-period=1s".to_owned(),
        ],
        certificate: faketime::old_certificate()?,
        ..ControlPlaneOptions::default()
    };
    SharedControlPlane::get_with(options).await?;
    Ok(guard)
}

/// A world with one operator for the whole cluster.
pub async fn cluster_wide(stem: &str) -> Result<World, Box<dyn std::error::Error>> {
    let mut world = World::in_scope(stem, Scope::Cluster).await?;
    world.start_operator().await?;
    Ok(world)
}

/// Asks for a rotation and waits until it is over and every consumer has the new token.
pub async fn rotate(world: &World, sequence: i64, consumers: usize) -> Outcome {
    world.rotate_now(&format!("rotation-{sequence}")).await?;
    world.finished(sequence).await?;
    world.holders(&world.fingerprint().await?, consumers).await
}

/// Waits for the end of a rotation some of whose pods ended while nobody watched: they count as gone only after their node
/// was in contact for 95 s.
pub async fn finished_late(world: &World, sequence: i64) -> Outcome {
    until(&format!("rotation {sequence} to end"), Duration::from_secs(300), async || {
        let status = world.tokens().get("api").await.ok()?.status?;
        (status.sequence == Some(sequence) && status.previous.is_none() && is(&status, "Reconciling", "False"))
            .then_some(())
    })
    .await
    .map_err(|error| format!("{error}\n{}", world.operators[0].logs()).into())
}

/// A moment in the audit log.
pub fn mark(world: &World) -> Result<usize, Box<dyn std::error::Error>> {
    Ok(world.space.audit_events()?.len())
}

/// What the operator of a world stored since a moment: neither its lease nor what was only tried or asked.
pub fn stored(world: &World, since: usize) -> Result<Vec<AuditEvent>, Box<dyn std::error::Error>> {
    let user = format!("system:serviceaccount:{}:tokenturn", world.system);
    let events = world.space.audit_events()?.into_iter().skip(since);
    let ours = events.filter(|event| event.user == user && event.resource != "leases");
    Ok(ours.filter(|event| !event.resource.contains("review") && !event.is_dry_run()).collect())
}

/// Names of the Secrets that tokens were bound to, created and deleted since a moment, by anybody.
pub fn tokens_made_and_ended(
    world: &World,
    since: usize,
) -> Result<(BTreeSet<String>, BTreeSet<String>), Box<dyn std::error::Error>> {
    let (mut made, mut ended) = (BTreeSet::new(), BTreeSet::new());
    for event in world.space.audit_events()?.into_iter().skip(since) {
        if event.resource == "secrets" && event.name.starts_with(BOUND_NAME) {
            match (event.verb.as_str(), event.code) {
                ("create", 201) => made.insert(event.name),
                ("delete", 200) => ended.insert(event.name),
                _ => false,
            };
        }
    }
    Ok((made, ended))
}

/// Secrets that tokens are bound to, in every namespace whose name begins so.
pub async fn all_live(world: &World, stem: &str) -> Result<BTreeSet<String>, kube::Error> {
    let params = ListParams::default().labels("tokenturn.dev/role=bound-token");
    let api: Api<Secret> = Api::all(world.space.client().clone());
    let all = api.list_metadata(&params).await?;
    let ours = all.iter().filter(|secret| secret.namespace().is_some_and(|namespace| namespace.starts_with(stem)));
    Ok(ours.map(ResourceExt::name_any).collect())
}

/// Resident memory of the first operator.
pub fn rss_mib(world: &World) -> Result<f64, Box<dyn std::error::Error>> {
    let kib = world.operators[0].rss_kib().ok_or("the operator has ended")?;
    Ok(f64::from(u32::try_from(kib)?) / 1024.0)
}

/// Exactly one token is alive, it is the one in the Secret, it works, and every consumer holds it.
pub async fn in_order(world: &World, consumers: usize) -> Outcome {
    let found = until("one token that works and that everybody holds", PATIENCE, async || {
        let token = world.token().await.ok()?;
        let live = world.live_tokens().await.ok()?;
        let holders = world.history.holders(&Token::new(&token).fingerprint()).len();
        let works = world.accepts(&token).await.ok()?;
        (works && live.len() == 1 && holders == consumers).then_some(())
    });
    if let Err(error) = found.await {
        let status = world.tokens().get("api").await?.status;
        let held: Vec<_> = world.history.holding(world.space.name()).into_values().collect();
        let logs: String = world.operators.iter().map(|operator| operator.logs()).collect();
        let live = world.live_tokens().await?;
        return Err(format!("{error}\nlive: {live:?}\nheld: {held:?}\nstatus: {status:#?}\n{logs}").into());
    }
    Ok(())
}

/// Nothing is stored for a while.
pub async fn quiet(world: &World, during: Duration) -> Outcome {
    // Sentences of a status are written at most every 15 s.
    tokio::time::sleep(Duration::from_secs(20)).await;
    let before = mark(world)?;
    tokio::time::sleep(during).await;
    let stored = stored(world, before)?;
    assert!(stored.is_empty(), "{} writes at rest, such as {:#?}", stored.len(), &stored[..stored.len().min(3)]);
    Ok(())
}

/// Takes our finalizer off, as somebody does who is in a hurry.
pub async fn strip_finalizer(world: &World, name: &str) {
    let strip = Patch::Merge(json!({"metadata": {"finalizers": null}}));
    // It may be gone already.
    let _ = world.tokens().patch(name, &PatchParams::default(), &strip).await;
}
