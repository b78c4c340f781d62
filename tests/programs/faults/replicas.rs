//! The operator's processes of one run: started, watched, replaced when they end.

use std::{
    fs,
    path::PathBuf,
    sync::Arc,
    time::{Duration, Instant},
};

use tokenturn::{
    connect::faults::plan::{Entry, Fault, Plan, Planned, VARIABLE},
    testkit::process::{Launch, Process, Signal},
};

use super::{Failure, menu::Mode, stage::Stage};

/// A process that stands still is let go when another has acted, or after this time: a lease lasts 15 s.
const FROZEN: Duration = Duration::from_secs(60);

/// More ends than this are a loop.
const MOST_ENDS: usize = 6;

/// Whether a fault is meant to end the process.
fn ends(fault: Fault) -> bool {
    matches!(fault, Fault::CrashBefore | Fault::CrashAfter | Fault::Terminate | Fault::Frozen)
}

/// How a process ended.
#[derive(Clone, Debug)]
pub struct End {
    pub process: String,
    pub code: Option<i32>,
    /// What had been done to it.
    pub fault: Option<Fault>,
    /// From the fault until the end was noticed.
    pub took: Duration,
}

struct Replica {
    process: Process,
    name: String,
    identity: String,
    thawed: bool,
}

pub struct Replicas {
    stage: Arc<Stage>,
    namespace: String,
    mode: Mode,
    faults: Vec<Planned>,
    armed: bool,
    running: Vec<Replica>,
    started: usize,
    journal: PathBuf,
    /// The journal as it was last read.
    pub entries: Vec<Entry>,
    length: u64,
    changed: Instant,
    pub ends: Vec<End>,
    logs: Vec<PathBuf>,
}

impl Replicas {
    /// Processes of a run; none is started yet.
    pub fn new(stage: &Arc<Stage>, namespace: &str, mode: Mode, faults: &[Planned]) -> Self {
        let journal = stage.workspace.path().join("logs").join(format!("{namespace}.journal"));
        Self {
            stage: stage.clone(),
            namespace: namespace.to_owned(),
            mode,
            faults: faults.to_vec(),
            armed: false,
            running: Vec::new(),
            started: 0,
            journal,
            entries: Vec::new(),
            length: 0,
            changed: Instant::now(),
            ends: Vec::new(),
            logs: Vec::new(),
        }
    }

    /// Starts as many as the mode has.
    pub fn start_all(&mut self) -> Result<(), Failure> {
        for _ in 0..self.mode.replicas() {
            let faults = self.faults.clone();
            let identity = format!("replica-{}", self.started);
            self.start(identity, &faults)?;
        }
        Ok(())
    }

    fn start(&mut self, identity: String, faults: &[Planned]) -> Result<(), Failure> {
        let name = format!("{}-{}", self.namespace, self.started);
        self.started += 1;
        if self.armed {
            self.write_plan(&name, faults)?;
        }
        let kubeconfig = self.stage.plane.admin_kubeconfig().display().to_string();
        let args = vec![
            "run".to_owned(),
            format!("--operator-namespace={}", self.namespace),
            format!("--watch-namespaces={}", self.namespace),
            format!("--leader-election={}", self.mode != Mode::Unelected),
            format!("--identity={identity}"),
            "--settle-time=1s".to_owned(),
            "--concurrency=2".to_owned(),
            "--http-address=127.0.0.1:0".to_owned(),
            // For the servers of HTTP providers.
            "--allow-loopback-providers".to_owned(),
            "--allow-plain-http".to_owned(),
        ];
        let env = [("KUBECONFIG", kubeconfig), (VARIABLE, self.plan(&name).display().to_string())];
        let env = [("NO_COLOR", "1".to_owned()), ("RUST_BACKTRACE", "1".to_owned())].into_iter().chain(env);
        let process = Process::start(
            &self.stage.workspace,
            Launch {
                name: &name,
                program: &self.stage.binary,
                args,
                env: env.map(|(name, value)| (name.to_owned(), value)).collect(),
                grace: Duration::ZERO,
            },
        )?;
        self.logs.push(process.log().to_owned());
        self.running.push(Replica { process, name, identity, thawed: false });
        self.changed = Instant::now();
        Ok(())
    }

    fn plan(&self, process: &str) -> PathBuf {
        self.stage.workspace.path().join(format!("{process}.plan"))
    }

    fn write_plan(&self, process: &str, faults: &[Planned]) -> Result<(), Failure> {
        let plan = Plan { journal: self.journal.clone(), process: process.to_owned(), faults: faults.to_vec() };
        let (path, draft) = (self.plan(process), self.plan(&format!("{process}.draft")));
        fs::write(&draft, serde_json::to_vec(&plan)?)?;
        // A process never sees half a plan.
        Ok(fs::rename(draft, path)?)
    }

