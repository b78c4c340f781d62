//! Sees every version of the Secrets of a world and writes down what no edit may cause: a key that is lost, an empty value,
//! a sequence that goes back, too many live tokens.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use futures::StreamExt;
use k8s_openapi::api::core::v1::Secret;
use kube::{
    Api, ResourceExt,
    runtime::{WatchStreamExt, watcher},
};
use tokenturn::{
    api::names::{OWNER_UID_LABEL, ROLE_BOUND, ROLE_LABEL, SERIAL_ANNOTATION},
    core::token::Serial,
};

/// Annotation by which an edit by hand marks the version that it makes.
pub const HAND: &str = "testkit.tokenturn.dev/by-hand";

/// Live tokens of one object: the current one, the one before it, and one that is just being tried.
const MOST_ALIVE: usize = 3;

#[derive(Clone, Default)]
pub struct Watch(Arc<Mutex<Seen>>);

#[derive(Default)]
struct Seen {
    target: Option<Secret>,
    /// Names of the live tokens by the UID of their owner.
    alive: BTreeMap<String, BTreeSet<String>>,
    /// The Secret was deleted by hand this often, and its end not yet seen.
    by_hand: u32,
    /// The object was asked to go, so the operator may delete the Secret.
    leaving: bool,
    wrong: Vec<String>,
}

impl Watch {
    /// Watches for ever.
    pub async fn run(self, api: Api<Secret>) {
        let mut events = watcher(api, watcher::Config::default()).default_backoff().boxed();
        while let Some(event) = events.next().await {
            match event {
                Ok(watcher::Event::Apply(secret) | watcher::Event::InitApply(secret)) => self.lock().changed(secret),
                Ok(watcher::Event::Delete(secret)) => self.lock().deleted(&secret),
                Ok(watcher::Event::Init | watcher::Event::InitDone) | Err(_) => {}
            }
        }
    }

    pub fn target_goes(&self) {
        self.lock().by_hand += 1;
    }

    pub fn object_goes(&self) {
        self.lock().leaving = true;
    }

    pub fn wrong(&self) -> Vec<String> {
        self.lock().wrong.clone()
    }

    /// Live tokens by the UID of their owner.
    pub fn alive(&self) -> BTreeMap<String, BTreeSet<String>> {
        self.lock().alive.clone()
    }

    fn lock(&self) -> MutexGuard<'_, Seen> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Seen {
    fn changed(&mut self, secret: Secret) {
        if secret.labels().get(ROLE_LABEL).map(String::as_str) == Some(ROLE_BOUND) {
            let owner = owner(&secret).unwrap_or_default();
            let alive = self.alive.entry(owner).or_default();
            alive.insert(secret.name_any());
            if alive.len() > MOST_ALIVE {
                self.wrong.push(format!("too many live tokens: {alive:?}"));
            }
        } else if secret.name_any() == "api-token" {
            let before = self.target.as_ref().filter(|before| before.uid() == secret.uid());
            if let Some(before) = before.filter(|before| mark(before) == mark(&secret)) {
                let found = compared(before, &secret);
                self.wrong.extend(found);
            }
            self.target = Some(secret);
        }
    }

    fn deleted(&mut self, secret: &Secret) {
        if secret.labels().get(ROLE_LABEL).map(String::as_str) == Some(ROLE_BOUND) {
            if let Some(alive) = self.alive.get_mut(&owner(secret).unwrap_or_default()) {
                alive.remove(&secret.name_any());
            }
        } else if secret.name_any() == "api-token" {
            self.target = None;
            if self.by_hand > 0 {
                self.by_hand -= 1;
            } else if !self.leaving {
                self.wrong.push("the Secret was deleted though its object stays".to_owned());
            }
        }
    }
}

fn owner(secret: &Secret) -> Option<String> {
    secret.labels().get(OWNER_UID_LABEL).cloned()
}

fn mark(secret: &Secret) -> Option<&String> {
    secret.annotations().get(HAND)
}

/// What a write of the operator may not do to the Secret.
fn compared(before: &Secret, after: &Secret) -> Vec<String> {
    let keys =
        |secret: &Secret| -> BTreeSet<String> { secret.data.iter().flatten().map(|(key, _)| key.clone()).collect() };
    let mut wrong = Vec::new();
    let lost: Vec<String> = keys(before).difference(&keys(after)).cloned().collect();
    if !lost.is_empty() {
        wrong.push(format!("keys were taken away: {lost:?}"));
    }
    let empty = after.data.iter().flatten().filter(|(_, value)| value.0.is_empty());
    wrong.extend(empty.map(|(key, _)| format!("key {key} became empty")));
    let sequence = |secret: &Secret| {
        let serial = secret.annotations().get(SERIAL_ANNOTATION)?.parse::<Serial>().ok();
        serial.map(|serial| serial.sequence)
    };
    if owner(before) == owner(after) && sequence(after) < sequence(before) {
        wrong.push(format!("the sequence went back from {:?} to {:?}", sequence(before), sequence(after)));
    }
    wrong
}
