//! Carries a fault out, whatever the call is.

use std::{
    fs,
    path::Path,
    time::{Duration, Instant},
};

use http::StatusCode;
use rustix::process::{Signal, getpid, kill_process};

use super::plan::{Entry, Fault, Met};
use crate::connect::Instead;

/// A late answer comes so long before the caller gives up: a later one would be a lost one.
const IN_TIME: Duration = Duration::from_secs(2);

/// From the signal until the process has taken note of it.
const NOTED: Duration = Duration::from_millis(50);

impl Met {
    /// Does with a call what is planned. The caller waits for an answer as long as `patience`; `reported` is what it makes of a fault.
    pub async fn carry_out<T>(
        self,
        sent: impl Future<Output = T>,
        patience: Duration,
        reported: impl FnOnce(Instead) -> T,
    ) -> T {
        let instead = match self.fault {
            Fault::CrashBefore => die(),
            Fault::CrashAfter => {
                let _ = sent.await;
                die()
            }
            Fault::ReplyLost => {
                let _ = sent.await;
                Instead::Broken
            }
            Fault::Conflict => Instead::Refused(StatusCode::CONFLICT),
            Fault::Limited => Instead::Refused(StatusCode::TOO_MANY_REQUESTS),
            Fault::Internal => Instead::Refused(StatusCode::INTERNAL_SERVER_ERROR),
            Fault::Unavailable => Instead::Refused(StatusCode::SERVICE_UNAVAILABLE),
            Fault::Timeout => {
                tokio::time::sleep(patience).await;
                Instead::Silence
            }
            Fault::Late => {
                let answer = sent.await;
                another_has_acted(&self.journal, &self.process, patience.saturating_sub(IN_TIME)).await;
                return answer;
            }
            Fault::Frozen => {
                let answer = sent.await;
                raise(Signal::STOP);
                return answer;
            }
            Fault::Terminate => {
                raise(Signal::TERM);
                tokio::time::sleep(NOTED).await;
                return sent.await;
            }
        };
        reported(instead)
    }
}

/// Ends the process at once: no unwinding, no clean-up, nothing that is still to be sent.
fn die() -> ! {
    raise(Signal::KILL);
    loop {
        std::thread::park();
    }
}

fn raise(signal: Signal) {
    kill_process(getpid(), signal).expect("a process may signal itself");
}

/// Waits until another process of the run has sent a write, or as long as an answer can be late.
async fn another_has_acted(journal: &Path, process: &str, latest: Duration) {
    let (started, reported) = (Instant::now(), writes_of_others(journal, process));
    while started.elapsed() < latest && writes_of_others(journal, process) == reported {
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    // Sent is not yet carried out.
    tokio::time::sleep(Duration::from_millis(200)).await;
}

fn writes_of_others(journal: &Path, process: &str) -> usize {
    let text = fs::read_to_string(journal).unwrap_or_default();
    let entries = text.lines().filter_map(|line| serde_json::from_str::<Entry>(line).ok());
    entries.filter(|entry| entry.process != process && entry.writes).count()
}
