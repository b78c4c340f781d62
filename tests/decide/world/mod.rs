//! A small world for the real core: record and target with versions, a provider, pods that read the target through a late
//! cache, and replicas that look, decide and act in separate moments, die, and lose answers.
//!
//! Nothing of the protocol is written again here: decisions, transitions and memory are those of the operator.

mod seen;

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use tokenturn::core::{
    decide::decide,
    guards::Guards,
    ledger::{
        record::{Ledger, Values},
        revocable::Revocable,
    },
    pods::{
        consumers::{Consumers, PodRef, PodView, WorkloadView},
        usage::Usage,
    },
    schedule,
    seen::{
        answers::{Answers, Question},
        memory::Memory,
        observed::{Delays, Observed, Settings},
        views::{Record, Resource, Target, TargetView},
    },
    step::{Change, Decision, Step},
    token::{Liveness, Serial, Verification},
    transition,
};

use crate::builder::{carrying, issued, listed, now, owner, resource, values, workload};

/// Settle time of this world, and how late a node's cache can be: always less.
const SETTLE: u64 = 4;
const LAG: u64 = 3;

/// A value under compare-and-swap.
#[derive(Clone)]
struct Versioned<T> {
    value: Option<T>,
    version: u64,
}

impl<T> Versioned<T> {
    fn absent() -> Self {
        Self { value: None, version: 0 }
    }

    fn swap(&mut self, base: u64, value: Option<T>) -> bool {
        let current = self.version == base;
        if current {
            self.value = value;
            self.version += 1;
        }
        current
    }
}

#[derive(Clone)]
struct Pod {
    uid: String,
    /// What its process holds.
    holds: Option<Serial>,
    stamp: Option<String>,
    ended: bool,
}

/// What a replica is about to do, based on what it read.
struct Pending {
    decision: Decision,
    observed: Observed,
    target_version: u64,
    record_version: u64,
}

/// A token between its create and its store.
struct Minted {
    serial: Serial,
    record_version: u64,
    record: Record,
}

#[derive(Default)]
struct Replica {
    memory: Memory,
    /// The first read of a look, when the second has not been made.
    half: Option<(Target, u64)>,
    pending: Option<Pending>,
    /// Created, and on its way into the record.
    minted: Option<Minted>,
    /// Wakes again at this time.
    sleeps_until: u64,
}

/// How an effect ends for the replica that made it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    Answered,
    /// It happened, and the answer is lost.
    ReplyLost,
    /// It happened, and the process died.
    DiedAfter,
    /// It did not happen, and the process died.
    DiedBefore,
}

pub struct World {
    pub time: u64,
    pub resource: Option<Resource>,
    record: Versioned<(Ledger, Values)>,
    target: Versioned<TargetView>,
    /// Past contents of the target, for the late cache.
    target_history: Vec<(u64, Option<Serial>)>,
    /// Whether each token that was ever created is alive.
    pub provider: BTreeMap<Serial, bool>,
    pods: Vec<Pod>,
    stamp: Option<String>,
    pub replicas_count: usize,
    replicas: Vec<Replica>,
    born: u64,
    /// Which attempt of each sequence reached the target.
    reached: BTreeMap<i64, BTreeSet<i64>>,
    pub creates: usize,
    pub broken: Option<String>,
    pub story: Vec<String>,
}

impl World {
    pub fn new(replicas: usize) -> Self {
        Self {
            time: 1000,
            resource: Some(resource()),
            record: Versioned::absent(),
            target: Versioned::absent(),
            target_history: vec![(0, None)],
            provider: BTreeMap::new(),
            pods: Vec::new(),
            stamp: None,
            replicas_count: replicas,
            replicas: (0..replicas).map(|_| Replica::default()).collect(),
            born: 0,
            reached: BTreeMap::new(),
            creates: 0,
            broken: None,
            story: Vec::new(),
        }
    }

    fn uptime(&self) -> Duration {
        Duration::from_secs(self.time)
    }

    /// A moment passes.
    pub fn tick(&mut self, seconds: u64) {
        self.time += seconds;
    }

    /// A pod starts and reads the target, `lag` seconds late.
    pub fn start_pod(&mut self, lag: u64) {
        let seen = self.time - lag.min(LAG);
        let holds = self.target_history.iter().rev().find(|(at, _)| *at <= seen).and_then(|(_, serial)| *serial);
        // Without the Secret its container does not start.
        if holds.is_some() {
            self.born += 1;
            let uid = format!("pod-{}", self.born);
            self.story.push(format!("{} {uid} starts with {holds:?}", self.time));
            self.pods.push(Pod { uid, holds, stamp: self.stamp.clone(), ended: false });
        }
    }

