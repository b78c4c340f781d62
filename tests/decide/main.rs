//! Tables over the decision: what was observed in, one step out. No cluster, no clock, no async.

mod bounds;
mod causes;
mod census;
mod counterexamples;
mod deaths;
mod drift;
mod earlier_records;
mod image_pulls;
mod in_place;
mod invariants;
mod last_use;
mod left_alive;
mod misread;
mod order;
mod owners;
mod priorities;
mod rare;
mod replicas;
mod sources;
mod statuses;
mod world;

use tokenturn::testkit::looks as builder;
