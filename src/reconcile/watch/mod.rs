//! What wakes objects: watches of objects and Secrets at rest, and of pods while somebody waits for pickup.

mod digest;
mod echo;
mod interruption;
mod pod_news;
pub mod pods;
pub mod reports;
pub mod streams;
