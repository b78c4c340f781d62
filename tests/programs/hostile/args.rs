//! What can be said on the command line, and what a run does.

use std::{path::PathBuf, time::Duration};

use clap::Parser;
use tokenturn::testkit::servers::random_hex;

use super::Failure;

/// Attacks the operator with everything that one tenant may write, beside other tenants whose consumers use their tokens all the time.
///
/// Judged by the calls of these consumers, the API server's audit log, the provider's own account, and what the operator's process
/// shows: memory, answers, lease, log. The last line of the output is one JSON object; the exit code is 1 when a promise was broken.
#[derive(Debug, Parser)]
#[command(name = "hostile")]
struct Typed {
    /// A form of about four minutes: each attack is smaller and is watched for a shorter time.
    #[arg(long)]
    short: bool,
    /// How long the run takes; after the table generated attacks fill what is left.
    #[arg(long)]
    minutes: Option<u64>,
    /// Repeats what is generated; hexadecimal.
    #[arg(long, value_parser = seed)]
    seed: Option<u64>,
    /// Only the attacks of this name, or whose name begins like it; `generated` stands for those that are generated.
    #[arg(long, value_name = "NAME")]
    only: Vec<String>,
    /// Print the names of all attacks and end.
    #[arg(long)]
    list: bool,
    /// The operator under test; without it, the one in the folder above this program's own.
    #[arg(long, env = "TOKENTURN_BINARY")]
    binary: Option<PathBuf>,
}

fn seed(text: &str) -> Result<u64, std::num::ParseIntError> {
    u64::from_str_radix(text, 16)
}

/// What a run does.
#[derive(Debug)]
pub struct Plan {
    pub short: bool,
    pub list: bool,
    pub only: Vec<String>,
    pub seed: u64,
    /// From the start of the program on; the judging of the end comes after it.
    pub length: Duration,
    /// How many rows of the table are carried out at the same time.
    pub wave: usize,
    /// How long an attack is watched after it was set up.
    pub hold: Duration,
    pub binary: PathBuf,
}

impl Plan {
    /// Reads the command line of this process.
    pub fn from_command_line() -> Result<Self, Failure> {
        let Typed { short, minutes, seed, only, list, binary } = Typed::parse();
        let length = minutes
            .map_or(Duration::from_secs(if short { 165 } else { 1_780 }), |number| Duration::from_secs(number * 60));
        Ok(Self {
            short,
            list,
            seed: match seed {
                Some(seed) => seed,
                None => u64::from_str_radix(&random_hex()[..8], 16)?,
            },
            length,
            wave: if short && only.is_empty() { 8 } else { 1 },
            hold: Duration::from_secs(if short { 2 } else { 8 }),
            only,
            binary: if list { PathBuf::new() } else { tokenturn::testkit::binary::operator(binary)? },
        })
    }

    /// Whether an attack takes place.
    pub fn picks(&self, name: &str) -> bool {
        self.only.is_empty() || self.only.iter().any(|only| name.starts_with(only.as_str()))
    }

    /// A number of objects of an attack, by the form of the run.
    pub fn number(&self, short: usize, full: usize) -> usize {
        if self.short { short } else { full }
    }
}
