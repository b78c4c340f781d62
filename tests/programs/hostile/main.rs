//! What one tenant can do to the others: attacks with everything that `edit` may write, beside consumers that use their tokens all the time.
//!
//! Servers and operator are real, the operator under its chart's rights and memory limit; the node and its containers are simulated. Every
//! promise is judged by what happened to the calls of the victims' consumers, by the audit log, by the provider's account, and by what
//! anybody can see of the operator's process. The run fails if one was broken.

mod account;
mod args;
mod attacker;
mod attacks;
mod canary;
mod generator;
mod judge;
mod limit;
mod operator;
mod pulse;
mod rival;
mod scene;
mod verdict;
mod victims;
mod waves;

use std::{
    process::ExitCode,
    sync::OnceLock,
    time::{Duration, Instant},
};

use args::Plan;
use attacks::Attack;
use judge::Judge;
use operator::Operator;
use scene::Scene;
use victims::Rotations;

pub type Failure = Box<dyn std::error::Error + Send + Sync>;

/// How long the first tokens and pods may take.
const PATIENCE: Duration = Duration::from_secs(180);

#[tokio::main]
async fn main() -> ExitCode {
    let plan = match Plan::from_command_line() {
        Ok(plan) => plan,
        Err(error) => {
            eprintln!("hostile: {error}");
            return ExitCode::FAILURE;
        }
    };
    if plan.list {
        for Attack { name, finding, what, .. } in attacks::table() {
            println!("{name:<28} {finding:<12} {what}");
        }
        return ExitCode::SUCCESS;
    }
    let outcome = tokio::select! {
        outcome = run(&plan) => outcome,
        _ = tokio::signal::ctrl_c() => Err("interrupted".into()),
    };
    outcome.unwrap_or_else(|error| {
        eprintln!("hostile: {error}");
        ExitCode::FAILURE
    })
}

async fn run(plan: &Plan) -> Result<ExitCode, Failure> {
    let started = Instant::now();
    say(&format!("operator under test: {}", plan.binary.display()));
    say(&format!("--seed {:x}", plan.seed));
    let scene = Scene::start().await?;
    let mut operator = Operator::start(&scene.plane, plan).await?;
    let outcome = attack(&scene, plan, &mut operator, started).await;
    let is_clean = outcome.as_ref().is_ok_and(|code| *code == ExitCode::SUCCESS);
    if !is_clean {
        scene.plane.keep_logs();
    }
    outcome
}

async fn attack(scene: &Scene, plan: &Plan, operator: &mut Operator, started: Instant) -> Result<ExitCode, Failure> {
    let rotations = Rotations::start(&scene.client, &scene.victims, PATIENCE).await?;
    let mut judge = Judge::begin(scene, operator, &rotations).await?;
    say(&format!("every victim has its token after {} s, attacking", started.elapsed().as_secs()));
    let table = attacks::table();
    let rows: Vec<&Attack> = table.iter().filter(|row| plan.picks(row.name)).collect();
    let (attacks, mut generated) = (rows.len(), 0);
    for wave in waves::of(&rows, plan.wave) {
        waves::stand(scene, plan, operator, &mut judge, &wave).await?;
    }
    if plan.picks("generated") {
        let only = plan.only.iter().any(|only| only == "generated");
        for number in 0_u64.. {
            if started.elapsed() >= plan.length && !(only && number == 0) {
                break;
            }
            let seed = plan.seed.wrapping_add(number);
            generated += waves::generated(scene, plan, operator, &mut judge, seed).await?;
        }
    }
    let figures = verdict::figures(scene, operator, &mut judge, &rotations).await?;
    let verdict::Figures { rss_peak_mib, healthz_max_ms, victim_calls, victim_refused, values_printed } = figures;
    let violations = judge.tell();
    let line = serde_json::json!({
        "attacks": attacks,
        "generated": generated,
        "violations": violations,
        "rss_peak_mib": rss_peak_mib,
        "healthz_max_ms": healthz_max_ms,
        "victim_calls": victim_calls,
        "victim_refused": victim_refused,
        "values_printed": values_printed,
        "seconds": started.elapsed().as_secs(),
        "seed": format!("{:x}", plan.seed),
    });
    println!("{line}");
    Ok(if violations == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Progress, beside the figures, with the time since the first word.
fn say(what: &str) {
    static FIRST: OnceLock<Instant> = OnceLock::new();
    let seconds = FIRST.get_or_init(Instant::now).elapsed().as_secs();
    eprintln!("hostile: {seconds:>4} s {what}");
}
