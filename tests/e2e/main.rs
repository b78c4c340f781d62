//! The operator on a real control plane: etcd, API server and controllers are real, the operator is the real binary under
//! the chart's ServiceAccount and rules; the node and its containers are simulated. The history of the calls that
//! containers made is the judge, never a status.

mod admission;
mod backup;
mod bad_names;
mod deletion;
mod drift;
mod edits;
mod examples;
mod fat_pods;
mod first_issue;
mod forgotten;
mod http_recipes;
mod installed;
mod kstatus;
mod logs;
mod metrics;
mod moved;
mod network;
mod pickup;
mod pod_specs;
mod refusals;
mod rotation;
mod secrecy;
mod survival;
mod unserved;

use tokenturn::testkit::world;
