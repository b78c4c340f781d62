//! What is looked at all the time and after each attack: victims, the operator's process, its words.

use std::{
    collections::BTreeSet,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use k8s_openapi::api::coordination::v1::Lease;
use kube::{Api, Client};
use serde_json::Value;

use super::{
    Failure,
    canary::Canaries,
    operator::Operator,
    pulse::Seen,
    say,
    scene::{self, SYSTEM, Scene, path},
    victims::{REPLICAS, Rotations, WITHIN},
};

/// How long `/healthz` may take: the chart's probe waits five seconds, so one leaves room for a slow machine.
const HEALTHZ: Duration = Duration::from_secs(1);

/// How old the lease may become. It is renewed every three seconds and lasts ten.
const RENEWED_WITHIN: Duration = Duration::from_secs(8);

/// Log lines a second that an attack may cause over its whole time, and how many besides.
const LINES_A_SECOND: u64 = 50;
const LINES_BESIDES: u64 = 300;

/// How much an attack may write into the log.
const LOG_BYTES: usize = 5 << 20;

/// How much more memory than before an attack may be left after it: what the allocator keeps of a short need.
const COMES_BACK_KIB: u64 = 32 << 10;

/// How long that may take.
const COMES_BACK_WITHIN: Duration = Duration::from_secs(10);

/// Processes that want to run for each processor, up to which times are as they are said here.
const CROWDED: f64 = 3.0;

/// How long nobody has to be refused until an attack that was felt is over.
const CALM: Duration = Duration::from_secs(4);

struct Violation {
    attack: String,
    what: String,
}

/// The attack that is judged now.
struct Present {
    name: String,
    since: Instant,
    before_kib: u64,
    /// Whether the process has to be exchanged, so that the next attack finds a fresh one.
    is_spoilt: bool,
    /// Whether a victim was refused.
    is_felt: bool,
}

pub struct Judge {
    rotations: Rotations,
    canaries: Canaries,
    lease: Arc<Mutex<Renewals>>,
    present: Present,
    violations: Vec<Violation>,
    /// Rotations that were found to take too long, once each.
    late: BTreeSet<(String, usize)>,
    refused: usize,
    number: usize,
    pub peak_kib: u64,
    pub healthz: Duration,
    pub values_printed: usize,
    /// Memory before the first attack.
    pub base_kib: u64,
}

/// How the lease was renewed.
struct Renewals {
    last: Instant,
    longest: Duration,
}

impl Judge {
    pub async fn begin(scene: &Scene, operator: &mut Operator, rotations: &Rotations) -> Result<Self, Failure> {
        let lease = Arc::new(Mutex::new(Renewals { last: Instant::now(), longest: Duration::ZERO }));
        tokio::spawn(follow(scene.client.clone(), lease.clone()));
        tokio::time::sleep(Duration::from_secs(2)).await;
        let base_kib = operator.pulse.seen().now_kib;
        say(&format!("memory before the first attack: {} MiB", base_kib >> 10));
        Ok(Self {
            rotations: rotations.clone(),
            canaries: Canaries::new(),
            lease,
            present: Present {
                name: "the start".to_owned(),
                since: Instant::now(),
                before_kib: base_kib,
                is_spoilt: false,
                is_felt: false,
            },
            violations: Vec::new(),
            late: BTreeSet::new(),
            refused: 0,
            number: 0,
            peak_kib: 0,
            healthz: Duration::ZERO,
            values_printed: 0,
            base_kib,
        })
    }

    /// A number that no other attack has.
    pub fn number(&mut self) -> usize {
        self.number += 1;
        self.number
    }

    /// From now on everything is said of this attack.
    pub fn open(&mut self, name: &str, operator: &Operator) {
        operator.pulse.begin();
        let before_kib = operator.pulse.seen().now_kib;
        self.present =
            Present { name: name.to_owned(), since: Instant::now(), before_kib, is_spoilt: false, is_felt: false };
    }

    pub fn outcome(&mut self, outcome: Result<(), Failure>) {
        if let Err(why) = outcome {
            self.broken(why.to_string());
        }
    }

    pub fn broken(&mut self, what: String) {
        let name = &self.present.name;
        say(&format!("BROKEN: [{name}] {what}"));
        self.violations.push(Violation { attack: name.clone(), what });
    }

    /// Called all the time.
    pub async fn tend(&mut self, scene: &Scene, operator: &mut Operator) -> Result<(), Failure> {
        scene.plane.check()?;
        // What it used before it ended counts.
        let seen = operator.pulse.seen();
        if let Some(wrong) = operator.tend(&scene.plane).await? {
            self.note(seen);
            self.broken(wrong);
            self.forgive();
        }
        for progress in self.rotations.progress() {
            let Some(asked) = progress.asked else { continue };
            // A process that was started meanwhile begins anew.
            let waited = asked.max(operator.since).elapsed();
            if waited > patience(WITHIN) && self.late.insert((progress.whose.clone(), progress.done)) {
                self.broken(format!("a rotation of {} is not over after {} s", progress.whose, waited.as_secs()));
            }
        }
        Ok(())
    }

    /// After an attack, before it is cleaned up.
    pub async fn look(&mut self, scene: &Scene, operator: &mut Operator) -> Result<(), Failure> {
        self.tend(scene, operator).await?;
        self.note(operator.pulse.seen());
        self.look_at_pulse(operator);
        self.look_at_victims(scene);
        self.look_at_words(scene, operator).await
    }

    /// After it was cleaned up.
    pub async fn close(&mut self, scene: &Scene, operator: &mut Operator) -> Result<(), Failure> {
        let allowed = self.present.before_kib + COMES_BACK_KIB;
        let started = Instant::now();
        while operator.pulse.seen().now_kib > allowed && started.elapsed() < COMES_BACK_WITHIN {
            self.tend(scene, operator).await?;
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
        let now = operator.pulse.seen().now_kib;
        if now > allowed {
            let before = self.present.before_kib;
            self.broken(format!("memory went from {} to {} MiB and stays there", before >> 10, now >> 10));
            self.present.is_spoilt = true;
        }
        if self.present.is_spoilt {
            operator.restart(&scene.plane).await?;
            self.forgive();
        }
        self.recover(scene, operator).await?;
        // What is said of the end of its objects is not the next attack's.
        let log = operator.logged()?;
        self.search("the log", &log);
        let name = &self.present.name;
        if !self.violations.iter().any(|violation| violation.attack == *name) {
            let seen = operator.pulse.seen();
            let (peak, healthz) = (seen.peak_kib >> 10, seen.healthz.as_millis());
            let seconds = self.present.since.elapsed().as_secs();
            say(&format!("held: [{name}] {seconds} s, {peak} MiB, /healthz {healthz} ms"));
        }
        Ok(())
    }

    /// Waits until nobody is refused any more after victims were, so that the next attack is not blamed for it.
    async fn recover(&mut self, scene: &Scene, operator: &mut Operator) -> Result<(), Failure> {
        let (started, mut calm) = (Instant::now(), Instant::now());
        while self.present.is_felt && calm.elapsed() < CALM && started.elapsed() < WITHIN {
            self.tend(scene, operator).await?;
            tokio::time::sleep(Duration::from_millis(200)).await;
            let refused = refused(scene);
            if refused > self.refused {
                (self.refused, calm) = (refused, Instant::now());
            }
        }
        Ok(())
    }

    /// Says what was found, and gives the number of violations.
    pub fn tell(&self) -> usize {
        for Violation { attack, what } in &self.violations {
            say(&format!("BROKEN: [{attack}] {what}"));
        }
        self.violations.len()
    }

    /// Looks for values where none belongs, and counts them.
    pub fn search(&mut self, place: &str, text: &str) {
        if let Some(before) = self.canaries.found_in(text) {
            self.values_printed += self.canaries.count(text);
            self.broken(format!("a value is in {place}, after: {before:?}"));
        }
    }

    fn note(&mut self, seen: Seen) {
        self.peak_kib = self.peak_kib.max(seen.peak_kib);
        self.healthz = self.healthz.max(seen.healthz);
    }

    /// A process that was started anew has to take its lease first.
    fn forgive(&mut self) {
        let mut lease = self.lease.lock().unwrap_or_else(PoisonError::into_inner);
        *lease = Renewals { last: Instant::now(), longest: Duration::ZERO };
    }

    fn look_at_pulse(&mut self, operator: &Operator) {
        let Seen { healthz, unanswered, peak_kib, .. } = operator.pulse.seen();
        let half = operator.limit.bytes / 1024 / 2;
        if peak_kib > half {
            self.present.is_spoilt = true;
            self.broken(format!("memory reached {} MiB, half of the limit is {} MiB", peak_kib >> 10, half >> 10));
        }
        // A fresh process for the next attack: one that does not answer may never again.
        self.present.is_spoilt |= healthz > HEALTHZ || unanswered > 0;
        if healthz > HEALTHZ {
            self.broken(format!("/healthz took {} ms", healthz.as_millis()));
        }
        if unanswered > 0 {
            self.broken(format!("/healthz was not answered {unanswered} times"));
        }
        let longest = {
            let mut lease = self.lease.lock().unwrap_or_else(PoisonError::into_inner);
            let longest = lease.longest.max(lease.last.elapsed());
            lease.longest = Duration::ZERO;
            longest
        };
        if longest > patience(RENEWED_WITHIN) {
            self.present.is_spoilt = true;
            self.broken(format!("the lease was not renewed for {} s", longest.as_secs()));
        }
    }

    /// No call was refused, and no container was started but for the first time and by rotations.
    fn look_at_victims(&mut self, scene: &Scene) {
        let refused = refused(scene);
        if refused > self.refused {
            let calls = scene.namespaces().into_iter().flat_map(|namespace| scene.history.refused_calls(namespace));
            let calls = calls.filter(|call| call.at >= self.present.since);
            let pods: BTreeSet<String> =
                calls.map(|call| format!("{}/{}", call.seat.namespace, call.seat.pod)).collect();
            let new = refused - self.refused;
            self.present.is_felt = true;
            self.broken(format!("{new} calls of victims were refused: {pods:?}"));
        }
        self.refused = refused;
        for (victim, progress) in scene.victims.iter().zip(self.rotations.progress()) {
            let (starts, rotations) = (victim.starts(&scene.history), progress.sequence + 1);
            if starts > REPLICAS * rotations {
                let whose = &progress.whose;
                self.broken(format!("{starts} containers of {whose} were started, with at most {rotations} tokens"));
            }
        }
    }

    /// What it says: log, metrics, Events, conditions.
    async fn look_at_words(&mut self, scene: &Scene, operator: &mut Operator) -> Result<(), Failure> {
        let log = operator.logged()?;
        let lines = log.lines().count() as u64;
        let allowed = LINES_A_SECOND * self.present.since.elapsed().as_secs().max(1) + LINES_BESIDES;
        if lines > allowed || log.len() > LOG_BYTES {
            let example = most_frequent(&log);
            self.broken(format!(
                "{lines} log lines of {} KiB, {allowed} lines are allowed: {example}",
                log.len() >> 10
            ));
        }
        if log.contains("panicked") {
            let line = log.lines().find(|line| line.contains("panicked")).unwrap_or_default();
            self.broken(format!("a panic: {}", line.chars().take(300).collect::<String>()));
        }
        self.search("the log", &log);
        match operator.metrics().await {
            Ok(metrics) => self.search("the metrics", &metrics),
            Err(error) => self.broken(format!("/metrics: {error}")),
        }
        let events = scene::get(&scene.client, &path("", "Event")).await?.unwrap_or_default();
        self.search("Events", &events.to_string());
        for kind in ["RotatedToken", "TokenProvider"] {
            let objects = scene::get(&scene.client, &path("", kind)).await?.unwrap_or_default();
            for object in objects["items"].as_array().into_iter().flatten() {
                let place = format!("the status of {kind} {}", object["metadata"]["name"].as_str().unwrap_or_default());
                self.search(&place, &shown(object).to_string());
            }
        }
        Ok(())
    }
}

/// A time by the clock as a machine keeps it that has more to do than this: the servers and the operator share it with whatever else runs.
fn patience(span: Duration) -> Duration {
    let load = std::fs::read_to_string("/proc/loadavg").ok();
    let load: Option<f64> = load.and_then(|text| text.split(' ').next()?.parse().ok());
    let processors = std::thread::available_parallelism().map_or(1.0, |number| number.get() as f64);
    span.mul_f64((load.unwrap_or_default() / processors / CROWDED).clamp(1.0, 8.0))
}

/// How many calls of victims were ever refused.
fn refused(scene: &Scene) -> usize {
    scene.namespaces().into_iter().map(|namespace| scene.history.refused(namespace)).sum()
}

/// What the operator writes of an object.
fn shown(object: &Value) -> &Value {
    &object["status"]
}

/// The kind of line that comes most often, by how it begins after its time.
fn most_frequent(log: &str) -> String {
    let mut counts = std::collections::BTreeMap::new();
    for line in log.lines() {
        let end = line.find(": ").map_or(line.len(), |at| at + 2);
        let rest: String = line.chars().skip(28).take(12).collect();
        let message: String =
            line.get(end..).unwrap_or_default().chars().filter(|c| !c.is_numeric()).take(80).collect();
        *counts.entry(format!("{rest}..{message}")).or_insert(0_usize) += 1;
    }
    let most = counts.into_iter().max_by_key(|(_, count)| *count);
    most.map(|(line, count)| format!("{count} times {line:?}")).unwrap_or_default()
}

/// Notes when the lease is renewed.
async fn follow(client: Client, renewals: Arc<Mutex<Renewals>>) {
    let leases: Api<Lease> = Api::namespaced(client, SYSTEM);
    let mut known = None;
    loop {
        tokio::time::sleep(Duration::from_millis(500)).await;
        let Ok(Some(lease)) = leases.get_opt("tokenturn").await else { continue };
        let renewed = lease.spec.and_then(|spec| spec.renew_time);
        if renewed != known {
            known = renewed;
            let mut renewals = renewals.lock().unwrap_or_else(PoisonError::into_inner);
            renewals.longest = renewals.longest.max(renewals.last.elapsed());
            renewals.last = Instant::now();
        }
    }
}
