//! Observations with good defaults, so that a case shows only what matters.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use crate::{
    api::{
        Backend, DeletionPolicy, KubernetesProvider, ProviderKind, ProviderRef, RolloutSpec, TokenProviderSpec,
        WorkloadKind, WorkloadRef, conditions::Reason,
    },
    core::{
        decide::decide,
        guards::Guards,
        ledger::{
            record::{Current, Intent, Ledger, Snapshot, Superseded},
            trigger::Trigger,
        },
        plan::{Plan, TargetPlan},
        pods::{
            consumers::{Consumers, PodRef, PodView, WorkloadView},
            usage::Usage,
        },
        seen::{
            answers::Answers,
            memory::Memory,
            observed::{Delays, Observed, Settings},
            views::{Record, Resource, Target, TargetView},
        },
        step::Decision,
        token::{Handle, Issued, Listed, Liveness, Naming, Owner, Serial, Source, Specification, Verification},
        transition,
    },
    secret_value::{SecretValue, TokenSet},
};
use jiff::Timestamp;

pub const SETTLE: Duration = Duration::from_secs(15);
pub const UPTIME: Duration = Duration::from_secs(10_000);

pub fn serial(sequence: i64, attempt: i64) -> Serial {
    Serial { sequence, attempt }
}

pub fn owner() -> Owner {
    Owner { namespace: "shop".into(), name: "api".into(), uid: "uid-1".into() }
}

pub fn provider() -> TokenProviderSpec {
    TokenProviderSpec {
        backend: Backend { kubernetes: Some(KubernetesProvider::default()), ..Backend::default() },
        policy: None,
    }
}

pub fn specification() -> Specification {
    Specification {
        provider: ProviderRef { kind: ProviderKind::TokenProvider, name: "cluster".into() },
        permissions: vec!["get configmaps".into()],
        parameters: BTreeMap::new(),
    }
}

pub fn source() -> Source {
    Source { specification: specification(), provider: provider() }
}

pub fn now() -> Timestamp {
    "2026-01-01T00:00:00Z".parse().unwrap()
}

pub fn values(serial: Serial) -> TokenSet {
    TokenSet::single(SecretValue::new(format!("value-{serial}")))
}

pub fn issued(serial: Serial) -> Issued {
    Issued {
        serial,
        id: Naming::new("install", "uid-1").name(serial),
        handle: handle(serial),
        fingerprint: values(serial).fingerprint(),
        issued_at: now(),
        expires_at: None,
        source: source(),
        surplus: vec![],
        flawed: false,
        unshown: vec![],
    }
}

fn handle(serial: Serial) -> Handle {
    Handle::BoundObject { name: serial.to_string(), uid: format!("secret-{serial}") }
}

pub fn listed(serial: Serial) -> Listed {
    Listed { serial, id: issued(serial).id, handle: handle(serial), created_at: None }
}

pub fn resource() -> Resource {
    Resource {
        deleting: false,
        finalizer: true,
        elsewhere: None,
        named_by: None,
        suspend: false,
        rotate_now: None,
        deletion_policy: DeletionPolicy::Revoke,
        grace: Duration::ZERO,
        rollout: RolloutSpec::default(),
        was_issued: true,
        is_recipe_changed: false,
        target: TargetPlan {
            name: "api-token".into(),
            type_: "Opaque".into(),
            data: BTreeMap::from([("token".into(), "token".into())]),
            labels: BTreeMap::new(),
            annotations: BTreeMap::new(),
        },
        plan: Ok(Plan {
            source: source(),
            interval: Duration::from_secs(30 * 86_400),
            early: Duration::ZERO,
            renew_before: None,
            lifetime: Duration::from_secs(45 * 86_400),
            traits: crate::core::plan::Traits::default(),
            max_live: 4,
            min_interval: None,
        }),
    }
}

/// A target of ours that carries a token.
pub fn carrying(serial: Serial) -> Target {
    let value = values(serial).get("token").cloned().unwrap();
    Target::Ours(TargetView {
        uid: "target".into(),
        serial: Some(serial),
        fence: None,
        orphaned: false,
        immutable: false,
        type_: "Opaque".into(),
        data: BTreeMap::from([("token".into(), value)]),
        labels: BTreeMap::new(),
        annotations: BTreeMap::new(),
        managers: BTreeMap::new(),
    })
}

