//! What a process remembers of an object beyond the record. Losing it only delays, never more.
//!
//! Fed by what reconciles read and by how effects ended; read by the rules. No clock here either: every note is given the
//! monotonic time of the process.

use std::{
    collections::{BTreeMap, btree_map::Entry},
    time::Duration,
};

use crate::{
    api::WorkloadRef,
    core::{
        ledger::{failure::Failure, record::Ledger},
        plan::Trouble,
        seen::{
            refusals::Refusals,
            repairs::Repairs,
            views::{Record, Target},
        },
        step::Change,
        token::{Issued, Serial},
    },
};

/// What this process remembers of the object.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Memory {
    /// The highest counter of attempts that this process has seen in the record.
    pub highest: i64,
    /// An intent that this process committed and whose create it has not sent.
    pub unsent_intent: Option<Serial>,
    /// The last intent that this process committed, whether its create was sent or not.
    pub own: Option<Serial>,
    /// The intent that this pass decided to write, and when; it counts as known since then if the write is acknowledged.
    pub intended: Option<(Serial, Duration)>,
    /// Since when this process knows of the intent in the record.
    pub intent_since: Option<(Serial, Duration)>,
    /// Since when (monotonic) this process has seen the target as it is now, or had its write of it acknowledged.
    pub target_since: Duration,
    /// Since when this process knows of the pending token.
    pub pending_since: Option<(Serial, Duration)>,
    /// A pending token that this process has published or seen in the target: pods may hold it.
    pub published: Option<Serial>,
    /// Since when this process knows of the refused token.
    pub refused_since: Option<(Serial, Duration)>,
    /// Since when this process knows that the owner goes.
    pub retiring_since: Option<Duration>,
    /// The current token under which this process last looked for left-overs.
    pub swept: Option<Serial>,
    /// Since when pickup is proven without a break.
    pub proven_since: Option<Duration>,
    /// How often each workload was given which stamp.
    pub stamps: BTreeMap<WorkloadRef, (String, u32)>,
    /// Which tokens the provider took a revoke of from this process.
    pub revokes: BTreeMap<Serial, Revokes>,
    /// A token of which the provider did not take the revoke.
    pub revoke_failed: Option<Serial>,
    /// How tokens were refused that nobody here has ended.
    pub refusals: BTreeMap<Serial, Refusals>,
    /// What the last calls to the provider showed: that it answers, or what is wrong. For the status only.
    pub provider: Option<Result<(), Trouble>>,
    /// Why the last create of this process failed.
    pub mint_failure: Option<Failure>,
    /// Since when, without a break, the operator's credential is refused.
    pub refused_credential_since: Option<Duration>,
    /// Since when, without a break, an object that is being deleted cannot go on.
    pub stuck_since: Option<Duration>,
    /// When this process last heard of a create whose answer was lost, or met one of another process, and has not looked again since.
    pub answer_lost: Option<Duration>,
    /// How often labels and annotations of the target were put back in a row.
    pub repairs: Repairs,
    /// When this process last restarted workloads.
    pub rolled: Option<Duration>,
    /// How often the value in the Secret was changed while the old token was waited for.
    pub reopened: u32,
    /// Failures in a row, for back-off.
    pub failures: u32,
    /// The target as it was last seen; a change restarts the settle time.
    target: Option<TargetSeen>,
    /// What the grace that is being measured belongs to.
    grace: Option<GraceBasis>,
}

/// How often, and when, the provider took the revoke of a token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Revokes {
    pub first: Duration,
    pub last: Duration,
    pub times: u32,
}

/// What makes two reads of a target the same for the settle time.
#[derive(Clone, Debug, PartialEq, Eq)]
struct TargetSeen {
    uid: Option<String>,
    serial: Option<Serial>,
    /// A digest of the data; never the data.
    digest: String,
}

/// What grace is measured for: one old token, one snapshot, and one note of what was served before. When any of these has
/// changed, by whomever, what this process measured no longer counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct GraceBasis {
    serial: Serial,
    round: i64,
    served: i64,
}

impl Memory {
    /// What is kept when somebody else may have worked meanwhile: what a record said once, it never takes back.
    #[must_use]
    pub fn next_term(&self) -> Self {
        Self { highest: self.highest, published: self.published, ..Self::default() }
    }

