//! The operator of the model: the real `core`, called with what a replica has seen.
//!
//! Nothing of the protocol is written here. Decisions, changes of the record and memory are those of the operator; they are
//! pure functions of what was seen, so each answer is computed once and looked up afterwards.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::Duration,
};

use tokenturn::core::{
    consumers::{Consumers, NodeView, PodView, WorkloadView},
    decide::decide,
    guards::Guards,
    memory::Memory,
    observed::{self, Delays, Observed, Question, Record, Resource, Settings, TargetView},
    record::{Ledger, PodRef, Values},
    retire::PUBLISH_WITHIN,
    revocable::Revocable,
    rotation::{CREATE_WITHIN, FOREIGN_INTENT},
    schedule,
    step::{Change, Phase, Step},
    token::{Generation, Handle, Issued, Liveness, Owner, Verification},
    transition,
    usage::Usage,
};

use crate::{
    builder::{carrying, issued, listed, now, owner, resource, values, workload},
    keep::{Kept, Memo},
    scenarios::Ends,
    state::{Answers, Ask, EffectId, Life, Listed, MemoryId, RecordId, Seen, StampId, Target, Token, Verdict, Wish},
};

/// Time passes in ticks of this length, longer than every wait of the protocol besides those below.
pub const TICK: Duration = Duration::from_secs(50);
const _: () = assert!(
    TICK.as_secs() > PUBLISH_WITHIN.as_secs()
        && TICK.as_secs() > CREATE_WITHIN.as_secs()
        && TICK.as_secs() > FOREIGN_INTENT.as_secs(),
    "what waits for these has waited when a tick has passed"
);
/// Settle time: two ticks; a kubelet's cache is late by less.
const SETTLE: Duration = Duration::from_secs(100);
/// How long a kubelet must have been in contact: two ticks; it ends pods that are gone within one.
const CONTACT: Duration = Duration::from_secs(90);
/// How long a kubelet pauses before it tries again to pull an image: less than two ticks.
const IMAGE_PULL_BACKOFF: Duration = Duration::from_secs(90);
/// Grace period, where there is one: one tick.
pub const GRACE: Duration = Duration::from_secs(40);
/// Every look happens at this time of its process; what it remembers is moved into the past instead.
const UPTIME: Duration = Duration::from_secs(10_000);
/// Older than this is as good as this.
const OLDEST: Duration = Duration::from_secs(10_000 - 4 * 50);

/// How the operator is started.
#[derive(Clone, Copy, Debug)]
pub struct Start {
    pub elected: bool,
    pub grace: bool,
    /// Its tokens are such that nothing revokes them.
    pub ends: Ends,
    pub guards: Guards,
}

/// A record and what the model has to know of it.
#[derive(Clone)]
pub struct Noted {
    pub record: Record,
    pub facts: Facts,
}

#[derive(Clone, Copy, Debug, Default)]
pub struct Facts {
    pub counter: u8,
    pub current: Token,
    pub previous: Token,
    pub pending: Token,
    /// By attempt: every token that it knows, and those that were replaced because they were refused.
    pub known: u16,
    pub presumed_dead: u16,
    /// Attempts up to this one are of a past that the record does not know.
    pub unknown_until: u8,
    pub begun: bool,
    /// The target was immutable once.
    pub frozen: bool,
    /// The last request for a rotation that was acted on.
    pub seen: u8,
    /// The evidence for a revoke of the previous token is committed.
    pub revoking: bool,
    /// The evidence that no consumer is left is committed.
    pub retiring: bool,
}

/// What a step does to the world.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Effect {
    Save { next: RecordId, change: Change },
    Write { next: RecordId },
    DropRecord,
    Publish(Token),
    Fence(u8),
    DeleteTarget,
    Mint { token: Token, replaces: Token },
    Revoke(Token),
    Stamp(StampId),
    Release,
}

/// What a look leads to.
#[derive(Clone, Copy, Debug)]
pub enum Ruling {
    Ask(Ask),
    Act { effect: EffectId, memory: MemoryId },
    Rest { memory: MemoryId },
}

/// Everything that a decision depends on.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Look {
    /// The memory when the look began, and as it is now: time may have passed.
    pub frozen: MemoryId,
    pub memory: MemoryId,
    /// A tick has passed since it began.
    pub old: bool,
    /// At another owner with the same UID.
    pub stranger: bool,
    pub target: Target,
    pub record: RecordId,
    pub wish: Wish,
    pub answers: Answers,
}

