//! The protocol: pure functions of what was observed. No client, clock, log, randomness or `async` here.
//!
//! ```text
//! observed ──▶ decide (ordered rules) ──▶ step ──▶ performed by `reconcile`
//!    │            │
//!    │            ├─ pickup      may a container still hold the old token?
//!    │            ├─ schedule    is a rotation due, when is the next?
//!    │            ├─ transition  the changes of the record
//!    │            └─ revocable   the permission to revoke
//!    └──────────────────────────▶ report ──▶ status
//! ```

pub mod pickup;
pub mod record;
pub mod revocable;
pub mod token;
