//! What can be said on the command line of the soak, and what a run does.

use std::{ops::Range, path::PathBuf, time::Duration};

use clap::Parser;
use tokenturn::{api::GoDuration, testkit::servers::random_hex};

use super::Failure;

/// Rotates many tokens at the same time under the calls of their consumers, and kills the leading replica at random.
///
/// Judged by the calls of the consumers, the API server's audit log and the Secrets that tokens are bound to, never by what
/// the operator says. The last line of the output is one JSON object; the exit code is 1 when a promise was broken.
#[derive(Debug, Parser)]
#[command(name = "soak")]
struct Typed {
    /// A form of at most three minutes on two free cores, with two kills.
    #[arg(long)]
    short: bool,
    /// Tokens that are rotated at the same time.
    #[arg(long)]
    tokens: Option<usize>,
    /// Rotations of each token, after its first issue.
    #[arg(long)]
    rotations: Option<usize>,
    /// Makes the kills come in the same way again; hexadecimal.
    #[arg(long, value_parser = seed)]
    seed: Option<u64>,
    /// Settle time of the operator.
    #[arg(long)]
    settle_time: Option<GoDuration>,
    /// The operator under test; without it, the one in the folder above the soak's own.
    #[arg(long, env = "TOKENTURN_BINARY")]
    binary: Option<PathBuf>,
}

fn seed(text: &str) -> Result<u64, std::num::ParseIntError> {
    u64::from_str_radix(text, 16)
}

/// What a run does.
#[derive(Debug)]
pub struct Plan {
    pub tokens: usize,
    pub rotations: usize,
    pub seed: u64,
    pub settle_time: GoDuration,
    /// Kills that have to happen for the run to count.
    pub least_kills: usize,
    /// Most kills.
    pub most_kills: usize,
    /// How long a leader leads before it is killed.
    pub reign: Range<Duration>,
    /// Time between two calls of a consumer.
    pub call_every: Duration,
    /// How long one rotation may take, kills in between included.
    pub patience: Duration,
    pub binary: PathBuf,
}

impl Plan {
    /// Reads the command line of this process.
    pub fn from_command_line() -> Result<Self, Failure> {
        let Typed { short, tokens, rotations, seed, settle_time, binary } = Typed::parse();
        let either = |of_short: usize, of_full: usize| if short { of_short } else { of_full };
        let seconds = Duration::from_secs;
        Ok(Self {
            tokens: tokens.unwrap_or(either(8, 50)).max(1),
            rotations: rotations.unwrap_or(either(3, 20)).max(1),
            seed: match seed {
                Some(seed) => seed,
                None => u64::from_str_radix(&random_hex()[..8], 16)?,
            },
            settle_time: settle_time.map_or_else(|| if short { "3s" } else { "5s" }.parse(), Ok)?,
            least_kills: 2,
            most_kills: if short { 2 } else { usize::MAX },
            // Longer than a pod whose end nobody saw needs, or nothing would go on.
            reign: if short { seconds(8)..seconds(14) } else { seconds(70)..seconds(140) },
            call_every: Duration::from_millis(if short { 250 } else { 1000 }),
            // A kill costs up to 20 s until another leads, and 65 s of one rule for a pod whose end nobody saw.
            patience: seconds(600),
            binary: tokenturn::testkit::binary::operator(binary)?,
        })
    }

    /// Rotations of all tokens together.
    pub fn total(&self) -> usize {
        self.tokens * self.rotations
    }
}