pub struct Operator {
    start: Start,
    records: Kept<Arc<Noted>>,
    memories: Kept<Arc<Memory>>,
    effects: Kept<Effect>,
    stamps: Kept<String>,
    looked: Memo<(MemoryId, Target, RecordId), MemoryId>,
    decided: Memo<Look, Ruling>,
    stored: Memo<(RecordId, Token), RecordId>,
    aged: Memo<MemoryId, MemoryId>,
    begun: Memo<(MemoryId, EffectId), MemoryId>,
    done: Memo<(MemoryId, EffectId), MemoryId>,
}

impl Operator {
    pub fn new(start: Start) -> Self {
        Self {
            start,
            records: Kept::default(),
            memories: Kept::default(),
            effects: Kept::default(),
            stamps: Kept::default(),
            looked: Memo::default(),
            decided: Memo::default(),
            stored: Memo::default(),
            aged: Memo::default(),
            begun: Memo::default(),
            done: Memo::default(),
        }
    }

    /// A process that has just started.
    pub fn blank(&self) -> MemoryId {
        self.keep_memory(Memory::default())
    }

    pub fn effect(&self, id: EffectId) -> Effect {
        self.effects.get(id.0)
    }

    pub fn facts(&self, record: RecordId) -> Option<Facts> {
        (record != RecordId::ABSENT).then(|| self.records.get(record.0).facts)
    }

    pub fn noted(&self, record: RecordId) -> Option<Arc<Noted>> {
        (record != RecordId::ABSENT).then(|| self.records.get(record.0))
    }

    /// A tick passes for a process.
    pub fn age(&self, memory: MemoryId) -> MemoryId {
        self.aged.get(memory, |memory| {
            let mut memory = (*self.memories.get(memory.0)).clone();
            let age = |since: &mut Duration| {
                if *since > OLDEST {
                    *since = since.saturating_sub(TICK).max(OLDEST);
                }
            };
            age(&mut memory.target_since);
            let Memory { intended, intent_since, pending_since, refused_since, .. } = &mut memory;
            let known = [intended, intent_since, pending_since, refused_since];
            for (_, since) in known.into_iter().flatten() {
                age(since);
            }
            for since in [&mut memory.proven_since, &mut memory.retiring_since].into_iter().flatten() {
                age(since);
            }
            memory.revokes.values_mut().for_each(|taken| {
                age(&mut taken.first);
                age(&mut taken.last);
                taken.times = taken.times.min(2);
            });
            memory.refusals.values_mut().for_each(|refusals| {
                age(&mut refusals.first);
                age(&mut refusals.last);
            });
            self.keep_memory(memory)
        })
    }

    /// A process has read target and record.
    pub fn look(&self, memory: MemoryId, target: Target, record: RecordId) -> MemoryId {
        self.looked.get((memory, target, record), |_| {
            let mut memory = (*self.memories.get(memory.0)).clone();
            let record = self.noted(record);
            memory.look(UPTIME, &view(target), record.as_ref().map(|noted| &noted.record));
            self.keep_memory(memory)
        })
    }

    /// Decides, or says what has to be looked up.
    pub fn decide(&self, look: Look) -> Ruling {
        self.decided.get(look, |look| self.ask_core(look))
    }

    /// The record after a minted token was stored in it.
    pub fn store(&self, record: RecordId, token: Token) -> RecordId {
        self.stored.get((record, token), |_| {
            let noted = self.records.get(record.0);
            let mut kept = noted.record.values.clone();
            kept.insert(token.generation(), values(token.generation()));
            let handle = |token: Issued| match self.start.ends {
                Ends::Revoked => token.handle,
                Ends::Expired => Handle::Nothing {},
                Ends::Replaced => Handle::Replaced {},
                Ends::Displaced => Handle::Displaced {},
            };
            let token = Issued { handle: handle(issued(token.generation())), ..issued(token.generation()) };
            self.keep_record(transition::store(&noted.record.ledger, token), kept)
        })
    }

    /// A process is about to send an effect.
    pub fn begin(&self, memory: MemoryId, effect: EffectId) -> MemoryId {
        self.begun.get((memory, effect), |_| {
            let mut memory = (*self.memories.get(memory.0)).clone();
            match self.effect(effect) {
                Effect::Mint { .. } => memory.minting(),
                Effect::Publish(token) => memory.publishing(token.generation()),
                _ => {}
            }
            self.keep_memory(memory)
        })
    }

    /// An effect of a process was acknowledged.
    pub fn done(&self, memory: MemoryId, effect: EffectId) -> MemoryId {
        self.done.get((memory, effect), |_| {
            let mut memory = (*self.memories.get(memory.0)).clone();
            match self.effect(effect) {
                Effect::Save { change, .. } => memory.saved(change),
                Effect::Publish(_) => memory.published(UPTIME),
                Effect::Revoke(token) => memory.revoked(token.generation(), UPTIME),
                Effect::Stamp(stamp) => memory.stamped(workload(), &self.stamps.get(stamp.0), UPTIME),
                _ => {}
            }
            self.keep_memory(memory)
        })
    }

