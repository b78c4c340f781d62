//! What is known of the tokens of an object, as it is stored.

pub mod census;
pub mod failure;
pub mod kept;
pub mod record;
pub mod revocable;
pub mod trigger;
