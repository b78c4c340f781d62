//! The operator's binary: parse, call, exit code.

use std::process::ExitCode;

use clap::Parser;
use tokenturn::app::{
    args::{Cli, Command},
    run, telemetry,
};

fn main() -> ExitCode {
    match execute(Cli::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("tokenturn: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn execute(cli: Cli) -> anyhow::Result<()> {
    match cli.command {
        Command::Crds => {
            print!("{}", tokenturn::api::definitions_yaml()?);
            Ok(())
        }
        Command::Run(args) => {
            telemetry::start(&args.log_level, args.log_format)?;
            tokio::runtime::Runtime::new()?.block_on(run::run(*args))
        }
    }
}