    /// One pod with an older stamp than its template's is replaced, as a rollout does.
    pub fn roll(&mut self, lag: u64) {
        let stamp = self.stamp.clone();
        if let Some(pod) = self.pods.iter_mut().find(|pod| !pod.ended && pod.stamp != stamp) {
            pod.ended = true;
            pod.holds = None;
            self.start_pod(lag);
        }
    }

    /// Some pod ends and a new one starts, for reasons of its own.
    pub fn restart_pod(&mut self, choice: u64, lag: u64) {
        let running = self.pods.iter_mut().filter(|pod| !pod.ended).collect::<Vec<_>>();
        let count = running.len() as u64;
        if let Some(pod) = running.into_iter().nth((choice % count.max(1)) as usize) {
            pod.ended = true;
            pod.holds = None;
        }
        self.start_pod(lag);
    }

    /// The target is deleted by somebody.
    pub fn delete_target(&mut self) {
        self.target.value = None;
        self.target.version += 1;
        self.target_history.push((self.time, None));
        self.story.push(format!("{} somebody deletes the target", self.time));
    }

    pub fn die(&mut self, replica: usize) {
        self.replicas[replica] = Replica::default();
        self.story.push(format!("{} replica {replica} dies", self.time));
    }

    /// The next moment of a replica: the first read, the second with the decision, or the effect.
    pub fn advance(&mut self, replica: usize, fate: Fate) {
        if let Some(minted) = self.replicas[replica].minted.take() {
            return self.store(replica, minted, fate);
        }
        if self.replicas[replica].pending.is_some() {
            return self.act(replica, fate);
        }
        if self.replicas[replica].sleeps_until > self.time {
            return;
        }
        match self.replicas[replica].half.take() {
            None => {
                let target = self.target.value.clone().map_or(Target::Absent, Target::Ours);
                self.replicas[replica].half = Some((target, self.target.version));
            }
            Some((target, target_version)) => self.look(replica, target, target_version),
        }
    }

    fn act(&mut self, replica: usize, fate: Fate) {
        let Some(pending) = self.replicas[replica].pending.take() else { return };
        if fate == Fate::DiedBefore {
            return self.die(replica);
        }
        self.story.push(format!("{} replica {replica} does {} ({fate:?})", self.time, pending.decision.step.label()));
        self.perform(replica, &pending, fate == Fate::Answered);
        if fate == Fate::DiedAfter {
            self.die(replica);
        }
    }

    fn perform(&mut self, replica: usize, pending: &Pending, answered: bool) {
        let uptime = self.uptime();
        let Pending { decision, observed, target_version, record_version } = pending;
        let nothing = Values::new();
        let kept = observed.record.as_ref().map_or(&nothing, |record| &record.values);
        match &decision.step {
            Step::Save { ledger, change } => {
                if self.save(*record_version, (**ledger).clone(), kept.clone()) && answered {
                    self.replicas[replica].memory.saved(*change);
                    if let Change::Intended(_) = change {
                        // The same pass goes on at once, as in the operator.
                        self.replicas[replica].sleeps_until = 0;
                    }
                }
            }
            Step::Readopt { ledger, values } => {
                let serial = ledger.current.as_ref().map(|current| current.token.serial);
                self.save(*record_version, (**ledger).clone(), serial.zip(values.clone()).into_iter().collect());
            }
            Step::RestoreValue { serial, values } => {
                let Some(record) = &observed.record else { return };
                let mut kept = kept.clone();
                kept.insert(*serial, values.clone());
                self.save(*record_version, record.ledger.clone(), kept);
            }
            Step::DropRecord | Step::LeaveRecord { .. } => {
                self.record.swap(*record_version, None);
            }
            Step::Publish { serial, .. } => {
                self.replicas[replica].memory.publishing(*serial);
                let Target::Ours(view) = carrying(*serial) else { return };
                if self.write_target(*target_version, Some(view)) && answered {
                    self.replicas[replica].memory.published(uptime);
                }
            }
            Step::Fence { attempt } => {
                let view = self.target.value.clone().map(|view| TargetView { fence: Some(*attempt), ..view });
                self.write_target(*target_version, view);
            }
            Step::DeleteTarget => {
                self.write_target(*target_version, None);
            }
            Step::Mint { serial, .. } => {
                self.replicas[replica].memory.minting();
                self.creates += 1;
                if self.provider.insert(*serial, true).is_some() {
                    self.broken = Some(format!("S10: {serial} was created twice"));
                }
                // An answer that is lost leaves a token that nobody knows.
                if let (true, Some(record)) = (answered, &observed.record) {
                    let (serial, record, record_version) = (*serial, record.clone(), *record_version);
                    self.replicas[replica].minted = Some(Minted { serial, record_version, record });
                }
            }
            Step::Revoke { token, .. } => {
                self.revoke(token);
                if answered {
                    self.replicas[replica].memory.revoked(token.serial(), uptime);
                }
            }
            Step::Stamp { stamp, .. } => {
                self.stamp = Some(stamp.clone());
                if answered {
                    self.replicas[replica].memory.stamped(workload(), stamp, uptime);
                }
            }
            Step::AddFinalizer | Step::MarkOrphaned { .. } | Step::Wait { .. } => {}
            Step::ReleaseFinalizer => self.resource = None,
        }
    }

