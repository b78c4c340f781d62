//! Every effect of the operator with every fault: does one lost answer, error or crash ever hurt anybody?
//!
//! Servers and operator processes are real; the node and its containers are simulated, and their calls are the judge. Each run
//! has a namespace and operators of its own, and one fault (see `src/connect/faults`). What the operator says of itself is
//! only compared with what it says in runs without faults.
//!
//! - [`scenario`]: the table of what happens; [`menu`]: which faults are tried in which mode
//! - [`stage`]: what all runs share; [`eyes`]: the runner's own watches
//! - [`world`]: the namespace of a run; [`replicas`]: its operators; [`run`]: from the start to the end
//! - [`contract`]: the server of an HTTP provider; [`example`]: how it is used
//! - [`judge`]: what must hold; [`provider`]: what must hold at an HTTP provider; [`in_place`]: where a new token ends the one before
//!   it; [`compare`]: end states
//! - [`campaign`]: all runs; [`pairs`]: sampled pairs of faults; [`report`]: the table
//!
//! The operators are administrators here: rights are the subject of other tests.

mod args;
mod campaign;
mod compare;
mod contract;
mod example;
mod eyes;
mod in_place;
mod judge;
mod menu;
mod pairs;
mod provider;
mod replicas;
mod report;
mod run;
mod scenario;
mod stage;
mod world;

use std::{process::ExitCode, sync::Arc, time::Instant};

use args::Args;
use clap::Parser;
use stage::Stage;
use tokio_util::sync::CancellationToken;

pub type Failure = Box<dyn std::error::Error + Send + Sync>;

#[tokio::main]
async fn main() -> ExitCode {
    match run().await {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("faults: {error}");
            ExitCode::FAILURE
        }
    }
}

/// Whether nothing failed.
async fn run() -> Result<bool, Failure> {
    let args = Args::parse();
    let started = Instant::now();
    let binary = tokenturn::testkit::binary::operator(args.binary.clone())?;
    let wanted = args.wanted()?;
    say("starting etcd, kube-apiserver, kube-controller-manager");
    let stage = Arc::new(Stage::start(binary).await?);
    let interrupt = CancellationToken::new();
    let asked = interrupt.clone();
    tokio::spawn(async move {
        if tokio::signal::ctrl_c().await.is_ok() {
            asked.cancel();
        }
    });
    let report = campaign::run(stage.clone(), &args, wanted, &interrupt).await?;
    if report.failures() > 0 {
        stage.workspace.keep_logs();
    }
    report.print();
    println!("{}", report.json(started.elapsed()));
    if interrupt.is_cancelled() {
        return Err("interrupted: the figures are those of the runs that had ended".into());
    }
    Ok(report.failures() == 0)
}

/// Progress, beside the figures.
fn say(what: &str) {
    eprintln!("faults: {what}");
}
