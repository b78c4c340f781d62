//! Rotation in place: what a recipe may not say beside it, and with what the first token is made.

use super::{compile::Compiler, compile_request::variables, template::Variable};
use crate::api::provider::http as api;

impl Compiler<'_> {
    pub(super) fn in_place(&mut self, in_place: &api::HttpInPlace) {
        for (place, is_there) in [("list", self.recipe.list.is_some()), ("revoke", self.recipe.revoke.is_some())] {
            if is_there {
                self.wrong(place, "is of no use with inPlace: a new token ends the old one");
            }
        }
        let shown = variables(&self.recipe.verify.request);
        for variable in shown.iter().filter(|_| !in_place.initial.is_empty()) {
            if let Variable::TokenValue(name) = variable
                && !in_place.initial.contains_key(name)
            {
                let why = format!(
                    "shows ${{{variable}}}, which the first token does not have: add it to inPlace.initial, or show another one"
                );
                self.wrong("verify.request", why);
            }
        }
        for (name, key) in &in_place.initial {
            let place = format!("inPlace.initial.{name}");
            if !self.recipe.create.values.contains_key(name) {
                self.wrong(&place, "is none of create.values");
            }
            if self.recipe.credential.is_none() {
                self.wrong(&place, "needs credential: the key is one of its Secret");
            }
            if key.is_empty() {
                self.wrong(&place, "names no key");
            }
        }
    }
}
