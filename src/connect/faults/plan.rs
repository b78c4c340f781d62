//! What is to go wrong: the plan that a runner writes, and the journal that this process writes for it.
//!
//! Several processes of one run share a plan and a journal. Each counts its own effects; the first that comes to a planned
//! one carries the fault out, and a marker file sees to it that it is the only one.

use std::{
    collections::BTreeMap,
    fs::{self, File, OpenOptions},
    io::Write,
    path::{Path, PathBuf},
    sync::{Mutex, MutexGuard, OnceLock, PoisonError},
    time::{Duration, Instant},
};

use serde::{Deserialize, Serialize};

use super::effect::{Effect, Kind};

/// Names the plan's file.
pub const VARIABLE: &str = "TOKENTURN_FAULTS";

/// Questions that follow each other within this time were asked together.
const BURST: Duration = Duration::from_secs(1);

/// What goes wrong with an effect.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Fault {
    /// The process dies before the request is sent.
    CrashBefore,
    /// The request is carried out, then the process dies.
    CrashAfter,
    /// The request is carried out, and the connection breaks before the answer.
    ReplyLost,
    /// Not carried out: somebody else has changed the object.
    Conflict,
    /// Not carried out: too many requests.
    Limited,
    /// Not carried out: an internal error.
    Internal,
    /// Not carried out: unavailable.
    Unavailable,
    /// Not carried out, and no answer until the client gives up.
    Timeout,
    /// Carried out; the answer comes after another process of the run has written something.
    Late,
    /// Carried out; then the whole process stands still until the runner lets it go on.
    Frozen,
    /// The process is asked to end, then the request is sent.
    Terminate,
}

/// What a runner asks for.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Plan {
    /// File to which every effect is appended before it is sent.
    pub journal: PathBuf,
    /// Name of this process in the journal.
    pub process: String,
    pub faults: Vec<Planned>,
}

/// One fault of a plan.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Planned {
    /// Name of the effect.
    pub effect: String,
    /// Which effect of that name in a process, counted from 1.
    pub occurrence: u32,
    pub fault: Fault,
}

/// One line of the journal: an effect that is about to be sent. No value is in it.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Entry {
    pub process: String,
    pub effect: String,
    pub occurrence: u32,
    /// Changes an object that is stored.
    pub writes: bool,
    /// Where it goes, without the query; not told of providers.
    pub path: String,
    /// What this process makes of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fault: Option<Fault>,
    /// Milliseconds since the epoch, for people.
    pub at: i64,
}

/// The faults of this process, once its plan is there.
pub struct Armed {
    pub plan: Plan,
    journal: File,
    counts: BTreeMap<String, u32>,
    burst: Option<Instant>,
}

/// What is to go wrong with an effect, and by whom that is written down where.
pub struct Met {
    pub fault: Fault,
    pub journal: PathBuf,
    pub process: String,
}

/// Counts an effect, writes it down, and says what is to go wrong with it.
///
/// Without a plan nothing is counted.
pub fn meet(effect: &Effect, path: &str) -> Option<Met> {
    let mut armed = state()?;
    armed.as_mut()?.meet(effect, path)
}

/// The state of the process; `None` where no plan is named at all.
fn state() -> Option<MutexGuard<'static, Option<Armed>>> {
    static FILE: OnceLock<Option<PathBuf>> = OnceLock::new();
    static STATE: Mutex<Option<Armed>> = Mutex::new(None);
    let file = FILE.get_or_init(|| std::env::var_os(VARIABLE).map(PathBuf::from)).as_ref()?;
    let mut state = STATE.lock().unwrap_or_else(PoisonError::into_inner);
    if state.is_none() {
        *state = Armed::load(file);
    }
    Some(state)
}

impl Armed {
    /// Reads a plan; `None` while there is none. One that cannot be read would make a run say something that it did not
    /// try: it is a panic.
    fn load(file: &Path) -> Option<Self> {
        let text = fs::read(file).ok()?;
        let plan: Plan = serde_json::from_slice(&text).expect("the plan of faults can be read");
        let journal =
            OpenOptions::new().append(true).create(true).open(&plan.journal).expect("the journal can be written");
        Some(Self { plan, journal, counts: BTreeMap::new(), burst: None })
    }

    fn meet(&mut self, effect: &Effect, path: &str) -> Option<Met> {
        let now = Instant::now();
        let together = effect.kind == Kind::Burst && self.burst.is_some_and(|last| now - last < BURST);
        self.burst = (effect.kind == Kind::Burst).then_some(now);
        if together {
            return None;
        }
        let name = effect.name();
        let count = self.counts.entry(name.clone()).or_insert(0);
        *count += 1;
        let occurrence = *count;
        let mut planned = self.plan.faults.iter().enumerate();
        let fault = planned.find_map(|(number, planned)| {
            let this = planned.effect == name && planned.occurrence == occurrence;
            (this && first(&self.plan.journal, number)).then_some(planned.fault)
        });
        let entry = Entry {
            process: self.plan.process.clone(),
            effect: name,
            occurrence,
            writes: effect.kind == Kind::Write,
            path: path.to_owned(),
            fault,
            at: jiff::Timestamp::now().as_millisecond(),
        };
        let mut line = serde_json::to_vec(&entry).expect("an entry is JSON");
        line.push(b'\n');
        // One write, so that lines of several processes do not mix.
        self.journal.write_all(&line).expect("the journal can be written");
        fault.map(|fault| Met { fault, journal: self.plan.journal.clone(), process: self.plan.process.clone() })
    }
}

/// Whether no process has carried this fault out before.
fn first(journal: &Path, number: usize) -> bool {
    let marker = journal.with_extension(format!("fired-{number}"));
    File::create_new(marker).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_planned_effect_and_no_other_goes_wrong_once() {
        let folder = std::env::temp_dir().join(format!("tokenturn-plan-{}", std::process::id()));
        fs::create_dir_all(&folder).unwrap();
        let plan = Plan {
            journal: folder.join("journal"),
            process: "a".to_owned(),
            faults: vec![Planned { effect: "PUT record".to_owned(), occurrence: 2, fault: Fault::CrashAfter }],
        };
        let file = folder.join("plan");
        fs::write(&file, serde_json::to_vec(&plan).unwrap()).unwrap();
        let put = Effect { verb: "PUT", object: "record", kind: Kind::Write };
        let rights = Effect { verb: "POST", object: "access-reviews", kind: Kind::Burst };
        let run = || {
            let mut armed = Armed::load(&file).unwrap();
            [rights, rights, put, rights, put, put].map(|effect| armed.meet(&effect, "/p").map(|met| met.fault))
        };
        assert_eq!(run(), [None, None, None, None, Some(Fault::CrashAfter), None]);
        assert_eq!(run(), [None; 6], "another process has carried it out");
        let journal = fs::read_to_string(&plan.journal).unwrap();
        let reported: Vec<Entry> = journal.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        let reported: Vec<_> =
            reported.iter().map(|entry| format!("{} {}", entry.effect, entry.occurrence)).take(5).collect();
        assert_eq!(
            reported,
            ["POST access-reviews 1", "PUT record 1", "POST access-reviews 2", "PUT record 2", "PUT record 3"]
        );
        fs::remove_dir_all(folder).unwrap();
    }
}
