//! The rules, each a function of what was observed. Their order is in [`super::decide`].

pub mod at_rest;
mod attempts;
pub mod life;
pub mod metadata;
pub mod old_token;
pub mod ownership;
pub mod readopt;
mod rebuild;
mod refused;
pub mod retire;
pub mod revoking;
pub mod rotation;
pub mod settling;
mod snapshot;
mod sweep;
pub mod target;
pub mod verifying;
