//! Attacks on the two promises: a live container never has its token revoked, and no live token is ever forgotten.

#[allow(dead_code, reason = "shared with the end-to-end tests")]
#[path = "../e2e/world.rs"]
mod world;

mod aftermath;
mod apiserver;
mod dead_tokens;
mod leftovers;
mod record;
mod stress;
mod vanished;
