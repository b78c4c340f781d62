//! tokenturn rotates API tokens for Kubernetes workloads: mint, verify, publish, roll, prove pickup, revoke.

#[cfg(feature = "testkit")]
pub mod testkit;
