//! What watches have reported of Secrets and of an object itself, and whether that is news to the object: it has written half of it.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
};

use super::super::{queue::Priority, remembered::Looked};
use crate::core::token::Owner;

/// More reports than this at a time are taken for news without looking.
const MOST: usize = 16;

/// What was reported.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Report {
    /// The object itself is there in this version, and something of it that matters has changed.
    Object { version: String },
    /// A Secret is there in this version, or has gone.
    Secret { secret: String, version: Option<String>, is_labelled: bool },
    /// A Secret that a token of the object is bound to is there.
    Bound { uid: String },
    /// A Secret that a token of the object was bound to has gone, or goes.
    Unbound { uid: String },
}

impl Report {
    /// Whether an object knew it when its last reconcile ended, or it does not concern it.
    fn is_known(&self, looked: &Looked) -> bool {
        let Looked { names, versions: [object, target, _], bound, memory, .. } = looked;
        match self {
            Self::Object { version } => object.is_latest(version),
            Self::Secret { secret, version, .. } if names.target.as_ref() == Some(secret) => {
                version.as_ref().is_some_and(|version| target.is_latest(version))
            }
            Self::Secret { secret, is_labelled, .. } => !is_labelled && names.credential.as_ref() != Some(secret),
            Self::Bound { uid } => bound.contains_key(uid),
            Self::Unbound { uid } => bound.get(uid).is_some_and(|serial| memory.revokes.contains_key(serial)),
        }
    }

    /// Whether tokens that nobody knows may have come or gone.
    fn is_of_bound(&self) -> bool {
        matches!(self, Self::Bound { .. } | Self::Unbound { .. })
    }
}

/// Reports about one object that are not judged yet.
#[derive(Clone, Debug, Default)]
pub struct Open {
    reports: Vec<Report>,
    /// The most urgent of them.
    priority: Option<Priority>,
}

/// What is to be done about reports.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct News {
    pub priority: Priority,
    /// Tokens that nobody knows may have come or gone.
    pub is_of_bound: bool,
}

impl Open {
    fn note(&mut self, priority: Priority, report: Report) {
        self.priority = self.priority.into_iter().chain([priority]).min();
        if self.reports.len() <= MOST {
            self.reports.push(report);
        }
    }

    /// What is news to an object; all of it where nothing is remembered of it.
    #[must_use]
    pub fn news(&self, looked: Option<&Looked>) -> Option<News> {
        let all = looked.is_none() || self.reports.len() > MOST;
        let is_news = |report: &&Report| all || !looked.is_some_and(|looked| report.is_known(looked));
        let news: Vec<&Report> = self.reports.iter().filter(is_news).collect();
        let priority = self.priority.filter(|_| !news.is_empty())?;
        Some(News { priority, is_of_bound: news.iter().any(|report| report.is_of_bound()) })
    }
}

/// Reports that are not judged yet, by the object that they concern.
#[derive(Clone, Debug, Default)]
pub struct Reports {
    open: Arc<Mutex<HashMap<Owner, Open>>>,
}

impl Reports {
    /// Notes a report; true if somebody has to judge it, because nobody is about to.
    #[must_use]
    pub fn note(&self, owner: &Owner, priority: Priority, report: Report) -> bool {
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        let is_first = !open.contains_key(owner);
        open.entry(owner.clone()).or_default().note(priority, report);
        is_first
    }

    /// What was noted of an object since the last time.
    #[must_use]
    pub fn take(&self, owner: &Owner) -> Open {
        self.open.lock().unwrap_or_else(PoisonError::into_inner).remove(owner).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::core::token::Serial;

    fn secret(secret: &str, version: Option<&str>, is_labelled: bool) -> Report {
        Report::Secret { secret: secret.to_owned(), version: version.map(str::to_owned), is_labelled }
    }

    /// Each write of the target, and each Secret that a token was bound to, woke their own object once more, to find that nothing had happened.
    #[test]
    fn what_a_reconcile_has_written_is_no_news_to_its_object() {
        let (old, new) = (Serial { sequence: 1, attempt: 1 }, Serial { sequence: 2, attempt: 2 });
        let mut looked = Looked::default();
        looked.names.target = Some("api-token".to_owned());
        looked.names.credential = Some("credential".to_owned());
        for (versions, version) in looked.versions.iter_mut().zip(["3", "7"]) {
            assert!(versions.is_present(version, Duration::ZERO));
        }
        looked.bound = [("uid-1".to_owned(), old), ("uid-2".to_owned(), new)].into();
        looked.memory.revoked(old, Duration::ZERO);
        let bound = |uid: &str| Report::Bound { uid: uid.to_owned() };
        let unbound = |uid: &str| Report::Unbound { uid: uid.to_owned() };
        for (report, is_known) in [
            (Report::Object { version: "3".to_owned() }, true),
            (Report::Object { version: "4".to_owned() }, false),
            (secret("api-token", Some("7"), true), true),
            (secret("api-token", Some("8"), true), false),
            (secret("api-token", None, true), false),
            (secret("credential", Some("7"), false), false),
            (secret("credential", None, false), false),
            (secret("handed-over", Some("7"), true), false),
            (secret("of-another-object", Some("7"), false), true),
            (secret("of-another-object", None, false), true),
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
    fn a_flood_of_reports_is_one_piece_of_work_and_bounded_and_as_urgent_as_the_most_urgent() {
        let reports = Reports::default();
        let owner = Owner { namespace: "shop".to_owned(), name: "api".to_owned(), uid: "uid".to_owned() };
        let note = |number: u32| {
            let priority = if number == 99 { Priority::Urgent } else { Priority::Due };
            reports.note(&owner, priority, secret("of-another-object", Some(&number.to_string()), false))
        };
        let first: Vec<bool> = (0..100).map(note).collect();
        assert_eq!((first.iter().filter(|first| **first).count(), first[0]), (1, true));
        let open = reports.take(&owner);
        assert_eq!(open.reports.len(), MOST + 1);
        let news = News { priority: Priority::Urgent, is_of_bound: false };
        assert_eq!(open.news(Some(&Looked::default())), Some(news));
        assert!(note(100), "the next one is judged anew");
        let open = reports.take(&owner);
        assert_eq!(open.news(Some(&Looked::default())), None);
        assert_eq!(open.news(None), Some(News { priority: Priority::Due, is_of_bound: false }));
    }
}
