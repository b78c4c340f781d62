//! The operator under test: under its chart's account and memory limit, started again when it ends.

use std::{
    fs::File,
    io::{Read, Seek, SeekFrom},
    time::{Duration, Instant},
};

use tokenturn::testkit::{ControlPlane, OperatorOptions, OperatorProcess};

use super::{
    Failure,
    args::Plan,
    limit::Limit,
    pulse::{Pulse, Watched},
    say,
    scene::{SETTLE, SYSTEM},
};

/// How long a start may take on a busy machine.
const READY: Duration = Duration::from_secs(90);

/// A log that grows by this much in one attack is flooded; the process is exchanged before the disk is full.
const FLOOD: u64 = 64 << 20;

pub struct Operator {
    // Dropped before the limit that it is under.
    process: OperatorProcess,
    pub limit: Limit,
    pub pulse: Pulse,
    options: OperatorOptions,
    pid: u32,
    /// When the present process was ready.
    pub since: Instant,
    /// Where the part of the log begins that was not read yet.
    read: u64,
    /// Log lines of processes that were exchanged, not read yet.
    left: String,
}

impl Operator {
    pub async fn start(plane: &ControlPlane, plan: &Plan) -> Result<Self, Failure> {
        let mut limit = Limit::of_chart("tokenturn", SYSTEM)?;
        let mut options = OperatorOptions::new(&plan.binary)
            .arg(format!("--settle-time={SETTLE}"))
            // Everything is on loopback here. An identity that stays takes its lease at once when it comes back.
            .arg("--allow-loopback-providers")
            .arg("--allow-plain-http")
            .arg("--identity=hostile")
            .env("RUST_BACKTRACE", "1");
        options.namespace = SYSTEM.to_owned();
        let pulse = Pulse::start()?;
        let (process, pid) = launch(plane, &options, &mut limit).await?;
        pulse.watch(Some(Watched { port: process.port(), pid }));
        say(&format!("memory limit of the chart: {:.0} MiB, enforced by a {}", limit.mib(), limit.enforced_by()));
        Ok(Self { process, limit, pulse, options, pid, since: Instant::now(), read: 0, left: String::new() })
    }

    /// What is wrong with the process as such; it is exchanged then.
    pub async fn tend(&mut self, plane: &ControlPlane) -> Result<Option<String>, Failure> {
        let seen = self.pulse.seen();
        let over = self.limit.is_watched() && seen.now_kib * 1024 > self.limit.bytes;
        let wrong = if let Some(status) = self.process.ended() {
            let last = self.last_lines();
            Some(format!("the operator ended ({status}) at {} MiB; its log ends: {last}", seen.peak_kib >> 10))
        } else if over {
            Some(format!("the operator uses {} MiB, over its limit", seen.now_kib >> 10))
        } else if self.log_length()?.saturating_sub(self.read) > FLOOD {
            Some(format!("the operator floods its log: {} MiB", self.log_length()?.saturating_sub(self.read) >> 20))
        } else {
            None
        };
        if wrong.is_some() {
            self.restart(plane).await?;
        }
        Ok(wrong)
    }

    /// Ends the process at once and starts another.
    pub async fn restart(&mut self, plane: &ControlPlane) -> Result<(), Failure> {
        self.pulse.watch(None);
        let unread = self.unread()?;
        self.left.push_str(&unread);
        if self.process.ended().is_none() {
            self.process.kill().await?;
        }
        (self.process, self.pid) = launch(plane, &self.options, &mut self.limit).await?;
        self.pulse.watch(Some(Watched { port: self.process.port(), pid: self.pid }));
        (self.read, self.since) = (0, Instant::now());
        Ok(())
    }

    /// What was logged since this was asked for last, of processes before too.
    pub fn logged(&mut self) -> Result<String, Failure> {
        let unread = self.unread()?;
        self.read = self.log_length()?;
        Ok(std::mem::take(&mut self.left) + &unread)
    }

    /// The text of `/metrics`.
    pub async fn metrics(&self) -> Result<String, Failure> {
        Ok(self.process.metrics().await?)
    }

    pub fn port(&self) -> u16 {
        self.process.port()
    }

    fn log_length(&self) -> Result<u64, Failure> {
        Ok(self.process.log_path().metadata()?.len())
    }

    fn unread(&self) -> Result<String, Failure> {
        let mut file = File::open(self.process.log_path())?;
        file.seek(SeekFrom::Start(self.read))?;
        let mut bytes = Vec::new();
        file.take(4 * FLOOD).read_to_end(&mut bytes)?;
        Ok(String::from_utf8_lossy(&bytes).into_owned())
    }

    fn last_lines(&self) -> String {
        let text = self.unread().unwrap_or_default();
        let lines: Vec<String> = text.lines().rev().take(2).map(|line| line.chars().take(200).collect()).collect();
        lines.into_iter().rev().collect::<Vec<_>>().join(" | ")
    }
}

async fn launch(
    plane: &ControlPlane,
    options: &OperatorOptions,
    limit: &mut Limit,
) -> Result<(OperatorProcess, u32), Failure> {
    let mut process = OperatorProcess::start(plane, options.clone()).await?;
    // Under the limit before it has done anything.
    let pid = loop {
        match process.pid() {
            Some(pid) => break pid,
            None => process.check()?,
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    };
    limit.put(pid);
    process.ready(READY).await?;
    Ok((process, pid))
}
