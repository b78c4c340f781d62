//! What the operator costs: writes for each rotation, writes at rest, memory, time to the first token.
//!
//! Servers and operator are real; the node and its containers are simulated. Everything that is written is counted in the
//! API server's audit log, by the operator's account, so that nothing the operator says about itself is believed. Aims are
//! printed beside the figures and decide nothing: only a run that failed, or a refused consumer, ends with an error.

mod args;
mod bare;
mod calls;
mod crowd;
mod report;
mod rotations;
mod scene;

use std::process::ExitCode;

use args::Plan;
use calls::Calls;
use crowd::Crowd;
use report::Figures;
use scene::Scene;

pub type Failure = Box<dyn std::error::Error + Send + Sync>;

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
    let mut scene = Scene::start(&plan).await?;
    let figures = tokio::select! {
        measured = measure(&mut scene, &plan) => measured.inspect_err(|_| scene.plane.keep_logs())?,
        _ = tokio::signal::ctrl_c() => return Err("interrupted".into()),
    };
    figures.print();
    println!("{}", figures.json());
    Ok(())
}

async fn measure(scene: &mut Scene, plan: &Plan) -> Result<Figures, Failure> {
    let rss_start_mib = scene.rss_mib()?;
    let rotations = rotations::run(scene, plan).await?;
    if plan.trace {
        trace("first issue", &rotations.first_issue);
        rotations.rotations.iter().for_each(|writes| trace("one rotation", writes));
    }

    let mut crowd = Crowd::new(scene).await?;
    say(&format!("timing the first issue of {} tokens", plan.first_tokens));
    let first_tokens = crowd.first_tokens(scene, plan.first_tokens).await?;

    // The token of the rotations is one more.
    crowd.grow(scene, plan.idle_tokens.saturating_sub(1)).await?;
    scene.quiet(plan.quiet).await?;
    let rss_idle_mib = scene.rss_mib()?;
    say(&format!("watching {} tokens at rest for {} s", plan.idle_tokens, plan.idle.as_secs()));
    let mark = scene.mark()?;
    tokio::time::sleep(plan.idle).await;
    let idle = scene.calls_since(mark)?;

    let bare_rate = bare::run(scene, plan.bare).await?;
    let mark = scene.mark()?;
    let growth = crowd.grow(scene, plan.tokens.saturating_sub(1)).await?;
    scene.quiet(plan.quiet).await?;
    let growth_writes = scene.calls_since(mark)?;
    let rss_mib = scene.rss_mib()?;

    say("restarting the operator");
    let mark = scene.mark()?;
    scene.restart_operator().await?;
    tokio::time::sleep(plan.quiet).await;
    let restart = scene.calls_since(mark)?;
    if plan.trace {
        trace("idle time", &idle);
        trace("restart", &restart);
    }
    Ok(Figures {
        rotations,
        first_tokens,
        idle_tokens: plan.idle_tokens,
        idle,
        idle_span: plan.idle,
        rss_start_mib,
        rss_idle_mib,
        growth,
        growth_writes,
        tokens: plan.tokens,
        rss_mib,
        bare_rate,
        restart,
        rss_restarted_mib: scene.rss_mib()?,
    })
}

fn trace(what: &str, calls: &Calls) {
    say(&format!("calls of {what}:"));
    calls.all().iter().for_each(|line| eprintln!("  {line}"));
}

/// Progress, beside the figures.
fn say(what: &str) {
    eprintln!("bench: {what}");
}
