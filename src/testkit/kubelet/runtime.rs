//! A containerd of the machine's own, with images that were packed here.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

use super::{find, finish, image, machine::Machine, settings};
use crate::testkit::{ControlPlane, Error, process::Process, wait};

/// The sandbox of every pod.
const PAUSE: &str = "pause";
/// What the containers run.
const CONSUMER: &str = "consumer";

pub(super) struct Runtime {
    socket: PathBuf,
    process: Process,
}

impl Runtime {
    /// Starts containerd and gives it the images.
    pub(super) async fn start(
        plane: &ControlPlane,
        machine: &Machine,
        name: &str,
        consumer: &Path,
    ) -> Result<Self, Error> {
        let dir = machine.dir();
        let settings = dir.join("containerd.toml");
        let text = settings::containerd(dir, &image::reference(PAUSE));
        fs::write(&settings, text).map_err(Error::io("write the settings of containerd"))?;
        fs::create_dir(dir.join("cni")).map_err(Error::io("make a folder for containerd"))?;
        fs::write(dir.join("cni/unused.conflist"), settings::network().to_string())
            .map_err(Error::io("write the network of containerd"))?;
        let args = vec![format!("--config={}", settings.display())];
        let process = machine.launch(plane, &format!("containerd-{name}"), &find("containerd")?, args)?;
        let mut runtime = Self { socket: dir.join("containerd.sock"), process };
        wait::until("containerd to answer", Duration::from_secs(60), || {
            let ended = runtime.process.check().err();
            let done = runtime.ctr(&["version"]).is_ok();
            async move { ended.map(Err).or(done.then_some(Ok(()))) }
        })
        .await??;
        for (image, arguments) in [(PAUSE, &["pause"][..]), (CONSUMER, &[])] {
            let packed = image::pack(dir, image, consumer, arguments)?;
            runtime.ctr(&["images", "import", "--snapshotter=native", &packed.display().to_string()])?;
        }
        Ok(runtime)
    }

    /// The image that runs the consumer.
    pub(super) fn image() -> String {
        image::reference(CONSUMER)
    }

    /// Kills the process of a container, as a crash would end it.
    pub(super) fn kill(&self, container_id: &str) -> Result<(), Error> {
        self.ctr(&["tasks", "kill", "--signal=SIGKILL", container_id])
    }

    fn ctr(&self, args: &[&str]) -> Result<(), Error> {
        let mut command = Command::new(find("ctr")?);
        // The namespace is the one of the kubelet.
        command.arg("--address").arg(&self.socket).args(["--namespace", "k8s.io"]).args(args);
        finish(command, format!("ctr {}", args.join(" ")))
    }
}
