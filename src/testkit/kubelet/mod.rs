//! A real node: kubelet, containerd and real containers, whose processes use their token all the time.
//!
//! It tells whether [`super::node`] is right. Needs root and containerd; `tests/kubelet.sh` says what is missing. What the containers run is one
//! static program (`tests/programs/kubelet/consumer`); what it writes down becomes the [`History`].
//!
//! - [`machine`]: namespaces that contain everything a node starts, so that nothing of it is left behind
//! - [`runtime`]: containerd; [`image`]: what it runs; [`settings`]: its configuration and the kubelet's
//! - [`diary`]: from the lines of the containers to the history

mod diary;
mod image;
mod machine;
mod runtime;
mod settings;

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

use diary::Diaries;
use k8s_openapi::api::core::v1::Node;
use kube::Api;
use machine::Machine;
use runtime::Runtime;
use serde_json::{Value, json};

use super::{
    ControlPlane, Error, History,
    process::{Process, Signal},
    servers, wait,
};

const START_LIMIT: Duration = Duration::from_secs(120);

/// Where the containers find the folder for their diaries.
const TOLD: &str = "/told";

/// A running kubelet with a machine of its own. Dropping it ends everything on the machine.
pub struct KubeletNode {
    // Order matters: the kubelet is dropped before the runtime, the machine after both, the diaries are read to their end.
    kubelet: Option<Process>,
    runtime: Runtime,
    machine: Machine,
    diaries: Diaries,
    equipment: Equipment,
}

/// What the containers of a node get besides what their pod says.
#[derive(Clone, Debug)]
pub struct Equipment {
    node: String,
    reported: PathBuf,
    api_url: String,
    ca_pem: String,
}

impl KubeletNode {
    /// Starts a node and returns when it is Ready. `consumer` is the static program for the containers.
    pub async fn start(plane: &ControlPlane, name: &str, consumer: &Path, history: &History) -> Result<Self, Error> {
        let machine = Machine::start(plane, name).await?;
        // Beside the logs, because they are kept or removed together.
        let reported = plane.dir().join("logs").join(plane.workspace().unique(&format!("told-{name}")));
        fs::create_dir(&reported).map_err(Error::io("make a folder for diaries"))?;
        let runtime = Runtime::start(plane, &machine, name, consumer).await?;
        let diaries = Diaries::follow(&reported, name, history);
        let ca_pem = plane.ca_pem().to_owned();
        let equipment = Equipment { node: name.to_owned(), reported, api_url: plane.url(), ca_pem };
        let mut node = Self { kubelet: None, runtime, machine, diaries, equipment };
        node.start_kubelet(plane).await?;
        Ok(node)
    }

    /// Its name in the API, and the value of its label `kubernetes.io/hostname`.
    pub fn name(&self) -> &str {
        &self.equipment.node
    }

    /// For pods that are to run here.
    pub fn equipment(&self) -> &Equipment {
        &self.equipment
    }

    /// Starts the kubelet, for the first time or again, and waits until the node is Ready.
    pub async fn start_kubelet(&mut self, plane: &ControlPlane) -> Result<(), Error> {
        let (dir, name) = (self.machine.dir(), self.name());
        let settings = dir.join("kubelet.json");
        let text = settings::kubelet(dir, self.machine.cgroup()).to_string();
        fs::write(&settings, text).map_err(Error::io("write the settings of the kubelet"))?;
        let args = vec![
            format!("--config={}", settings.display()),
            format!("--kubeconfig={}", plane.admin_kubeconfig().display()),
            format!("--root-dir={}", dir.join("kubelet").display()),
            format!("--hostname-override={name}"),
            "--node-ip=127.0.0.1".to_owned(),
        ];
        let program = servers::find("kubelet")?;
        let mut kubelet = self.machine.launch(plane, &format!("kubelet-{name}"), &program, args)?;
        let nodes: Api<Node> = Api::all(plane.client("testkit").await?);
        wait::until(&format!("node {name} to be ready"), START_LIMIT, || {
            let ended = kubelet.check().err();
            let asked = nodes.get_opt(name);
            async move {
                match ended {
                    Some(ended) => Some(Err(ended)),
                    None => asked.await.ok().flatten().filter(can_run).map(|_| Ok(())),
                }
            }
        })
        .await??;
        self.kubelet = Some(kubelet);
        Ok(())
    }

