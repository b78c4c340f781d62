//! The operator's binary: parse, call, exit code.

use std::process::ExitCode;

use tokenturn::app::{
    args::{Cli, Command},
    log, run,
};

/// The allocators of C libraries keep what bursts needed: after large answers and lists of large pods the process stayed at 84 MiB of
/// which it used 25. What is set for it is in `.cargo/config.toml`.
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

fn main() -> ExitCode {
    let given: Vec<_> = std::env::args_os().collect();
    match execute(Cli::read(&given).unwrap_or_else(|error| error.exit())) {
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
            log::start(args.log_level.clone(), args.log_format)?;
            runtime()?.block_on(run::run(*args))
        }
    }
}

/// Passes are polled on the stack of a worker, and an unoptimized build needs much of it to read a record.
fn runtime() -> std::io::Result<tokio::runtime::Runtime> {
    tokio::runtime::Builder::new_multi_thread().enable_all().thread_stack_size(8 << 20).build()
}
