//! The metrics by name, with what they mean. docs/metrics.md has a row for each; a test compares.

use std::sync::atomic::AtomicU64;

use prometheus_client::{
    metrics::{
        counter::Counter,
        family::{Family, MetricConstructor},
        gauge::Gauge,
        histogram::Histogram,
        info::Info,
    },
    registry::{Metric, Registry},
};

use super::{
    labels::{Build, Called, Object, Operation, Outcome, Provider, Remembered, Watch},
    process::Process,
};

type Float = Gauge<f64, AtomicU64>;

/// Upper bounds of what is measured in a call or a reconcile, in seconds.
const SHORT: [f64; 12] = [0.01, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0];

/// The same for a rotation: from seconds to a day.
const LONG: [f64; 12] = [1.0, 5.0, 15.0, 30.0, 60.0, 120.0, 300.0, 900.0, 3600.0, 21_600.0, 43_200.0, 86_400.0];

/// The same for what waits for workloads: from seconds to a month.
const LONGEST: [f64; 12] =
    [15.0, 60.0, 300.0, 900.0, 3600.0, 14_400.0, 43_200.0, 86_400.0, 259_200.0, 604_800.0, 1_209_600.0, 2_592_000.0];

/// Makes the histograms of calls.
#[derive(Clone, Debug)]
pub struct Short;

impl MetricConstructor<Histogram> for Short {
    fn new_metric(&self) -> Histogram {
        Histogram::new(SHORT)
    }
}

/// Every metric but those of the process, which are asked for at each scrape.
#[derive(Clone, Debug)]
pub struct Families {
    pub issued: Family<Object, Float>,
    pub expires: Family<Object, Float>,
    pub next: Family<Object, Float>,
    pub pickup: Family<Object, Gauge>,
    pub stalled: Family<Object, Gauge>,
    pub ready: Family<Provider, Gauge>,
    pub credential_expires: Family<Provider, Float>,
    pub calls: Family<Called, Counter>,
    pub call_durations: Family<Operation, Histogram, Short>,
    pub rotations: Family<Outcome, Counter>,
    pub rotation_duration: Histogram,
    pub rotation_delay: Histogram,
    pub pickup_duration: Histogram,
    pub reconciles: Family<Outcome, Counter>,
    pub reconcile_duration: Histogram,
    pub queue_depth: Gauge,
    pub queue_oldest: Float,
    pub remembered: Family<Remembered, Gauge>,
    pub watches: Family<Watch, Gauge>,
    pub leader: Gauge,
}

impl Families {
    /// All metrics, and where they are registered.
    pub fn register() -> (Registry, Self) {
        let families = Self {
            issued: Family::default(),
            expires: Family::default(),
            next: Family::default(),
            pickup: Family::default(),
            stalled: Family::default(),
            ready: Family::default(),
            credential_expires: Family::default(),
            calls: Family::default(),
            call_durations: Family::new_with_constructor(Short),
            rotations: Family::default(),
            rotation_duration: Histogram::new(LONG),
            rotation_delay: Histogram::new(LONG),
            pickup_duration: Histogram::new(LONGEST),
            reconciles: Family::default(),
            reconcile_duration: Histogram::new(SHORT),
            queue_depth: Gauge::default(),
            queue_oldest: Float::default(),
            remembered: Family::default(),
            watches: Family::default(),
            leader: Gauge::default(),
        };
        let mut registry = Registry::default();
        registry.register_collector(Box::new(Process::default()));
        let mut ours = Ours(registry.sub_registry_with_prefix("tokenturn"));
        families.register_tokens(&mut ours);
        families.register_providers(&mut ours);
        families.register_work(&mut ours);
        (registry, families)
    }

    fn register_tokens(&self, ours: &mut Ours<'_>) {
        ours.add("token_issued_timestamp_seconds", "When the current token was issued", self.issued.clone());
        ours.add(
            "token_expiration_timestamp_seconds",
            "When the current token expires, for tokens that do",
            self.expires.clone(),
        );
        ours.add("token_next_rotation_timestamp_seconds", "When the next rotation is due", self.next.clone());
        ours.add("pickup_remaining_pods", "Pods that may still hold the old token", self.pickup.clone());
        ours.add("token_stalled", "1 if the RotatedToken is stalled and needs a user, else 0", self.stalled.clone());
        ours.add("rotations", "Rotations by outcome: published, finished, refused or failed", self.rotations.clone());
        ours.add(
            "rotation_duration_seconds",
            "From the begin of a rotation until its token is published and settled",
            self.rotation_duration.clone(),
        );
        ours.add(
            "rotation_delay_seconds",
            "From the time at which a rotation was due until its token is published and settled",
            self.rotation_delay.clone(),
        );
        ours.add(
            "pickup_duration_seconds",
            "From the time at which a token is published and settled until the token before it is revoked",
            self.pickup_duration.clone(),
        );
    }

    fn register_providers(&self, ours: &mut Ours<'_>) {
        ours.add(
            "provider_ready",
            "1 if tokens can be minted and revoked at the provider object, else 0",
            self.ready.clone(),
        );
        ours.add(
            "provider_credential_expiration_timestamp_seconds",
            "When the operator's credential at the provider object expires, where that is known",
            self.credential_expires.clone(),
        );
        ours.add("provider_calls", "Calls to providers by class of the answer", self.calls.clone());
        ours.add("provider_call_duration_seconds", "How long calls to providers took", self.call_durations.clone());
    }

    fn register_work(&self, ours: &mut Ours<'_>) {
        ours.add("reconciles", "Reconciles by outcome: done, failed or panicked", self.reconciles.clone());
        ours.add("reconcile_duration_seconds", "How long reconciles took", self.reconcile_duration.clone());
        ours.add("queue_depth", "Objects that are due and whose reconcile has not begun", self.queue_depth.clone());
        ours.add(
            "queue_oldest_age_seconds",
            "How long the object waits that is due for the longest time; 0 if none waits",
            self.queue_oldest.clone(),
        );
        ours.add("remembered_objects", "Objects that the operator keeps in memory, by kind", self.remembered.clone());
        ours.add("watch_interrupted", "1 if the watch is interrupted, else 0", self.watches.clone());
        ours.add("leader", "1 if this replica leads, else 0", self.leader.clone());
        ours.add(
            "build",
            "The version of the operator; always 1",
            Info::new(Build { version: env!("CARGO_PKG_VERSION") }),
        );
    }
}

/// Where our own metrics are registered.
struct Ours<'a>(&'a mut Registry);

impl Ours<'_> {
    fn add(&mut self, name: &str, help: &str, metric: impl Metric) {
        self.0.register(name, help, metric);
    }
}
