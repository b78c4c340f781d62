//! Many tokens: how fast they are issued, and what they cost at rest.

use std::time::{Duration, Instant};

use futures::{StreamExt, TryStreamExt, stream};
use k8s_openapi::api::core::v1::Secret;
use kube::{
    Api,
    api::{ListParams, PostParams},
};
use tokenturn::api::GoDuration;

use super::{
    Failure, say,
    scene::{Scene, is_finished, rotated_token},
};

/// Requests for new objects on their way at the same time.
const CREATORS: usize = 16;

/// As these tokens are not rotated, it makes no difference.
const GRACE: GoDuration = GoDuration::from_secs(0);

/// How long many tokens may take altogether.
const LIMIT: Duration = Duration::from_secs(900);

pub struct Crowd {
    namespace: String,
    made: usize,
}

/// How a number of tokens came to be.
pub struct Growth {
    pub tokens: usize,
    pub took: Duration,
    /// Most memory seen meanwhile.
    pub peak_mib: f64,
}

impl Growth {
    pub fn rate(&self) -> f64 {
        self.tokens as f64 / self.took.as_secs_f64()
    }
}

impl Crowd {
    pub async fn new(scene: &Scene) -> Result<Self, Failure> {
        Ok(Self { namespace: scene.namespace("crowd").await?, made: 0 })
    }

    /// Applies tokens one after another; how long each took from apply to a Secret that can be read.
    pub async fn first_tokens(&mut self, scene: &Scene, count: usize) -> Result<Vec<Duration>, Failure> {
        let secrets: Api<Secret> = Api::namespaced(scene.client.clone(), &self.namespace);
        let mut took = Vec::new();
        for _ in 0..count {
            let name = self.next();
            let token = rotated_token(&name, GRACE)?;
            let started = Instant::now();
            scene.tokens(&self.namespace).create(&PostParams::default(), &token).await?;
            while secrets.get_opt(&name).await?.is_none() {
                if started.elapsed() > LIMIT {
                    return Err(format!("waited in vain for Secret {name}").into());
                }
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
            took.push(started.elapsed());
            self.issued(scene).await?;
        }
        Ok(took)
    }

    /// Makes as many tokens as are missing to `total`, all as fast as the API server takes them, and waits for their issue.
    pub async fn grow(&mut self, scene: &Scene, total: usize) -> Result<Growth, Failure> {
        let names: Vec<String> = (self.made..total).map(|_| self.next()).collect();
        let tokens = names.len();
        say(&format!("issuing {tokens} tokens"));
        let api = scene.tokens(&self.namespace);
        let started = Instant::now();
        let creates = stream::iter(names).map(|name| {
            let api = &api;
            async move {
                let token = rotated_token(&name, GRACE)?;
                api.create(&PostParams::default(), &token).await.map(drop).map_err(Failure::from)
            }
        });
        creates.buffer_unordered(CREATORS).try_for_each(|()| std::future::ready(Ok(()))).await?;
        let peak_mib = self.issued(scene).await?;
        Ok(Growth { tokens, took: started.elapsed(), peak_mib })
    }

    /// Waits until all tokens are issued; the most memory seen meanwhile.
    async fn issued(&self, scene: &Scene) -> Result<f64, Failure> {
        let (started, mut peak, mut reported) = (Instant::now(), 0_f64, 0);
        loop {
            peak = peak.max(scene.rss_mib()?);
            let tokens = scene.tokens(&self.namespace).list(&ListParams::default()).await?;
            let done = tokens.iter().filter(|token| is_finished(token, 1)).count();
            if done >= self.made {
                return Ok(peak);
            }
            if started.elapsed() > LIMIT {
                let log = scene.operator.logs();
                let tail: Vec<&str> = log.lines().rev().take(20).collect();
                return Err(format!(
                    "only {done} of {} tokens were issued; the log, latest first:\n{}",
                    self.made,
                    tail.join("\n")
                )
                .into());
            }
            if done >= reported + 100 {
                reported = done;
                say(&format!("{done} of {} tokens issued", self.made));
            }
            // A look at a thousand tokens is no small thing for the API server.
            tokio::time::sleep(Duration::from_millis(if self.made > 100 { 500 } else { 20 })).await;
        }
    }

    fn next(&mut self) -> String {
        self.made += 1;
        format!("token-{:04}", self.made)
    }
}
