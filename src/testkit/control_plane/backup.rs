//! Backups of etcd and going back to one, as after the loss of a cluster.

use std::{fs, io, path::Path, process::Command, time::Duration};

use super::{ControlPlane, Error, lock, servers};
use crate::testkit::process::{Process, Signal};

/// A copy of etcd's data at one moment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Backup(String);

/// How to go back to a backup.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Restore {
    /// With the revisions as they were. Every watch then holds a version that the API server has not reached yet, so
    /// etcd's manual says to restart everything that watches; the controllers are restarted here.
    SameRevisions,
    /// With revisions moved far ahead and the old ones marked as compacted, by `etcdutl`: every watch has to list anew.
    BumpedRevisions,
}

impl ControlPlane {
    /// Copies etcd's data while etcd is frozen, as a snapshot of its disk would.
    pub fn back_up(&self) -> Result<Backup, Error> {
        let name = self.workspace.unique("backup");
        self.signal_etcd(Signal::Stop);
        // The signal takes its way through the watchdog.
        std::thread::sleep(Duration::from_millis(200));
        let copied = copy(&self.dir().join("etcd"), &self.dir().join(&name));
        self.signal_etcd(Signal::Continue);
        copied.map_err(Error::io("copy the data of etcd"))?;
        Ok(Backup(name))
    }

    /// Ends etcd and API server, brings the data of a backup back, and starts them again.
    pub async fn restore(&self, backup: &Backup, how: Restore) -> Result<(), Error> {
        self.kill_apiserver().await?;
        let etcd = lock(&self.etcd).take();
        drop(etcd);
        let (data, saved) = (self.dir().join("etcd"), self.dir().join(&backup.0));
        fs::remove_dir_all(&data).map_err(Error::io("remove the data of etcd"))?;
        match how {
            Restore::SameRevisions => copy(&saved, &data).map_err(Error::io("bring back the data of etcd"))?,
            Restore::BumpedRevisions => self.rewrite(&saved, &data)?,
        }
        *lock(&self.etcd) = Some(self.launch("etcd", self.command_lines().etcd())?);
        self.start_apiserver().await?;
        if how == Restore::SameRevisions {
            let old: Vec<Process> = std::mem::take(&mut *lock(&self.others));
            drop(old);
            self.start_controllers()?;
        }
        Ok(())
    }

    /// Makes a data folder from a saved one as `etcdutl` makes it from a snapshot.
    fn rewrite(&self, saved: &Path, data: &Path) -> Result<(), Error> {
        let what = "restore the snapshot with etcdutl";
        let peer = format!("http://127.0.0.1:{}", self.ports.peer);
        let output = Command::new(servers::find("etcdutl")?)
            .args(["snapshot", "restore", "--skip-hash-check", "--bump-revision=1000000000", "--mark-compacted"])
            .arg(format!("--data-dir={}", data.display()))
            .arg(format!("--initial-cluster=default={peer}"))
            .arg(format!("--initial-advertise-peer-urls={peer}"))
            .arg(saved.join("member/snap/db"))
            .output()
            .map_err(Error::io(what))?;
        if output.status.success() {
            Ok(())
        } else {
            Err(Error::invalid(what, String::from_utf8_lossy(&output.stderr)))
        }
    }

    fn signal_etcd(&self, signal: Signal) {
        if let Some(etcd) = lock(&self.etcd).as_mut() {
            etcd.signal(signal);
        }
    }
}

fn copy(from: &Path, to: &Path) -> io::Result<()> {
    fs::create_dir_all(to)?;
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        let target = to.join(entry.file_name());
        if entry.file_type()?.is_dir() {
            copy(&entry.path(), &target)?;
        } else {
            fs::copy(entry.path(), &target)?;
        }
    }
    Ok(())
}
