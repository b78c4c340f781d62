//! What is alive at the provider, and which token each Secret of a workload carries: seen by a watch of this program.
//!
//! A token of the `kubernetes` provider lives as long as the Secret that it is bound to, and says in its own claims which
//! one that is. So neither the operator nor its annotations are asked.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use futures::StreamExt;
use k8s_openapi::api::core::v1::Secret;
use kube::{
    Api, Client, ResourceExt,
    runtime::{WatchStreamExt, watcher, watcher::Event},
};
use tokenturn::api::names::{OWNER_UID_LABEL, ROLE_BOUND, ROLE_LABEL, ROLE_TARGET};
use tokio::sync::watch;

/// What one RotatedToken has.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Holdings {
    /// Names of the Secrets that its living tokens are bound to.
    pub live: BTreeSet<String>,
    /// Name of the Secret that the token in its target is bound to.
    pub published: Option<String>,
}

#[derive(Default)]
struct State {
    /// By UID of the owner.
    holdings: BTreeMap<String, Holdings>,
    /// Every value that was ever in a target, by the name of what it is bound to.
    values: BTreeMap<String, String>,
}

/// Shared handle of the watch.
#[derive(Clone)]
pub struct Provider {
    state: Arc<Mutex<State>>,
    changed: watch::Sender<()>,
}

impl Provider {
    /// Starts the watch; it ends with the runtime.
    pub fn start(client: Client) -> Self {
        let provider = Self { state: Arc::default(), changed: watch::channel(()).0 };
        tokio::spawn(provider.clone().run(client));
        provider
    }

    /// Waits until what an owner has is as wanted.
    pub async fn until(
        &self,
        owner: &str,
        within: Duration,
        wanted: impl Fn(&Holdings) -> bool,
    ) -> Result<Holdings, Holdings> {
        let mut changes = self.changed.subscribe();
        let found = tokio::time::timeout(within, async {
            loop {
                let holdings = self.of(owner);
                if wanted(&holdings) {
                    return holdings;
                }
                if changes.changed().await.is_err() {
                    std::future::pending::<()>().await;
                }
            }
        });
        found.await.map_err(|_| self.of(owner))
    }

    fn of(&self, owner: &str) -> Holdings {
        self.lock().holdings.get(owner).cloned().unwrap_or_default()
    }

    /// Every value that was ever in a target, by the name of the Secret that it is bound to.
    pub fn values(&self) -> BTreeMap<String, String> {
        self.lock().values.clone()
    }

    async fn run(self, client: Client) {
        let config = watcher::Config::default().labels(&format!("{ROLE_LABEL} in ({ROLE_BOUND},{ROLE_TARGET})"));
        let mut events = watcher(Api::<Secret>::all(client), config).default_backoff().boxed();
        let mut listed = BTreeMap::new();
        while let Some(event) = events.next().await {
            let State { holdings, values } = &mut *self.lock();
            match event {
                Ok(Event::Init) => listed.clear(),
                Ok(Event::InitApply(secret)) => note(&mut listed, values, &secret, true),
                Ok(Event::InitDone) => *holdings = std::mem::take(&mut listed),
                Ok(Event::Apply(secret)) => note(holdings, values, &secret, true),
                Ok(Event::Delete(secret)) => note(holdings, values, &secret, false),
                Err(error) => eprintln!("soak: the watch of Secrets was interrupted: {error}"),
            }
            self.changed.send_replace(());
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn note(all: &mut BTreeMap<String, Holdings>, values: &mut BTreeMap<String, String>, secret: &Secret, present: bool) {
    let Some(owner) = secret.labels().get(OWNER_UID_LABEL) else { return };
    let holdings = all.entry(owner.clone()).or_default();
    if secret.labels().get(ROLE_LABEL).map(String::as_str) == Some(ROLE_BOUND) {
        if present && secret.metadata.deletion_timestamp.is_none() {
            holdings.live.insert(secret.name_any());
        } else {
            holdings.live.remove(&secret.name_any());
        }
        return;
    }
    let value = secret.data.as_ref().and_then(|data| data.get("token"));
    let value = value.filter(|_| present).and_then(|value| String::from_utf8(value.0.clone()).ok());
    holdings.published = value.as_deref().and_then(bound_to);
    if let (Some(name), Some(value)) = (&holdings.published, value) {
        values.insert(name.clone(), value);
    }
}

/// The name of the Secret that a token says it is bound to.
pub fn bound_to(token: &str) -> Option<String> {
    let claims = URL_SAFE_NO_PAD.decode(token.split('.').nth(1)?).ok()?;
    let claims: serde_json::Value = serde_json::from_slice(&claims).ok()?;
    claims["kubernetes.io"]["secret"]["name"].as_str().map(str::to_owned)
}
