//! The runner's own watches over all namespaces: what was ever published, minted and revoked, and what is there now.
//!
//! The operator has no part in it. Only metadata of Secrets is watched.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU32, Ordering},
    },
};

use futures::{StreamExt, stream::BoxStream};
use k8s_openapi::api::core::v1::Secret;
use kube::{
    Api, Client, Resource, ResourceExt,
    api::PartialObjectMeta,
    runtime::{WatchStreamExt, watcher},
};
use tokenturn::api::{
    RotatedToken,
    names::{ROLE_BOUND, ROLE_LABEL, ROLE_RECORD, ROLE_TARGET, SERIAL_ANNOTATION},
};

/// What was seen in one namespace.
#[derive(Clone, Debug, Default)]
pub struct Seen {
    /// Sequence and attempt of what the target carried, in order, without repetitions.
    pub published: Vec<(i64, i64)>,
    /// UIDs of the Secrets that tokens were bound to, ever and now.
    pub minted: BTreeSet<String>,
    pub live: BTreeSet<String>,
    pub records: BTreeSet<String>,
    pub target: bool,
    pub object: Option<RotatedToken>,
}

/// Shared by all runs.
#[derive(Clone)]
pub struct Eyes {
    seen: Arc<Mutex<BTreeMap<String, Seen>>>,
    interruptions: Arc<AtomicU32>,
}

/// A change of one object.
enum Change<K> {
    There(K),
    Gone(K),
}

impl Eyes {
    pub fn open(client: Client) -> Self {
        let eyes = Self { seen: Arc::default(), interruptions: Arc::default() };
        let roles = format!("{ROLE_LABEL} in ({ROLE_TARGET},{ROLE_BOUND},{ROLE_RECORD})");
        let secrets: Api<PartialObjectMeta<Secret>> = Api::all(client.clone());
        let watch = watcher(secrets, watcher::Config::default().labels(&roles)).default_backoff().boxed();
        tokio::spawn(eyes.clone().follow(watch, Seen::secret));
        let objects: Api<RotatedToken> = Api::all(client);
        let watch = watcher(objects, watcher::Config::default()).default_backoff().boxed();
        tokio::spawn(eyes.clone().follow(watch, Seen::rotated_token));
        eyes
    }

    /// What was seen of a namespace.
    pub fn of(&self, namespace: &str) -> Seen {
        self.lock().get(namespace).cloned().unwrap_or_default()
    }

    /// How often a watch began anew; what happened in between may have gone unseen.
    pub fn interruptions(&self) -> u32 {
        self.interruptions.load(Ordering::Relaxed)
    }

    async fn follow<K: Resource + Clone + 'static>(
        self,
        mut events: BoxStream<'static, watcher::Result<watcher::Event<K>>>,
        note: fn(&mut Seen, Change<K>),
    ) {
        let mut begun = false;
        while let Some(event) = events.next().await {
            let change = match event {
                Ok(watcher::Event::Apply(object) | watcher::Event::InitApply(object)) => Change::There(object),
                Ok(watcher::Event::Delete(object)) => Change::Gone(object),
                Ok(watcher::Event::Init) => {
                    if std::mem::replace(&mut begun, true) {
                        self.interruptions.fetch_add(1, Ordering::Relaxed);
                    }
                    continue;
                }
                Ok(watcher::Event::InitDone) | Err(_) => continue,
            };
            let (Change::There(object) | Change::Gone(object)) = &change;
            let namespace = object.meta().namespace.clone().unwrap_or_default();
            note(self.lock().entry(namespace).or_default(), change);
        }
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<String, Seen>> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Seen {
    fn secret(&mut self, change: Change<PartialObjectMeta<Secret>>) {
        let (Change::There(secret) | Change::Gone(secret)) = &change;
        let there = matches!(change, Change::There(_));
        let uid = secret.uid().unwrap_or_default();
        match secret.labels().get(ROLE_LABEL).map(String::as_str) {
            Some(ROLE_BOUND) => {
                self.minted.insert(uid.clone());
                set(&mut self.live, uid, there && secret.metadata.deletion_timestamp.is_none());
            }
            Some(ROLE_RECORD) => set(&mut self.records, uid, there),
            _ => {
                self.target = there;
                let carried = secret.annotations().get(SERIAL_ANNOTATION).filter(|_| there);
                let carried = carried.and_then(|text| text.split_once('.'));
                let carried =
                    carried.and_then(|(sequence, attempt)| Some((sequence.parse().ok()?, attempt.parse().ok()?)));
                if let Some(serial) = carried.filter(|serial| self.published.last() != Some(serial)) {
                    self.published.push(serial);
                }
            }
        }
    }

    fn rotated_token(&mut self, change: Change<RotatedToken>) {
        self.object = match change {
            Change::There(object) => Some(object),
            Change::Gone(_) => None,
        };
    }
}

fn set(members: &mut BTreeSet<String>, member: String, is_in: bool) {
    if is_in {
        members.insert(member);
    } else {
        members.remove(&member);
    }
}
