//! A machine of its own for one kubelet: a PID namespace and a mount namespace.
//!
//! The container runtime leaves processes behind on purpose, so that containers outlive it, and the kubelet leaves mounts.
//! All of them are inside these namespaces. When their first process dies, the kernel ends every other one and the mounts
//! go with the last; only empty cgroups and a folder remain, and the shell that holds the machine removes those.

use std::{
    fs,
    path::{Path, PathBuf},
    time::Duration,
};

use crate::testkit::{
    ControlPlane, Error,
    process::{Launch, Process},
    wait,
};

/// `$1` folder of the machine, `$2` name of its cgroup. The file `holder` in the folder names the process that holds the
/// namespaces, the file `ready` says that they are complete.
///
/// What kubelet and runtime keep at fixed places is hidden under file systems of the machine's own.
const MACHINE: &str = r#"
dir=$1 cgroup=$2
unshare --mount --propagation private --pid --fork --kill-child --mount-proc sh -c '
  for folder in /run /var/lib /var/log; do mount -t tmpfs machine "$folder" || exit 1; done
  echo ready >"$1"
  sleep infinity &
  wait
' machine "$dir/ready" &
inside=$!
trap 'kill -s KILL "$inside"' TERM
echo "$inside" >"$dir/holder"
wait "$inside"
code=$?
kill -s KILL "$inside" 2>/dev/null
tries=0
while [ "$tries" -lt 100 ]; do
  folders=$(find /sys/fs/cgroup -depth -type d -path "*/$cgroup*")
  [ -n "$folders" ] || break
  echo "$folders" | xargs rmdir 2>/dev/null
  sleep 0.1
  tries=$((tries + 1))
done
rm -rf --one-file-system "$dir"
exit "$code"
"#;

pub(super) struct Machine {
    holder: u32,
    dir: PathBuf,
    cgroup: String,
    // Only held.
    _process: Process,
}

impl Machine {
    pub(super) async fn start(plane: &ControlPlane, name: &str) -> Result<Self, Error> {
        let workspace = plane.workspace();
        let dir = workspace.path().join(workspace.unique(name));
        fs::create_dir(&dir).map_err(Error::io(format!("make the folder of machine {name}")))?;
        let cgroup = format!("tokenturn-{}", crate::testkit::servers::random_hex());
        let ready = dir.join("ready");
        let args = ["-c", MACHINE, "machine"].map(str::to_owned).into_iter();
        let launch = Launch {
            name: &format!("machine-{name}"),
            program: Path::new("/bin/sh"),
            args: args.chain([dir.display().to_string(), cgroup.clone()]).collect(),
            env: Vec::new(),
            grace: Duration::from_secs(15),
        };
        let mut process = Process::start(workspace, launch)?;
        let what = format!("the namespaces of machine {name}");
        wait::until(&what, Duration::from_secs(30), || {
            let ended = process.check().err();
            let done = ready.exists();
            async move { ended.map(Err).or(done.then_some(Ok(()))) }
        })
        .await??;
        let holder = fs::read_to_string(dir.join("holder")).map_err(Error::io(&what))?;
        let holder = holder.trim().parse().map_err(|problem| Error::invalid(&what, problem))?;
        Ok(Self { holder, dir, cgroup, _process: process })
    }

    /// Starts a program on the machine. When its [`Process`] is ended, the program is killed at once.
    pub(super) fn launch(
        &self,
        plane: &ControlPlane,
        name: &str,
        program: &Path,
        args: Vec<String>,
    ) -> Result<Process, Error> {
        let mut all = vec![
            format!("--mount=/proc/{}/ns/mnt", self.holder),
            format!("--pid=/proc/{}/ns/pid_for_children", self.holder),
        ];
        // nsenter stays outside and waits; the program must not outlive it.
        all.extend(["setpriv", "--pdeathsig=KILL", "--"].map(str::to_owned));
        all.push(program.display().to_string());
        all.extend(args);
        let launch = Launch { name, program: Path::new("nsenter"), args: all, env: Vec::new(), grace: Duration::ZERO };
        Process::start(plane.workspace(), launch)
    }

    /// Folder for the files of this machine; the same inside and outside.
    pub(super) fn dir(&self) -> &Path {
        &self.dir
    }

    /// Name of the cgroup under which all containers are.
    pub(super) fn cgroup(&self) -> &str {
        &self.cgroup
    }
}
