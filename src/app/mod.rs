//! The process: arguments, telemetry, the reach of providers, admin endpoints, leadership, supervision.

pub mod admin;
pub mod admission;
pub mod args;
pub mod leader;
pub mod lines;
pub mod reach;
pub mod run;
pub mod telemetry;
