//! A list of conditions: each with the generation that it speaks of, and the time since when it holds.

use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};

use crate::api::{conditions::Reason, text};

/// The conditions of one status, as they are put together.
pub(super) struct Conditions<'a> {
    now: Timestamp,
    generation: Option<i64>,
    shown: &'a [Condition],
    pub(super) list: Vec<Condition>,
}

impl<'a> Conditions<'a> {
    pub(super) fn new(now: Timestamp, generation: Option<i64>, shown: &'a [Condition]) -> Self {
        Self { now, generation, shown, list: Vec::new() }
    }

    pub(super) fn set(&mut self, type_: &str, holds: bool, reason: Reason, message: &str) {
        self.put(type_, if holds { "True" } else { "False" }, reason, message);
    }

    /// It is not known whether it holds.
    pub(super) fn unknown(&mut self, type_: &str, reason: Reason, message: &str) {
        self.put(type_, "Unknown", reason, message);
    }

    fn put(&mut self, type_: &str, status: &str, reason: Reason, message: &str) {
        self.list.push(Condition {
            type_: type_.to_owned(),
            status: status.to_owned(),
            reason: reason.as_str().to_owned(),
            message: text::line(message, text::CONDITION),
            observed_generation: self.generation,
            last_transition_time: self.since(type_, status),
        });
    }

    /// Since when a condition has this status, if it gets it now.
    pub(super) fn since(&self, type_: &str, status: &str) -> Time {
        let before = self.shown.iter().find(|condition| condition.type_ == type_ && condition.status == status);
        before.map_or_else(|| seconds(self.now), |before| before.last_transition_time.clone())
    }

    pub(super) fn keep(&mut self, type_: &str) {
        self.keep_unless(type_, |_| false);
    }

    /// Leaves a condition as it is shown. One of an earlier version may lack the generation that it speaks of.
    pub(super) fn keep_unless(&mut self, type_: &str, is_over: impl Fn(&Condition) -> bool) {
        let shown = self.shown.iter().find(|condition| condition.type_ == type_);
        self.list.extend(shown.filter(|condition| !is_over(condition)).map(|shown| Condition {
            observed_generation: shown.observed_generation.or(self.generation),
            ..shown.clone()
        }));
    }
}

/// Whether a condition is True.
pub(super) fn holds(conditions: &[Condition], type_: &str) -> bool {
    conditions.iter().any(|condition| condition.type_ == type_ && condition.status == "True")
}

/// The API's times have whole seconds.
pub(super) fn seconds(at: Timestamp) -> Time {
    Time(Timestamp::from_second(at.as_second()).unwrap_or(at))
}
