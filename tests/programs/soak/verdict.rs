//! What the run has to show, found out from the servers and the consumers.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use futures::{StreamExt, TryStreamExt, stream};
use k8s_openapi::api::{
    authentication::v1::{TokenReview, TokenReviewSpec},
    core::v1::Secret,
};
use kube::{
    Api, ResourceExt,
    api::{ListParams, PostParams},
};
use serde_json::{Value, json};
use tokenturn::{
    api::names::{ROLE_BOUND, ROLE_LABEL, ROLE_TARGET},
    testkit::Token,
};

use super::{
    Failure,
    args::Plan,
    provider::{Provider, bound_to},
    replicas::{Replicas, Sample},
    scene::Scene,
};

/// Every name of a Secret that a token is bound to begins like this.
const BOUND_NAME: &str = "tokenturn-";

/// The API server remembers for ten seconds that it accepted a token.
const REMEMBERED: Duration = Duration::from_secs(11);

/// How much more memory than at the start a process may need while it leads: room for the connections and buffers of all
/// tokens that rotate at the same time, which the allocator does not give back.
const WORKING_MIB: f64 = 24.0;

/// How much the memory of a process may grow from the middle third of its rule to the last.
const DRIFT_MIB: f64 = 4.0;

/// Samples from which on a rule is long enough to be judged by its thirds.
const LONG_RULE: usize = 60;

pub struct Verdict {
    figures: Value,
    pub broken: Vec<String>,
}

/// Measured while the run went on.
pub struct Measured {
    pub kills: usize,
    pub rss_start_mib: f64,
    pub took: Duration,
}

impl Verdict {
    pub async fn of(
        scene: &Scene,
        plan: &Plan,
        provider: &Provider,
        replicas: &Replicas,
        measured: Measured,
    ) -> Result<Self, Failure> {
        let mut broken = Vec::new();
        let mut promise = |kept: bool, what: String| broken.extend((!kept).then_some(what));
        let Measured { kills, rss_start_mib, took } = measured;
        tokio::time::sleep(REMEMBERED).await;

        let calls: usize = scene.namespaces.iter().map(|namespace| total(scene, namespace)).sum();
        let accepted: usize = scene.namespaces.iter().map(|namespace| scene.history.accepted(namespace)).sum();
        let refused: usize = scene.namespaces.iter().map(|namespace| scene.history.refused(namespace)).sum();
        for call in scene.namespaces.iter().flat_map(|namespace| scene.history.refused_calls(namespace)).take(5) {
            eprintln!("soak: refused {call:?}");
        }
        promise(refused == 0, format!("{refused} calls of consumers were refused"));
        promise(accepted > 0, "no call of a consumer was accepted".to_owned());

        let live = names(scene, ROLE_BOUND, |secret| Some(secret.name_any())).await?;
        let (created, revoked) = counted(scene, &live)?;
        let published = names(scene, ROLE_TARGET, carried).await?;
        let orphans = live.difference(&published).count();
        promise(created == revoked + live.len(), format!("{created} created, {revoked} revoked, {} live", live.len()));
        promise(orphans == 0, format!("{orphans} living tokens are in no Secret of a workload"));
        promise(live == published, format!("{} Secrets and {} living tokens", published.len(), live.len()));
        promise(published.len() == plan.tokens, format!("{} Secrets of workloads", published.len()));

        let values = provider.values();
        let rotations = values.len().saturating_sub(plan.tokens);
        promise(rotations == plan.total(), format!("{rotations} rotations, {} were asked for", plan.total()));
        let wrong = wrongly_judged(scene, &values, &published).await?;
        promise(wrong.is_empty(), format!("dead that should live, or the other way round: {wrong:?}"));
        let current: BTreeSet<String> = values
            .iter()
            .filter(|(name, _)| published.contains(*name))
            .map(|(_, value)| Token::new(value).fingerprint())
            .collect();
        let held = scene.namespaces.iter().flat_map(|namespace| scene.history.holding(namespace).into_values());
        let stale = held.filter(|held| held.as_ref().is_none_or(|held| !current.contains(held))).count();
        promise(stale == 0, format!("{stale} consumers do not hold the token of their Secret"));

        promise(kills >= plan.least_kills, format!("only {kills} kills"));
        let logs: Vec<String> = replicas.logs().collect();
        promise(!logs.iter().any(|log| log.contains("panicked")), "a replica panicked".to_owned());
        let reported = values.values().filter(|value| logs.iter().any(|log| log.contains(value.as_str()))).count();
        promise(reported == 0, format!("{reported} tokens are in a log"));

        let rss_end_mib = replicas.leaders_mib().ok_or("nobody leads at the end")?;
        for (identity, samples) in replicas.samples() {
            eprintln!("soak: memory of {identity}: {}", course(samples));
            broken.extend(grown(samples, rss_start_mib).map(|how| format!("memory of {identity} {how}")));
        }
        let figures = json!({
            "rotations": rotations,
            "calls": calls,
            "refused": refused,
            "created": created,
            "revoked": revoked,
            "live": live.len(),
            "orphans": orphans,
            "rss_start_mib": round(rss_start_mib),
            "rss_end_mib": round(rss_end_mib),
            "kills": kills,
            "seconds": took.as_secs(),
        });
        Ok(Self { figures, broken })
    }

