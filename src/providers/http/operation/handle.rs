//! What revoke will name a token by.

use crate::{
    core::token::Handle,
    providers::{
        Error,
        http::{identity::call::ProviderCall, recipe::token::NamedBy},
    },
};

impl ProviderCall<'_> {
    /// What revoke will name a token by.
    pub(super) fn handle(&self, name: &str, id: Option<String>) -> Result<Handle, Error> {
        let recipe = self.account.recipe();
        Ok(match recipe.revoke_by() {
            None if recipe.in_place.is_some() => Handle::Replaced {},
            Some(_) if recipe.in_place.is_some() => Handle::Displaced {},
            None => Handle::Nothing {},
            Some(NamedBy::Name) => Handle::Name { name: name.to_owned() },
            Some(NamedBy::Value) => Handle::Value {},
            Some(NamedBy::Id) => Handle::Id { id: id.ok_or_else(|| self.unreadable())? },
        })
    }
}

/// The provider's id of a token, where that names it.
pub(super) fn id_of(handle: &Handle) -> Option<&str> {
    match handle {
        Handle::Id { id } => Some(id),
        _ => None,
    }
}
