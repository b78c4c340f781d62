//! The protocol: pure functions of what was observed. No client, clock, log, randomness or `async` here.
//!
//! ```text
//! seen/observed ──▶ decide ──▶ rules/ (in order) ──▶ step ──▶ performed by `reconcile`
//!       │             │            │
//!       │             │            ├─ pods/        who may still hold the old token?
//!       │             │            ├─ ledger/      what is known of tokens, and the permission to revoke one
//!       │             │            ├─ transition   the changes of the record
//!       │             │            └─ schedule     is a rotation due, when is the next?
//!       └─────────────┴──▶ report ──▶ status
//! ```
//!
//! A file may use those of its own part and of the parts before it, which `tests/docs/arrows.rs` holds: `guards`, `token`, `predecessor`, `fault`, `pods`, `ledger`,
//! `plan`, `step`, `seen`, `timing`, `schedule`, `transition`, `stamp`, `report`, `ruling`, `rules`, `remember`, `decide`.

pub mod decide;
pub mod fault;
pub mod guards;
pub mod jitter;
pub mod ledger;
pub mod plan;
pub mod pods;
pub mod predecessor;
mod remember;
pub mod report;
pub mod rules;
pub mod ruling;
pub mod schedule;
pub mod seen;
pub mod stamp;
pub mod step;
pub mod timing;
pub mod token;
pub mod transition;
