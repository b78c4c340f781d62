//! How provider objects are doing: asked now and then, and written into their status.

mod health;
pub mod status;
