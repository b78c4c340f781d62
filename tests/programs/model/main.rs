//! Searches the state space of the rotation protocol for broken promises. The decisions are those of the operator: the model
//! calls the same `core`.
//!
//! First each small world, to its end or until its time is up; then each guard taken away in turn, which has to show what the
//! guard is for; then the large world. The last line is JSON; a promise that is broken, a guard without which nothing is, and
//! a search of nothing end with an error.

use tokenturn::testkit::looks as builder;
mod calm;
mod effects;
mod events;
mod facts;
mod guards;
mod keep;
mod model;
mod operator;
mod people;
mod pods;
mod provider;
mod replica;
mod scenarios;
mod search;
mod shown;
mod state;
mod token;
mod world;

use std::{
    process::ExitCode,
    time::{Duration, Instant},
};

use clap::Parser;
use guards::Without;
use scenarios::Scenario;
use search::{Found, Limits, search};
use tokenturn::core::guards::Guard;

/// A search without a guard ends with the first thing that breaks, in seconds; only a guard that nobody misses takes that long.
const UNMISSED: Duration = Duration::from_secs(600);

/// Searches the rotation protocol, with the operator's own decisions, for broken promises.
#[derive(Parser)]
struct Arguments {
    /// Seconds for the large world; without it, the large world is searched for two minutes.
    #[arg(long, default_value_t = 120)]
    large: u64,
    /// Only worlds and guards whose name contains this.
    #[arg(long, default_value = "")]
    only: String,
    /// Threads that search.
    #[arg(long, default_value_t = 2, value_parser = clap::value_parser!(u64).range(1..=64))]
    threads: u64,
    /// Seconds for each small world.
    #[arg(long, default_value_t = 300)]
    limit: u64,
}

/// What all searches together have shown.
#[derive(Default)]
struct Sum {
    unique: usize,
    broken: usize,
    /// Worlds that were not searched to their end.
    unfinished: usize,
    guards: usize,
    killed: usize,
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let begun = Instant::now();
    let mut sum = Sum::default();
    worlds(&arguments, &mut sum);
    take_guards_away(&arguments, &mut sum);
    large(&arguments, &mut sum);
    let Sum { unique, broken, unfinished, guards, killed } = sum;
    let seconds = begun.elapsed().as_secs();
    println!(
        r#"{{"unique_states":{unique},"broken":{broken},"unfinished":{unfinished},"guards":{guards},"killed":{killed},"seconds":{seconds}}}"#
    );
    if unique == 0 && guards == 0 {
        eprintln!("model: no world and no guard has a name with {:?} in it", arguments.only);
        return ExitCode::FAILURE;
    }
    if broken == 0 && killed == guards { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn worlds(arguments: &Arguments, sum: &mut Sum) {
    println!("world, unique states, events deep, states tried for L1-L3, seconds");
    let is_asked_for = |scenario: &&Scenario| scenario.name.contains(&arguments.only);
    for scenario in scenarios::SMALL.iter().filter(is_asked_for) {
        let limits = Limits {
            threads: arguments.threads as usize,
            time: Duration::from_secs(arguments.limit),
            calm: scenarios::CALM_SMALL,
        };
        let found = search(scenario, None, limits);
        tell_world(scenario, &found, sum);
    }
}

fn large(arguments: &Arguments, sum: &mut Sum) {
    let scenario = &scenarios::LARGE;
    if arguments.large == 0 || !scenario.name.contains(&arguments.only) {
        return;
    }
    let time = Duration::from_secs(arguments.large);
    let limits = Limits { threads: arguments.threads as usize, time, calm: scenarios::CALM_LARGE };
    let found = search(scenario, None, limits);
    tell_world(scenario, &found, sum);
}

fn tell_world(scenario: &Scenario, found: &Found, sum: &mut Sum) {
    let Found { unique, depth, calm, time, .. } = found;
    println!("{}, {unique}, {depth}, {calm}, {:.1}", scenario.name, time.as_secs_f64());
    sum.unique += unique;
    if found.is_empty() {
        sum.broken += 1;
        println!("  nothing was searched: the first token is not issued, or takes more attempts than this world has");
    }
    if !found.whole && found.broken.is_none() {
        sum.unfinished += 1;
        println!("  not searched to the end in this time");
    }
    if let Some(broken) = &found.broken {
        sum.broken += 1;
        println!("  {} is broken:", broken.promise);
        for event in &broken.events {
            println!("    {event}");
        }
        if let Some(rounds) = broken.calm {
            println!("    and then by itself, in {rounds} rounds of calm weather");
        }
        println!("  {}", broken.last);
        for stuck in &broken.stuck {
            println!("  stuck: {stuck}");
        }
    }
}

fn take_guards_away(arguments: &Arguments, sum: &mut Sum) {
    let has_row = |guard: &Guard| guards::CASES.iter().any(|case| case.without.name() == format!("{guard:?}"));
    for guard in Guard::ALL.iter().filter(|guard| arguments.only.is_empty() && !has_row(guard)) {
        sum.guards += 1;
        println!("{guard:?} has no row in guards.rs");
    }
    println!(
        "guard taken away, world, promise broken, events to it (+ rounds of calm weather), unique states, seconds"
    );
    for case in &guards::CASES {
        let name = case.without.name();
        if !name.contains(&arguments.only) && !case.world.contains(&arguments.only) {
            continue;
        }
        sum.guards += 1;
        let Some(scenario) = scenarios::SMALL.iter().find(|scenario| scenario.name == case.world) else {
            println!("{name}: there is no world {}", case.world);
            continue;
        };
        let limits = Limits { threads: arguments.threads as usize, time: UNMISSED, calm: 1 };
        let found = search(scenario, Some(case.without), limits);
        let seconds = found.time.as_secs_f64();
        match &found.broken {
            Some(broken) if !found.is_empty() => {
                sum.killed += 1;
                let (promise, events) = (&broken.promise, broken.events.len());
                let calm = broken.calm.map_or_else(String::new, |rounds| format!(" + {rounds}"));
                println!("{name}, {}, {promise}, {events}{calm}, {}, {seconds:.1}", case.world, found.unique);
            }
            _ => println!("{name}, {}, NOTHING, -, {}, {seconds:.1}", case.world, found.unique),
        }
    }
}

impl Without {
    fn name(self) -> String {
        match self {
            Self::Guard(guard) => format!("{guard:?}"),
            Self::Habit(habit) => format!("{habit:?}"),
        }
    }
}
