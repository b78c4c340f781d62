//! Which faults are tried in which mode.
//!
//! A mode is how many replicas run and whether they agree on a leader. With one replica every fault is tried. With two,
//! those in which the other replica acts in between: the process dies after the effect, the answer is lost, the answer is
//! late (no lease), the whole leader stands still until its lease has run out (lease).

use std::fmt;

use tokenturn::connect::faults::plan::{Fault, Planned};

use super::judge;

/// The replicas of a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Mode {
    /// One, with the lease.
    One,
    /// Two that agree by the lease.
    Elected,
    /// Two that both work.
    Unelected,
}

impl Mode {
    pub const ALL: [Self; 3] = [Self::One, Self::Elected, Self::Unelected];

    pub fn name(self) -> &'static str {
        match self {
            Self::One => "one",
            Self::Elected => "two-lease",
            Self::Unelected => "two-no-lease",
        }
    }

    pub fn replicas(self) -> usize {
        if self == Self::One { 1 } else { 2 }
    }

    /// What is tried with each effect.
    pub fn faults(self) -> &'static [Fault] {
        use Fault::*;
        match self {
            Self::One => {
                &[CrashBefore, CrashAfter, ReplyLost, Conflict, Limited, Internal, Unavailable, Timeout, Terminate]
            }
            Self::Elected => &[CrashAfter, ReplyLost, Frozen],
            Self::Unelected => &[CrashAfter, ReplyLost, Late],
        }
    }

    /// Whether a fault is told from no other by what it leaves behind, or cannot come up: an effect that stores nothing leaves the
    /// same world whether it was carried out before the process died or not, and only what is stored is refused by its version.
    pub fn is_the_same_as_another(self, effect: &str, fault: Fault) -> bool {
        let stores = !judge::only_looks(effect);
        match fault {
            Fault::CrashAfter => self == Self::One && !stores,
            Fault::Conflict => !stores && !effect.ends_with("dry-run") || judge::asks_provider(effect),
            _ => false,
        }
    }
}

/// Name of a fault, as on the command line and in the plan.
pub fn fault_name(fault: Fault) -> String {
    serde_json::to_value(fault).ok().and_then(|name| name.as_str().map(str::to_owned)).unwrap_or_default()
}

/// One run: what makes it the same run again.
#[derive(Clone, Debug, PartialEq)]
pub struct Key {
    pub scenario: &'static str,
    pub mode: Mode,
    /// None for a run without faults, two for a pair.
    pub faults: Vec<Planned>,
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.scenario, self.mode.name())?;
        for Planned { effect, occurrence, fault } in &self.faults {
            write!(f, ":{effect}#{occurrence}={}", fault_name(*fault))?;
        }
        Ok(())
    }
}

/// Reads `EFFECT#OCCURRENCE=FAULT`.
pub fn planned(text: &str) -> Option<Planned> {
    let (effect, rest) = text.rsplit_once('#')?;
    let (occurrence, fault) = rest.split_once('=')?;
    let fault = serde_json::from_value(fault.into()).ok()?;
    Some(Planned { effect: effect.to_owned(), occurrence: occurrence.parse().ok()?, fault })
}
