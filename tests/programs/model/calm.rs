//! L1-L3: from every state, once nothing more goes wrong, everything comes to rest, and no promise is broken on the way.
//!
//! Calm weather is one fair schedule: requests land, each replica takes whole passes in turn, pods are replaced, time
//! passes. It is deterministic, so a state from which rest was reached once is known to reach it.

use std::{
    collections::HashSet,
    hash::{DefaultHasher, Hash, Hasher},
    sync::{
        RwLock,
        atomic::{AtomicU64, Ordering},
    },
};

use crate::{
    state::{Activity, Budget, Life, Own, PODS, RecordId, State, Target, Wish},
    token::Object,
    world::{Event, Fate, World},
};

/// Passes of every replica between two ticks.
const PASSES: u64 = 8;
/// Rounds after which something is stuck: hours.
const ROUNDS: u64 = 1_000;
/// Steps that one pass can take at most.
const STEPS: usize = 40;

/// How calm weather does not lead to rest.
pub enum Unrest {
    /// A promise is broken after so many rounds.
    Broken { promise: &'static str, rounds: u64 },
    /// It goes on like this for ever.
    Stuck(Vec<String>),
}

pub struct Calm {
    /// One in so many states is tried.
    every: u64,
    good: RwLock<HashSet<u64>>,
    tried: AtomicU64,
}

impl Calm {
    pub fn one_in(every: u64) -> Self {
        Self { every, good: RwLock::default(), tried: AtomicU64::new(0) }
    }

    /// How many states were tried.
    pub fn tried(&self) -> u64 {
        self.tried.load(Ordering::Relaxed)
    }

    /// Whether everything comes to rest from here.
    pub fn comes_to_rest(&self, world: &World, state: &State) -> bool {
        if state.broken.is_some() || self.every == 0 || !hash(state, 0).is_multiple_of(self.every) {
            return true;
        }
        self.tried.fetch_add(1, Ordering::Relaxed);
        let mut state = State { budget: Budget::default(), mute: 0, ..state.clone() };
        let mut path = Vec::new();
        for round in 0..ROUNDS {
            let key = hash(&state, round % PASSES + 1);
            let known = self.good.read().is_ok_and(|good| good.contains(&key));
            if known || is_at_rest(world, &state) {
                if let Ok(mut good) = self.good.write() {
                    good.extend(path);
                }
                return state.broken.is_none();
            }
            path.push(key);
            self.round(world, &mut state, round);
            if state.broken.is_some() {
                return false;
            }
        }
        false
    }

    /// What becomes of a state from which everything does not come to rest.
    pub fn tell(&self, world: &World, state: &State) -> Unrest {
        let mut state = State { budget: Budget::default(), mute: 0, ..state.clone() };
        for round in 0..ROUNDS {
            self.round(world, &mut state, round);
            if let Some(promise) = state.broken {
                return Unrest::Broken { promise, rounds: round + 1 };
            }
        }
        let mut seen = Vec::new();
        for round in 0..2 * PASSES {
            self.round(world, &mut state, round);
            let records = state.own.map(|own| world.operator.facts(own.record));
            seen.push(format!("alive {:x}, target {:?}, records {records:?}", state.alive, state.target));
        }
        seen.dedup();
        Unrest::Stuck(seen)
    }

    fn round(&self, world: &World, state: &mut State, round: u64) {
        world.happen(state, Event::Land);
        passes(world, state);
        state.node_ready = true;
        // Somebody does what the status says of an immutable target: scale to nothing, delete it.
        let was_immutable =
            state.own.iter().any(|own| world.operator.facts(own.record).is_some_and(|facts| facts.was_immutable));
        if was_immutable && state.target.immutable {
            state.budget.deletes = 1;
            world.happen(state, Event::DeleteTarget);
        }
        // And what it says of an object that is being deleted while pods use its Secret.
        if state.wanted && state.own.iter().any(|own| own.wish.exists && own.wish.deleting) {
            world.happen(state, Event::Scale(false));
        }
        for slot in 0..PODS {
            let pod = state.pods[slot];
            let replaced = pod.life == Life::Running && (pod.outdated || was_immutable || !state.wanted);
            if replaced || pod.life == Life::Terminating {
                world.happen(state, Event::End(slot));
                if state.wanted && state.target.exists && !was_immutable {
                    let token = state.target.carries;
                    state.start(token);
                }
            }
        }
        if round % PASSES == PASSES - 1 {
            world.happen(state, Event::Tick);
        }
    }
}

/// Every replica takes a pass, step by step in turn.
fn passes(world: &World, state: &mut State) {
    for replica in 0..world.replicas {
        world.happen(state, Event::Advance(replica, Fate::Answered));
    }
    for _ in 0..STEPS {
        for replica in 0..world.replicas {
            if state.replicas[replica].activity != Activity::Idle {
                world.happen(state, Event::Advance(replica, Fate::Answered));
            }
        }
    }
}

/// The first replica takes a pass.
pub fn pass_of_one(world: &World, state: &mut State) {
    world.happen(state, Event::Advance(0, Fate::Answered));
    while state.replicas[0].activity != Activity::Idle {
        world.happen(state, Event::Advance(0, Fate::Answered));
    }
}

/// Every object is at rest, or waits for another one.
pub fn is_at_rest(world: &World, state: &State) -> bool {
    world.objects().iter().all(|object| waits(state, *object) || rests(world, state, *object))
}

/// The Secret is that of another object, which is there: this one goes on with what it has when the other one lets go.
fn waits(state: &State, object: Object) -> bool {
    let Target { exists, of: holder, .. } = state.target;
    let Wish { exists: is_there, deleting, .. } = state[object].wish;
    is_there && !deleting && exists && holder != object && state[holder].wish.exists
}

/// Nothing begun, nothing old, nothing asked for; the one live token is the one in the target. Or everything is gone.
fn rests(world: &World, state: &State, object: Object) -> bool {
    let Own { wish, record, .. } = state[object];
    let alive = state.alive & object.bits();
    if !wish.exists {
        return alive == 0 && record == RecordId::ABSENT;
    }
    let Some(facts) = world.operator.facts(record) else { return false };
    !wish.deleting
        && !facts.begun
        && facts.previous.is_none()
        && !facts.current.is_none()
        && facts.seen == wish.rotations
        && state.target.carries == facts.current
        // One that was found in place has two names.
        && (alive == facts.current.bit() || (alive == state.present && state.is_alive(facts.current)))
}

fn hash(state: &State, phase: u64) -> u64 {
    let mut hasher = DefaultHasher::new();
    state.hash(&mut hasher);
    phase.hash(&mut hasher);
    hasher.finish()
}
