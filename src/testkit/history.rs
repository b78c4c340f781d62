//! The true history: which container held which token when, and how each call with it ended.
//!
//! The containers write it, simulated or real; tests judge by it. The operator has no part in it.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Instant,
};

use jiff::Timestamp;
use tokio::sync::broadcast;

pub use super::event::{Call, Counts, Event, Outcome, Seat, Token};

/// Shared handle; clones write to and read from the same history.
#[derive(Clone)]
pub struct History(Arc<Inner>);

struct Inner {
    state: Mutex<State>,
    live: broadcast::Sender<Event>,
}

#[derive(Default)]
struct State {
    events: Vec<Event>,
    holding: BTreeMap<Seat, Option<String>>,
    /// By namespace and fingerprint, kept as calls come: tests ask many times a second.
    counts: BTreeMap<Arc<str>, BTreeMap<String, Counts>>,
}

impl Default for History {
    fn default() -> Self {
        let (live, _) = broadcast::channel(4096);
        Self(Arc::new(Inner { state: Mutex::default(), live }))
    }
}

impl History {
    pub fn new() -> Self {
        Self::default()
    }

    /// Everything from now on. A slow reader loses the oldest events, never the history itself.
    pub fn subscribe(&self) -> broadcast::Receiver<Event> {
        self.0.live.subscribe()
    }

    /// Everything so far, in order, of one namespace.
    pub fn events(&self, namespace: &str) -> Vec<Event> {
        self.state().events.iter().filter(|event| &*event.seat().namespace == namespace).cloned().collect()
    }

    /// All calls of one namespace, in order.
    pub fn calls(&self, namespace: &str) -> Vec<Call> {
        self.select(namespace, |_| true)
    }

    /// Number of accepted calls.
    pub fn accepted(&self, namespace: &str) -> usize {
        self.counts(namespace).values().map(|counts| counts.accepted).sum()
    }

    /// Number of calls refused with 401.
    pub fn refused(&self, namespace: &str) -> usize {
        self.counts(namespace).values().map(|counts| counts.refused).sum()
    }

    /// The refused calls themselves.
    pub fn refused_calls(&self, namespace: &str) -> Vec<Call> {
        self.select(namespace, Call::is_refused)
    }

    /// Numbers by fingerprint.
    pub fn counts(&self, namespace: &str) -> BTreeMap<String, Counts> {
        self.state().counts.get(namespace).cloned().unwrap_or_default()
    }

    /// Running containers that hold this token now.
    pub fn holders(&self, fingerprint: &str) -> Vec<Seat> {
        let state = self.state();
        let holding = |held: &Option<String>| held.as_deref() == Some(fingerprint);
        state.holding.iter().filter(|(_, held)| holding(held)).map(|(seat, _)| seat.clone()).collect()
    }

    /// Running containers of a namespace and the fingerprint that each holds.
    pub fn holding(&self, namespace: &str) -> BTreeMap<Seat, Option<String>> {
        let state = self.state();
        let inside = state.holding.iter().filter(|(seat, _)| &*seat.namespace == namespace);
        inside.map(|(seat, held)| (seat.clone(), held.clone())).collect()
    }

    /// Panics with the first refusals if any consumer of the namespace was ever refused.
    pub fn assert_never_refused(&self, namespace: &str) {
        let refused = self.refused_calls(namespace);
        let shown: Vec<String> = refused.iter().take(10).map(describe).collect();
        let total = refused.len();
        assert!(refused.is_empty(), "{total} calls were refused in {namespace}, the first:\n{}", shown.join("\n"));
    }

    // Written by the containers, simulated or real.

    pub(super) fn started(&self, seat: &Seat, held: Option<&Token>) {
        let fingerprint = held.map(Token::fingerprint);
        self.note(Event::Started { at: Instant::now(), wall: Timestamp::now(), seat: seat.clone(), fingerprint });
    }

    pub(super) fn reloaded(&self, seat: &Seat, held: &Token) {
        let fingerprint = held.fingerprint();
        self.note(Event::Reloaded { at: Instant::now(), wall: Timestamp::now(), seat: seat.clone(), fingerprint });
    }

    pub(super) fn stopped(&self, seat: &Seat) {
        self.note(Event::Stopped { at: Instant::now(), wall: Timestamp::now(), seat: seat.clone() });
    }

    pub(super) fn called(&self, seat: &Seat, token: &Token, outcome: Outcome) {
        let fingerprint = token.fingerprint();
        let (at, wall) = (Instant::now(), Timestamp::now());
        self.note(Event::Called(Call { at, wall, seat: seat.clone(), fingerprint, outcome }));
    }

    pub(super) fn note(&self, event: Event) {
        let mut state = self.state();
        match &event {
            Event::Started { seat, fingerprint, .. } => drop(state.holding.insert(seat.clone(), fingerprint.clone())),
            Event::Reloaded { seat, fingerprint, .. } => {
                drop(state.holding.insert(seat.clone(), Some(fingerprint.clone())));
            }
            Event::Stopped { seat, .. } => drop(state.holding.remove(seat)),
            Event::Called(call) => {
                let of_namespace = state.counts.entry(call.seat.namespace.clone()).or_default();
                of_namespace.entry(call.fingerprint.clone()).or_default().add(call);
            }
        }
        state.events.push(event.clone());
        drop(state);
        // Nobody listening is the normal case.
        let _ = self.0.live.send(event);
    }

    fn select(&self, namespace: &str, wanted: impl Fn(&Call) -> bool) -> Vec<Call> {
        let state = self.state();
        let calls = state.events.iter().filter_map(|event| match event {
            Event::Called(call) => Some(call),
            Event::Started { .. } | Event::Reloaded { .. } | Event::Stopped { .. } => None,
        });
        calls.filter(|call| &*call.seat.namespace == namespace && wanted(call)).cloned().collect()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn describe(call: &Call) -> String {
    let Seat { pod, container, node, uid, .. } = &call.seat;
    format!("  {} {pod}/{container} on {node} (pod {uid}) with token {}", call.wall, call.fingerprint)
}