    /// Notes what a reconcile read: target and record, read at `uptime` or before.
    pub fn look(&mut self, uptime: Duration, target: &Target, record: Option<&Record>) {
        self.look_at_target(uptime, target);
        self.intended = None;
        let ledger = record.map(|record| &record.ledger);
        self.highest = ledger.map_or(0, |ledger| ledger.counter).max(self.highest);
        let intent = ledger.and_then(|ledger| ledger.intent.as_ref()).map(|intent| intent.serial);
        since(&mut self.intent_since, intent, uptime);
        // What is over is forgotten; what was swept was never in the record.
        let known = ledger.map(Ledger::serials).unwrap_or_default();
        self.refusals.retain(|serial, _| known.contains(serial));
        self.revokes.retain(|serial, _| known.contains(serial));
        let serial = |token: Option<&Issued>| token.map(|token| token.serial);
        let pending = serial(ledger.and_then(|ledger| ledger.pending.as_ref()));
        since(&mut self.pending_since, pending, uptime);
        let refused = serial(ledger.and_then(|ledger| ledger.refused.as_ref()));
        since(&mut self.refused_since, refused, uptime);
        if let (Target::Ours(view), Some(pending)) = (target, pending)
            && view.serial == Some(pending)
        {
            self.published = Some(pending);
        }
        let retiring = ledger.is_some_and(|ledger| ledger.retirement.is_some());
        self.retiring_since = retiring.then(|| self.retiring_since.unwrap_or(uptime));
        let previous = ledger.and_then(|ledger| ledger.previous.as_ref());
        let basis = previous.filter(|previous| previous.snapshot.is_some()).map(|previous| GraceBasis {
            serial: previous.token.serial,
            round: previous.round,
            served: previous.grace_served,
        });
        if basis != self.grace {
            self.grace = basis;
            self.proven_since = None;
        }
    }

    /// The settle time starts again whenever the target is not what this process saw last.
    fn look_at_target(&mut self, uptime: Duration, target: &Target) {
        let seen = match target {
            Target::Ours(view) => {
                TargetSeen { uid: Some(view.uid.clone()), serial: view.serial, digest: view.digest() }
            }
            Target::Absent | Target::Foreign(_) | Target::Adoptable => {
                TargetSeen { uid: None, serial: None, digest: format!("{target:?}") }
            }
        };
        if self.target.as_ref() != Some(&seen) {
            self.target = Some(seen);
            self.target_since = uptime;
        }
    }

    /// A create is about to be sent: whatever happens now, this attempt creates no second token.
    pub fn minting(&mut self) {
        self.unsent_intent = None;
    }

    /// A write of the target is about to be sent: an answer that gets lost is no proof that it was not written.
    pub fn publishing(&mut self, serial: Serial) {
        self.published = Some(serial);
    }

    /// A write of the target was acknowledged: the settle time runs from now.
    pub fn published(&mut self, uptime: Duration) {
        self.target = None;
        self.target_since = uptime;
    }

    /// A write of the record was acknowledged.
    pub fn saved(&mut self, change: Change) {
        if matches!(change, Change::Intended(_) | Change::TakenOver(_)) {
            self.note_unheard();
        }
        match change {
            Change::Intended(serial) => {
                self.unsent_intent = Some(serial);
                self.own = Some(serial);
                self.intent_since = self.intended.take().filter(|(intended, _)| *intended == serial);
                self.mint_failure = None;
            }
            Change::TakenOver(serial) => self.own = Some(serial),
            Change::Promoted(_) => {
                self.stamps.clear();
                self.reopened = 0;
            }
            Change::Reopened => {
                self.stamps.clear();
                self.reopened = self.reopened.saturating_add(1);
            }
            Change::Died(_)
            | Change::Noted
            | Change::GraceServed
            | Change::Refused(_)
            | Change::RefusedGone(_)
            | Change::RefusedLeft(_)
            | Change::Reinstated(_)
            | Change::Snapshot
            | Change::RevokeIntended(_)
            | Change::Forgotten(_)
            | Change::LeftToExpiry(_)
            | Change::Unknown(_)
            | Change::Retiring
            | Change::RetirementIntended => {}
        }
    }

    /// The create of another process, of which nobody will hear, may be under way still when its attempt is given up.
    fn note_unheard(&mut self) {
        if let Some((known, since)) = self.intent_since
            && self.own != Some(known)
        {
            self.answer_lost(since);
        }
    }

    /// The provider took a revoke.
    pub fn revoked(&mut self, serial: Serial, uptime: Duration) {
        let taken = self.revokes.entry(serial).or_insert(Revokes { first: uptime, last: uptime, times: 0 });
        (taken.last, taken.times) = (uptime, taken.times.saturating_add(1));
        self.revoke_failed = None;
    }

    /// The provider did not take a revoke, or its answer was lost.
    pub fn revoke_failed(&mut self, serial: Serial) {
        self.revoke_failed = Some(serial);
    }

    /// A create was sent, and its answer was lost.
    pub fn answer_lost(&mut self, uptime: Duration) {
        self.answer_lost = Some(uptime);
    }

    /// A workload was given a stamp.
    pub fn stamped(&mut self, workload: WorkloadRef, stamp: &str, uptime: Duration) {
        self.rolled = Some(uptime);
        match self.stamps.entry(workload) {
            Entry::Occupied(mut given) if given.get().0 == stamp => given.get_mut().1 += 1,
            Entry::Occupied(mut given) => *given.get_mut() = (stamp.to_owned(), 1),
            Entry::Vacant(given) => {
                given.insert((stamp.to_owned(), 1));
            }
        }
    }
}

/// Notes since when something is known, and forgets what is over.
fn since(known: &mut Option<(Serial, Duration)>, now: Option<Serial>, uptime: Duration) {
    if now != known.map(|(serial, _)| serial) {
        *known = now.map(|serial| (serial, uptime));
    }
}
