//! Pod statuses: what the node tells the API server, in order, and only while it is in contact.
//!
//! A worker changes its view and publishes it; one task per pod writes the newest published view.
//! So an older status never lands after a newer one, even when a worker gives up half-way.

use std::sync::Arc;

use jiff::Timestamp;
use k8s_openapi::api::core::v1::Pod;
use kube::{Api, ResourceExt};
use serde_json::{Value, json};
use tokio::sync::watch;

use super::{
    Shared,
    plan::{Kind, PodPlan},
    pods::Orders,
    writer::{self, Writer},
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
        shared.spawn(writer::run(Writer {
            shared: shared.clone(),
            pods: api,
            name: pod.name_any(),
            queue,
            done,
            orders,
        }));
        let has_init = plan.containers.iter().any(|container| container.kind != Kind::Main);
        let reason = if has_init { "PodInitializing" } else { "ContainerCreating" };
        let containers = plan.containers.iter().map(|container| ContainerView {
            name: container.name.clone(),
            image: container.image.clone(),
            kind: container.kind,
            state: State::Waiting { reason, message: String::new() },
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
