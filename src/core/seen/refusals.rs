//! How often, and for how long, a token was refused: one refusal is never a death.

use std::time::Duration;

/// In so many checks a token has to be refused before it is dead.
pub const LOOKS: u32 = 3;

/// And for so long: well longer than a gateway or an API server takes to start.
pub const SPAN: Duration = Duration::from_secs(120);

/// Checks that are closer together than this count as one.
pub const APART: Duration = Duration::from_secs(30);

/// Refusals with a longer break between them have nothing to do with each other.
const BREAK: Duration = Duration::from_secs(900);

/// How a token was refused so far, by the monotonic clock of this process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Refusals {
    pub first: Duration,
    pub last: Duration,
    pub looks: u32,
    /// It is refused, and the provider still lists or confirms it.
    pub is_listed: bool,
}

impl Refusals {
    /// With one more check that showed a refusal.
    #[must_use]
    pub fn with(before: Option<Self>, uptime: Duration, is_listed: bool) -> Self {
        let same = before.filter(|before| before.is_listed == is_listed && uptime.saturating_sub(before.last) < BREAK);
        match same {
            None => Self { first: uptime, last: uptime, looks: 1, is_listed },
            Some(before) if uptime.saturating_sub(before.last) < APART => before,
            // More than enough is not counted.
            Some(before) => Self { last: uptime, looks: (before.looks + 1).min(LOOKS), ..before },
        }
    }

    /// Refused often enough, and for long enough.
    pub(in crate::core) fn is_proof(self, uptime: Duration) -> bool {
        !self.is_listed && self.is_lasting(uptime)
    }

    /// No matter of a moment any more.
    #[must_use]
    pub fn is_lasting(self, uptime: Duration) -> bool {
        self.looks >= LOOKS && uptime.saturating_sub(self.first) >= SPAN
    }
}
#[cfg(test)]
mod tests {
    use super::*;

    fn looked(at: &[(u64, bool)]) -> Refusals {
        let looks = at.iter().map(|(seconds, is_listed)| (Duration::from_secs(*seconds), *is_listed));
        let last = looks.fold(None, |before, (at, is_listed)| Some(Refusals::with(before, at, is_listed)));
        last.expect("a look")
    }

    #[test]
    fn a_death_takes_several_refusals_over_time() {
        let proven = |at: &[(u64, bool)]| {
            let (last, _) = at.last().expect("a look");
            looked(at).is_proof(Duration::from_secs(*last))
        };
        assert!(!proven(&[(0, false)]), "one refusal");
        assert!(!proven(&[(0, false), (40, false), (80, false)]), "a gateway that starts");
        assert!(!proven(&[(0, false), (1, false), (2, false), (125, false)]), "looks that are close together are one");
        assert!(proven(&[(0, false), (40, false), (80, false), (120, false)]));
        assert!(!proven(&[(0, true), (40, true), (80, true), (500, true)]), "it is listed");
        assert!(!proven(&[(0, false), (40, true), (80, false), (120, false)]), "it was listed between");
        assert!(!proven(&[(0, false), (40, false), (2_000, false)]), "refusals of another day");
    }
}
