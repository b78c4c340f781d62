//! The operator of the model: the real `core`, called with what a replica has seen.
//!
//! Nothing of the protocol is written here. Decisions, changes of the record and memory are those of the operator; they are
//! pure functions of what was seen, so each answer is computed once and looked up afterwards.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use tokenturn::core::{
    decide::decide,
    guards::Guards,
    ledger::record::{Ledger, Values},
    pods::usage::Usage,
    schedule,
    seen::{
        answers,
        memory::Memory,
        observed::{Delays, Observed, Settings},
        views::{self, Record, Resource},
    },
    step::{Change, Phase, Step},
    timing::{CREATE_WITHIN, FOREIGN_INTENT, PUBLISH_WITHIN},
    token::{Handle, Issued},
    transition,
};

use crate::{
    builder::{now, resource, workload},
    facts::{Facts, facts},
    keep::{Kept, Memo},
    scenarios::Ends,
    shown::{
        ask, consumers, issued_as, listed_as, liveness, owner_of, reported, revoked, values_as, verification, view,
    },
    state::{Answers, Ask, EffectId, MemoryId, RecordId, StampId, Target, Wish},
    token::{Token, Viewer},
    world::Habit,
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
    /// Its Secret is one that images are pulled with.
    pub pulls: bool,
    /// Its tokens are such that nothing revokes them.
    pub ends: Ends,
    pub guards: Guards,
    /// The habit that is taken away.
    pub without: Habit,
}

/// A record and what the model has to know of it.
#[derive(Clone)]
pub struct Noted {
    pub record: Record,
    pub facts: Facts,
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
    pub was_immutable: MemoryId,
    pub memory: MemoryId,
    /// A tick has passed since it began.
    pub old: bool,
    pub viewer: Viewer,
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
    looked: Memo<(MemoryId, Viewer, Target, RecordId), MemoryId>,
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

