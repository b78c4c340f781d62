//! Metrics. Labels are closed sets, besides namespace and name of the object; help texts say what to alert on.

use std::sync::atomic::AtomicU64;

use prometheus_client::{
    encoding::{EncodeLabelSet, text},
    metrics::{counter::Counter, family::Family, gauge::Gauge},
    registry::{Registry, Unit},
};

use crate::{
    api::{RotatedTokenStatus, conditions::STALLED},
    core::token::Owner,
    providers,
};

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Object {
    namespace: String,
    name: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Outcome {
    outcome: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Call {
    provider: &'static str,
    operation: &'static str,
    class: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Remembered {
    kind: &'static str,
}

type ObjectGauge = Family<Object, Gauge<f64, AtomicU64>>;

/// The metrics of this process.
#[derive(Debug)]
pub struct Metrics {
    registry: Registry,
    issued: ObjectGauge,
    expires: ObjectGauge,
    next: ObjectGauge,
    pickup: ObjectGauge,
    stalled: ObjectGauge,
    rotations: Family<Outcome, Counter>,
    calls: Family<Call, Counter>,
    passes: Family<Outcome, Counter>,
    leading: Gauge,
    remembered: Family<Remembered, Gauge>,
}

impl Default for Metrics {
    fn default() -> Self {
        let mut registry = Registry::with_prefix("tokenturn");
        let metrics = Self {
            issued: ObjectGauge::default(),
            expires: ObjectGauge::default(),
            next: ObjectGauge::default(),
            pickup: ObjectGauge::default(),
            stalled: ObjectGauge::default(),
            rotations: Family::default(),
            calls: Family::default(),
            passes: Family::default(),
            leading: Gauge::default(),
            remembered: Family::default(),
            registry: Registry::default(),
        };
        registry.register_with_unit(
            "token_issued_timestamp",
            "When the current token was issued; its age is time() minus this. Alert when it is much older than the interval",
            Unit::Seconds,
            metrics.issued.clone(),
        );
        registry.register_with_unit(
            "token_expires_timestamp",
            "When the current token expires, for tokens that do. Alert when this comes near",
            Unit::Seconds,
            metrics.expires.clone(),
        );
        registry.register_with_unit(
            "next_rotation_timestamp",
            "When the next rotation is due. Alert when this is long past",
            Unit::Seconds,
            metrics.next.clone(),
        );
        registry.register(
            "pickup_remaining_pods",
            "Pods that may still hold the old token. Alert when it stays above 0 for hours",
            metrics.pickup.clone(),
        );
        registry.register("stalled", "1 when the object needs a person. Alert on it", metrics.stalled.clone());
        registry.register(
            "rotations",
            "Rotations by outcome: published, finished (old token shown to be dead), refused (token did not pass), \
             failed (could not be minted)",
            metrics.rotations.clone(),
        );
        registry.register("provider_calls", "Calls to providers by class of the answer", metrics.calls.clone());
        registry.register(
            "passes",
            "Looks at an object: done, failed, or panicked. Alert on panicked",
            metrics.passes.clone(),
        );
        registry.register(
            "remembered_objects",
            "What is held in memory of objects, by kind: objects that are known, queued to be reconciled, namespaces whose pods are watched, \
             accounts at providers. Goes down when objects go; alert when it only grows",
            metrics.remembered.clone(),
        );
        registry.register("leading", "1 when this replica holds the lease", metrics.leading.clone());
        Self { registry, ..metrics }
    }
}

impl Metrics {
    /// All metrics in the OpenMetrics text format.
    #[must_use]
    pub fn encode(&self) -> String {
        let mut buffer = String::new();
        // Writing into a string cannot fail.
        let _ = text::encode(&mut buffer, &self.registry);
        buffer
    }

    /// One call to a provider has ended.
    pub fn provider_call(&self, provider: &'static str, operation: &'static str, error: Option<&providers::Error>) {
        let class = error.map_or("ok", |error| error.class().label());
        self.calls.get_or_create(&Call { provider, operation, class }).inc();
    }

    /// One look at an object has ended.
    pub fn pass(&self, outcome: &'static str) {
        self.passes.get_or_create(&Outcome { outcome }).inc();
    }

    /// A rotation has come to a point worth counting.
    pub fn rotation(&self, outcome: &'static str) {
        self.rotations.get_or_create(&Outcome { outcome }).inc();
    }

    /// Of how many things something is held in memory.
    pub fn remember(&self, counts: &[(&'static str, usize)]) {
        for &(kind, count) in counts {
            self.remembered.get_or_create(&Remembered { kind }).set(i64::try_from(count).unwrap_or(i64::MAX));
        }
    }

    /// Whether this replica holds the lease.
    pub fn leading(&self, leads: bool) {
        self.leading.set(i64::from(leads));
    }

    /// What a status says, as numbers.
    pub fn show(&self, owner: &Owner, status: &RotatedTokenStatus) {
        let object = object(owner);
        #[expect(clippy::cast_precision_loss, reason = "seconds since 1970 fit into 52 bits")]
        let seconds = |at: jiff::Timestamp| at.as_second() as f64;
        let current = status.current.as_ref();
        let times = [
            (&self.issued, current.map(|token| token.issued_at.0)),
            (&self.expires, current.and_then(|token| token.expires_at.as_ref()).map(|at| at.0)),
            (&self.next, status.next_rotation.as_ref().map(|at| at.0)),
        ];
        for (gauge, at) in times {
            match at {
                Some(at) => {
                    gauge.get_or_create(&object).set(seconds(at));
                }
                None => {
                    gauge.remove(&object);
                }
            }
        }
        #[expect(clippy::cast_precision_loss, reason = "nobody has 2^52 pods")]
        let remaining = status.pickup.as_ref().map_or(0.0, |pickup| pickup.remaining as f64);
        self.pickup.get_or_create(&object).set(remaining);
        let stalled =
            status.conditions.iter().any(|condition| condition.type_ == STALLED && condition.status == "True");
        self.stalled.get_or_create(&object).set(f64::from(u8::from(stalled)));
    }

    /// The object is gone.
    pub fn forget(&self, owner: &Owner) {
        let object = object(owner);
        for family in [&self.issued, &self.expires, &self.next, &self.pickup, &self.stalled] {
            family.remove(&object);
        }
    }
}

fn object(owner: &Owner) -> Object {
    Object { namespace: owner.namespace.clone(), name: owner.name.clone() }
}
