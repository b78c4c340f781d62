//! A network and an API server that are not at their best: what lies between the operator and the answers it needs.

mod hangs;
mod past;
mod watches;

use tokenturn::testkit::proxied as scene;
