//! Tells answers from the past, as far as one process can: a version that was followed by another does not come back.
//!
//! A write is safe on any read, because it carries the version. A revoke carries none: what an old record together with an
//! old target calls a left-over may be the token that everybody uses by now. Versions are compared for equality only.

use std::{collections::VecDeque, time::Duration};

/// Versions of the past that are kept.
const KEPT: usize = 64;

/// A version that is shown for so long is believed again: the cluster was restored from a backup.
const RESTORED: Duration = Duration::from_secs(60);

/// The versions of one object that were read.
#[derive(Debug, Default)]
pub struct Versions {
    latest: Option<String>,
    followed: VecDeque<String>,
    /// Since when only versions of the past are read.
    back_since: Option<Duration>,
}

impl Versions {
    /// Notes a version as read at `uptime`; false if a later one was read before.
    pub fn is_present(&mut self, version: &str, uptime: Duration) -> bool {
        if self.followed.iter().any(|followed| followed == version) {
            let since = *self.back_since.get_or_insert(uptime);
            if uptime.saturating_sub(since) < RESTORED {
                return false;
            }
            self.followed.clear();
            self.latest = None;
        }
        self.back_since = None;
        if self.latest.as_deref() != Some(version) {
            self.followed.extend(self.latest.replace(version.to_owned()));
            if self.followed.len() > KEPT {
                self.followed.pop_front();
            }
        }
        true
    }

    /// Whether this is the version that was read last.
    #[must_use]
    pub fn is_latest(&self, version: &str) -> bool {
        self.back_since.is_none() && self.latest.as_deref() == Some(version)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    #[test]
    fn a_version_that_was_followed_by_another_is_of_the_past() {
        let mut versions = Versions::default();
        assert!(versions.is_present("7", at(0)) && versions.is_present("7", at(1)));
        assert!(versions.is_present("9", at(2)), "later, or at least another");
        assert!(versions.is_latest("9") && !versions.is_latest("7"));
        assert!(!versions.is_present("7", at(3)));
        assert!(!versions.is_latest("9"), "somebody reads the past now: nothing is known to be the latest");
        assert!(versions.is_present("9", at(4)));
        assert!(versions.is_present("12", at(5)));
        assert!(!versions.is_present("7", at(6)) && !versions.is_present("9", at(6)));
    }

    #[test]
    fn what_is_shown_for_a_minute_is_believed() {
        let mut versions = Versions::default();
        assert!(versions.is_present("7", at(0)) && versions.is_present("9", at(1)));
        assert!(!versions.is_present("7", at(10)) && !versions.is_present("7", at(69)));
        assert!(versions.is_present("7", at(70)));
        assert!(versions.is_present("9", at(71)), "nothing is known any more of what came before");
    }

    #[test]
    fn the_minute_begins_anew_with_every_present_version() {
        let mut versions = Versions::default();
        assert!(versions.is_present("7", at(0)) && versions.is_present("9", at(1)));
        assert!(!versions.is_present("7", at(10)));
        assert!(versions.is_present("9", at(60)));
        assert!(!versions.is_present("7", at(80)));
    }
}
