//! tokenturn rotates API tokens for Kubernetes workloads: mint, verify, publish, roll, prove pickup, revoke.

pub mod api;
pub mod core;
pub mod providers;
pub mod kube_io;
pub mod secret_value;

#[cfg(feature = "testkit")]
pub mod testkit;
