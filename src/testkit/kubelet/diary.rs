//! What the processes in the containers wrote down, taken over into the history.
//!
//! Each process has a file of its own, named after its container, and keeps it locked while it lives. A lock that is free
//! is the one sign of its end that nobody can withhold: not a kubelet that is away, not a runtime that forgot the container.

use std::{
    collections::{BTreeMap, btree_map::Entry},
    fs::{self, File, TryLockError},
    io::{Read, Seek, SeekFrom},
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError, mpsc},
    thread::JoinHandle,
    time::{Duration, Instant},
};

use jiff::Timestamp;
use serde::Deserialize;

use crate::testkit::{Call, Error, Event, History, Outcome, Seat};

const LOOK_EVERY: Duration = Duration::from_millis(100);

/// Reads a folder of diaries until it is dropped.
pub(super) struct Diaries {
    stop: Option<mpsc::Sender<()>>,
    reader: Option<JoinHandle<()>>,
    problems: Arc<Mutex<Vec<String>>>,
}

/// One line, as `tests/programs/kubelet/consumer/diary.go` writes it.
#[derive(Debug, Deserialize)]
struct Line {
    at: Timestamp,
    event: String,
    #[serde(default)]
    token: Option<String>,
    #[serde(default)]
    status: Option<u16>,
    #[serde(default)]
    problem: Option<String>,
}

impl Diaries {
    pub(super) fn follow(folder: &Path, node: &str, history: &History) -> Self {
        let (stop, stopped) = mpsc::channel();
        let problems = Arc::<Mutex<Vec<String>>>::default();
        let mut reader = Reader {
            folder: folder.to_owned(),
            node: node.into(),
            history: history.clone(),
            open: BTreeMap::new(),
            problems: problems.clone(),
        };
        let reader = std::thread::spawn(move || {
            while stopped.recv_timeout(LOOK_EVERY) == Err(mpsc::RecvTimeoutError::Timeout) {
                reader.look();
            }
            reader.look();
        });
        Self { stop: Some(stop), reader: Some(reader), problems }
    }

    /// An error if a line could not be understood: then the history may lack something.
    pub(super) fn check(&self) -> Result<(), Error> {
        let problems = self.problems.lock().unwrap_or_else(PoisonError::into_inner);
        match problems.first() {
            Some(problem) => Err(Error::invalid("read what the containers wrote", problem)),
            None => Ok(()),
        }
    }
}

impl Drop for Diaries {
    fn drop(&mut self) {
        drop(self.stop.take());
        // A panic of the reader has been printed already.
        let _ = self.reader.take().map(JoinHandle::join);
    }
}

struct Reader {
    folder: PathBuf,
    node: Arc<str>,
    history: History,
    /// `None` for a process that has ended.
    open: BTreeMap<PathBuf, Option<Diary>>,
    problems: Arc<Mutex<Vec<String>>>,
}

struct Diary {
    file: File,
    seat: Seat,
    offset: u64,
}

impl Reader {
    fn look(&mut self) {
        let (history, node) = (&self.history, &self.node);
        let result = list(&self.folder).and_then(|paths| {
            for path in paths {
                if let Entry::Vacant(slot) = self.open.entry(path) {
                    let diary = Diary::open(slot.key(), node)?;
                    slot.insert(Some(diary));
                }
            }
            for slot in self.open.values_mut() {
                let Some(diary) = slot else { continue };
                if !diary.take_over(history)? {
                    *slot = None;
                }
            }
            Ok(())
        });
        if let Err(problem) = result {
            self.problems.lock().unwrap_or_else(PoisonError::into_inner).push(problem);
        }
    }
}

/// Files that begin with a point are not locked yet.
fn list(folder: &Path) -> Result<Vec<PathBuf>, String> {
    let entries = fs::read_dir(folder).map_err(|problem| format!("list {}: {problem}", folder.display()))?;
    let paths = entries.filter_map(|entry| Some(entry.ok()?.path()));
    Ok(paths.filter(|path| !path.file_name().is_some_and(|name| name.as_encoded_bytes().starts_with(b"."))).collect())
}

impl Diary {
    fn open(path: &Path, node: &Arc<str>) -> Result<Self, String> {
        let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        let parts: Vec<&str> = name.split('_').collect();
        let [namespace, pod, uid, container, _started] = parts[..] else {
            return Err(format!("{} is not named after a container", path.display()));
        };
        let seat = Seat {
            namespace: namespace.into(),
            pod: pod.into(),
            uid: uid.into(),
            container: container.into(),
            node: node.clone(),
        };
        let file = File::open(path).map_err(|problem| format!("open {}: {problem}", path.display()))?;
        Ok(Self { file, seat, offset: 0 })
    }

    /// Takes over what is new; false when the process has ended.
    fn take_over(&mut self, history: &History) -> Result<bool, String> {
        // Asked before reading, so that nothing written before the end is missed.
        let alive = match self.file.try_lock_shared() {
            Ok(()) => false,
            Err(TryLockError::WouldBlock) => true,
            Err(TryLockError::Error(problem)) => return Err(self.problem(&problem)),
        };
        let mut text = String::new();
        self.file.seek(SeekFrom::Start(self.offset)).map_err(|problem| self.problem(&problem))?;
        self.file.read_to_string(&mut text).map_err(|problem| self.problem(&problem))?;
        // The last line may be half-written.
        let complete = text.rfind('\n').map_or(0, |end| end + 1);
        self.offset += complete as u64;
        for line in text[..complete].lines() {
            let line = serde_json::from_str(line).map_err(|problem| self.problem(&problem))?;
            self.note(line, history)?;
        }
        if !alive {
            let (at, wall) = (Instant::now(), Timestamp::now());
            history.note(Event::Stopped { at, wall, seat: self.seat.clone() });
        }
        Ok(alive)
    }

    fn note(&self, line: Line, history: &History) -> Result<(), String> {
        let Line { at: wall, event, token, status, problem } = line;
        let (at, seat) = (Instant::now(), self.seat.clone());
        let needed = || token.clone().ok_or_else(|| self.problem(&"a line without token"));
        history.note(match event.as_str() {
            "started" => Event::Started { at, wall, seat, fingerprint: token },
            "reloaded" => Event::Reloaded { at, wall, seat, fingerprint: needed()? },
            "called" => {
                let outcome = match (status, problem) {
                    (Some(status), None) => Outcome::Answered(status),
                    (_, problem) => Outcome::Unanswered(problem.unwrap_or_default()),
                };
                Event::Called(Call { at, wall, seat, fingerprint: needed()?, outcome })
            }
            "asked to end" | "ended" => return Ok(()),
            other => return Err(self.problem(&format!("unknown event {other}"))),
        });
        Ok(())
    }

    fn problem(&self, problem: &impl ToString) -> String {
        format!("container {}/{}: {}", self.seat.pod, self.seat.container, problem.to_string())
    }
}
