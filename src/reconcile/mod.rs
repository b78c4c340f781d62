//! Runs reconciles: read and decide, perform one effect, read again; when there is nothing to do, report.
//!
//! `core` decides. [`look::look`] says what would be done and is given [`reads::Reads`], which can change nothing. Effects are in [`effects::Effects`],
//! which only `perform`, `mint` and `keep` use.

pub mod answer;
pub mod consumers;
pub mod context;
pub mod drivers;
pub mod effects;
pub mod evidence;
pub mod fault;
pub mod keep;
pub mod lists;
pub mod look;
pub mod metrics;
pub mod mint;
pub mod object;
pub mod observe;
pub mod perform;
pub mod progress;
mod provider;
pub mod queue;
pub mod reads;
pub mod remembered;
pub mod run;
pub mod shared;
pub mod stamps;
mod status;
pub mod versions;
pub mod watch;
