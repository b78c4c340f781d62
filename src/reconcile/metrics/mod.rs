//! Metrics. docs/metrics.md describes each.
//!
//! Labels are closed sets and names of objects. Series that name an object are exported by the leader alone, and while
//! the object exists: what is said later, by work that still runs, is dropped.

mod call;
mod families;
mod labels;
mod process;

use std::{
    collections::{HashMap, HashSet},
    sync::{Arc, Mutex, MutexGuard, PoisonError, Weak},
    time::Duration,
};

use jiff::Timestamp;
use prometheus_client::{encoding::text, registry::Registry};

pub use self::call::Call;
use self::{
    families::Families,
    labels::{Called, Object, Operation, Outcome, Provider, Remembered, Watch},
};
use super::queue::Queue;
use crate::{
    api::{ProviderRef, RotatedTokenStatus, conditions::STALLED},
    core::token::{Owner, Source},
};

/// The metrics of this process.
#[derive(Debug)]
pub struct Metrics {
    registry: Registry,
    families: Families,
    term: Mutex<Term>,
}

/// What is exported while this replica leads.
#[derive(Debug, Default)]
struct Term {
    leads: bool,
    objects: HashMap<Object, Shown>,
    /// Provider objects that exist, each with the series of its calls.
    providers: HashMap<Provider, HashSet<Called>>,
    queue: Weak<Queue<Owner>>,
}

/// An object that has series.
#[derive(Debug)]
struct Shown {
    /// Another object may have its name by now.
    uid: String,
    /// When the first attempt of its rotation began, if this process has seen that.
    begun: Option<Timestamp>,
}

impl Default for Metrics {
    fn default() -> Self {
        let (registry, families) = Families::register();
        Self { registry, families, term: Mutex::default() }
    }
}

impl Metrics {
    /// All metrics in the OpenMetrics text format.
    #[must_use]
    pub fn encode(&self) -> String {
        let queue = self.term().queue.upgrade();
        let backlog = queue.map(|queue| queue.backlog()).unwrap_or_default();
        self.families.queue_depth.set(whole(backlog.depth));
        self.families.queue_oldest.set(backlog.oldest.as_secs_f64());
        let mut buffer = String::new();
        // Writing into a string cannot fail.
        let _ = text::encode(&mut buffer, &self.registry);
        buffer
    }

    /// Whether this replica leads. What it has said of objects goes when it no longer does.
    pub fn leading(&self, leads: bool) {
        let mut term = self.term();
        self.families.leader.set(i64::from(leads));
        *term = Term { leads, ..Term::default() };
        let Families {
            issued,
            expires,
            next,
            pickup,
            stalled,
            ready,
            credential_expires,
            calls,
            remembered,
            watches,
            ..
        } = &self.families;
        [issued, expires, next].into_iter().for_each(|family| family.clear());
        [pickup, stalled].into_iter().for_each(|family| family.clear());
        ready.clear();
        credential_expires.clear();
        calls.clear();
        remembered.clear();
        watches.clear();
    }

    /// The queue whose length is exported during this term.
    pub fn of_queue(&self, queue: &Arc<Queue<Owner>>) {
        self.term().queue = Arc::downgrade(queue);
    }

