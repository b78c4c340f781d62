//! Pod statuses: what the node tells the API server, in order, and only while it is in contact.
//!
//! A worker changes its view and publishes it; one task per pod writes the newest published view.
//! So an older status never lands after a newer one, even when a worker gives up half-way.

use std::{sync::Arc, time::Duration};

use jiff::Timestamp;
use k8s_openapi::api::core::v1::Pod;
use kube::{
    Api, ResourceExt,
    api::{Patch, PatchParams},
};
use serde_json::{Value, json};
use tokio::{sync::watch, time::sleep};

use super::{
    Shared,
    plan::{Kind, PodPlan},
    pods::Orders,
};

#[derive(Clone, Debug)]
pub(super) enum State {
    Waiting { reason: &'static str, message: String },
    Running { since: Timestamp },
    Terminated { code: i32, reason: &'static str, since: Option<Timestamp>, at: Timestamp },
}

struct ContainerView {
    name: String,
    image: String,
    kind: Kind,
    state: State,
    last: Option<State>,
    restarts: i32,
}

pub(super) struct Report {
    uid: String,
    address: String,
    started: Timestamp,
    phase: &'static str,
    ready: bool,
    ready_since: Timestamp,
    containers: Vec<ContainerView>,
    published: watch::Sender<(u64, Value)>,
    written: watch::Receiver<u64>,
}

impl Report {
    pub(super) fn new(
        shared: &Arc<Shared>,
        pod: &Pod,
        plan: &PodPlan,
        address: String,
        orders: watch::Receiver<Orders>,
    ) -> Self {
        let (published, queue) = watch::channel((0, Value::Null));
        let (done, written) = watch::channel(0);
        let api = Api::namespaced(shared.client.clone(), &pod.namespace().unwrap_or_default());
        shared.spawn(write(Writer { shared: shared.clone(), pods: api, name: pod.name_any(), queue, done, orders }));
        let containers = plan.containers.iter().map(|container| ContainerView {
            name: container.name.clone(),
            image: container.image.clone(),
            kind: container.kind,
            state: State::Waiting { reason: "PodInitializing", message: String::new() },
            last: None,
            restarts: 0,
        });
        let now = Timestamp::now();
        Self {
            uid: pod.uid().unwrap_or_default(),
            address,
            started: now,
            phase: "Pending",
            ready: false,
            ready_since: now,
            containers: containers.collect(),
            published,
            written,
        }
    }

    pub(super) fn waiting(&mut self, container: &str, reason: &'static str, message: String) {
        self.set(container, |_| State::Waiting { reason, message });
    }

    pub(super) fn running(&mut self, container: &str) {
        self.set(container, |_| State::Running { since: Timestamp::now() });
    }

    pub(super) fn terminated(&mut self, container: &str, code: i32) {
        let reason = if code == 0 { "Completed" } else { "Error" };
        self.set(container, |before| {
            let since = match before {
                State::Running { since } => Some(*since),
                State::Waiting { .. } | State::Terminated { .. } => None,
            };
            State::Terminated { code, reason, since, at: Timestamp::now() }
        });
    }

    /// The next start of this container is a restart in place.
    pub(super) fn restarted(&mut self, container: &str) {
        for view in self.containers.iter_mut().filter(|view| view.name == container) {
            view.restarts += 1;
            view.last = Some(view.state.clone());
        }
    }

    pub(super) fn phase(&mut self, phase: &'static str) {
        self.phase = phase;
    }

    pub(super) fn ready(&mut self, ready: bool) {
        if self.ready != ready {
            self.ready = ready;
            self.ready_since = Timestamp::now();
        }
    }

    /// Marks what never ran, and sets the phase that a kubelet reports when all containers have ended.
    pub(super) fn ended(&mut self) {
        for view in &mut self.containers {
            if !matches!(view.state, State::Terminated { .. }) {
                let at = Timestamp::now();
                view.state = State::Terminated { code: 137, reason: "ContainerStatusUnknown", since: None, at };
            }
        }
        let mut main = self.containers.iter().filter(|view| view.kind == Kind::Main);
        let success = main.all(|view| matches!(view.state, State::Terminated { code: 0, .. }));
        self.phase = if success { "Succeeded" } else { "Failed" };
        self.ready(false);
    }

    /// Hands the current view to the writing task.
    pub(super) fn publish(&self) {
        let status = json!({"metadata": {"uid": self.uid}, "status": self.status()});
        self.published.send_modify(|(version, value)| {
            *version += 1;
            *value = status;
        });
    }

    /// Publishes and waits until the API server has it (or has no such pod any more).
    pub(super) async fn flush(&mut self) {
        self.publish();
        let wanted = self.published.borrow().0;
        // The writing task ends only with the node, and then this worker ends too.
        let _ = self.written.wait_for(|written| *written >= wanted).await;
    }

    fn set(&mut self, container: &str, next: impl FnOnce(&State) -> State) {
        if let Some(view) = self.containers.iter_mut().find(|view| view.name == container) {
            view.state = next(&view.state);
        }
    }

    fn status(&self) -> Value {
        let of = |main: bool| -> Vec<Value> {
            let chosen = self.containers.iter().filter(|view| (view.kind == Kind::Main) == main);
            chosen.map(|view| container_status(view, self.ready)).collect()
        };
        let inits_done = self.containers.iter().filter(|view| view.kind != Kind::Main).all(|view| match &view.state {
            State::Waiting { .. } => false,
            State::Running { .. } => view.kind == Kind::Sidecar,
            State::Terminated { code, .. } => *code == 0,
        });
        let since = time(self.ready_since);
        let condition = |kind: &str, holds: bool| json!({"type": kind, "status": if holds { "True" } else { "False" }, "lastTransitionTime": since});
        json!({
            "phase": self.phase,
            "startTime": time(self.started),
            "hostIP": "127.0.0.1",
            "podIP": self.address,
            "podIPs": [{"ip": self.address}],
            "containerStatuses": of(true),
            "initContainerStatuses": of(false),
            "conditions": [condition("Initialized", inits_done), condition("Ready", self.ready), condition("ContainersReady", self.ready)],
        })
    }
}

fn container_status(view: &ContainerView, pod_ready: bool) -> Value {
    let running = matches!(view.state, State::Running { .. });
    let done = matches!(view.state, State::Terminated { code: 0, .. });
    let ready = match view.kind {
        Kind::Init => done,
        Kind::Sidecar => running,
        Kind::Main => running && pod_ready,
    };
    json!({
        "name": view.name, "image": view.image, "imageID": "simulated", "containerID": format!("simulated://{}-{}", view.name, view.restarts),
        "ready": ready, "started": running, "restartCount": view.restarts,
        "state": state(&view.state), "lastState": view.last.as_ref().map_or(json!({}), state),
    })
}

fn state(state: &State) -> Value {
    match state {
        State::Waiting { reason, message } => json!({"waiting": {"reason": reason, "message": message}}),
        State::Running { since } => json!({"running": {"startedAt": time(*since)}}),
        State::Terminated { code, reason, since, at } => {
            json!({"terminated": {"exitCode": code, "reason": reason, "startedAt": since.map(time), "finishedAt": time(*at)}})
        }
    }
}

fn time(at: Timestamp) -> String {
    at.strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
}

struct Writer {
    shared: Arc<Shared>,
    pods: Api<Pod>,
    name: String,
    queue: watch::Receiver<(u64, Value)>,
    done: watch::Sender<u64>,
    orders: watch::Receiver<Orders>,
}

/// How long another readiness may stand in the API: mostly it is our own, not yet seen to be changed.
const DOUBT: Duration = Duration::from_secs(1);

async fn write(mut writer: Writer) {
    // Ends when the worker is gone.
    while writer.needed().await {
        writer.write_newest().await;
        if writer.orders.borrow().vanished {
            return;
        }
    }
}

impl Writer {
    /// Waits until there is something to write; false if there never will be.
    async fn needed(&mut self) -> bool {
        let report = self.queue.borrow().1.clone();
        let contradicted = async {
            loop {
                if self.orders.wait_for(|orders| contradicts(&report, *orders)).await.is_err() {
                    std::future::pending::<()>().await;
                }
                sleep(DOUBT).await;
                if contradicts(&report, *self.orders.borrow()) {
                    return;
                }
            }
        };
        tokio::select! {
            changed = self.queue.changed() => changed.is_ok(),
            // Somebody else has written another readiness: say again how it is.
            () = contradicted => true,
        }
    }

    async fn write_newest(&mut self) {
        loop {
            self.shared.knobs.in_contact().await;
            let (version, status) = self.queue.borrow_and_update().clone();
            match self.pods.patch_status(&self.name, &PatchParams::default(), &Patch::Strategic(status)).await {
                // 404 and 409 (another UID): the pod is no longer in the API.
                Err(kube::Error::Api(answer)) if matches!(answer.code, 404 | 409) => {}
                // 422 is a mistake of this node. Trying again would hide it behind a time-out.
                Err(kube::Error::Api(answer)) if answer.code == 422 => {
                    eprintln!("status of {} was refused: {}", self.name, answer.message);
                }
                Err(_) => {
                    sleep(Duration::from_millis(200)).await;
                    continue;
                }
                Ok(_) => {}
            }
            self.done.send_replace(version);
            return;
        }
    }
}

fn contradicts(report: &Value, orders: Orders) -> bool {
    let conditions = report.pointer("/status/conditions").and_then(Value::as_array);
    let mut ready = conditions.into_iter().flatten().filter(|condition| condition["type"] == "Ready");
    let mine = ready.next().map(|condition| condition["status"] == "True");
    mine.is_some() && orders.ready.is_some() && mine != orders.ready
}
