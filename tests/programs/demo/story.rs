//! What happens on the stage, as lines: the Secret, status and Events of the RotatedToken, pods and their tokens, calls.
//!
//! Watches and the history of the simulated containers are the only sources; nothing here acts.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::Debug,
    pin::pin,
    sync::Arc,
    time::Duration,
};

use futures::TryStreamExt;
use k8s_openapi::{
    NamespaceResourceScope,
    api::{
        core::v1::{Pod, Secret},
        events::v1::Event as KubeEvent,
    },
};
use kube::{
    Api, Client, Resource, ResourceExt,
    runtime::{WatchStreamExt, watcher},
};
use serde::de::DeserializeOwned;
use tokenturn::{
    api::{RotatedToken, RotatedTokenStatus},
    testkit::{Event, History, Token},
};
use tokio::sync::broadcast::error::RecvError;
use tokio_util::sync::{CancellationToken, DropGuard};

use crate::{
    stage::{NAME, NAMESPACE, Stage},
    terminal::{Terminal, Voice},
    tokens::Tokens,
};

/// How often the calls are counted aloud where there is no status line.
const COUNT_ALOUD: Duration = Duration::from_secs(10);

#[derive(Clone)]
struct Teller {
    terminal: Arc<Terminal>,
    tokens: Arc<Tokens>,
    history: History,
    client: Client,
    stop: CancellationToken,
}

/// Tells everything from now on, until the guard is dropped.
#[must_use]
pub fn tell(stage: &Stage, terminal: &Arc<Terminal>) -> DropGuard {
    let stop = CancellationToken::new();
    let teller = Teller {
        terminal: terminal.clone(),
        tokens: stage.tokens.clone(),
        history: stage.history.clone(),
        client: stage.client.clone(),
        stop: stop.clone(),
    };
    teller.spawn(teller.clone().secrets());
    teller.spawn(teller.clone().rotated_token());
    teller.spawn(teller.clone().events());
    teller.spawn(teller.clone().pods());
    teller.spawn(teller.clone().containers(stage.history.subscribe()));
    teller.spawn(teller.clone().calls());
    stop.drop_guard()
}

