//! A temporary folder that disappears with this process, even when the process is killed.
//!
//! A small shell, the janitor, blocks on a pipe that this process holds. When the pipe closes, for
//! whatever reason, it waits until every process that was started in the folder has ended (each has
//! a marker file, see [`super::process`]) and removes the folder. Logs stay when a test panicked.

use std::{
    fs,
    io::Write,
    os::unix::process::CommandExt,
    path::{Path, PathBuf},
    process::{Child, ChildStdin, Command, Stdio},
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
};

use super::Error;

/// `$1` folder, `$2` is 1 if logs are to be kept. A line KEEP asks for the same later.
const JANITOR: &str = r#"
dir=$1 keep=$2
while read -r order; do [ "$order" = KEEP ] && keep=1; done
tries=0
while [ -n "$(ls -A "$dir/running" 2>/dev/null)" ] && [ "$tries" -lt 200 ]; do sleep 0.1; tries=$((tries + 1)); done
if [ "$keep" = 1 ]; then rm -rf "$dir/etcd" "$dir"/backup-* "$dir/running"; else rm -rf "$dir"; fi
"#;

/// The folder of one control plane and of everything started beside it.
pub struct Workspace {
    path: PathBuf,
    janitor: Child,
    orders: Mutex<Option<ChildStdin>>,
    kept: AtomicBool,
    numbers: AtomicUsize,
}

impl Workspace {
    /// Makes the folder and starts its janitor.
    pub fn create() -> Result<Self, Error> {
        let path = tempfile::Builder::new()
            .prefix("tokenturn-")
            .tempdir()
            .map_err(Error::io("make a temporary folder"))?
            .keep();
        for folder in ["running", "logs", "etcd"] {
            fs::create_dir(path.join(folder)).map_err(Error::io("make a folder for the servers"))?;
        }
        let kept = std::env::var("KEEP_LOGS").is_ok_and(|value| value == "1");
        let mut janitor = Command::new("sh")
            .args(["-c", JANITOR, "janitor"])
            .arg(&path)
            .arg(if kept { "1" } else { "0" })
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            // Ctrl-C in a terminal reaches the whole process group; the janitor has to outlive it.
            .process_group(0)
            .spawn()
            .map_err(Error::io("start sh"))?;
        let orders = Mutex::new(janitor.stdin.take());
        if kept {
            eprintln!("logs of the servers: {}", path.join("logs").display());
        }
        Ok(Self { path, janitor, orders, kept: AtomicBool::new(kept), numbers: AtomicUsize::new(0) })
    }

    pub fn path(&self) -> &Path {
        &self.path
    }

    /// A name that no other process or file of this folder has.
    pub fn unique(&self, stem: &str) -> String {
        format!("{stem}-{}", self.numbers.fetch_add(1, Ordering::Relaxed))
    }

    /// Keeps the logs after the end of this process and says where they are.
    pub fn keep_logs(&self) {
        if self.kept.swap(true, Ordering::Relaxed) {
            return;
        }
        eprintln!("logs of the servers are kept in {}", self.path.join("logs").display());
        let mut orders = self.orders.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(orders) = orders.as_mut() {
            // A janitor that is gone has removed the logs already; there is nothing left to ask for.
            let _ = orders.write_all(b"KEEP\n");
        }
    }
}

impl Drop for Workspace {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.keep_logs();
        }
        drop(self.orders.lock().unwrap_or_else(PoisonError::into_inner).take());
        let _ = self.janitor.wait();
    }
}
