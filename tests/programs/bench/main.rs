//! What the operator costs: calls for each rotation, rates, CPU, memory, times.
//!
//! Servers and operator are real; the node and its containers are simulated. What is written and read is counted in the API
//! server's audit log, by the operator's account, and CPU and memory are read from /proc, so that nothing the operator says
//! about itself is believed. Goals are printed beside the figures and decide nothing: only a part that failed, or a refused
//! consumer, ends with an error.

mod args;
mod calls;
mod crowd;
mod goals;
mod machine;
mod process;
mod rate;
mod report;
mod rotations;
mod same_writes;
mod scene;
mod tables;
mod traced;

use std::{process::ExitCode, time::Instant};

use args::{Part, Plan};
use report::Figures;
use scene::Scene;

pub type Failure = Box<dyn std::error::Error + Send + Sync>;

/// The settle time of all parts but `calls`: waiting is not what they measure.
const SETTLE: &str = "1s";

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
    for part in [Part::Calls, Part::Rate].into_iter().filter(|part| plan.has(*part)) {
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
        _ => Ok(()),
    }
}

/// Progress, beside the figures.
fn say(what: &str) {
    eprintln!("bench: {what}");
}
