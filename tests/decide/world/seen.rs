//! What a replica sees of the world.

use super::*;

impl World {
    pub(super) fn look(&mut self, replica: usize, target: Target, target_version: u64) {
        let record = self.record.value.clone();
        let record = record.map(|(ledger, values)| Record { ledger, values, deleting: false });
        let uptime = self.uptime();
        let memory = &mut self.replicas[replica].memory;
        memory.look(uptime, &target, record.as_ref());
        let mut observed = Observed {
            owner: owner(),
            now: schedule::after(now(), uptime),
            uptime,
            settings: Settings {
                settle: Duration::from_secs(SETTLE),
                contact: Duration::from_secs(90),
                image_pull_backoff: Duration::from_secs(300),
                elected: false,
                guards: Guards::default(),
            },
            resource: self.resource.clone(),
            target,
            record,
            memory: memory.clone(),
            delays: Delays { activation: Duration::from_secs(20), propagation: Duration::from_secs(1) },
            answers: Answers::default(),
        };
        let decision = loop {
            match decide(&observed) {
                Ok(decision) => break decision,
                Err(question) => self.answer(&mut observed, question),
            }
        };
        self.replicas[replica].memory.decided(uptime, &observed, &decision);
        if let Step::Wait { wake, .. } = decision.step {
            // Changes wake it too; looking again soon covers them.
            let wake = wake.map_or(5, |wake| wake.as_secs().clamp(1, 5));
            self.replicas[replica].sleeps_until = self.time + wake;
            return;
        }
        let record_version = self.record.version;
        self.replicas[replica].pending = Some(Pending { decision, observed, target_version, record_version });
    }

    pub(super) fn answer(&self, observed: &mut Observed, question: Question) {
        let alive = |serial: Serial| self.provider.get(&serial).copied().unwrap_or(false);
        match question {
            Question::Listing(_) => {
                let alive = self.provider.iter().filter(|(_, alive)| **alive);
                observed.answers.listing = Some(Ok(alive.map(|(serial, _)| listed(*serial)).collect()));
            }
            Question::Preflight => observed.answers.preflight = Some(Ok(None)),
            Question::Verify(serial) => {
                let verification = if alive(serial) {
                    Verification::Works { surplus: vec![], expires_at: None }
                } else {
                    Verification::NotYet { why: "not accepted".into() }
                };
                observed.answers.verification.insert(serial, Ok(verification));
            }
            Question::Liveness(serial) => {
                let liveness = if alive(serial) { Liveness::Alive } else { Liveness::Gone };
                observed.answers.liveness.insert(serial, Ok(liveness));
            }
            Question::LastUse(serial) => {
                observed.answers.last_use.insert(serial, Ok(None));
            }
            Question::Consumers => observed.answers.consumers = Some(Ok(self.consumers())),
            Question::NamespaceEnds => observed.answers.namespace_ends = Some(Ok(false)),
        }
    }

    pub(super) fn consumers(&self) -> Consumers {
        let view = |pod: &Pod| PodView {
            pod: PodRef { uid: pod.uid.clone(), name: pod.uid.clone(), node: Some("node".into()), grace_seconds: 0 },
            digest: pod.uid.clone(),
            finished: false,
            unreported: None,
            terminating: false,
            controller: Some("ReplicaSet app-1".into()),
            rolled: true,
            uses: Some(Usage::SOMEWHERE),
            pull_fails: false,
        };
        let running = self.pods.iter().filter(|pod| !pod.ended);
        let workload = WorkloadView {
            workload: workload(),
            uses: Some(Usage::SOMEWHERE),
            wanted: 0,
            running: 0,
            has_pods: true,
            stamp: self.stamp.clone(),
            obstacle: None,
        };
        Consumers {
            pods: running.map(|pod| (pod.uid.clone(), view(pod))).collect(),
            ended: self.pods.iter().filter(|pod| pod.ended).map(|pod| pod.uid.clone()).collect(),
            workloads: vec![workload],
            ..Consumers::default()
        }
    }
}
