//! Many tokens, in namespaces of the same size, that are issued and rotated together.

use std::{
    collections::HashSet,
    time::{Duration, Instant},
};

use futures::{StreamExt, TryStreamExt, pin_mut, stream};
use kube::{
    Api, ResourceExt,
    api::{Patch, PatchParams, PostParams},
    runtime::{WatchStreamExt, watcher},
};
use serde_json::{Value, json};
use tokenturn::api::{GoDuration, RotatedToken};

use super::{
    Failure, say,
    scene::{HANDS, PATIENCE, Scene},
};

/// Makes a RotatedToken of a name.
pub type Template = fn(&str) -> Result<RotatedToken, Failure>;

pub struct Crowd {
    stem: String,
    per_namespace: usize,
    template: Template,
    spaces: Vec<String>,
    /// Namespace and name of each token.
    tokens: Vec<(String, String)>,
    /// Number of the rotation that all of them have finished.
    sequence: i64,
}

impl Crowd {
    pub fn new(stem: &str, per_namespace: usize) -> Self {
        let (spaces, tokens) = (Vec::new(), Vec::new());
        Self {
            stem: stem.to_owned(),
            per_namespace: per_namespace.max(1),
            template: simple,
            spaces,
            tokens,
            sequence: 1,
        }
    }

    /// A crowd in one namespace that is there already.
    pub fn within(namespace: &str, template: Template) -> Self {
        let spaces = vec![namespace.to_owned()];
        Self {
            stem: namespace.to_owned(),
            per_namespace: usize::MAX,
            template,
            spaces,
            tokens: Vec::new(),
            sequence: 1,
        }
    }

    pub fn tokens(&self) -> &[(String, String)] {
        &self.tokens
    }

    pub fn spaces(&self) -> &[String] {
        &self.spaces
    }

    /// Makes the namespaces that so many tokens need.
    pub async fn prepare(&mut self, scene: &Scene, total: usize) -> Result<(), Failure> {
        let missing = total.div_ceil(self.per_namespace).saturating_sub(self.spaces.len());
        let stem = &self.stem;
        let made = stream::iter(0..missing).map(|_| scene.namespace(stem)).buffer_unordered(HANDS);
        self.spaces.extend(made.try_collect::<Vec<_>>().await?);
        Ok(())
    }

    /// Makes as many tokens as are missing to `total`, all as fast as the API server takes them, and waits for their issue.
    pub async fn grow(&mut self, scene: &Scene, total: usize) -> Result<Duration, Failure> {
        self.prepare(scene, total).await?;
        let first = self.tokens.len();
        say(&format!("issuing {} tokens", total.saturating_sub(first)));
        // One namespace after another has room; neighbours in time are in different ones.
        let full = first / self.per_namespace;
        let open = &self.spaces[full.min(self.spaces.len() - 1)..];
        self.tokens.extend(
            (first..total).map(|number| (open[(number - first) % open.len()].clone(), format!("token-{number:05}"))),
        );
        let started = Instant::now();
        let template = self.template;
        let creates = stream::iter(&self.tokens[first..]).map(|(namespace, name)| async move {
            let token = template(name)?;
            scene.tokens(namespace).create(&PostParams::default(), &token).await.map(drop).map_err(Failure::from)
        });
        let creates = creates.buffer_unordered(HANDS).try_for_each(|()| std::future::ready(Ok(())));
        futures::try_join!(creates, finished(scene, &self.tokens[first..], 1))?;
        Ok(started.elapsed())
    }