    /// The figures as one line of JSON.
    pub fn json(&self) -> &Value {
        &self.figures
    }
}

/// How many Secrets that tokens are bound to were made and deleted, by the audit log. A create that ended with an error of the
/// server may have made its Secret all the same: it did if that was deleted or is there.
fn counted(scene: &Scene, live: &BTreeSet<String>) -> Result<(usize, usize), Failure> {
    let (mut created, mut unknown, mut revoked) = (BTreeSet::new(), BTreeSet::new(), BTreeSet::new());
    for event in scene.plane.audit_events()? {
        if event.resource != "secrets" || !event.name.starts_with(BOUND_NAME) {
            continue;
        }
        match (event.verb.as_str(), event.code) {
            ("create", 201) => created.insert(event.name),
            ("create", 500..) => unknown.insert(event.name),
            ("delete", 200) => revoked.insert(event.name),
            _ => false,
        };
    }
    created.extend(unknown.into_iter().filter(|name| revoked.contains(name) || live.contains(name)));
    Ok((created.len(), revoked.len()))
}

async fn names(
    scene: &Scene,
    role: &str,
    name: impl Fn(&Secret) -> Option<String>,
) -> Result<BTreeSet<String>, Failure> {
    let params = ListParams::default().labels(&format!("{ROLE_LABEL}={role}"));
    let secrets = Api::<Secret>::all(scene.client.clone()).list(&params).await?;
    secrets
        .iter()
        .map(|secret| name(secret).ok_or_else(|| format!("{} has no token", secret.name_any()).into()))
        .collect()
}

/// What the token in a target is bound to.
fn carried(target: &Secret) -> Option<String> {
    bound_to(std::str::from_utf8(&target.data.as_ref()?.get("token")?.0).ok()?)
}

/// Tokens that are refused although they are published, or accepted although they are not.
async fn wrongly_judged(
    scene: &Scene,
    values: &BTreeMap<String, String>,
    published: &BTreeSet<String>,
) -> Result<Vec<String>, Failure> {
    let reviews: Api<TokenReview> = Api::all(scene.client.clone());
    let judged = stream::iter(values).map(|(name, value)| {
        let reviews = reviews.clone();
        async move {
            let spec = TokenReviewSpec { token: Some(value.clone()), audiences: None };
            let review = TokenReview { spec, ..TokenReview::default() };
            let status = reviews.create(&PostParams::default(), &review).await?.status;
            let accepted = status.is_some_and(|status| status.authenticated == Some(true));
            Ok::<_, Failure>((accepted != published.contains(name)).then(|| name.clone()))
        }
    });
    let judged: Vec<Option<String>> = judged.buffer_unordered(16).try_collect().await?;
    Ok(judged.into_iter().flatten().collect())
}

fn total(scene: &Scene, namespace: &str) -> usize {
    scene.history.counts(namespace).values().map(|counts| counts.accepted + counts.refused + counts.other).sum()
}

/// How a process used more memory than it should.
fn grown(samples: &[Sample], start: f64) -> Option<String> {
    let rule: Vec<f64> = samples.iter().filter(|sample| sample.leading).map(|sample| sample.mib).collect();
    let most = |part: &[f64]| part.iter().copied().fold(0.0, f64::max);
    let peak = most(&rule);
    if peak > start + WORKING_MIB {
        return Some(format!("reached {peak:.1} MiB, {WORKING_MIB} more than {start:.1} at the start are allowed"));
    }
    let third = rule.len() / 3;
    if rule.len() < LONG_RULE {
        return None;
    }
    let (middle, last) = (most(&rule[third..2 * third]), most(&rule[2 * third..]));
    (last > middle + DRIFT_MIB)
        .then(|| format!("went from {middle:.1} to {last:.1} MiB, {DRIFT_MIB} more are allowed while it leads"))
}

/// About ten samples of a process, a star where it led.
fn course(samples: &[Sample]) -> String {
    let step = samples.len().div_ceil(10).max(1);
    let shown = samples.iter().step_by(step).chain(samples.last());
    let reported = shown
        .map(|Sample { at, leading, mib }| format!("{}s {mib:.1}{}", at.as_secs(), if *leading { "*" } else { "" }));
    reported.collect::<Vec<_>>().join("  ")
}

fn round(value: f64) -> f64 {
    (value * 10.0).round() / 10.0
}
