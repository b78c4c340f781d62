//! The chart's memory limit, enforced on the operator's process: by a cgroup of its own where this machine lets us, else by a watcher that
//! ends a process which is over it.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use serde_json::Value;
use tokenturn::testkit::{chart, install};

use super::Failure;

/// A limit in bytes and what enforces it.
pub struct Limit {
    pub bytes: u64,
    folder: Option<Folder>,
}

/// A cgroup; removed when this is dropped, which has to be after the process has ended.
struct Folder {
    path: PathBuf,
    procs: PathBuf,
}

impl Limit {
    /// The limit that the chart renders for the operator's container.
    pub fn of_chart(release: &str, namespace: &str) -> Result<Self, Failure> {
        let rendered = chart::render(release, namespace, &[])?;
        let mut limits = install::documents(&rendered)?.into_iter().filter_map(|object| {
            let is_deployment = object.types.as_ref().is_some_and(|types| types.kind == "Deployment");
            let memory = object.data.pointer("/spec/template/spec/containers/0/resources/limits/memory");
            memory.filter(|_| is_deployment).and_then(Value::as_str).map(str::to_owned)
        });
        let text = limits.next().ok_or("the chart renders no memory limit")?;
        let mebibytes: u64 = text.strip_suffix("Mi").ok_or("the chart's memory limit is not in Mi")?.parse()?;
        let bytes = mebibytes << 20;
        Ok(Self { bytes, folder: Folder::new(bytes).ok() })
    }

    pub fn mib(&self) -> f64 {
        self.bytes as f64 / f64::from(1 << 20)
    }

    /// What enforces it.
    pub fn enforced_by(&self) -> &'static str {
        if self.folder.is_some() { "cgroup" } else { "watcher" }
    }

    /// Whether this program has to end a process that is over it.
    pub fn is_watched(&self) -> bool {
        self.folder.is_none()
    }

    /// Puts a process under the limit.
    pub fn put(&mut self, pid: u32) {
        if let Some(Folder { procs, .. }) = &self.folder
            && fs::write(procs, pid.to_string()).is_err()
        {
            self.folder = None;
        }
    }
}

impl Folder {
    /// Version 1 has a folder for memory alone; version 2 has to hand the controller down to its children.
    fn new(bytes: u64) -> io::Result<Self> {
        let root = Path::new("/sys/fs/cgroup");
        let name = format!("tokenturn-hostile-{}", std::process::id());
        let (parent, file) = match fs::read_to_string(root.join("cgroup.subtree_control")) {
            Ok(handed_down) if handed_down.split_whitespace().any(|one| one == "memory") => (root.into(), "memory.max"),
            Ok(_) => return Err(io::ErrorKind::Unsupported.into()),
            Err(_) => (root.join("memory"), "memory.limit_in_bytes"),
        };
        if !parent.join("cgroup.procs").exists() {
            return Err(io::ErrorKind::Unsupported.into());
        }
        let path = parent.join(name);
        fs::create_dir(&path)?;
        let folder = Self { procs: path.join("cgroup.procs"), path };
        let limit = folder.path.join(file);
        fs::write(&limit, bytes.to_string())?;
        match fs::read_to_string(limit)?.trim().parse() == Ok(bytes) {
            true => Ok(folder),
            false => Err(io::ErrorKind::Unsupported.into()),
        }
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        // The kernel takes a moment to let an ended process go.
        for _ in 0..20 {
            if fs::remove_dir(&self.path).is_ok() {
                return;
            }
            std::thread::sleep(std::time::Duration::from_millis(50));
        }
    }
}
