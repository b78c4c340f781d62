//! What can be said on the command line of the bench, and where the operator's binary is.

use std::{path::PathBuf, time::Duration};

use clap::{Parser, ValueEnum};
use tokenturn::api::GoDuration;

use super::Failure;

/// Measures what the operator costs on a real control plane: calls, rates, CPU, memory, times.
///
/// Figures come from the API server's audit log, from /proc and from watches; nothing that the operator says about itself is
/// believed. The last line of the output is one JSON object with what was measured and nothing else. The exit code is 0 also
/// when a figure is over its goal; it is 1 when a part failed or a consumer was refused.
#[derive(Debug, Parser)]
#[command(name = "bench")]
struct Typed {
    /// Every part at small size, in a few minutes: for working on the bench itself.
    #[arg(long, conflicts_with = "full")]
    quick: bool,
    /// Also 10,000 tokens and 50,000 foreign pods: more than an hour, with 16 GB of memory or more (estimated).
    #[arg(long)]
    full: bool,
    /// Only these parts, with commas between.
    #[arg(long, value_delimiter = ',', value_enum)]
    part: Vec<Part>,
    /// Rotations whose calls are counted one by one.
    #[arg(long)]
    rotations: Option<u32>,
    /// Settle time of the operator in part `calls`; it is one second in the others.
    #[arg(long)]
    settle_time: Option<GoDuration>,
    /// Grace period of the token of part `calls`.
    #[arg(long, default_value = "0s")]
    grace: GoDuration,
    /// How long an operator at rest is watched.
    #[arg(long)]
    idle_seconds: Option<u64>,
    /// Tokens that are due at once in parts `rate` and `replicas`.
    #[arg(long)]
    rate_tokens: Option<usize>,
    /// The operator's --concurrency, and how many writers make the same writes.
    #[arg(long, default_value_t = 16)]
    concurrency: usize,
    /// Lists every call that part `calls` counts, with its time, on standard error.
    #[arg(long)]
    trace: bool,
    /// The operator under test; without it, the one in the folder above the bench's own.
    #[arg(long, env = "TOKENTURN_BINARY")]
    binary: Option<PathBuf>,
}

/// What can be measured by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Part {
    /// Calls of one rotation of a Deployment of three pods, under the calls of its consumers.
    Calls,
    /// Tokens that are due at once, and a writer that makes the same writes.
    Rate,
    /// From due to readable, one token after another.
    Due,
    /// CPU, calls and memory of first issues as the number of tokens grows.
    Flat,
    /// Many tokens at rest.
    Idle,
    /// A new process with many tokens.
    Restart,
    /// Tokens beside pods and Secrets of others.
    Pods,
    /// The leader is killed, a standby is there.
    Failover,
    /// An HTTP provider that takes 100 ms for each call.
    Http,
    /// Two replicas and one.
    Replicas,
}

/// What a run does.
#[derive(Debug)]
pub struct Plan {
    parts: Vec<Part>,
    pub rotations: u32,
    pub settle_time: GoDuration,
    pub grace: GoDuration,
    pub rate_tokens: usize,
    /// How long the same writes are made without an operator.
    pub same_writes: Duration,
    pub concurrency: usize,
    pub due_tokens: usize,
    /// Numbers of tokens at which a growing crowd is measured.
    pub sizes: Vec<usize>,
    /// At how many of them the operator is watched at rest.
    pub idle_tokens: usize,
    pub idle: Duration,
    pub foreign_secrets: usize,
    /// Foreign pods in the namespace of the tokens.
    pub pods: Vec<usize>,
    /// How often each token beside them is rotated: CPU time is counted in hundredths of a second.
    pub pod_rounds: usize,
    /// Further ones in another namespace.
    pub pods_elsewhere: usize,
    pub failovers: usize,
    pub http_tokens: usize,
    pub replica_tokens: usize,
    /// An operator that has written nothing for this long is quiet.
    pub quiet: Duration,
    pub trace: bool,
    pub binary: PathBuf,
}

impl Plan {
    /// Reads the command line of this process.
    pub fn from_command_line() -> Result<Self, Failure> {
        let typed = Typed::parse();
        let either = |quick: usize, normal: usize, full: usize| match (typed.quick, typed.full) {
            (true, _) => quick,
            (_, true) => full,
            _ => normal,
        };
        let seconds =
            |quick: usize, normal: usize, full: usize| Duration::from_secs(either(quick, normal, full) as u64);
        let sizes = [&[60][..], &[100, 1_000], &[100, 1_000, 10_000]][either(0, 1, 2)].to_vec();
        let pods = [&[300][..], &[300, 2_000, 10_000], &[300, 2_000, 10_000]][either(0, 1, 2)].to_vec();
        let settle_time = typed.settle_time.map_or_else(|| if typed.quick { "1s" } else { "15s" }.parse(), Ok)?;
        Ok(Self {
            parts: if typed.part.is_empty() { Part::value_variants().to_vec() } else { typed.part },
            rotations: typed.rotations.unwrap_or(if typed.quick { 2 } else { 3 }).max(1),
            settle_time,
            grace: typed.grace,
            rate_tokens: typed.rate_tokens.unwrap_or(either(60, 400, 1_000)).max(1),
            same_writes: seconds(5, 15, 30),
            concurrency: typed.concurrency.max(1),
            due_tokens: either(10, 40, 200),
            idle_tokens: either(60, 1_000, 1_000),
            idle: typed.idle_seconds.map_or(seconds(20, 120, 120), Duration::from_secs),
            foreign_secrets: either(1_000, 20_000, 20_000),
            pod_rounds: either(1, 2, 3),
            pods_elsewhere: either(0, 0, 40_000),
            failovers: either(1, 3, 5),
            http_tokens: either(10, 60, 200),
            replica_tokens: typed.rate_tokens.unwrap_or(either(40, 200, 1_000)).max(1),
            // Sentences of a status are written at most every 15 s, so a late one shows within this time.
            quiet: seconds(4, 20, 20),
            trace: typed.trace,
            binary: tokenturn::testkit::binary::operator(typed.binary)?,
            sizes,
            pods,
        })
    }

    pub fn has(&self, part: Part) -> bool {
        self.parts.contains(&part)
    }
}
