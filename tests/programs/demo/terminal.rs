//! How the story looks: seconds, who speaks, what; on a terminal with colour and one refreshing line below.

use std::{
    io::{IsTerminal, Write},
    sync::{Mutex, PoisonError},
    time::Instant,
};

use tokio_util::sync::CancellationToken;

/// Erases the line that the cursor is in.
const ERASE: &str = "\r\x1b[2K";

/// Who says something.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Voice {
    /// The demo itself.
    Demo,
    /// Events and status that the operator writes.
    Operator,
    /// The Secret that the workload reads.
    Secret,
    /// A simulated container.
    Pod,
    /// How the calls went.
    Calls,
    /// What must not happen.
    Alarm,
}

impl Voice {
    const fn name(self) -> &'static str {
        match self {
            Self::Demo => "demo",
            Self::Operator => "operator",
            Self::Secret => "secret",
            Self::Pod => "pod",
            Self::Calls => "calls",
            Self::Alarm => "REFUSED",
        }
    }

    const fn colour(self) -> &'static str {
        match self {
            Self::Demo => "1",
            Self::Operator => "36",
            Self::Secret => "35",
            Self::Pod => "33",
            Self::Calls => "32",
            Self::Alarm => "1;31",
        }
    }
}

pub struct Terminal {
    started: Instant,
    /// Colour and a refreshing line.
    fancy: bool,
    status: Mutex<String>,
    gone: CancellationToken,
}

impl Terminal {
    pub fn new() -> Self {
        let plain = |name: &str, is: fn(&str) -> bool| std::env::var(name).is_ok_and(|value| is(&value));
        let unwanted = plain("NO_COLOR", |value| !value.is_empty()) || plain("TERM", |value| value == "dumb");
        Self {
            started: Instant::now(),
            fancy: std::io::stdout().is_terminal() && !unwanted,
            status: Mutex::default(),
            gone: CancellationToken::new(),
        }
    }

    /// Whether the status line is shown; otherwise its content has to be said now and then.
    pub fn has_status(&self) -> bool {
        self.fancy
    }

    /// One line of the story.
    pub fn say(&self, voice: Voice, text: &str) {
        let seconds = self.started.elapsed().as_secs_f32();
        let name = voice.name();
        let status = self.status.lock().unwrap_or_else(PoisonError::into_inner);
        if self.fancy {
            let colour = voice.colour();
            let line = format!("{ERASE}\x1b[2m{seconds:>6.1}s\x1b[0m  \x1b[{colour}m{name:<8}\x1b[0m  {text}\n");
            self.write(&format!("{line}{}", unwrapped(&status)));
        } else {
            self.write(&format!("{seconds:>6.1}s  {name:<8}  {text}\n"));
        }
    }

    /// A line without seconds and voice, for the summary.
    pub fn plain(&self, text: &str) {
        let _status = self.status.lock().unwrap_or_else(PoisonError::into_inner);
        self.write(&format!("{}{text}\n", if self.fancy { ERASE } else { "" }));
    }

    /// Replaces the refreshing line; nothing happens where there is none.
    pub fn set_status(&self, text: String) {
        let mut status = self.status.lock().unwrap_or_else(PoisonError::into_inner);
        if self.fancy && *status != text {
            self.write(&format!("{ERASE}{}", unwrapped(&text)));
            *status = text;
        }
    }

    pub fn clear_status(&self) {
        let mut status = self.status.lock().unwrap_or_else(PoisonError::into_inner);
        if !std::mem::take(&mut *status).is_empty() {
            self.write(ERASE);
        }
    }

    /// Returns when nobody reads the output any more.
    pub async fn reader_gone(&self) {
        self.gone.cancelled().await;
    }

    fn write(&self, text: &str) {
        let mut out = std::io::stdout().lock();
        if out.write_all(text.as_bytes()).and_then(|()| out.flush()).is_err() {
            self.gone.cancel();
        }
    }
}

/// The line is cut at the right edge: one that wraps could not be erased.
fn unwrapped(status: &str) -> String {
    format!("\x1b[?7l\x1b[2m{status}\x1b[0m\x1b[?7h")
}
