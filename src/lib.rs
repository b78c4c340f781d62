//! tokenturn rotates API tokens for Kubernetes workloads: mint, verify, publish, roll, prove pickup, revoke.

pub mod api;
pub mod app;
pub mod connect;
pub mod core;
pub mod kube_io;
pub mod providers;
pub mod recent;
pub mod reconcile;
pub mod secret_value;

#[cfg(feature = "testkit")]
pub mod testkit;
