//! The world as the core is shown it.

use std::collections::{BTreeMap, BTreeSet};

use tokenturn::{
    core::{
        ledger::revocable::Revocable,
        pods::{
            consumers::{Consumers, NodeView, PodRef, PodView, WorkloadView},
            usage::Usage,
        },
        seen::{
            answers::Question,
            observed::Observed,
            views::{self, Foreign, TargetView},
        },
        token::{Handle, Issued, Listed as ListedToken, Liveness, Naming, Owner, Serial, Verification},
    },
    secret_value::{SecretValue, TokenSet},
};

use crate::{
    builder::{carrying, issued, listed, owner, values, workload},
    operator::TICK,
    state::{Ask, Life, Listed, Seen, StampId, Target, Verdict},
    token::{Object, Token, Viewer},
};

/// The owner whom a look is at.
pub fn owner_of(viewer: Viewer) -> Owner {
    match viewer {
        Viewer::Of(Object::A) => owner(),
        Viewer::Of(Object::B) => Owner { name: "rival".to_owned(), uid: "uid-2".to_owned(), ..owner() },
        Viewer::Stranger => Owner { namespace: "elsewhere".to_owned(), ..owner() },
    }
}

fn naming(object: Object) -> Naming {
    Naming::new("install", &owner_of(Viewer::Of(object)).uid)
}

/// What a token is worth: that of B is another one than that of A with the same numbers.
pub fn values_as(token: Token) -> TokenSet {
    match token.object() {
        Object::A => values(token.serial()),
        Object::B => TokenSet::single(SecretValue::new(format!("value-of-b-{}", token.serial()))),
    }
}

pub fn issued_as(token: Token) -> Issued {
    let like_a = issued(token.serial());
    match token.object() {
        Object::A => like_a,
        Object::B => {
            let id = naming(Object::B).name(token.serial());
            let handle = Handle::BoundObject { name: id.clone(), uid: format!("secret-{id}") };
            Issued { id, handle, fingerprint: values_as(token).fingerprint(), ..like_a }
        }
    }
}

pub fn listed_as(token: Token) -> ListedToken {
    let Issued { id, handle, .. } = issued_as(token);
    ListedToken { id, handle, ..listed(token.serial()) }
}

/// The token that a call to the provider names, whoever sends it.
fn named(viewer: Viewer, id: &str, serial: Serial) -> Token {
    let whose = Object::ALL.into_iter().find(|object| naming(*object).parse(id).is_some());
    Token::new(whose.unwrap_or(viewer.object()), serial)
}

pub fn revoked(viewer: Viewer, token: &Revocable) -> Token {
    named(viewer, token.id(), token.serial())
}

/// A target, of whoever looks or of somebody else.
pub fn view(target: Target, is_own: bool) -> views::Target {
    if !target.exists {
        return views::Target::Absent;
    }
    if !is_own {
        return views::Target::Foreign(Foreign::Token(owner_of(Viewer::Of(target.of)).name));
    }
    let views::Target::Ours(view) = carrying(target.carries.serial()) else {
        return views::Target::Absent;
    };
    let fence = (target.fence != 0).then_some(target.fence.into());
    let (uid, immutable) = (format!("target-{}", target.uid), target.immutable);
    let data = values_as(target.carries).get("token").map(|value| ("token".to_owned(), value.clone()));
    views::Target::Ours(TargetView { uid, fence, immutable, data: data.into_iter().collect(), ..view })
}

/// The consumers; `text` tells what a stamp says.
pub fn consumers(listed: &Listed, uses: Usage, text: impl Fn(StampId) -> String) -> Consumers {
    let there = || listed.pods.iter().filter(|pod| pod.life != Life::None);
    let shown = |uid: &u8, life: &Life| {
        let view = PodView {
            pod: pod(*uid),
            digest: name(*uid),
            finished: false,
            unreported: None,
            terminating: *life == Life::Terminating,
            controller: Some("ReplicaSet app-1".into()),
            rolled: true,
            uses: Some(uses.clone()),
            pull_fails: false,
        };
        (name(*uid), view)
    };
    let is = |life: Life| there().filter(move |pod| (pod.life == Life::Vanished) == (life == Life::Vanished));
    let pods: BTreeMap<_, _> = is(Life::Running).map(|pod| shown(&pod.uid, &pod.life)).collect();
    let vanished = is(Life::Vanished).filter(|pod| pod.seen).map(|pod| shown(&pod.uid, &pod.life)).collect();
    let ended: BTreeSet<_> = (1..listed.born).filter(|uid| there().all(|pod| pod.uid != *uid)).map(name).collect();
    let contact = is(Life::Vanished).map(|pod| (name(pod.uid), TICK * u32::from(pod.contact))).collect();
    let workload = WorkloadView {
        workload: workload(),
        uses: Some(uses.clone()),
        wanted: listed.wanted.into(),
        running: 0,
        has_pods: true,
        stamp: (listed.stamp != StampId::default()).then(|| text(listed.stamp)),
        obstacle: None,
    };
    let node = if listed.node_ready { NodeView::Ready } else { NodeView::NotReady };
    Consumers {
        pods,
        vanished,
        nodes: BTreeMap::from([("node".to_owned(), node)]),
        workloads: vec![workload],
        ended,
        in_contact: contact,
    }
}

/// Answers that were given, by serial.
pub fn reported<T: Copy>(answers: &[(Token, T)]) -> impl Iterator<Item = (Serial, T)> {
    let given = answers.iter().filter(|(token, _)| !token.is_none());
    given.map(|(token, answer)| (token.serial(), *answer))
}

pub fn verification(verdict: Verdict) -> Verification {
    match verdict {
        Verdict::Works => Verification::Works { surplus: vec![], expires_at: None },
        Verdict::Insufficient => Verification::Insufficient { missing: vec!["get configmaps".to_owned()] },
        Verdict::NotYet => Verification::NotYet { why: "not accepted".to_owned() },
    }
}

pub fn liveness(seen: Seen) -> Liveness {
    match seen {
        Seen::Alive => Liveness::Alive,
        Seen::Refused => Liveness::Dead,
        Seen::Gone => Liveness::Gone,
    }
}

fn name(uid: u8) -> String {
    format!("pod-{uid}")
}

fn pod(uid: u8) -> PodRef {
    PodRef { uid: name(uid), name: name(uid), node: Some("node".to_owned()), grace_seconds: 0 }
}

/// What a decision wants to know.
pub fn ask(observed: &Observed, viewer: Viewer, question: &Question) -> Ask {
    let token = |serial: Serial| {
        let mut known = observed.record.iter().flat_map(|record| record.ledger.tokens());
        let issued = known.find(|issued| issued.serial == serial);
        issued.map_or(Token::new(viewer.object(), serial), |issued| named(viewer, &issued.id, serial))
    };
    match question {
        Question::Listing(_) => Ask::Listing,
        Question::Preflight => Ask::Preflight,
        Question::Verify(serial) => Ask::Verify(token(*serial)),
        Question::Liveness(serial) => Ask::Liveness(token(*serial)),
        Question::LastUse(_) => unreachable!("no provider of the model says when a token was used"),
        Question::Consumers => Ask::Consumers,
        Question::NamespaceEnds => unreachable!("no credential of the model goes"),
    }
}
