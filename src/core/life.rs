//! Is a token dead? One refusal is never a death: a gateway, a proxy or an API server that has just started refuses everybody
//! for a moment, and a token that is forgotten or replaced for that was alive all the time.
//!
//! | what a look showed | what it means |
//! | --- | --- |
//! | gone where it is kept, as the cluster itself says | dead |
//! | refused, and nothing contradicts | dead after [`LOOKS`] such looks over [`SPAN`], without another answer between |
//! | refused, and still listed or confirmed | in doubt for as long as this lasts: a person has to look |
//!
//! What explains a refusal (a revoke that was sent, an expiry that has passed, a successor that ended it) is for the rules to
//! know; where there is such a reason, one look is enough.

use std::time::Duration;

use super::{
    guards::Guard,
    observed::{Fault, Observed, Question},
    ruling::{Stop, on_fault},
    token::{Generation, Liveness},
};

/// At so many looks a token has to be refused before it is dead.
pub const LOOKS: u32 = 3;

/// And for so long: well longer than a gateway or an API server takes to start.
pub const SPAN: Duration = Duration::from_secs(120);

/// Looks that are closer together than this count as one.
pub const APART: Duration = Duration::from_secs(30);

/// When a token that is in doubt is looked at again.
pub const LOOK_AGAIN: Duration = Duration::from_secs(40);

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
    /// With one more look that showed a refusal.
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
    fn is_proof(self, uptime: Duration) -> bool {
        !self.is_listed && self.is_lasting(uptime)
    }

    /// No matter of a moment any more.
    #[must_use]
    pub fn is_lasting(self, uptime: Duration) -> bool {
        self.looks >= LOOKS && uptime.saturating_sub(self.first) >= SPAN
    }
}

/// What is believed of a token after this look and those before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Life {
    /// It is accepted.
    Alive,
    /// It is refused, and that is not enough to call it dead.
    Doubted(Refusals),
    Dead,
}

/// Whether a token is dead, where nothing that we know of would have ended it.
///
/// # Errors
/// The question, or the wait after an answer that could not be had.
pub fn life(observed: &Observed, generation: Generation) -> Result<Life, Stop> {
    try_life(observed, generation)?.map_err(|fault| on_fault(observed, fault).into())
}

/// The same where a fault means something to a rule; or the question.
pub fn try_life(observed: &Observed, generation: Generation) -> Result<Result<Life, &Fault>, Question> {
    let liveness = match observed.try_liveness(generation)? {
        Ok(liveness) => liveness,
        Err(fault) => return Ok(Err(fault)),
    };
    Ok(Ok(match refusals(observed, generation, liveness) {
        _ if matches!(liveness, Liveness::Gone | Liveness::Ending) => Life::Dead,
        None => Life::Alive,
        Some(_) if !observed.guarded(Guard::SeveralRefusals) => Life::Dead,
        Some(refusals) if refusals.is_proof(observed.uptime) => Life::Dead,
        Some(refusals) => Life::Doubted(refusals),
    }))
}

/// The refusals of a token, this look included; `None` if it is not refused.
#[must_use]
pub fn refusals(observed: &Observed, generation: Generation, liveness: Liveness) -> Option<Refusals> {
    let is_listed = match liveness {
        Liveness::StillListed => true,
        Liveness::Dead => false,
        Liveness::Alive | Liveness::Ending | Liveness::Gone => return None,
    };
    let before = observed.memory.refusals.get(&generation).copied();
    Some(Refusals::with(before, observed.uptime, is_listed))
}

/// What is said of a token that is in doubt.
#[must_use]
pub fn told(id: &str, refusals: Refusals, uptime: Duration) -> String {
    let minutes = uptime.saturating_sub(refusals.first).as_secs() / 60;
    if !refusals.is_listed {
        return format!(
            "the provider refuses {id}, which nobody here has revoked; one refusal is no death, so it is looked at again until \
             it is accepted, or was refused for {} min",
            SPAN.as_secs() / 60
        );
    }
    let since = if minutes == 0 { String::new() } else { format!(" for {minutes} min") };
    format!(
        "the provider refuses {id}{since} and still lists it, so it is not taken for dead; look at the provider and at what \
         stands before it, and if the token is of no use any more, set tokenturn.dev/rotate-now"
    )
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
