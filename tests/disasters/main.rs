//! Disasters: a cluster that goes back to a backup, clocks that jump, an API server that is away, objects and namespaces
//! that are deleted by the hundred, specs that cannot work by the thousand. One test at a time, each for minutes.

#[allow(dead_code, reason = "shared with the end-to-end tests")]
#[path = "../e2e/world.rs"]
mod world;

mod away;
mod clock;
mod faketime;
mod invalid;
mod recreated;
mod restore;
mod stage;
