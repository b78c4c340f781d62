//! The end of a run: everybody has gone, and nothing of them remains.

use std::time::{Duration, Instant};

use http::Method;
use serde_json::{Value, json};

use super::{
    Failure,
    attacker::STEM,
    judge::Judge,
    operator::Operator,
    say,
    scene::{self, SYSTEM, Scene, path, send},
    victims::Rotations,
};

/// How long the namespaces of attackers may take to go.
const GONE_WITHIN: Duration = Duration::from_secs(60);

/// How long the operator is watched after that.
const QUIET: Duration = Duration::from_secs(5);

/// How much more memory than before the first attack may be left at the end.
const LEFT_KIB: u64 = 40 << 10;

/// Under whom the operator writes.
const OPERATOR: &str = "system:serviceaccount:tokenturn-system:tokenturn";

pub struct Figures {
    pub rss_peak_mib: u64,
    pub healthz_max_ms: u128,
    pub victim_calls: usize,
    pub victim_refused: usize,
    pub values_printed: usize,
}

pub async fn figures(
    scene: &Scene,
    operator: &mut Operator,
    judge: &mut Judge,
    rotations: &Rotations,
) -> Result<Figures, Failure> {
    judge.open("the end", operator);
    gone(scene, operator, judge).await?;
    judge.look(scene, operator).await?;
    tokio::time::sleep(QUIET).await;
    remains(scene, operator, judge).await?;
    writes(scene, judge)?;
    let mut victim_calls = 0;
    for progress in rotations.progress() {
        let (whose, done, longest) = (&progress.whose, progress.done, progress.longest.as_secs());
        say(&format!("{whose}: {done} rotations, the longest took {longest} s"));
        if done == 0 {
            judge.broken(format!("{whose} was never rotated"));
        }
    }
    let mut victim_refused = 0;
    for namespace in scene.namespaces() {
        let counts = scene.history.counts(namespace);
        victim_calls += counts.values().map(|counts| counts.accepted + counts.refused + counts.other).sum::<usize>();
        victim_refused += scene.history.refused(namespace);
    }
    if victim_calls == 0 {
        judge.broken("no victim made a call".to_owned());
    }
    Ok(Figures {
        rss_peak_mib: judge.peak_kib >> 10,
        healthz_max_ms: judge.healthz.as_millis(),
        victim_calls,
        victim_refused,
        values_printed: judge.values_printed,
    })
}

/// Waits until no namespace of an attacker is left. What hangs is told, and its finalizers are taken off.
async fn gone(scene: &Scene, operator: &mut Operator, judge: &mut Judge) -> Result<(), Failure> {
    let started = Instant::now();
    loop {
        judge.tend(scene, operator).await?;
        let left = attackers(scene).await?;
        if left.is_empty() {
            return Ok(());
        }
        if started.elapsed() > GONE_WITHIN {
            judge.broken(format!(
                "namespaces are still there {} s after their deletion: {left:?}",
                GONE_WITHIN.as_secs()
            ));
            break;
        }
        tokio::time::sleep(Duration::from_millis(500)).await;
    }
    let tokens = scene::get(&scene.client, &path("", "RotatedToken")).await?.unwrap_or_default();
    for token in tokens["items"].as_array().into_iter().flatten() {
        let [namespace, name] =
            ["namespace", "name"].map(|field| token["metadata"][field].as_str().unwrap_or_default().to_owned());
        if namespace.starts_with(STEM) {
            say(&format!("{namespace}/{name} hangs: {}", token["status"]["conditions"]));
            let without = json!({"metadata": {"finalizers": null}});
            let path = format!("{}/{name}", path(&namespace, "RotatedToken"));
            send(&scene.client, Method::PATCH, &path, &without).await?;
        }
    }
    Ok(())
}

async fn attackers(scene: &Scene) -> Result<Vec<String>, Failure> {
    let all = scene::get(&scene.client, "/api/v1/namespaces").await?.unwrap_or_default();
    let names = all["items"].as_array().into_iter().flatten().filter_map(|one| one["metadata"]["name"].as_str());
    Ok(names.filter(|name| name.starts_with(STEM)).map(str::to_owned).collect())
}

/// Nothing of the attackers is in memory, log and metrics, but where a record says that a token of theirs is alive.
async fn remains(scene: &Scene, operator: &mut Operator, judge: &mut Judge) -> Result<(), Failure> {
    let records = scene::get(&scene.client, &path(SYSTEM, "Secret")).await?.unwrap_or_default();
    let owner =
        |record: &Value| record["metadata"]["annotations"]["tokenturn.dev/owner-namespace"].as_str().map(str::to_owned);
    let kept: Vec<String> = records["items"].as_array().into_iter().flatten().filter_map(owner).collect();
    let kept: Vec<String> = kept.into_iter().filter(|namespace| namespace.starts_with(STEM)).collect();
    if !kept.is_empty() {
        say(&format!("records of objects that went without the operator: {kept:?}"));
    }
    let is_known = |line: &&str| line.contains(STEM) && !kept.iter().any(|kept| line.contains(kept.as_str()));
    let log = operator.logged()?;
    if let Some(line) = log.lines().find(is_known) {
        let line: String = line.chars().take(240).collect();
        judge.broken(format!("the log speaks of attackers that are gone: {line}"));
    }
    let metrics = operator.metrics().await.unwrap_or_else(|error| {
        judge.broken(format!("/metrics: {error}"));
        String::new()
    });
    if let Some(line) = metrics.lines().find(is_known) {
        let line: String = line.chars().take(240).collect();
        judge.broken(format!("the metrics speak of attackers that are gone: {line}"));
    }
    let (base, now) = (judge.base_kib, operator.pulse.seen().now_kib);
    say(&format!("memory at the end: {} MiB, before the first attack {} MiB", now >> 10, base >> 10));
    if now > base + LEFT_KIB {
        judge.broken(format!("memory at the end is {} MiB, it was {} MiB", now >> 10, base >> 10));
    }
    Ok(())
}

/// In the namespaces of victims the operator has written what rotations need, and nothing else.
fn writes(scene: &Scene, judge: &mut Judge) -> Result<(), Failure> {
    for event in scene.plane.audit_events()? {
        let is_victims = scene.victims.iter().any(|victim| victim.namespace == event.namespace);
        if event.user != OPERATOR || !is_victims || !(200..300).contains(&event.code) || event.is_dry_run() {
            continue;
        }
        let of_ours = |name: &str| scene.victims.iter().any(|victim| victim.name == name);
        let (verb, name) = (event.verb.as_str(), event.name.as_str());
        let is_needed = match (event.resource.as_str(), event.subresource.as_str()) {
            ("secrets", "") if verb == "delete" => name.starts_with("tokenturn-"),
            ("secrets", "") => of_ours(name) || name.starts_with("tokenturn-") || name.is_empty(),
            ("serviceaccounts", "token") => name == "api-client",
            ("deployments", "") => verb == "patch" && of_ours(name),
            ("rotatedtokens", "" | "status") => of_ours(name) && verb != "delete",
            ("tokenproviders", "" | "status") => matches!(name, "cluster" | "own"),
            ("events", "") => true,
            _ => matches!(verb, "get" | "list" | "watch"),
        };
        if !is_needed {
            let (resource, subresource, namespace) = (&event.resource, &event.subresource, &event.namespace);
            judge.broken(format!("the operator sent {verb} {resource} {subresource} {namespace}/{name}"));
        }
    }
    Ok(())
}
