//! How often labels and annotations of the target were put back.

use std::{
    hash::{DefaultHasher, Hash, Hasher},
    time::Duration,
};

use crate::core::seen::views::Resource;

/// After so many repairs in a row somebody is believed to undo them; until then they are made soon.
pub(in crate::core) const CONTESTED: u32 = 3;

/// Longest time between two repairs that somebody undoes.
pub(in crate::core) const MOST_BETWEEN: Duration = Duration::from_secs(3600);

/// Repairs of labels and annotations, by the monotonic clock of this process.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Repairs {
    pub times: u32,
    pub last: Duration,
    /// What was asked for: another wish is fulfilled at once.
    pub wanted: u64,
}

impl Repairs {
    /// How long until the next one.
    pub(in crate::core) fn left(self, uptime: Duration, resource: &Resource) -> Option<Duration> {
        if self.times == 0 || wanted(resource) != self.wanted {
            return None;
        }
        let pause = match self.times.checked_sub(CONTESTED) {
            None => Duration::from_secs(5),
            Some(more) => Duration::from_secs(30).saturating_mul(1 << more.min(8)).min(MOST_BETWEEN),
        };
        pause.checked_sub(uptime.saturating_sub(self.last)).filter(|left| !left.is_zero())
    }

    /// With one more.
    pub(in crate::core) fn with(self, uptime: Duration, resource: &Resource) -> Self {
        let wanted = wanted(resource);
        let times = if self.wanted == wanted { self.times.saturating_add(1) } else { 1 };
        Self { times, last: uptime, wanted }
    }
}

/// A digest of the labels and annotations that are asked for.
fn wanted(resource: &Resource) -> u64 {
    let mut hasher = DefaultHasher::new();
    (&resource.target.labels, &resource.target.annotations).hash(&mut hasher);
    hasher.finish()
}