    /// Asks for one rotation of every token at the same time, and waits until the last is over: its old token is dead.
    pub async fn rotate(&mut self, scene: &Scene) -> Result<Duration, Failure> {
        self.sequence += 1;
        say(&format!("rotating {} tokens", self.tokens.len()));
        let patch = request(self.sequence);
        let started = Instant::now();
        let asked = stream::iter(&self.tokens).map(|(namespace, name)| {
            let patch = &patch;
            async move {
                let api = scene.tokens(namespace);
                api.patch_metadata(name, &PatchParams::default(), patch).await.map(drop).map_err(Failure::from)
            }
        });
        let asked = asked.buffer_unordered(HANDS).try_for_each(|()| std::future::ready(Ok(())));
        futures::try_join!(asked, finished(scene, &self.tokens, self.sequence))?;
        Ok(started.elapsed())
    }
}

/// The request for a rotation, with a value not seen before.
pub fn request(number: i64) -> Patch<Value> {
    Patch::Merge(json!({"metadata": {"annotations": {"tokenturn.dev/rotate-now": number.to_string()}}}))
}

/// Waits until all of these tokens have finished a rotation. It watches: to list them again and again would be measured too.
pub async fn finished(scene: &Scene, tokens: &[(String, String)], sequence: i64) -> Result<(), Failure> {
    until(scene, tokens, &format!("finish rotation {sequence}"), |token| is_finished(token, sequence)).await
}

/// Waits until a token is current, whatever becomes of the one before it.
pub async fn promoted(scene: &Scene, tokens: &[(String, String)], sequence: i64) -> Result<(), Failure> {
    let is_current = |token: &RotatedToken| token.status.as_ref().and_then(|status| status.sequence) == Some(sequence);
    until(scene, tokens, &format!("make token {sequence} current"), is_current).await
}

async fn until(
    scene: &Scene,
    tokens: &[(String, String)],
    what: &str,
    wanted: impl Fn(&RotatedToken) -> bool,
) -> Result<(), Failure> {
    let mut missing: HashSet<(String, String)> = tokens.iter().cloned().collect();
    let all: Api<RotatedToken> = Api::all(scene.client.clone());
    let seen = watcher(all, watcher::Config::default()).default_backoff().applied_objects();
    pin_mut!(seen);
    let mut reported = missing.len();
    while !missing.is_empty() {
        let Ok(token) = tokio::time::timeout(PATIENCE, seen.next()).await else {
            let log = scene.operator.logs();
            let tail: Vec<&str> = log.lines().rev().take(20).collect();
            let first = missing.iter().next();
            let tail = tail.join("\n");
            return Err(format!(
                "{} tokens do not {what}, such as {first:?}; the log, latest first:\n{tail}",
                missing.len()
            )
            .into());
        };
        let token = token.ok_or("the watch of RotatedTokens ended")??;
        if wanted(&token) {
            missing.remove(&(token.namespace().unwrap_or_default(), token.name_any()));
        }
        if missing.len() + 500 <= reported {
            reported = missing.len();
            say(&format!("{reported} of {} tokens left", tokens.len()));
        }
    }
    Ok(())
}

/// Whether a rotation is finished: its token is current and no older one is alive.
pub fn is_finished(token: &RotatedToken, sequence: i64) -> bool {
    token.status.as_ref().is_some_and(|status| {
        status.sequence == Some(sequence)
            && status.previous.is_none()
            && status.conditions.iter().any(|condition| condition.type_ == "Reconciling" && condition.status == "False")
    })
}

/// A token of the provider `cluster`.
pub fn simple(name: &str) -> Result<RotatedToken, Failure> {
    rotated_token(name, GoDuration::from_secs(0))
}

/// A RotatedToken as in README.md.
pub fn rotated_token(name: &str, grace: GoDuration) -> Result<RotatedToken, Failure> {
    let object: Value = json!({
        "apiVersion": "tokenturn.dev/v1alpha1",
        "kind": "RotatedToken",
        "metadata": {"name": name},
        "spec": {
            "providerRef": {"name": "cluster"},
            "parameters": {"serviceAccount": "api-client"},
            "permissions": ["get configmaps", "list configmaps"],
            "interval": "30d",
            "gracePeriod": grace,
            "secret": {"name": name},
        },
    });
    Ok(serde_json::from_value(object)?)
}