    fn keep_memory(&self, mut memory: Memory) -> MemoryId {
        // For the status and for messages only.
        (memory.provider, memory.mint_failure) = (None, None);
        // No round of the model is the fourth, and answers are lost for good.
        (memory.rolled, memory.answer_lost, memory.reopened) = (None, None, 0);
        MemoryId(self.memories.number(format!("{memory:?}"), || Arc::new(memory)))
    }

    fn keep_record(&self, mut ledger: Ledger, mut values: Values) -> RecordId {
        // Waits between attempts are over by the next look.
        if let Some(intent) = &mut ledger.intent {
            intent.at = now();
        }
        let known = ledger.generations();
        values.retain(|generation, _| known.contains(generation));
        let text = serde_json::to_string(&ledger).expect("a ledger is JSON");
        let key = format!("{text}{:?}", values.keys().collect::<Vec<_>>());
        RecordId(self.records.number(key, || {
            let facts = facts(&ledger);
            Arc::new(Noted { record: Record { ledger, values, deleting: false }, facts })
        }))
    }

    fn ask_core(&self, look: &Look) -> Ruling {
        let frozen = self.memories.get(look.frozen.0);
        let observed = self.observed(look, (*frozen).clone());
        let decision = match decide(&observed) {
            Ok(decision) => decision,
            Err(question) => return Ruling::Ask(ask(&question)),
        };
        let mut memory = (*self.memories.get(look.memory.0)).clone();
        // By the clock of now, the look began earlier.
        let began = if look.old { UPTIME - TICK } else { UPTIME };
        let observed = Observed { uptime: began, ..observed };
        memory.decided(UPTIME, &observed, &decision);
        let memory = self.keep_memory(memory);
        debug_assert!(decision.phase != Phase::AtRest || matches!(decision.step, Step::Wait { .. }));
        match self.as_effect(&decision.step, &observed) {
            Some(effect) => {
                let effect = EffectId(self.effects.number(format!("{effect:?}"), || effect));
                Ruling::Act { effect, memory }
            }
            None => Ruling::Rest { memory },
        }
    }

    fn as_effect(&self, step: &Step, observed: &Observed) -> Option<Effect> {
        let kept = || observed.record.as_ref().map_or_else(Values::new, |record| record.values.clone());
        Some(match step {
            Step::Save { ledger, change } => {
                Effect::Save { next: self.keep_record((**ledger).clone(), kept()), change: *change }
            }
            Step::Readopt { ledger, values } => {
                let generation = ledger.current.as_ref().map(|current| current.token.generation);
                let values = generation.zip(values.clone()).into_iter().collect();
                Effect::Write { next: self.keep_record((**ledger).clone(), values) }
            }
            Step::RestoreValue { generation, values } => {
                let mut all = kept();
                all.insert(*generation, values.clone());
                Effect::Write { next: self.keep_record(observed.record.as_ref()?.ledger.clone(), all) }
            }
            Step::DropRecord => Effect::DropRecord,
            Step::LeaveRecord { .. } => unreachable!("no credential of the model goes"),
            Step::Publish { generation, .. } => Effect::Publish(Token::new(*generation)),
            Step::Fence { attempt } => Effect::Fence(u8::try_from(*attempt).ok()?),
            Step::DeleteTarget => Effect::DeleteTarget,
            Step::Mint { generation, replaces, .. } => {
                Effect::Mint { token: Token::new(*generation), replaces: replaces.map_or(Token::NONE, Token::new) }
            }
            Step::Revoke { token, .. } => Effect::Revoke(revoked(token)),
            Step::Stamp { stamp, .. } => Effect::Stamp(StampId(self.stamps.number(stamp.clone(), || stamp.clone()))),
            Step::ReleaseFinalizer => Effect::Release,
            Step::AddFinalizer | Step::MarkOrphaned { .. } | Step::Wait { .. } => return None,
        })
    }

    fn observed(&self, look: &Look, memory: Memory) -> Observed {
        Observed {
            owner: if look.stranger { Owner { namespace: "elsewhere".to_owned(), ..owner() } } else { owner() },
            now: schedule::after(now(), Duration::from_secs(3600)),
            uptime: UPTIME,
            settings: Settings {
                settle: SETTLE,
                contact: CONTACT,
                image_pull_backoff: IMAGE_PULL_BACKOFF,
                elected: self.start.elected,
                guards: self.start.guards,
            },
            resource: self.resource(look.wish),
            target: view(look.target),
            record: self.noted(look.record).map(|noted| noted.record.clone()),
            memory,
            delays: Delays { activation: Duration::from_secs(20), propagation: Duration::from_secs(1) },
            answers: self.answers(&look.answers),
        }
    }