    fn save(&mut self, base: u64, ledger: Ledger, mut values: Values) -> bool {
        let known = ledger.serials();
        values.retain(|serial, _| known.contains(serial));
        self.record.swap(base, Some((ledger, values)))
    }

    /// The second half of a mint; on conflict the token is revoked, since nobody else has seen it.
    fn store(&mut self, replica: usize, minted: Minted, fate: Fate) {
        if fate == Fate::DiedBefore {
            return self.die(replica);
        }
        let Minted { serial, record_version, record } = minted;
        let next = transition::store(&record.ledger, issued(serial));
        let mut kept = record.values;
        kept.insert(serial, values(serial));
        let stored = self.save(record_version, next, kept);
        self.story.push(format!("{} replica {replica} stores {serial}: {stored} ({fate:?})", self.time));
        if !stored {
            self.revoke(&Revocable::never_stored(&issued(serial)));
        }
        if fate == Fate::DiedAfter {
            self.die(replica);
        }
    }

    fn revoke(&mut self, token: &Revocable) {
        let serial = token.serial();
        self.provider.insert(serial, false);
        if let Some(pod) = self.pods.iter().find(|pod| pod.holds == Some(serial)) {
            self.broken = Some(format!("S1: {serial} was revoked while {} holds it", pod.uid));
        }
        if self.target.value.as_ref().and_then(|view| view.serial) == Some(serial) {
            self.broken = Some(format!("S2: {serial} was revoked while the target carries it"));
        }
    }

    fn write_target(&mut self, base: u64, view: Option<TargetView>) -> bool {
        let before = self.target.value.as_ref().and_then(|view| view.serial);
        let serial = view.as_ref().and_then(|view| view.serial);
        let written = self.target.swap(base, view);
        if !written {
            return false;
        }
        self.target_history.push((self.time, serial));
        if let (Some(before), Some(serial)) = (before, serial)
            && serial.sequence < before.sequence
        {
            self.broken = Some(format!("S6: the target went from {before} to {serial}"));
        }
        if let Some(serial) = serial {
            let attempts = self.reached.entry(serial.sequence).or_default();
            attempts.insert(serial.attempt);
            if attempts.len() > 1 {
                self.broken =
                    Some(format!("S5: attempts {attempts:?} of sequence {} reached the target", serial.sequence));
            }
            if self.provider.get(&serial) != Some(&true) {
                self.broken = Some(format!("S2: the dead token {serial} was published"));
            }
        }
        true
    }

    /// At rest: nothing begun, nothing old, and the target carries the current token.
    pub fn is_at_rest(&self) -> bool {
        let Some((ledger, _)) = &self.record.value else { return self.resource.is_none() };
        let carried = self.target.value.as_ref().and_then(|view| view.serial);
        let current = ledger.current.as_ref().map(|current| current.token.serial);
        ledger.intent.is_none() && ledger.previous.is_none() && current.is_some() && carried == current
    }

    pub fn sequence(&self) -> i64 {
        self.record.value.as_ref().map_or(0, |(ledger, _)| ledger.sequence)
    }

    pub fn live(&self) -> Vec<Serial> {
        self.provider.iter().filter(|(_, alive)| **alive).map(|(serial, _)| *serial).collect()
    }

    pub fn carried(&self) -> Option<Serial> {
        self.target.value.as_ref().and_then(|view| view.serial)
    }

    /// A pod starts unless there are some already.
    pub fn start_pod_if_few(&mut self, lag: u64) {
        if self.pods.iter().filter(|pod| !pod.ended).count() < 3 {
            self.start_pod(lag);
        }
    }
}
