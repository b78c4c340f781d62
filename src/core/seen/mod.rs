//! What one reconcile has read, and what a process remembers of those before it.

pub mod answers;
pub mod countable;
pub mod life;
pub mod memory;
pub mod observed;
pub mod refusals;
pub mod repairs;
pub mod views;