    fn resource(&self, wish: Wish) -> Option<Resource> {
        wish.exists.then(|| Resource {
            deleting: wish.deleting,
            rotate_now: (wish.rotations > 0).then(|| wish.rotations.to_string()),
            grace: if self.start.grace { GRACE } else { Duration::ZERO },
            ..resource()
        })
    }

    fn answers(&self, answers: &Answers) -> observed::Answers {
        let tokens = answers.listing.map(|tokens| tokens.into_iter().filter(|token| !token.is_none()));
        observed::Answers {
            namespace_ends: None,
            listing: tokens.map(|tokens| Ok(tokens.map(|token| listed(token.generation())).collect())),
            preflight: answers.preflight.then_some(Ok(None)),
            verification: told(&answers.verified).map(|(token, verdict)| (token, Ok(verification(verdict)))).collect(),
            liveness: told(&answers.lives).map(|(token, seen)| (token, Ok(liveness(seen)))).collect(),
            consumers: answers.consumers.map(|listed| Ok(self.consumers(&listed))),
            last_use: BTreeMap::new(),
            ..observed::Answers::default()
        }
    }

    fn consumers(&self, listed: &Listed) -> Consumers {
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
                uses: Some(Usage::SOMEWHERE),
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
            uses: Some(Usage::SOMEWHERE),
            wanted: listed.wanted.into(),
            running: 0,
            has_pods: true,
            stamp: (listed.stamp != StampId::default()).then(|| self.stamps.get(listed.stamp.0)),
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
}

/// Answers that were given, by generation.
fn told<T: Copy>(answers: &[(Token, T)]) -> impl Iterator<Item = (Generation, T)> {
    let given = answers.iter().filter(|(token, _)| !token.is_none());
    given.map(|(token, answer)| (token.generation(), *answer))
}

fn verification(verdict: Verdict) -> Verification {
    match verdict {
        Verdict::Works => Verification::Works { surplus: vec![], expires_at: None },
        Verdict::Insufficient => Verification::Insufficient { missing: vec!["get configmaps".to_owned()] },
        Verdict::NotYet => Verification::NotYet { why: "not accepted".to_owned() },
    }
}

fn liveness(seen: Seen) -> Liveness {
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

fn revoked(token: &Revocable) -> Token {
    Token::new(token.generation())
}

fn view(target: Target) -> observed::Target {
    if !target.exists {
        return observed::Target::Absent;
    }
    let observed::Target::Ours(view) = carrying(target.carries.generation()) else {
        return observed::Target::Absent;
    };
    let fence = (target.fence != 0).then_some(target.fence.into());
    let (uid, immutable) = (format!("target-{}", target.uid), target.immutable);
    observed::Target::Ours(TargetView { uid, fence, immutable, ..view })
}

fn ask(question: &Question) -> Ask {
    match question {
        Question::Listing(_) => Ask::Listing,
        Question::Preflight => Ask::Preflight,
        Question::Verify(generation) => Ask::Verify(Token::new(*generation)),
        Question::Liveness(generation) => Ask::Liveness(Token::new(*generation)),
        Question::LastUse(_) => unreachable!("no provider of the model says when a token was used"),
        Question::Consumers => Ask::Consumers,
        Question::NamespaceEnds => unreachable!("no credential of the model goes"),
    }
}

fn bits(tokens: &mut dyn Iterator<Item = &Issued>) -> u16 {
    tokens.fold(0, |bits, issued| bits | Token::new(issued.generation).bit())
}

fn facts(ledger: &Ledger) -> Facts {
    let small = |number: i64| u8::try_from(number).expect("a small number");
    let token = |generation: Option<_>| generation.map_or(Token::NONE, Token::new);
    let previous = ledger.previous.as_ref();
    Facts {
        counter: small(ledger.counter),
        current: token(ledger.current.as_ref().map(|current| current.token.generation)),
        previous: token(previous.map(|previous| previous.token.generation)),
        pending: token(ledger.pending.as_ref().map(|pending| pending.generation)),
        known: bits(&mut ledger.tokens()),
        presumed_dead: bits(&mut ledger.presumed_dead.iter()),
        unknown_until: small(ledger.unknown_until),
        frozen: ledger.frozen,
        seen: ledger.rotate_now_seen.as_ref().and_then(|seen| seen.parse().ok()).unwrap_or(0),
        begun: ledger.intent.is_some() || ledger.refused.is_some(),
        revoking: previous.is_some_and(|previous| previous.revoke.is_some()),
        retiring: ledger.retirement.as_ref().is_some_and(|retirement| retirement.revoke.is_some()),
    }
}
