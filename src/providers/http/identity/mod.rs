//! Who the operator is at a provider: what its Secret says, what is signed with it, and what is obtained with it; and
//! how a call of this identity is limited and reported.

pub(super) mod account;
mod assertion;
pub(super) mod call;
pub(super) mod held;
pub(super) mod refusal;
mod secret;
mod service_account;
mod session;
mod shared;
pub(in crate::providers) mod token_request;

pub use self::shared::Shared;
