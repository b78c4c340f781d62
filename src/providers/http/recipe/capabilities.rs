//! What a provider can do, as far as its recipe uses it.

use super::{
    Recipe,
    token::{NamedBy, PROOF_KEY},
};
use crate::providers::{Capabilities, Expiry, LostAnswer, RevokeBy, Strategy};

impl Recipe {
    /// What the provider can do, as far as the recipe uses it.
    #[must_use]
    pub fn capabilities(&self) -> Capabilities {
        let label = self.list.is_some();
        let expires = self.create.expires.is_some();
        let present = self.in_place.as_ref().and_then(|in_place| in_place.present.as_ref());
        let rereads = present.is_some()
            || self.list_values.is_some()
            || self.list.as_ref().is_some_and(|list| !list.values.is_empty());
        Capabilities {
            strategy: match (&self.in_place, &self.revoke) {
                (Some(_), _) => Strategy::InPlace,
                (None, Some(_)) => Strategy::Overlap,
                (None, None) => Strategy::Reissue,
            },
            revoke_by: match self.revoke_by() {
                None => RevokeBy::Nothing,
                Some(NamedBy::Id) => RevokeBy::Id,
                Some(NamedBy::Name) => RevokeBy::Name,
                Some(NamedBy::Value) => RevokeBy::Value,
            },
            expiry: match (expires, self.create.asks_lifetime) {
                (false, _) => Expiry::None,
                (true, true) => Expiry::Requested,
                (true, false) => Expiry::Fixed,
            },
            lost_answer: match (label, self.revoke_by()) {
                _ if self.in_place.as_ref().is_some_and(|in_place| in_place.present.is_some()) => LostAnswer::Recover,
                // One logs in with what is replaced.
                _ if self.in_place.is_some() && self.logs_in() => LostAnswer::Human,
                _ if self.in_place.as_ref().is_some_and(|in_place| in_place.initial.is_empty()) => {
                    LostAnswer::ReplaceAgain
                }
                _ if self.in_place.is_some() => LostAnswer::Human,
                (true, Some(NamedBy::Id | NamedBy::Name)) => LostAnswer::ListAndRevoke,
                (true, Some(NamedBy::Value)) if rereads => LostAnswer::ListAndRevokeIfShown,
                (false, _) if self.list_values.is_some() => LostAnswer::TellAndRepeat,
                (false, _) if expires => LostAnswer::Repeat,
                (false, _) if self.create.tells_lost => LostAnswer::TellItsName,
                _ => LostAnswer::Human,
            },
            label,
            reread: rereads,
            slots: None,
            shows_surplus: self.verify.granted.is_some(),
            tells_last_use: self.last_used.is_some() || self.list.as_ref().is_some_and(|list| list.last_used.is_some()),
            fields: {
                let key = self.create.is_bound.then(|| PROOF_KEY.to_owned());
                let published = self.create.values.keys().filter(|name| !self.create.private.contains(*name));
                published.cloned().chain(key).collect()
            },
            activation: self.activation,
            propagation: self.propagation,
        }
    }

    fn logs_in(&self) -> bool {
        self.credential.as_ref().is_some_and(|credential| credential.login.is_some())
    }
}