    pub fn keeps(&self, habit: Habit) -> bool {
        self.start.without != habit
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
    pub fn look(&self, memory: MemoryId, viewer: Viewer, target: Target, record: RecordId) -> MemoryId {
        self.looked.get((memory, viewer, target, record), |_| {
            let mut memory = (*self.memories.get(memory.0)).clone();
            let record = self.noted(record);
            memory.look(UPTIME, &self.view(viewer, target), record.as_ref().map(|noted| &noted.record));
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
            kept.insert(token.serial(), values_as(token));
            let handle = |token: Issued| match self.start.ends {
                Ends::Revoked => token.handle,
                Ends::Expired => Handle::Nothing {},
                Ends::Replaced => Handle::Replaced {},
                Ends::Displaced => Handle::Displaced {},
            };
            let token = Issued { handle: handle(issued_as(token)), ..issued_as(token) };
            self.keep_record(transition::store(&noted.record.ledger, token), kept)
        })
    }

    /// A process is about to send an effect.
    pub fn begin(&self, memory: MemoryId, effect: EffectId) -> MemoryId {
        self.begun.get((memory, effect), |_| {
            let mut memory = (*self.memories.get(memory.0)).clone();
            match self.effect(effect) {
                Effect::Mint { .. } => memory.minting(),
                Effect::Publish(token) => memory.publishing(token.serial()),
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
                Effect::Revoke(token) => memory.revoked(token.serial(), UPTIME),
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
        let known = ledger.serials();
        values.retain(|serial, _| known.contains(serial));
        let text = serde_json::to_string(&ledger).expect("a ledger is JSON");
        let key = format!("{text}{:?}", values.keys().collect::<Vec<_>>());
        RecordId(self.records.number(key, || {
            let facts = facts(&ledger);
            Arc::new(Noted { record: Record { ledger, values, deleting: false }, facts })
        }))
    }

    fn ask_core(&self, look: &Look) -> Ruling {
        let was_immutable = self.memories.get(look.was_immutable.0);
        let observed = self.observed(look, (*was_immutable).clone());
        let decision = match decide(&observed) {
            Ok(decision) => decision,
            Err(question) => return Ruling::Ask(ask(&observed, look.viewer, &question)),
        };
        let mut memory = (*self.memories.get(look.memory.0)).clone();
        // By the clock of now, the look began earlier.
        let began = if look.old { UPTIME - TICK } else { UPTIME };
        let observed = Observed { uptime: began, ..observed };
        memory.decided(UPTIME, &observed, &decision);
        let memory = self.keep_memory(memory);
        debug_assert!(decision.phase != Phase::AtRest || matches!(decision.step, Step::Wait { .. }));
        match self.as_effect(look.viewer, &decision.step, &observed) {
            Some(effect) => {
                let effect = EffectId(self.effects.number(format!("{effect:?}"), || effect));
                Ruling::Act { effect, memory }
            }
            None => Ruling::Rest { memory },
        }
    }

    fn as_effect(&self, viewer: Viewer, step: &Step, observed: &Observed) -> Option<Effect> {
        let token = |serial| Token::new(viewer.object(), serial);
        let kept = || observed.record.as_ref().map_or_else(Values::new, |record| record.values.clone());
        Some(match step {
            Step::Save { ledger, change } => {
                Effect::Save { next: self.keep_record((**ledger).clone(), kept()), change: *change }
            }
            Step::Readopt { ledger, values } => {
                let serial = ledger.current.as_ref().map(|current| current.token.serial);
                let values = serial.zip(values.clone()).into_iter().collect();
                Effect::Write { next: self.keep_record((**ledger).clone(), values) }
            }
            Step::RestoreValue { serial, values } => {
                let mut all = kept();
                all.insert(*serial, values.clone());
                Effect::Write { next: self.keep_record(observed.record.as_ref()?.ledger.clone(), all) }
            }
            Step::DropRecord => Effect::DropRecord,
            Step::LeaveRecord { .. } => unreachable!("no credential of the model goes"),
            Step::Publish { serial, .. } => Effect::Publish(token(*serial)),
            Step::Fence { attempt } => Effect::Fence(u8::try_from(*attempt).ok()?),
            Step::DeleteTarget => Effect::DeleteTarget,
            Step::Mint { serial, predecessor, .. } => {
                Effect::Mint { token: token(*serial), replaces: predecessor.presented.map_or(Token::NONE, token) }
            }
            Step::Revoke { token, .. } => Effect::Revoke(revoked(viewer, token)),
            Step::Stamp { stamp, .. } => Effect::Stamp(StampId(self.stamps.number(stamp.clone(), || stamp.clone()))),
            Step::ReleaseFinalizer => Effect::Release,
            Step::AddFinalizer | Step::MarkOrphaned { .. } | Step::Wait { .. } => return None,
        })
    }

    fn observed(&self, look: &Look, memory: Memory) -> Observed {
        Observed {
            owner: owner_of(look.viewer),
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
            target: self.view(look.viewer, look.target),
            record: self.noted(look.record).map(|noted| noted.record.clone()),
            memory,
            delays: Delays { activation: Duration::from_secs(20), propagation: Duration::from_secs(1) },
            answers: self.answers(&look.answers),
        }
    }

    fn view(&self, viewer: Viewer, target: Target) -> views::Target {
        let is_own = target.of == viewer.object() || !self.keeps(Habit::OwnTarget);
        view(target, is_own)
    }

    fn resource(&self, wish: Wish) -> Option<Resource> {
        wish.exists.then(|| Resource {
            deleting: wish.deleting,
            rotate_now: (wish.rotations > 0).then(|| wish.rotations.to_string()),
            grace: if self.start.grace { GRACE } else { Duration::ZERO },
            ..resource()
        })
    }

    fn usage(&self) -> Usage {
        if self.start.pulls { Usage::Pull } else { Usage::SOMEWHERE }
    }

    fn answers(&self, answers: &Answers) -> answers::Answers {
        let tokens = answers.listing.map(|tokens| tokens.into_iter().filter(|token| !token.is_none()));
        answers::Answers {
            namespace_ends: None,
            listing: tokens.map(|tokens| Ok(tokens.map(listed_as).collect())),
            preflight: answers.preflight.then_some(Ok(None)),
            verification: reported(&answers.verified)
                .map(|(token, verdict)| (token, Ok(verification(verdict))))
                .collect(),
            liveness: reported(&answers.lives).map(|(token, seen)| (token, Ok(liveness(seen)))).collect(),
            consumers: answers
                .consumers
                .map(|listed| Ok(consumers(&listed, self.usage(), |stamp| self.stamps.get(stamp.0)))),
            last_use: BTreeMap::new(),
            ..answers::Answers::default()
        }
    }
}
