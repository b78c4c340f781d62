//! The process: arguments, telemetry, admin endpoints, leadership, supervision.

pub mod admin;
pub mod args;
pub mod leader;
pub mod run;
pub mod telemetry;
