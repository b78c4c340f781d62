//! The replicas of the operator: killed, replaced, and their memory.

use std::time::{Duration, Instant};

use k8s_openapi::api::coordination::v1::Lease;
use kube::{Api, Client};
use tokenturn::testkit::{ControlPlane, OperatorOptions, OperatorProcess};

use super::{Failure, args::Plan, scene::SYSTEM};

const NUMBER: usize = 2;

/// How long a start may take on a busy machine.
const READY: Duration = Duration::from_secs(90);

/// One measurement of one process.
#[derive(Clone, Copy, Debug)]
pub struct Sample {
    pub at: Duration,
    pub leading: bool,
    pub mib: f64,
}

struct Replica {
    identity: String,
    process: OperatorProcess,
    samples: Vec<Sample>,
}

pub struct Replicas {
    running: Vec<Replica>,
    /// Samples and logs of those that were killed.
    ended: Vec<(String, Vec<Sample>, String)>,
    leases: Api<Lease>,
    options: OperatorOptions,
    started: Instant,
    number: usize,
}

impl Replicas {
    pub async fn start(plane: &ControlPlane, client: &Client, plan: &Plan) -> Result<Self, Failure> {
        let mut options = OperatorOptions::new(&plan.binary).arg(format!("--settle-time={}", plan.settle_time));
        options.namespace = SYSTEM.to_owned();
        options = options.env("RUST_BACKTRACE", "1");
        let leases = Api::namespaced(client.clone(), SYSTEM);
        let mut replicas =
            Self { running: Vec::new(), ended: Vec::new(), leases, options, started: Instant::now(), number: 0 };
        for _ in 0..NUMBER {
            replicas.add(plane, None).await?;
        }
        Ok(replicas)
    }

    /// Starts one more, under a name of its own or under that of one that is gone.
    pub async fn add(&mut self, plane: &ControlPlane, identity: Option<String>) -> Result<(), Failure> {
        let identity = identity.unwrap_or_else(|| {
            self.number += 1;
            format!("replica-{}", self.number)
        });
        let mut process =
            OperatorProcess::start(plane, self.options.clone().arg(format!("--identity={identity}"))).await?;
        process.ready(READY).await?;
        self.running.push(Replica { identity, process, samples: Vec::new() });
        Ok(())
    }

    /// The identity in the lease, if it is one of a running replica.
    pub async fn leader(&self) -> Option<String> {
        let holder = self.leases.get_opt("tokenturn").await.ok()??.spec?.holder_identity?;
        self.running.iter().any(|replica| replica.identity == holder).then_some(holder)
    }

    /// Ends the replica of this name at once.
    pub async fn kill(&mut self, identity: &str) -> Result<(), Failure> {
        let place = self.running.iter().position(|replica| replica.identity == identity);
        let mut replica = self.running.remove(place.ok_or("there is no replica of this name")?);
        replica.process.kill().await?;
        self.ended.push((replica.identity, replica.samples, replica.process.logs()));
        Ok(())
    }

    /// Reads the memory of all.
    pub fn measure(&mut self, leader: Option<&str>) -> Result<(), Failure> {
        let at = self.started.elapsed();
        for replica in &mut self.running {
            let kib = replica.process.rss_kib().ok_or_else(|| {
                let logs = replica.process.logs();
                let tail: Vec<&str> = logs.lines().rev().take(20).collect();
                format!("{} has ended by itself; its log, latest first:\n{}", replica.identity, tail.join("\n"))
            })?;
            let mib = f64::from(u32::try_from(kib)?) / 1024.0;
            replica.samples.push(Sample { at, leading: leader == Some(replica.identity.as_str()), mib });
        }
        Ok(())
    }

    /// Name and samples of every process, in the order in which they ended.
    pub fn samples(&self) -> impl Iterator<Item = (&str, &[Sample])> {
        let ended = self.ended.iter().map(|(identity, samples, _)| (identity.as_str(), samples.as_slice()));
        ended.chain(self.running.iter().map(|replica| (replica.identity.as_str(), replica.samples.as_slice())))
    }

    /// The last measurement of a process that leads.
    pub fn leaders_mib(&self) -> Option<f64> {
        let last = self.running.iter().filter_map(|replica| replica.samples.last());
        last.filter(|sample| sample.leading).map(|sample| sample.mib).next()
    }

    /// Everything that any of them has logged.
    pub fn logs(&self) -> impl Iterator<Item = String> {
        let ended = self.ended.iter().map(|(_, _, log)| log.clone());
        ended.chain(self.running.iter().map(|replica| replica.process.logs()))
    }
}
