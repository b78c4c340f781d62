//! The process: arguments, logs, the reach of providers, admin endpoints, leadership, supervision.

pub mod admin;
pub mod admission;
pub mod args;
pub mod exposition;
pub mod leader;
pub mod log;
pub mod reach;
pub mod run;
