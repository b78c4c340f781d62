//! The cases: a table to which one adds a row.

mod endings;
mod files;
mod outage;
mod restarts;
mod rolled;
mod saturation;
mod specs;
mod stale;

use futures::future::BoxFuture;

use crate::{Failure, report::Row, say, scene::Scene, stage::Stage};

/// One case. The claim is one of the simulated node's, in plain words.
pub struct Case {
    pub name: &'static str,
    pub claim: &'static str,
    pub node: Place,
    /// What was measured, if the claim holds.
    run: for<'a> fn(&'a Stage<'a>) -> BoxFuture<'a, Result<String, Failure>>,
}

/// Where the containers run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    Node,
    /// The node whose kubelet is killed.
    Lost,
}

/// A row for a case on the usual node.
macro_rules! case {
    ($name:literal, $run:path, $claim:literal) => {
        case!($name, $run, $claim, Place::Node)
    };
    ($name:literal, $run:path, $claim:literal, $node:expr) => {
        Case { name: $name, claim: $claim, node: $node, run: |stage| Box::pin($run(stage)) }
    };
}

/// Run at the same time, each in a namespace of its own.
pub const TOGETHER: [Case; 17] = [
    case!("env", rolled::env, "a variable is read when the container starts, and never again"),
    case!("envFrom", rolled::env_from, "the same for all keys of a Secret at once"),
    case!("secret volume", files::volume, "files of running pods are refreshed, late; a reload is not believed"),
    case!("projected volume", files::projected, "refreshed like a secret volume"),
    case!("subPath", files::sub_path, "never refreshed, while the same volume without subPath is"),
    case!("volume of a terminating pod", files::terminating, "a pod that is asked to end gets no more refreshes"),
    case!(
        "init container",
        restarts::init,
        "is not run again when another container restarts: its old copy stays in use"
    ),
    case!("sidecar", rolled::sidecar, "ends after the last main container, and may use its token until then"),
    case!(
        "in-place restart",
        restarts::in_place,
        "reads variables again: new token, same pod; the pod still counts as holding the old one"
    ),
    case!("long termination", endings::lingering, "preStop, then TERM; the old token is in use until the process ends"),
    case!(
        "end of the grace period",
        endings::killed,
        "a process that does not end is killed then; preStop is part of the period"
    ),
    case!(
        "endless preStop",
        endings::long_hook,
        "TERM comes at the end of the grace period, and two seconds later the end"
    ),
    case!("StatefulSet", rolled::stateful_set, "pods are replaced one by one, same name, other UID"),
    case!("DaemonSet", rolled::daemon_set, "pods are replaced one by one"),
    case!("Job", endings::job, "is waited for, not restarted; the next one starts with the new token"),
    case!("force delete", endings::forced, "the process goes on after its pod is gone from the API"),
    case!(
        "kubelet away",
        outage::away,
        "containers go on, also of a force-deleted pod; nothing is revoked meanwhile",
        Place::Lost
    ),
];

/// Run last, because it lets nothing else get through.
pub const ALONE: Case = case!(
    "stale start",
    stale::start,
    "a pod that is created after the write may start with the old value; each that does is counted and waited for"
);

impl Case {
    /// Runs the case; a failure of it is a row of the table.
    pub async fn show(&self, scene: &Scene) -> Row {
        let mut row = Row { case: self.name, shown: Ok(self.claim), measured: String::new(), calls: 0, refused: 0 };
        let stem = self.name.to_lowercase().replace(' ', "-");
        let equipment = match self.node {
            Place::Node => scene.node.equipment().clone(),
            Place::Lost => scene.lost.lock().await.equipment().clone(),
        };
        let stage = match Stage::new(scene, &stem, equipment).await {
            Ok(stage) => stage,
            Err(error) => {
                row.shown = Err(error.to_string());
                return row;
            }
        };
        match (self.run)(&stage).await {
            Ok(measured) => row.measured = measured,
            Err(error) => row.shown = Err(error.to_string()),
        }
        row.calls = scene.history.accepted(&stage.namespace);
        row.refused = scene.history.refused(&stage.namespace);
        match &row.shown {
            Ok(_) => say(&format!("done: {} ({}; {} refused)", self.name, row.measured, row.refused)),
            Err(error) => say(&format!("FAILED: {}: {error}", self.name)),
        }
        row
    }
}
