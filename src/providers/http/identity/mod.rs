//! Who the operator is at a provider: what its Secret says, what is signed with it, and what is obtained with it.

mod assertion;
pub(super) mod held;
mod service_account;
pub(super) mod session;
pub(super) mod shared;
pub(in crate::providers) mod token_request;

pub use self::shared::Shared;
