//! What a real kubelet does with tokens, and that a rotation under it never takes a token away from a container.
//!
//! Control plane, operator, kubelet, containerd and containers are real. Each case is one full rotation with the release of
//! the old token at its end, under consumers that call the API server all the time. A case also checks a claim of the
//! simulated node (`src/testkit/node`), on which the other tests rely. All cases but the last run at the same time.

mod cases;
mod pods;
mod report;
mod scene;
mod stage;

use std::{path::PathBuf, process::ExitCode, time::Instant};

use clap::Parser;
use futures::future::join_all;
use report::Row;
use scene::Scene;

pub type Failure = Box<dyn std::error::Error + Send + Sync>;

/// Rotates tokens under containers of a real kubelet and shows how it gives them Secrets.
///
/// Needs root, containerd and runc. The last line of the output is one JSON object. The exit code is 1 when a case failed or
/// a call of a container was refused.
#[derive(Debug, Parser)]
#[command(name = "kubelet")]
struct Args {
    /// Only the cases whose names contain one of these texts.
    cases: Vec<String>,
    /// Without the case that takes all that the machine has, and minutes on a busy one.
    #[arg(long)]
    gentle: bool,
    /// The static program for the containers, built from tests/programs/kubelet/consumer.
    #[arg(long, env = "CONSUMER")]
    consumer: PathBuf,
    /// The operator under test; without it, the one in the folder above this program's own.
    #[arg(long, env = "TOKENTURN_BINARY")]
    binary: Option<PathBuf>,
}

#[tokio::main]
async fn main() -> ExitCode {
    let args = Args::parse();
    match run(args).await {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("kubelet: {error}");
            ExitCode::FAILURE
        }
    }
}

/// Whether every promise was kept.
async fn run(args: Args) -> Result<bool, Failure> {
    let started = Instant::now();
    let known = || cases::TOGETHER.iter().chain([&cases::ALONE]).map(|case| case.name);
    if let Some(text) = args.cases.iter().find(|text| !known().any(|name| name.contains(text.as_str()))) {
        let known: Vec<_> = known().collect();
        return Err(format!("no case has a name with {text:?} in it; there are: {}", known.join(", ")).into());
    }
    let mut scene = Scene::start(args.binary.clone(), &args.consumer).await?;
    let rows = tokio::select! {
        rows = all(&scene, &args) => rows,
        _ = tokio::signal::ctrl_c() => return Err("interrupted".into()),
    };
    let mut good = rows.iter().all(Row::is_good);
    if let Err(error) = scene.check().await {
        eprintln!("kubelet: {error}");
        good = false;
    }
    if !good {
        scene.plane.keep_logs();
    }
    report::print(&rows, started.elapsed());
    Ok(good)
}

async fn all(scene: &Scene, args: &Args) -> Vec<Row> {
    let wanted = &args.cases;
    let is_wanted = |name: &str| wanted.is_empty() || wanted.iter().any(|text| name.contains(text.as_str()));
    let together = cases::TOGETHER.iter().filter(|case| is_wanted(case.name));
    let mut rows = join_all(together.map(|case| case.show(scene))).await;
    if is_wanted(cases::ALONE.name) && !args.gentle {
        rows.push(cases::ALONE.show(scene).await);
    }
    rows
}

/// Progress, beside the report.
fn say(what: &str) {
    eprintln!("kubelet: {what}");
}
