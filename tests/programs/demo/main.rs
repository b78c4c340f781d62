//! Two rotations on a real control plane, told live in the terminal: `make demo`.
//!
//! Exits 0 only if both rotations finished, no consumer was ever refused and the first token is refused at the end; 1 if
//! not, with the reason and the place of the logs; 130 after Ctrl-C. Whatever happens, nothing is left running.
//!
//! - `stage`: the control plane, the operator and the node
//! - `play`: what is done with them, act by act
//! - `story`: what is seen meanwhile, from watches and from the history of the containers
//! - `tokens`: which tokens there were; `terminal`: how lines look

mod play;
mod stage;
mod story;
mod terminal;
mod tokens;

use std::{process::ExitCode, sync::Arc, time::Duration};

use terminal::{Terminal, Voice};
use tokio::signal::unix::{SignalKind, signal};

/// For everything after the control plane runs; two minutes are usual.
const LIMIT: Duration = Duration::from_secs(480);

pub type Error = Box<dyn std::error::Error>;

/// Why the demo ended before its end.
enum End {
    Failed(Error),
    /// By this signal.
    Interrupted(u8),
}

fn main() -> ExitCode {
    let terminal = Arc::new(Terminal::new());
    let ended = match tokio::runtime::Runtime::new() {
        Ok(runtime) => runtime.block_on(until_interrupted(&terminal)),
        Err(error) => Err(End::Failed(error.into())),
    };
    terminal.clear_status();
    match ended {
        Ok(()) => ExitCode::SUCCESS,
        Err(End::Failed(error)) => {
            eprintln!("demo failed: {error}");
            ExitCode::FAILURE
        }
        Err(End::Interrupted(signal)) => {
            eprintln!("demo interrupted; servers, operator and node are stopped, their folder is removed");
            ExitCode::from(128 + signal)
        }
    }
}

async fn until_interrupted(terminal: &Arc<Terminal>) -> Result<(), End> {
    let listen = |kind| signal(kind).map_err(|error| End::Failed(error.into()));
    let (mut interrupt, mut terminate) = (listen(SignalKind::interrupt())?, listen(SignalKind::terminate())?);
    // The branch that loses is dropped, and with it every process that it started.
    tokio::select! {
        ended = demo(terminal) => ended.map_err(End::Failed),
        _ = interrupt.recv() => Err(End::Interrupted(2)),
        _ = terminate.recv() => Err(End::Interrupted(15)),
        () = terminal.reader_gone() => Err(End::Interrupted(13)),
    }
}

async fn demo(terminal: &Arc<Terminal>) -> Result<(), Error> {
    terminal.say(
        Voice::Demo,
        "real: etcd, the Kubernetes servers, the tokenturn operator with the chart's rights, every token",
    );
    terminal.say(
        Voice::Demo,
        "simulated: the node; its containers are tasks of this program that read the Secret as a kubelet",
    );
    terminal.say(Voice::Demo, "would and call the real API server with their token ten times a second");
    let stage = stage::Stage::set(terminal).await?;
    let played = match tokio::time::timeout(LIMIT, play::play(&stage, terminal)).await {
        Ok(played) => played,
        Err(_) => Err(format!("not finished within {} s; {}", LIMIT.as_secs(), stage.last_words().await).into()),
    };
    if played.is_err() {
        terminal.clear_status();
        stage.plane.keep_logs();
    }
    played
}