pub fn pod(uid: &str) -> PodRef {
    PodRef { uid: uid.into(), name: format!("pod-{uid}"), node: Some("node".into()), grace_seconds: 30 }
}

pub fn workload() -> WorkloadRef {
    WorkloadRef { kind: WorkloadKind::Deployment, name: "app".into() }
}

/// Running pods of one Deployment that use the Secret.
pub fn consumers(uids: &[&str], stamp: Option<&str>) -> Consumers {
    let view = |uid: &&str| {
        let view = PodView {
            pod: pod(uid),
            digest: format!("digest-{uid}"),
            finished: false,
            unreported: None,
            terminating: false,
            controller: Some("ReplicaSet app-1".into()),
            rolled: true,
            uses: Some(Usage::Held { container: Some("app".into()) }),
            pull_fails: false,
        };
        ((*uid).to_owned(), view)
    };
    let workload = WorkloadView {
        workload: workload(),
        uses: Some(Usage::SOMEWHERE),
        wanted: 2,
        running: 2,
        has_pods: !uids.is_empty(),
        stamp: stamp.map(Into::into),
        obstacle: None,
    };
    Consumers { pods: uids.iter().map(view).collect(), workloads: vec![workload], ..Consumers::default() }
}

/// A ledger at rest with a current token.
pub fn at_rest(current: Serial) -> Ledger {
    let empty = transition::empty(&owner(), &resource());
    Ledger {
        counter: current.attempt,
        sequence: current.sequence,
        current: Some(Current {
            token: issued(current),
            reason: Reason::FirstIssue,
            promoted_at: now(),
            restored_from_backup: false,
            uninspected: false,
        }),
        ..empty
    }
}

/// A ledger with a rotation that has begun.
pub fn intended(ledger: Ledger, serial: Serial) -> Ledger {
    let intent = Intent {
        serial,
        trigger: Trigger::RotateNow,
        at: now(),
        attempts: 1,
        failure: None,
        before: None,
        may_orphan: false,
        unseen_until: None,
        misread: None,
        source: source(),
    };
    Ledger { counter: serial.attempt, intent: Some(intent), ..ledger }
}

/// A ledger after the promotion of `current` over `previous`.
pub fn promoted(current: Serial, previous: Serial, pods: &[&str]) -> Ledger {
    let pods = pods.iter().map(|uid| pod(uid)).collect();
    let snapshot = Snapshot { pods, crowd: BTreeSet::new(), workloads: BTreeSet::from([workload()]) };
    let superseded: Superseded = transition::supersede(issued(previous), Some(snapshot));
    Ledger { previous: Some(superseded), ..at_rest(current) }
}

pub fn record(ledger: Ledger) -> Record {
    let values = ledger.serials().into_iter().map(|serial| (serial, values(serial))).collect();
    Record { ledger, values, deleting: false }
}

/// An observation in which every question has a friendly answer: nothing is listed that the ledger does not know, every
/// token works, nobody uses the Secret.
pub fn observed(ledger: Option<Ledger>, target: Target) -> Observed {
    let mut answers =
        Answers { preflight: Some(Ok(None)), consumers: Some(Ok(Consumers::default())), ..Answers::default() };
    let mut known = Vec::new();
    for token in ledger.iter().flat_map(Ledger::tokens) {
        known.push(listed(token.serial));
        let works = Verification::Works { surplus: vec![], expires_at: None };
        answers.verification.insert(token.serial, Ok(works));
        answers.liveness.insert(token.serial, Ok(Liveness::Alive));
    }
    answers.listing = Some(Ok(known));
    let mut memory = Memory::default();
    memory.own = ledger.as_ref().and_then(|ledger| ledger.intent.as_ref()).map(|intent| intent.serial);
    memory.unsent_intent = memory.own;
    Observed {
        owner: owner(),
        now: now(),
        uptime: UPTIME,
        settings: Settings {
            settle: SETTLE,
            contact: Duration::from_secs(90),
            image_pull_backoff: Duration::from_secs(300),
            elected: true,
            guards: Guards::default(),
        },
        resource: Some(resource()),
        target,
        record: ledger.map(record),
        memory,
        delays: Delays { activation: Duration::from_secs(60), propagation: Duration::from_secs(12) },
        answers,
    }
}

/// Decides; every question has been answered.
pub fn decided(observed: &Observed) -> Decision {
    decide(observed).unwrap_or_else(|question| panic!("asked {question:?}"))
}
