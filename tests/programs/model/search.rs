//! One search of one world, with all guards or without one.

use std::time::{Duration, Instant};

use stateright::{Checker, HasDiscoveries, Model};
use tokenturn::core::guards::{Guard, Guards};

use crate::{
    calm::{Calm, Unrest},
    guards::Without,
    model::{CALM, TokenModel},
    operator::{Operator, Start},
    scenarios::Scenario,
    world::{Habit, World},
};

#[derive(Clone, Copy)]
pub struct Limits {
    pub threads: usize,
    pub time: Duration,
    /// One in so many states is tried for whether everything comes to rest.
    pub calm: u64,
}

/// What a search has shown.
pub struct Found {
    pub unique: usize,
    pub depth: usize,
    /// States that were tried for whether everything comes to rest.
    pub calm: u64,
    pub time: Duration,
    /// Every state was looked at.
    pub whole: bool,
    pub broken: Option<Broken>,
}

impl Found {
    /// Nothing was searched: the world did not get as far as its first state.
    pub fn is_empty(&self) -> bool {
        self.unique == 0
    }
}

/// A promise that was broken, and the events that led to it: the shortest way, as far as several threads find it.
pub struct Broken {
    pub promise: String,
    pub events: Vec<String>,
    /// What follows by itself, in rounds of calm weather, until the promise is broken; nothing if the last event breaks it.
    pub calm: Option<u64>,
    /// Where it is stuck, if it does not come to rest.
    pub stuck: Vec<String>,
    pub last: String,
}

pub fn search(scenario: &Scenario, without: Option<Without>, limits: Limits) -> Found {
    let (guards, habit) = match without {
        Some(Without::Guard(guard)) => (Guards::without(guard), Habit::All),
        Some(Without::Habit(habit)) => (Guards::default(), habit),
        None => (Guards::default(), Habit::All),
    };
    let start = Start {
        elected: scenario.elected,
        grace: scenario.grace,
        pulls: scenario.pulls,
        ends: scenario.ends,
        guards,
        without: habit,
    };
    let world = World {
        operator: Operator::new(start),
        replicas: scenario.replicas,
        grace: scenario.grace,
        pulls: scenario.pulls,
        ends: scenario.ends,
        last: scenario.last,
        mutes: scenario.budget.mutes > 0,
        confirms_death: guards.hold(Guard::ConfirmDead),
    };
    let model = TokenModel { world, scenario: *scenario, calm: Calm::one_in(limits.calm) };
    let begun = Instant::now();
    let checker = model
        .checker()
        .threads(limits.threads)
        .finish_when(HasDiscoveries::AnyFailures)
        .timeout(limits.time)
        .spawn_bfs()
        .join();
    let time = begun.elapsed();
    let model = checker.model();
    let shortest = checker.discoveries().into_iter().map(|(name, path)| {
        let last = path.last_state().clone();
        let events = path.into_vec().into_iter().filter_map(|(before, event)| Some(model.describe(&before, event?)));
        (name, events.collect::<Vec<_>>(), last)
    });
    let broken = shortest.min_by_key(|(_, events, _)| events.len()).map(|(name, events, last)| {
        let state = format!("{last:?}");
        let found =
            |promise: &str| Broken { promise: promise.to_owned(), events, calm: None, stuck: Vec::new(), last: state };
        match last.broken {
            Some(promise) => found(promise),
            None if name != CALM => found(name),
            None => match model.calm.tell(&model.world, &last) {
                Unrest::Broken { promise, rounds } => Broken { calm: Some(rounds), ..found(promise) },
                Unrest::Stuck(stuck) => Broken { stuck, ..found(name) },
            },
        }
    });
    Found {
        unique: checker.unique_state_count(),
        depth: checker.max_depth(),
        calm: checker.model().calm.tried(),
        time,
        whole: broken.is_none() && time < limits.time,
        broken,
    }
}
