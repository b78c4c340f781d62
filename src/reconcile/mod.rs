//! Runs passes: observe, decide, perform one effect, look again; when there is nothing to do, report.
//!
//! `core` decides. Only this module calls effects, and of it only `perform` and `mint` change anything but status.

pub mod answer;
pub mod consumers;
pub mod context;
pub mod fault;
pub mod keep;
pub mod memory;
pub mod metrics;
pub mod mint;
pub mod observe;
pub mod pass;
pub mod perform;
pub mod pod_news;
pub mod pod_watch;
mod provider_health;
pub mod provider_status;
pub mod queue;
pub mod shared;
pub mod stamps;
pub mod story;
pub mod streams;
pub mod versions;
