//! What the driver does, one file for each verb of the trait; what a call and its refusal are, for all of them.

mod bound;
pub(super) mod call;
mod create;
mod created;
mod health;
mod last_use;
mod list;
mod prove;
mod revoke;
mod verify;

pub(super) use self::call::asked;
pub use self::health::Health;
