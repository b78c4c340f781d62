//! Runs one program under a small shell that ends it when this process is gone.
//!
//! The shell holds the other end of a pipe. Lines on the pipe are signal names that it passes on;
//! the end of the pipe, which also a SIGKILL of this process causes, makes it end the program:
//! TERM, a grace time, KILL. No process is ever looked up by name.

use std::{
    fs,
    io::Write,
    os::unix::process::CommandExt,
    path::{Path, PathBuf},
    process::{Child, ChildStdin, Command, ExitStatus, Stdio},
    time::{Duration, Instant},
};

use super::{Error, workspace::Workspace};

/// `$1` marker file that exists while the program runs and names its process, `$2` log file,
/// `$3` tenths of a second between TERM and KILL (0: KILL at once). The rest is the program.
const WATCHDOG: &str = r#"
marker=$1 log=$2 grace=$3
shift 3
exec 3<&0 </dev/null
"$@" >>"$log" 2>&1 3<&- &
program=$!
echo "$program" >"$marker"
(
  while read -r order; do kill -s "$order" "$program"; done
  if [ "$grace" -gt 0 ]; then
    kill -s TERM "$program"
    while [ "$grace" -gt 0 ]; do sleep 0.1; grace=$((grace - 1)); done
  fi
  kill -s KILL "$program"
) <&3 3<&- >/dev/null 2>&1 &
reader=$!
exec 3<&-
wait "$program"
code=$?
kill "$reader"
rm -f "$marker"
exit "$code"
"#;

/// What to start.
pub struct Launch<'a> {
    pub name: &'a str,
    pub program: &'a Path,
    pub args: Vec<String>,
    pub env: Vec<(String, String)>,
    /// Time between TERM and KILL when the program is ended by drop or by the end of this process.
    pub grace: Duration,
}

/// A running program; dropping it ends the program and waits for its end.
pub struct Process {
    name: String,
    shell: Child,
    orders: Option<ChildStdin>,
    marker: PathBuf,
    log: PathBuf,
}

/// The signals that tests send.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Signal {
    Term,
    Kill,
    /// Freezes the program, as a long garbage collection or a suspended machine would.
    Stop,
    Continue,
}

impl Process {
    /// Starts the program with its output in `logs/` of the workspace.
    pub fn start(workspace: &Workspace, launch: Launch<'_>) -> Result<Self, Error> {
        let Launch { name, program, args, env, grace } = launch;
        let marker = workspace.path().join("running").join(workspace.unique(name));
        let log = workspace.path().join("logs").join(format!("{name}.log"));
        // Written here, not by the shell, so that the janitor never misses a program that is starting.
        fs::write(&marker, "").map_err(Error::io(format!("mark {name} as running")))?;
        let mut shell = Command::new("sh")
            .args(["-c", WATCHDOG, "watchdog"])
            .arg(&marker)
            .arg(&log)
            .arg((grace.as_millis() / 100).to_string())
            .arg(program)
            .args(args)
            .envs(env)
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .process_group(0)
            .spawn()
            .map_err(Error::io("start sh"))?;
        let orders = shell.stdin.take();
        Ok(Self { name: name.to_owned(), shell, orders, marker, log })
    }

    /// Sends a signal; nothing happens if the program has ended.
    pub fn signal(&mut self, signal: Signal) {
        let name = match signal {
            Signal::Term => "TERM",
            Signal::Kill => "KILL",
            Signal::Stop => "STOP",
            Signal::Continue => "CONT",
        };
        if let Some(orders) = self.orders.as_mut() {
            // Fails only when the watchdog is gone, and it ends after its program.
            let _ = writeln!(orders, "{name}");
        }
    }

    /// How the program ended, if it did. A signal N shows as code 128 + N.
    pub fn ended(&mut self) -> Option<ExitStatus> {
        self.shell.try_wait().ok().flatten()
    }

    /// Waits for the program to end.
    pub async fn wait(&mut self, within: Duration) -> Result<ExitStatus, Error> {
        let started = Instant::now();
        loop {
            if let Some(status) = self.ended() {
                return Ok(status);
            }
            if started.elapsed() > within {
                return Err(Error::Timeout { what: format!("the end of {}", self.name), waited: within });
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    /// An error with the end of the log if the program has ended.
    pub fn check(&mut self) -> Result<(), Error> {
        let Some(status) = self.ended() else { return Ok(()) };
        let text = self.logs();
        let tail: Vec<&str> = text.lines().rev().take(15).collect();
        let tail = tail.into_iter().rev().collect::<Vec<_>>().join("\n");
        Err(Error::Ended { name: self.name.clone(), status: status.to_string(), log: self.log.clone(), tail })
    }

    /// Process id of the program itself while it runs.
    pub fn pid(&self) -> Option<u32> {
        fs::read_to_string(&self.marker).ok()?.trim().parse().ok()
    }

    pub fn log(&self) -> &Path {
        &self.log
    }

    /// Everything that the program has written so far.
    pub fn logs(&self) -> String {
        fs::read(&self.log).map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).unwrap_or_default()
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        drop(self.orders.take());
        let _ = self.shell.wait();
    }
}
