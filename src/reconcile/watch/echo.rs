//! What watches report of the operator's own writes: it is no news to the object that made them.
//!
//! Half of what is reported during a rotation is what the rotation itself has written. Each would cause one more reconcile, which
//! finds nothing to do.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use super::{
    super::{context::Context, queue::Priority, remembered::Looked},
    streams::DEBOUNCE,
};
use crate::core::token::Owner;

/// More reports than this at a time are taken for news without looking.
const MOST: usize = 16;

/// What was reported.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Report {
    /// The object itself is there in this version, and something of it that matters has changed.
    Object { version: String },
    /// A Secret that tokens are published in, or minted with, is there in this version.
    Changed { secret: String, version: String },
    /// A Secret that a token is bound to is there.
    Bound { uid: String },
    /// A Secret that a token is bound to has gone, or goes.
    Unbound { uid: String },
}

impl Report {
    /// Whether an object knew it when its last reconcile ended.
    fn is_known(&self, looked: &Looked) -> bool {
        let Looked { names, versions: [object, target, _], bound, memory, .. } = looked;
        match self {
            Self::Object { version } => object.is_latest(version),
            Self::Changed { secret, version } => {
                names.target.as_deref() == Some(secret.as_str()) && target.is_latest(version)
            }
            Self::Bound { uid } => bound.contains_key(uid),
            Self::Unbound { uid } => bound.get(uid).is_some_and(|serial| memory.revokes.contains_key(serial)),
        }
    }

    /// Whether tokens that nobody knows may have come or gone.
    fn is_of_bound(&self) -> bool {
        matches!(self, Self::Bound { .. } | Self::Unbound { .. })
    }
}

/// Reports that are not judged yet, by the object that they concern.
#[derive(Clone, Debug, Default)]
pub struct Reports {
    open: Arc<Mutex<HashMap<Owner, Vec<(Priority, Report)>>>>,
}

impl Reports {
    /// Notes a report; true if somebody has to judge it, because nobody is about to.
    fn note(&self, owner: &Owner, priority: Priority, report: Report) -> bool {
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        let reports = open.entry(owner.clone()).or_default();
        if reports.len() <= MOST {
            reports.push((priority, report));
        }
        reports.len() == 1
    }

    fn take(&self, owner: &Owner) -> Vec<(Priority, Report)> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner).remove(owner).unwrap_or_default()
    }
}

/// Wakes an object, as urgently as was said, if what was reported is news to it. A reconcile that runs is waited for: it may be the one that wrote it.
pub fn heard(context: &Arc<Context>, owner: Owner, priority: Priority, report: Report) {
    if !context.reports.note(&owner, priority, report) {
        return;
    }
    let context = context.clone();
    tokio::spawn(async move {
        tokio::time::sleep(DEBOUNCE).await;
        let entry = context.memories.known(&owner);
        let remembered = match &entry {
            Some(entry) => Some(entry.lock().await),
            None => None,
        };
        let reports = context.reports.take(&owner);
        let is_known = |report: &Report| remembered.as_ref().is_some_and(|remembered| report.is_known(&remembered.looked));
        let is_news = |(_, report): &&(Priority, Report)| reports.len() > MOST || !is_known(report);
        let news: Vec<&(Priority, Report)> = reports.iter().filter(is_news).collect();
        if remembered.is_some() && news.iter().any(|(_, report)| report.is_of_bound()) {
            context.memories.unswept(&owner);
        }
        if let Some(priority) = news.iter().map(|(priority, _)| *priority).min() {
            context.queue.add(owner, priority, Duration::ZERO);
        }
    });
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::token::Serial;

    fn changed(secret: &str, version: &str) -> Report {
        Report::Changed { secret: secret.to_owned(), version: version.to_owned() }
    }

    /// Each write of the target, and each Secret that a token was bound to, woke their own object once more, to find that nothing had happened.
    #[test]
    fn what_a_reconcile_has_written_is_no_news_to_its_object() {
        let (old, new) = (Serial { sequence: 1, attempt: 1 }, Serial { sequence: 2, attempt: 2 });
        let mut looked = Looked::default();
        looked.names.target = Some("api-token".to_owned());
        looked.names.credential = Some("credential".to_owned());
        assert!(
            looked.versions[0].is_present("3", Duration::ZERO) && looked.versions[1].is_present("7", Duration::ZERO)
        );
        looked.bound = [("uid-1".to_owned(), old), ("uid-2".to_owned(), new)].into();
        looked.memory.revoked(old, Duration::ZERO);
        let bound = |uid: &str| Report::Bound { uid: uid.to_owned() };
        let unbound = |uid: &str| Report::Unbound { uid: uid.to_owned() };
        for (report, is_known) in [
            (Report::Object { version: "3".to_owned() }, true),
            (Report::Object { version: "4".to_owned() }, false),
            (changed("api-token", "7"), true),
            (changed("api-token", "8"), false),
            (changed("credential", "7"), false),
            (bound("uid-2"), true),
            (bound("somebody's"), false),
            (unbound("uid-1"), true),
            (unbound("uid-2"), false),
            (unbound("somebody's"), false),
        ] {
            assert_eq!(report.is_known(&looked), is_known, "{report:?}");
        }
    }

    #[test]
    fn a_flood_of_reports_is_one_piece_of_work_and_bounded() {
        let reports = Reports::default();
        let owner = Owner { namespace: "shop".to_owned(), name: "api".to_owned(), uid: "uid".to_owned() };
        let first: Vec<bool> =
            (0..100).map(|version| reports.note(&owner, Priority::Due, changed("api-token", &version.to_string()))).collect();
        assert_eq!((first.iter().filter(|first| **first).count(), first[0]), (1, true));
        assert_eq!(reports.take(&owner).len(), MOST + 1);
        assert!(reports.note(&owner, Priority::Due, changed("api-token", "101")), "the next one is judged anew");
    }
}
