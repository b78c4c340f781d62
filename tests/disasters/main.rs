//! Disasters: a cluster that goes back to a backup, clocks that jump, an API server that is away, objects and namespaces
//! that are deleted by the hundred, specs that cannot work by the thousand. One test at a time, each for minutes.

use tokenturn::testkit::world;

mod away;
mod clock;
mod faketime;
mod invalid;
mod recreated;
mod restore;
mod stage;