impl Teller {
    fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) {
        tokio::spawn(self.stop.clone().run_until_cancelled_owned(task));
    }

    async fn secrets(self) {
        self.each(|secret: Secret| {
            let value = secret.data.as_ref().and_then(|data| data.get("token"));
            let Some(value) = value.filter(|_| secret.metadata.name.as_deref() == Some("api-token")) else { return };
            let token = Token::new(&String::from_utf8_lossy(&value.0));
            let fingerprint = token.fingerprint();
            if self.tokens.note(token).is_some() {
                self.say(Voice::Secret, &format!("api-token now holds {}", self.tokens.name(&fingerprint)));
            }
        })
        .await;
    }

    async fn rotated_token(self) {
        let mut reported = (String::new(), String::new());
        self.each(|token: RotatedToken| {
            let Some(status) = token.status.filter(|_| token.metadata.name.as_deref() == Some(NAME)) else { return };
            let now = in_short(&status);
            if now != reported {
                let (reason, message) = &now;
                self.say(Voice::Operator, &format!("{reason}: {message}"));
                reported = now;
            }
        })
        .await;
    }

    async fn events(self) {
        let mut reported = BTreeSet::new();
        self.each(|event: KubeEvent| {
            let is_ours = event.regarding.as_ref().is_some_and(|object| object.kind.as_deref() == Some("RotatedToken"));
            let said = (event.uid(), event.note.clone());
            if is_ours && reported.insert(said) {
                let (reason, note) = (event.reason.unwrap_or_default(), event.note.unwrap_or_default());
                self.say(Voice::Operator, &format!("Event {reason}: {note}"));
            }
        })
        .await;
    }

    async fn pods(self) {
        let mut reported = BTreeSet::new();
        self.each(|pod: Pod| {
            // The watch may be slower than the end of the container.
            let runs = self.history.holding(NAMESPACE).keys().any(|seat| Some(&*seat.uid) == pod.uid().as_deref());
            if runs && pod.metadata.deletion_timestamp.is_some() && reported.insert(pod.uid()) {
                self.say(Voice::Pod, &format!("{} is asked to end", pod.name_any()));
            }
        })
        .await;
    }

    async fn containers(self, mut events: tokio::sync::broadcast::Receiver<Event>) {
        let mut holds: BTreeMap<Arc<str>, String> = BTreeMap::new();
        loop {
            match events.recv().await {
                Ok(Event::Started { seat, fingerprint, .. }) => {
                    let token = fingerprint.as_deref().map_or("no token".to_owned(), |held| self.tokens.name(held));
                    self.say(Voice::Pod, &format!("{} started with {token}", seat.pod));
                    holds.insert(seat.uid, token);
                }
                Ok(Event::Stopped { seat, .. }) => {
                    let token = holds.remove(&seat.uid).unwrap_or_default();
                    self.say(Voice::Pod, &format!("{} ended and with it its copy of {token}", seat.pod));
                }
                Ok(Event::Called(call)) if call.is_refused() => {
                    let token = self.tokens.name(&call.fingerprint);
                    self.say(Voice::Alarm, &format!("a call of {} with {token}: 401", call.seat.pod));
                }
                // Lines that were missed are only lines: the verdict comes from the history itself.
                Ok(Event::Called(_) | Event::Reloaded { .. }) | Err(RecvError::Lagged(_)) => {}
                Err(RecvError::Closed) => return,
            }
        }
    }

    async fn calls(self) {
        let every = if self.terminal.has_status() { Duration::from_millis(200) } else { COUNT_ALOUD };
        loop {
            tokio::time::sleep(every).await;
            let (accepted, refused) = (self.history.accepted(NAMESPACE), self.history.refused(NAMESPACE));
            if self.terminal.has_status() {
                self.terminal.set_status(format!(
                    "         calls {accepted} accepted, {refused} refused   {}",
                    self.holders().join("   ")
                ));
            } else if accepted + refused > 0 {
                self.say(Voice::Calls, &format!("{accepted} accepted, {refused} refused so far"));
            }
        }
    }

    /// How many consumers hold which token.
    fn holders(&self) -> Vec<String> {
        let mut counts: BTreeMap<String, usize> = BTreeMap::new();
        for fingerprint in self.history.holding(NAMESPACE).into_values().flatten() {
            *counts.entry(self.tokens.name(&fingerprint)).or_default() += 1;
        }
        counts.into_iter().map(|(token, count)| format!("{token} in {count} pods")).collect()
    }

    fn say(&self, voice: Voice, text: &str) {
        self.terminal.say(voice, text);
    }

    /// Looks at each object of a kind whenever it changes.
    async fn each<K>(&self, mut look: impl FnMut(K))
    where
        K: Resource<Scope = NamespaceResourceScope, DynamicType = ()>
            + Clone
            + Debug
            + DeserializeOwned
            + Send
            + 'static,
    {
        let api: Api<K> = Api::namespaced(self.client.clone(), NAMESPACE);
        let mut objects = pin!(watcher(api, watcher::Config::default()).default_backoff().applied_objects());
        loop {
            match objects.try_next().await {
                Ok(Some(object)) => look(object),
                Ok(None) => return,
                // The watch goes on by itself.
                Err(_) => {}
            }
        }
    }
}

/// What goes on, and how far the pickup is.
fn in_short(status: &RotatedTokenStatus) -> (String, String) {
    let is = |type_: &str, value: &str| {
        status.conditions.iter().find(|condition| condition.type_ == type_ && condition.status == value)
    };
    let said = is("Stalled", "True").or_else(|| is("Reconciling", "True"));
    said.or_else(|| status.conditions.iter().find(|condition| condition.type_ == "Ready"))
        .map(|condition| (condition.reason.clone(), condition.message.clone()))
        .unwrap_or_default()
}
