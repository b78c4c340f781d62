//! Attacks on the two promises: a live container never has its token revoked, and no live token is ever forgotten.

#[allow(dead_code, reason = "shared with the end-to-end tests")]
#[path = "../e2e/world.rs"]
mod world;

#[allow(dead_code, reason = "shared with the end-to-end tests")]
#[path = "../e2e/network/scene.rs"]
mod scene;

mod aftermath;
mod apiserver;
mod dead_tokens;
mod leftovers;
mod network;
mod record;
mod stress;
mod vanished;