    /// Of how many things something is held in memory.
    pub fn remember(&self, counts: &[(&'static str, usize)]) {
        let term = self.term();
        for &(kind, count) in counts.iter().filter(|_| term.leads) {
            self.families.remembered.get_or_create(&Remembered { kind }).set(whole(count));
        }
    }

    /// A watch runs, or is interrupted.
    pub fn watch_interrupted(&self, watch: &'static str, namespace: Option<&str>, is_interrupted: bool) {
        let term = self.term();
        if term.leads {
            let watch = Watch { namespace: namespace.unwrap_or_default().to_owned(), watch };
            self.families.watches.get_or_create(&watch).set(i64::from(is_interrupted));
        }
    }

    /// A watch has ended.
    pub fn watch_ended(&self, watch: &'static str, namespace: Option<&str>) {
        let _term = self.term();
        self.families.watches.remove(&Watch { namespace: namespace.unwrap_or_default().to_owned(), watch });
    }

    /// One reconcile has ended.
    pub fn reconciled(&self, outcome: &'static str, took: Duration) {
        self.families.reconciles.get_or_create(&Outcome { outcome }).inc();
        self.families.reconcile_duration.observe(took.as_secs_f64());
    }

    fn term(&self) -> MutexGuard<'_, Term> {
        self.term.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// RotatedTokens.
impl Metrics {
    /// What a status says, as numbers.
    pub fn show(&self, owner: &Owner, status: &RotatedTokenStatus) {
        let mut term = self.term();
        if !term.leads {
            return;
        }
        let object = Object::from(owner);
        let shown = term.objects.entry(object.clone()).or_insert_with(|| Shown::of(owner));
        shown.uid.clone_from(&owner.uid);
        let families = &self.families;
        let current = status.current.as_ref();
        let times = [
            (&families.issued, current.map(|token| token.issued_at.0)),
            (&families.expires, current.and_then(|token| token.expires_at.as_ref()).map(|at| at.0)),
            (&families.next, status.next_rotation.as_ref().map(|at| at.0)),
        ];
        for (family, at) in times {
            match at {
                Some(at) => {
                    family.get_or_create(&object).set(seconds(at));
                }
                None => {
                    family.remove(&object);
                }
            }
        }
        families.pickup.get_or_create(&object).set(status.pickup.as_ref().map_or(0, |pickup| pickup.remaining));
        let is_stalled =
            status.conditions.iter().any(|condition| condition.type_ == STALLED && condition.status == "True");
        families.stalled.get_or_create(&object).set(i64::from(is_stalled));
    }

    /// The object is gone.
    pub fn forget(&self, owner: &Owner) {
        let mut term = self.term();
        let object = Object::from(owner);
        if term.objects.get(&object).is_none_or(|shown| shown.uid != owner.uid) {
            return;
        }
        term.objects.remove(&object);
        let Families { issued, expires, next, pickup, stalled, .. } = &self.families;
        for family in [issued, expires, next] {
            family.remove(&object);
        }
        for family in [pickup, stalled] {
            family.remove(&object);
        }
    }

    /// A rotation has come to a point worth counting.
    pub fn rotation(&self, outcome: &'static str) {
        self.families.rotations.get_or_create(&Outcome { outcome }).inc();
    }

    /// An attempt of a rotation has begun.
    pub fn rotation_begun(&self, owner: &Owner, at: Timestamp) {
        let mut term = self.term();
        if term.leads {
            term.objects.entry(owner.into()).or_insert_with(|| Shown::of(owner)).begun.get_or_insert(at);
        }
    }

    /// The new token is published and settled. `attempt` is when its attempt began, `due` when it was due by schedule.
    pub fn rotation_published(&self, owner: &Owner, attempt: Option<Timestamp>, due: Option<Timestamp>, at: Timestamp) {
        self.rotation("published");
        let first = self.term().objects.get_mut(&Object::from(owner)).and_then(|shown| shown.begun.take());
        if let Some(begun) = first.into_iter().chain(attempt).min() {
            self.families.rotation_duration.observe(between(begun, at));
        }
        if let Some(due) = due {
            self.families.rotation_delay.observe(between(due, at));
        }
    }

    /// The old token is revoked, after the new one was published.
    pub fn picked_up(&self, published: Timestamp, revoked: Timestamp) {
        self.families.pickup_duration.observe(between(published, revoked));
    }
}

/// Providers.
impl Metrics {
    /// A provider object exists.
    pub fn provider_exists(&self, namespace: Option<&str>, reference: &ProviderRef) {
        let mut term = self.term();
        if term.leads {
            term.providers.entry(Provider::new(namespace, reference)).or_default();
        }
    }

    /// A provider object is gone.
    pub fn provider_gone(&self, namespace: Option<&str>, reference: &ProviderRef) {
        let provider = Provider::new(namespace, reference);
        let mut term = self.term();
        for called in term.providers.remove(&provider).into_iter().flatten() {
            self.families.calls.remove(&called);
        }
        self.families.ready.remove(&provider);
        self.families.credential_expires.remove(&provider);
    }

    /// Whether tokens can be minted and revoked at a provider object.
    pub fn provider_ready(&self, namespace: Option<&str>, reference: &ProviderRef, is_ready: bool) {
        let provider = Provider::new(namespace, reference);
        let term = self.term();
        if term.providers.contains_key(&provider) {
            self.families.ready.get_or_create(&provider).set(i64::from(is_ready));
        }
    }

    /// When the operator's credential at a provider object expires; `None` if it does not, or if that is not known.
    fn credential_expires(&self, provider: &Provider, at: Option<Timestamp>) {
        let term = self.term();
        match at.filter(|_| term.providers.contains_key(provider)) {
            Some(at) => {
                self.families.credential_expires.get_or_create(provider).set(seconds(at));
            }
            None => {
                self.families.credential_expires.remove(provider);
            }
        }
    }

    /// A call about a token of an object begins.
    pub fn call(
        &self,
        owner: &Owner,
        source: &Source,
        provider_type: &'static str,
        operation: &'static str,
    ) -> Call<'_> {
        let provider = Provider::new(Some(&owner.namespace), &source.specification.provider);
        Call::begin(self, provider, Operation { provider_type, operation })
    }

    /// A call about a provider object begins.
    pub fn check(&self, namespace: Option<&str>, reference: &ProviderRef, provider_type: &'static str) -> Call<'_> {
        Call::begin(self, Provider::new(namespace, reference), Operation { provider_type, operation: "check" })
    }

    /// A call has ended. One to a provider object that is not known to exist is counted without its name.
    fn called(&self, provider: Provider, operation: &Operation, class: &'static str, took: Duration) {
        self.families.call_durations.get_or_create(operation).observe(took.as_secs_f64());
        let mut term = self.term();
        let known = term.providers.get_mut(&provider);
        let provider = if known.is_some() { provider } else { Provider::default() };
        let called = Called::new(provider, operation, class);
        self.families.calls.get_or_create(&called).inc();
        if let Some(series) = known
            && !series.contains(&called)
        {
            series.insert(called);
        }
    }
}

impl Shown {
    fn of(owner: &Owner) -> Self {
        Self { uid: owner.uid.clone(), begun: None }
    }
}

fn whole(count: usize) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}

#[expect(clippy::cast_precision_loss, reason = "seconds since 1970 fit into 52 bits")]
fn seconds(at: Timestamp) -> f64 {
    at.as_second() as f64
}

/// Seconds from one time to another; 0 where a clock was set back.
fn between(from: Timestamp, to: Timestamp) -> f64 {
    to.duration_since(from).as_secs_f64().max(0.0)
}
