//! How a request is sent: where it may go, through what, how often, and what is known of it where no answer comes.

mod api_server;
pub(super) mod client;
pub(super) mod clients;
mod connecting;
pub mod egress;
pub mod guard;
pub(super) mod proxy;
mod rules;
mod special;
pub mod throttle;
pub(super) mod transport;
