//! What the driver does at an account, one file for each verb of the trait; the others are what several of them need.

mod bound;
mod create;
mod exchange;
mod handle;
mod last_use;
mod list;
mod liveness;
mod look_up;
mod made_up;
mod preflight;
mod prove;
mod revoke;
mod verify;

pub use self::preflight::Health;
