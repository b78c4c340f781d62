//! The recipes under `examples`, from `kubectl apply` to the death of the old token: their consumers call the provider all
//! the time, and are never refused.

mod chain;
mod gateway;
mod keycloak;
mod kstatus;
mod lies;
mod rotations;
mod troubles;

use tokenturn::testkit::recipe_example as example;
