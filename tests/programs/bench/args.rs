//! What can be said on the command line of the bench, and where the operator's binary is.

use std::{path::PathBuf, time::Duration};

use clap::Parser;
use tokenturn::api::GoDuration;

use super::Failure;

/// Counts what the operator writes and how much memory it needs, on a real control plane.
///
/// Figures come from the API server's audit log and from /proc; nothing is a timed test. The last line of the output is one
/// JSON object. The exit code is 0 also when a figure is over its aim; it is 1 when the run failed or a consumer was refused.
#[derive(Debug, Parser)]
#[command(name = "bench")]
struct Typed {
    /// Few tokens and short waits, for working on the bench itself; its figures are not for docs/performance.md.
    #[arg(long)]
    quick: bool,
    /// Rotations that are counted, after the first issue.
    #[arg(long)]
    rotations: Option<u32>,
    /// Settle time of the operator.
    #[arg(long)]
    settle_time: Option<GoDuration>,
    /// Grace period of the token that is rotated.
    #[arg(long, default_value = "0s")]
    grace: GoDuration,
    /// How long a quiet operator is watched for writes.
    #[arg(long)]
    idle_seconds: Option<u64>,
    /// Tokens whose first issue is timed.
    #[arg(long)]
    first_tokens: Option<usize>,
    /// Tokens at rest while the writes of an idle operator are counted.
    #[arg(long)]
    idle_tokens: Option<usize>,
    /// Tokens at rest when the memory is read.
    #[arg(long)]
    tokens: Option<usize>,
    /// Lists every counted call with its time on standard error.
    #[arg(long)]
    trace: bool,
    /// The operator under test; without it, the one in the folder above the bench's own.
    #[arg(long, env = "TOKENTURN_BINARY")]
    binary: Option<PathBuf>,
}

/// What a run does.
#[derive(Debug)]
pub struct Plan {
    pub rotations: u32,
    pub settle_time: GoDuration,
    pub grace: GoDuration,
    pub idle: Duration,
    pub first_tokens: usize,
    pub idle_tokens: usize,
    pub tokens: usize,
    /// How long the bare writer writes.
    pub bare: Duration,
    /// An operator that has written nothing for this long is quiet.
    pub quiet: Duration,
    pub trace: bool,
    pub binary: PathBuf,
}

impl Plan {
    /// Reads the command line of this process.
    pub fn from_command_line() -> Result<Self, Failure> {
        let Typed {
            quick,
            rotations,
            settle_time,
            grace,
            idle_seconds,
            first_tokens,
            idle_tokens,
            tokens,
            trace,
            binary,
        } = Typed::parse();
        let either = |short: u64, full: u64| if quick { short } else { full };
        let settle_time = settle_time.map_or_else(|| if quick { "1s" } else { "15s" }.parse(), Ok)?;
        Ok(Self {
            rotations: rotations.unwrap_or(if quick { 2 } else { 5 }).max(1),
            settle_time,
            grace,
            idle: Duration::from_secs(idle_seconds.unwrap_or(either(20, 300))),
            first_tokens: first_tokens.unwrap_or(if quick { 3 } else { 10 }).max(1),
            idle_tokens: idle_tokens.unwrap_or(if quick { 8 } else { 50 }),
            tokens: tokens.unwrap_or(if quick { 40 } else { 1000 }),
            bare: Duration::from_secs(either(3, 10)),
            // Sentences of a status are written at most every 30 s, so a late one shows within this time.
            quiet: Duration::from_secs(either(5, 35)),
            trace,
            binary: tokenturn::testkit::binary::operator(binary)?,
        })
    }
}
