//! Attacks on the two promises: a live container never has its token revoked, and no live token is ever forgotten.

use tokenturn::testkit::world;

use tokenturn::testkit::proxied as scene;

mod aftermath;
mod apiserver;
mod dead_tokens;
mod leftovers;
mod network;
mod record;
mod stress;
mod vanished;