    /// Switches the faults on, also for processes that are still to be started.
    pub fn arm(&mut self) -> Result<(), Failure> {
        self.armed = true;
        for replica in &self.running {
            self.write_plan(&replica.name, &self.faults)?;
        }
        self.changed = Instant::now();
        Ok(())
    }

    /// Reads the journal, lets go what stands still, replaces what has ended.
    pub fn supervise(&mut self) -> Result<(), Failure> {
        self.read()?;
        self.thaw();
        let ended: Vec<(usize, Option<i32>)> = self
            .running
            .iter_mut()
            .enumerate()
            .filter_map(|(number, replica)| Some((number, replica.process.ended()?.code())))
            .collect();
        // From the back, so that the numbers stay right.
        for (number, code) in ended.into_iter().rev() {
            let Replica { name, identity, .. } = self.running.remove(number);
            self.read()?;
            // Of a pair, one may only make a call fail that the end brings with it.
            let mut faults = self.entries.iter().filter(|entry| entry.process == name && entry.fault.is_some());
            let fault = faults.clone().rfind(|entry| entry.fault.is_some_and(ends)).or_else(|| faults.next_back());
            let took = fault.map_or(0, |entry| jiff::Timestamp::now().as_millisecond() - entry.at);
            self.ends.push(End {
                process: name,
                code,
                fault: fault.and_then(|entry| entry.fault),
                took: Duration::from_millis(took.unsigned_abs()),
            });
            if self.ends.len() > MOST_ENDS {
                return Err(format!("processes of {} end again and again", self.namespace).into());
            }
            // With one replica its container starts again in the same pod; with two, another pod takes its place.
            let identity = if self.mode == Mode::One { identity } else { format!("replica-{}", self.started) };
            // A second fault of a pair may hit the next process as well.
            let faults = if self.faults.len() > 1 { self.faults.clone() } else { Vec::new() };
            self.start(identity, &faults)?;
        }
        Ok(())
    }

    fn read(&mut self) -> Result<(), Failure> {
        let Ok(length) = fs::metadata(&self.journal).map(|file| file.len()) else { return Ok(()) };
        if length == self.length {
            return Ok(());
        }
        let text = fs::read_to_string(&self.journal)?;
        let lines = text.lines().filter_map(|line| serde_json::from_str(line).ok());
        (self.entries, self.length, self.changed) = (lines.collect(), length, Instant::now());
        Ok(())
    }

    fn thaw(&mut self) {
        for replica in self.running.iter_mut().filter(|replica| !replica.thawed) {
            let was_immutable = |entry: &Entry| entry.process == replica.name && entry.fault == Some(Fault::Frozen);
            let Some(at) = self.entries.iter().position(was_immutable) else { continue };
            let acted = self.entries[at..].iter().any(|entry| entry.process != replica.name && entry.writes);
            let stands = jiff::Timestamp::now().as_millisecond() - self.entries[at].at;
            if acted || stands > FROZEN.as_millis() as i64 {
                replica.thawed = true;
                replica.process.signal(Signal::Continue);
                self.changed = Instant::now();
            }
        }
    }

    /// Whether every planned fault has been carried out, with what has to follow from it.
    pub fn fired(&self) -> bool {
        let carried_out = self.entries.iter().filter(|entry| entry.fault.is_some());
        carried_out.clone().count() == self.faults.len()
            && carried_out.filter(|entry| ends_process(entry.fault)).all(|entry| self.has_ended(&entry.process))
            && self.running.iter().all(|replica| replica.thawed || !self.is_frozen(&replica.name))
    }

    fn has_ended(&self, process: &str) -> bool {
        self.ends.iter().any(|end| end.process == process)
    }

    fn is_frozen(&self, process: &str) -> bool {
        self.entries.iter().any(|entry| entry.process == process && entry.fault == Some(Fault::Frozen))
    }

    /// How long nothing has happened: no effect, no start, no end.
    pub fn quiet(&self) -> Duration {
        self.changed.elapsed()
    }

    /// The lines of every log that say something.
    pub fn lines_with(&self, what: &str) -> Vec<String> {
        let texts = self.logs.iter().map(|path| fs::read_to_string(path).unwrap_or_default());
        texts
            .flat_map(|text| text.lines().filter(|line| line.contains(what)).map(str::to_owned).collect::<Vec<_>>())
            .collect()
    }

    /// The last lines of every log.
    pub fn tails(&self, lines: usize) -> String {
        let mut reported = String::new();
        for path in &self.logs {
            let text = fs::read_to_string(path).unwrap_or_default();
            let all: Vec<&str> = text.lines().collect();
            let from = all.len().saturating_sub(lines);
            reported.push_str(&format!("  {}\n", path.display()));
            all[from..].iter().for_each(|line| reported.push_str(&format!("    {line}\n")));
        }
        reported
    }
}

/// Whether a process that meets this fault ends.
pub fn ends_process(fault: Option<Fault>) -> bool {
    matches!(fault, Some(Fault::CrashBefore | Fault::CrashAfter | Fault::Terminate))
}
