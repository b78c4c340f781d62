//! What the operator costs: calls for each rotation, rates, CPU, memory, times.
//!
//! Servers and operator are real; the node and its containers are simulated. What is written and read is counted in the API
//! server's audit log, by the operator's account, and CPU and memory are read from /proc, so that nothing the operator says
//! about itself is believed. Goals are printed beside the figures and decide nothing: only a part that failed, or a refused
//! consumer, ends with an error.

mod args;
mod calls;
mod crowd;
mod due;
mod failover;
mod goals;
mod growth;
mod http_provider;
mod idle;
mod machine;
mod pods;
mod process;
mod rate;
mod replicas;
mod report;
mod restart;
mod rotations;
mod same_writes;
mod scene;
mod tables;
mod times;
mod traced;

use std::{process::ExitCode, time::Instant};

use clap::ValueEnum;

use args::{Part, Plan};
use report::Figures;
use scene::Scene;

pub type Failure = Box<dyn std::error::Error + Send + Sync>;

/// The settle time of all parts but `calls`: waiting is not what they measure.
const SETTLE: &str = "1s";

/// Parts that share one crowd.
const CROWD: [Part; 3] = [Part::Flat, Part::Idle, Part::Restart];

#[tokio::main]
async fn main() -> ExitCode {
    match run().await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("bench: {error}");
            ExitCode::FAILURE
        }
    }
}

async fn run() -> Result<(), Failure> {
    let plan = Plan::from_command_line()?;
    say(&format!("operator under test: {}", plan.binary.display()));
    let load = machine::load();
    let mut scene = Scene::start(&plan).await?;
    let mut figures = Figures::default();
    figures.line(&format!("machine: {}, load before {load}", machine::describe()));
    let failed = tokio::select! {
        failed = measure(&mut scene, &plan, &mut figures) => failed,
        _ = tokio::signal::ctrl_c() => return Err("interrupted".into()),
    };
    figures.line("");
    figures.line(&format!("load after {}", machine::load()));
    figures.print();
    println!("{}", figures.json());
    if failed.is_empty() {
        return Ok(());
    }
    scene.plane.keep_logs();
    Err(format!("these parts failed:\n{}", failed.join("\n")).into())
}

/// Measures part after part; those that failed, with the reason.
async fn measure(scene: &mut Scene, plan: &Plan, figures: &mut Figures) -> Vec<String> {
    let mut failed = Vec::new();
    // The parts about many tokens share a crowd: they are one step, under the name of the first of them.
    let crowd = CROWD.into_iter().find(|part| plan.has(*part));
    let steps = Part::value_variants().iter().copied();
    let steps = steps.filter(|part| plan.has(*part) && (!CROWD.contains(part) || crowd == Some(*part)));
    for part in steps {
        let started = Instant::now();
        say(&format!("part {part:?}"));
        if let Err(error) = one(part, scene, plan, figures).await {
            say(&format!("part {part:?} failed: {error}"));
            failed.push(format!("{part:?}: {error}"));
        }
        say(&format!("part {part:?} took {} s", started.elapsed().as_secs()));
    }
    failed
}

async fn one(part: Part, scene: &mut Scene, plan: &Plan, figures: &mut Figures) -> Result<(), Failure> {
    let settle_time = if part == Part::Calls { plan.settle_time.to_string() } else { SETTLE.to_owned() };
    scene.clear(&settle_time).await?;
    match part {
        Part::Calls => rotations::run(scene, plan, figures).await,
        Part::Rate => rate::run(scene, plan, figures).await,
        Part::Due => due::run(scene, plan, figures).await,
        Part::Flat | Part::Idle | Part::Restart => growth::run(scene, plan, figures).await,
        Part::Pods => pods::run(scene, plan, figures).await,
        Part::Failover => failover::run(scene, plan, figures).await,
        Part::Http => http_provider::run(scene, plan, figures).await,
        Part::Replicas => replicas::run(scene, plan, figures).await,
    }
}

/// Progress, beside the figures.
fn say(what: &str) {
    eprintln!("bench: {what}");
}
