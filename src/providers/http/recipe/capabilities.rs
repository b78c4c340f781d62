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
        let expires = self.create.expires.is_some();
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
            lost_answer: self.lost_answer(),
            label: self.list.is_some(),
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

    /// What becomes of a token whose create was not answered.
    fn lost_answer(&self) -> LostAnswer {
        if let Some(in_place) = &self.in_place {
            return match () {
                () if in_place.present.is_some() => LostAnswer::Recover,
                // One logs in with what is replaced.
                () if self.logs_in() => LostAnswer::Human,
                () if in_place.initial.is_empty() => LostAnswer::ReplaceAgain,
                () => LostAnswer::Human,
            };
        }
        match (&self.list, self.revoke_by()) {
            (Some(_), Some(NamedBy::Id | NamedBy::Name)) => LostAnswer::ListAndRevoke,
            (Some(list), Some(NamedBy::Value)) if !list.values.is_empty() || self.list_values.is_some() => {
                LostAnswer::ListAndRevokeIfShown
            }
            (Some(_), _) => LostAnswer::Human,
            (None, _) if self.list_values.is_some() => LostAnswer::TellAndRepeat,
            (None, _) if self.create.expires.is_some() => LostAnswer::Repeat,
            (None, _) if self.create.tells_lost => LostAnswer::TellItsName,
            (None, _) => LostAnswer::Human,
        }
    }

    fn logs_in(&self) -> bool {
        self.credential.as_ref().is_some_and(|credential| credential.login.is_some())
    }
}
