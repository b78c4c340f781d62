//! The protocol: pure functions of what was observed. No client, clock, log, randomness or `async` here.
//!
//! ```text
//! observed ──▶ decide (ordered rules) ──▶ step ──▶ performed by `reconcile`
//!    │            │
//!    │            ├─ pickup      may a container still hold the old token?
//!    │            ├─ life        is a token that is refused dead?
//!    │            ├─ schedule    is a rotation due, when is the next?
//!    │            ├─ transition  the changes of the record
//!    │            └─ revocable   the permission to revoke
//!    └──────────────────────────▶ report ──▶ status
//! ```

pub mod census;
pub mod consumers;
pub mod countable;
pub mod decide;
pub mod drift;
pub mod failure;
pub mod guards;
mod image_pull;
pub mod kept;
mod last_use;
pub mod left_alive;
pub mod life;
pub mod memory;
pub mod observed;
pub mod ownership;
pub mod pickup;
pub mod plan;
pub mod readopt;
pub mod record;
pub mod report;
pub mod retire;
pub mod revocable;
pub mod revoking;
mod rollout;
pub mod rotation;
pub mod ruling;
pub mod schedule;
pub mod settling;
pub mod stamp;
pub mod step;
pub mod superseded;
pub mod token;
pub mod transition;
pub mod usage;
pub mod verifying;
