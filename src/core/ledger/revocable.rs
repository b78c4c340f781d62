//! The permission to revoke one token.
//!
//! A driver revokes only what comes wrapped in a [`Revocable`], and a [`Revocable`] is only made here, from one of the
//! situations in which nobody can need the token: it was never published, or pickup of its successor was proven and the
//! proof is committed in the record, or the object goes and no consumer is left (committed as well).
//!
//! A revoke without a proof does not compile. This is how one is asked for:
//!
//! ```
//! use tokenturn::core::{ledger::revocable::Revocable, token::Issued};
//! fn permission(token: &Issued) -> Revocable {
//!     Revocable::never_stored(token)
//! }
//! ```
//!
//! Nobody else makes one:
//!
//! ```compile_fail,E0451
//! use tokenturn::core::{ledger::revocable::Revocable, token::Issued};
//! fn permission(token: Issued) -> Revocable {
//!     Revocable { serial: token.serial, id: token.id, handle: token.handle }
//! }
//! ```
//!
//! `Revocable::superseded` asks for a revoke intent, which a proof of pickup makes:
//!
//! ```
//! use tokenturn::core::{ledger::record::RevokeIntent, pods::pickup::PickupProof};
//! fn intent(proof: PickupProof) -> RevokeIntent {
//!     RevokeIntent::commit(proof, jiff::Timestamp::now())
//! }
//! ```
//!
//! ```compile_fail,E0308
//! use tokenturn::core::ledger::record::RevokeIntent;
//! fn intent() -> RevokeIntent {
//!     RevokeIntent::commit((), jiff::Timestamp::now())
//! }
//! ```
//!
//! And a proof comes from the judgement of what was seen, from nowhere else:
//!
//! ```
//! use tokenturn::core::pods::{consumers::Consumers, pickup::{Judgement, judge}};
//! fn judged(consumers: &Consumers) -> Judgement {
//!     judge(&Default::default(), &Default::default(), &Default::default(), consumers, Default::default())
//! }
//! ```
//!
//! ```compile_fail,E0451
//! use tokenturn::core::pods::pickup::PickupProof;
//! fn proof() -> PickupProof {
//!     PickupProof { evidence: Default::default() }
//! }
//! ```

use crate::core::{
    ledger::record::{Ledger, RevokeIntent, Superseded},
    token::{Handle, Issued, Listed, Serial},
};

/// A token that may be revoked now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Revocable {
    serial: Serial,
    id: String,
    handle: Handle,
}

impl Revocable {
    /// The old token of a rotation whose evidence of pickup is committed in the record.
    #[must_use]
    pub fn superseded(previous: &Superseded, _committed: &RevokeIntent) -> Self {
        Self::of(&previous.token)
    }

    /// A token of an object that goes, after it is committed that no consumer is left.
    #[must_use]
    pub fn retired(token: &Issued, _committed: &RevokeIntent) -> Self {
        Self::of(token)
    }

    /// A token of an object that goes, known from the provider's list only, after it is committed that no consumer is left.
    #[must_use]
    pub fn retired_listed(listed: &Listed, _committed: &RevokeIntent) -> Self {
        Self { serial: listed.serial, id: listed.id.clone(), handle: listed.handle.clone() }
    }

    /// A token that was refused at verification and is fenced off from the target.
    #[must_use]
    pub fn refused(ledger: &Ledger, target: Option<Serial>) -> Option<Self> {
        let refused = ledger.refused.as_ref()?;
        (target != Some(refused.serial)).then(|| Self::of(refused))
    }

    /// A listed token that no record and no target knows: the left-over of an attempt whose answer was lost.
    ///
    /// `None` if the token is in use, or is newer than the counter that this pass has read: then it belongs to an attempt
    /// of somebody who is ahead of us. `None` also for a past that no record tells of.
    #[must_use]
    pub fn unpublished(listed: &Listed, ledger: &Ledger, target: Option<Serial>) -> Option<Self> {
        let in_use = ledger.tokens().any(|token| token.serial.attempt == listed.serial.attempt)
            || target.is_some_and(|serial| serial.attempt == listed.serial.attempt);
        let ours = listed.serial.attempt <= ledger.counter && listed.serial.attempt > ledger.unknown_until;
        (ours && !in_use).then(|| Self { serial: listed.serial, id: listed.id.clone(), handle: listed.handle.clone() })
    }

    /// The token that was just created and could not be stored: nobody else has seen its value.
    #[must_use]
    pub fn never_stored(token: &Issued) -> Self {
        Self::of(token)
    }

    /// A token that was just created and is given to nobody, because it is not what was asked for.
    #[must_use]
    pub fn never_given(serial: Serial, id: &str, handle: Handle) -> Self {
        Self { serial, id: id.to_owned(), handle }
    }

    fn of(token: &Issued) -> Self {
        Self { serial: token.serial, id: token.id.clone(), handle: token.handle.clone() }
    }

    /// Which token.
    #[must_use]
    pub fn serial(&self) -> Serial {
        self.serial
    }

    /// Its name at the provider.
    #[must_use]
    pub fn id(&self) -> &str {
        &self.id
    }

    /// How the provider revokes it.
    #[must_use]
    pub fn handle(&self) -> &Handle {
        &self.handle
    }
}
