//! The objects of one reconcile, as rules see them: the RotatedToken, its Secret, its record.

use std::{collections::BTreeMap, time::Duration};

use crate::{
    api::{DeletionPolicy, RolloutSpec},
    core::{
        ledger::record::{Ledger, Values},
        plan::{Plan, TargetPlan, Trouble},
        token::Serial,
    },
    secret_value::{SecretValue, TokenSet, digest},
};

/// The `RotatedToken`.
#[derive(Clone, Debug, PartialEq)]
pub struct Resource {
    pub deleting: bool,
    /// It carries our finalizer, and says that it is of this installation or of none.
    pub finalizer: bool,
    /// The other installation that it, or its Secret, says it belongs to, unless somebody asked to take it over.
    pub elsewhere: Option<String>,
    /// The installation by whose id its tokens are named when there is no record yet.
    pub named_by: Option<String>,
    pub suspend: bool,
    pub rotate_now: Option<String>,
    pub deletion_policy: DeletionPolicy,
    pub grace: Duration,
    pub rollout: RolloutSpec,
    /// Its status shows that a token was issued for it once.
    pub was_issued: bool,
    /// The provider object is another one than it was when the rotation under way began.
    pub is_recipe_changed: bool,
    pub target: TargetPlan,
    pub plan: Result<Plan, Trouble>,
}

/// The Secret that workloads read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Target {
    Absent,
    /// It belongs to somebody else.
    Foreign(Foreign),
    /// Its owner handed it to us by annotation; nothing of it is ours yet.
    Adoptable,
    Ours(TargetView),
}

/// Whose a target is that is not ours.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Foreign {
    /// tokenturn did not make it.
    Unmanaged,
    /// It belongs to a RotatedToken of this name.
    Token(String),
    /// It belonged to a RotatedToken of this name that no longer exists, or to one of another installation.
    Leftover,
}

/// A target of ours.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TargetView {
    /// UID of the Secret: one that was deleted and made anew is another one.
    pub uid: String,
    /// What it says it carries; `None` if the annotation was tampered with.
    pub serial: Option<Serial>,
    /// Attempt that was refused and that no write based on an older read may publish any more.
    pub fence: Option<i64>,
    pub orphaned: bool,
    /// A client made it immutable: kubelets do not read it again.
    pub immutable: bool,
    pub type_: String,
    pub data: BTreeMap<String, SecretValue>,
    pub labels: BTreeMap<String, String>,
    pub annotations: BTreeMap<String, String>,
    /// Who wrote which label and annotation: `labels/team`.
    pub managers: BTreeMap<String, String>,
}

/// The record as read.
#[derive(Clone, Debug)]
pub struct Record {
    pub ledger: Ledger,
    pub values: Values,
    /// Somebody deleted it; our finalizer holds it.
    pub deleting: bool,
}

/// How a target of ours differs from what it should be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Drift {
    /// Another value, or it says that it carries another token: a pod that starts now may get an old one.
    Values,
    /// A key is missing: a pod that starts now gets nothing wrong.
    Missing,
    /// Only labels or annotations differ.
    Metadata,
}

impl TargetView {
    /// A digest of what it holds.
    #[must_use]
    pub fn digest(&self) -> String {
        digest(self.data.iter().map(|(key, value)| (key.as_str(), value)))
    }

    /// Whether it carries exactly the values of a token under its serial, with the planned labels and annotations.
    #[must_use]
    pub fn drift(&self, plan: &TargetPlan, serial: Serial, values: &TokenSet) -> Option<Drift> {
        let planned = || plan.data.iter().filter_map(|(key, field)| Some((self.data.get(key), values.get(field)?)));
        if self.serial != Some(serial) || planned().any(|(held, value)| held.is_some_and(|held| held != value)) {
            return Some(Drift::Values);
        }
        if planned().any(|(held, _)| held.is_none()) {
            return Some(Drift::Missing);
        }
        let has = |wanted: &BTreeMap<String, String>, actual: &BTreeMap<String, String>| {
            wanted.iter().all(|(key, value)| actual.get(key) == Some(value))
        };
        let metadata = has(&plan.labels, &self.labels) && has(&plan.annotations, &self.annotations);
        (!metadata).then_some(Drift::Metadata)
    }
}
