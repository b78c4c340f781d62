//! Rotations under load: many tokens, consumers that call all the time, two replicas of which the leader is killed at random.
//!
//! Servers and operator are real; the node and its containers are simulated. Every promise is judged by what happened to the
//! calls of consumers, by the API server's audit log, and by what is alive at the provider. The run fails if one was broken.

mod args;
mod dice;
mod provider;
mod replicas;
mod rotations;
mod scene;
mod verdict;

use std::{process::ExitCode, time::Instant};

use args::Plan;
use provider::Provider;
use replicas::Replicas;
use scene::Scene;
use verdict::{Measured, Verdict};

pub type Failure = Box<dyn std::error::Error + Send + Sync>;

#[tokio::main]
async fn main() -> ExitCode {
    match run().await {
        Ok(code) => code,
        Err(error) => {
            eprintln!("soak: {error}");
            ExitCode::FAILURE
        }
    }
}

async fn run() -> Result<ExitCode, Failure> {
    let plan = Plan::from_command_line()?;
    say(&format!("operator under test: {}", plan.binary.display()));
    say(&format!("{} tokens, {} rotations of each, --seed {:x}", plan.tokens, plan.rotations, plan.seed));
    let scene = Scene::start(&plan).await?;
    let verdict = tokio::select! {
        verdict = soak(&scene, &plan) => verdict.inspect_err(|_| scene.plane.keep_logs())?,
        _ = tokio::signal::ctrl_c() => return Err("interrupted".into()),
    };
    for broken in &verdict.broken {
        eprintln!("soak: BROKEN: {broken}");
    }
    if !verdict.broken.is_empty() {
        scene.plane.keep_logs();
    }
    println!("{}", verdict.json());
    Ok(if verdict.broken.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

async fn soak(scene: &Scene, plan: &Plan) -> Result<Verdict, Failure> {
    let provider = Provider::start(scene.client.clone());
    let mut replicas = Replicas::start(&scene.plane, &scene.client, plan).await?;
    let subjects = scene.subjects(plan).await?;
    rotations::first_issue(scene, plan, &provider, &subjects).await?;
    let leader = replicas.leader().await;
    replicas.measure(leader.as_deref())?;
    let rss_start_mib = replicas.leaders_mib().ok_or("nobody leads after the first issue")?;
    say(&format!("every token is issued, rotating ({rss_start_mib:.1} MiB)"));
    let started = Instant::now();
    let kills = rotations::run(scene, plan, &provider, &subjects, &mut replicas).await?;
    let took = started.elapsed();
    say(&format!("all rotations are done after {} s and {kills} kills, judging", took.as_secs()));
    rotations::rest(scene, plan, &mut replicas).await?;
    Verdict::of(scene, plan, &provider, &replicas, Measured { kills, rss_start_mib, took }).await
}

/// Progress, beside the figures.
fn say(what: &str) {
    eprintln!("soak: {what}");
}