    /// Kills the kubelet. Its containers go on.
    pub async fn kill_kubelet(&mut self) -> Result<(), Error> {
        let Some(mut kubelet) = self.kubelet.take() else { return Ok(()) };
        kubelet.signal(Signal::Kill);
        kubelet.wait(Duration::from_secs(10)).await.map(drop)
    }

    /// Kills the process of a container, named as in `containerID` of a pod status.
    pub fn crash(&self, container_id: &str) -> Result<(), Error> {
        let (_runtime, id) = container_id
            .split_once("://")
            .ok_or_else(|| Error::invalid("crash a container", format!("{container_id} is no container id")))?;
        self.runtime.kill(id)
    }

    /// An error if kubelet, or what the containers write, is not as it should be.
    pub fn check(&mut self) -> Result<(), Error> {
        self.kubelet.as_mut().map_or(Ok(()), Process::check)?;
        self.diaries.check()
    }
}

impl Equipment {
    /// Completes a pod spec so that its containers run the consumer on this node.
    ///
    /// What is in the spec stays; variables of the consumer (see its `main.go`) can be set there.
    pub fn equip(&self, spec: &mut Value) {
        spec["hostNetwork"] = json!(true);
        spec["automountServiceAccountToken"] = json!(false);
        spec["nodeSelector"] = json!({"kubernetes.io/hostname": self.node});
        push(spec, "volumes", json!({"name": "told", "hostPath": {"path": self.reported, "type": "Directory"}}));
        let containers = ["initContainers", "containers"];
        let field = |name: &str, path: &str| json!({"name": name, "valueFrom": {"fieldRef": {"fieldPath": path}}});
        let lists = spec.as_object_mut().into_iter().flat_map(|fields| fields.iter_mut());
        let lists = lists.filter(|(name, _)| containers.contains(&name.as_str()));
        for container in lists.filter_map(|(_, list)| list.as_array_mut()).flatten() {
            container["image"] = json!(Runtime::image());
            container["imagePullPolicy"] = json!("Never");
            push(container, "volumeMounts", json!({"name": "told", "mountPath": TOLD}));
            for env in [
                field("POD_NAME", "metadata.name"),
                field("POD_NAMESPACE", "metadata.namespace"),
                field("POD_UID", "metadata.uid"),
                json!({"name": "CONTAINER", "value": container["name"]}),
                json!({"name": "TOLD", "value": TOLD}),
                json!({"name": "API_URL", "value": self.api_url}),
                json!({"name": "API_CA", "value": self.ca_pem}),
            ] {
                push(container, "env", env);
            }
        }
    }
}

/// Ready, and pods can be scheduled to it.
fn can_run(node: &Node) -> bool {
    let mut conditions = node.status.iter().flat_map(|status| status.conditions.iter().flatten());
    let is_tainted = node.spec.as_ref().and_then(|spec| spec.taints.as_ref()).is_some_and(|taints| !taints.is_empty());
    !is_tainted && conditions.any(|condition| condition.type_ == "Ready" && condition.status == "True")
}

/// A program of the system.
fn find(name: &str) -> Result<PathBuf, Error> {
    let folders = std::env::var_os("PATH").unwrap_or_default();
    // Without a login shell, root's PATH may lack the second half.
    let system = ["/usr/sbin", "/sbin"].map(PathBuf::from);
    let candidates = std::env::split_paths(&folders).chain(system).map(|folder| folder.join(name));
    let found = candidates.into_iter().find(|path| path.is_file());
    found.ok_or_else(|| Error::invalid(format!("find {name}"), "it is not installed"))
}

/// Runs a command that does its work and ends.
fn finish(mut command: Command, what: String) -> Result<(), Error> {
    let output = command.output().map_err(Error::io(&what))?;
    if output.status.success() {
        return Ok(());
    }
    Err(Error::invalid(what, String::from_utf8_lossy(&output.stderr)))
}

fn push(object: &mut Value, list: &str, item: Value) {
    match &mut object[list] {
        Value::Array(items) => items.push(item),
        none => *none = json!([item]),
    }
}
