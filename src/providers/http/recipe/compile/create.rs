//! How a recipe mints a token, and what the answer says of it.

use std::collections::BTreeMap;

use super::{
    compiler::{Compiler, Known},
    request::variables,
};
use crate::{
    api::provider::http as api,
    providers::http::recipe::{
        template::{Template, Variable},
        token::{Asks, Create, Expires, PROOF_KEY},
    },
    secret_value::TokenSet,
};

/// Values of one token.
const MAX_VALUES: usize = 16;

impl Compiler<'_> {
    pub(super) fn create(&mut self) -> Option<Create> {
        let create = &self.recipe.create;
        let operation = self.operation("create", Known::Create, &create.request, &create.answer);
        let asks_permissions = self.asks(&create.request);
        let mut values = BTreeMap::new();
        self.at_most("create.values", create.values.len(), MAX_VALUES, "values");
        if create.values.is_empty() {
            self.wrong("create.values", "is empty; set where the token is in the answer");
        }
        for (name, path) in &create.values {
            let place = format!("create.values.{name}");
            if Template::parse(&format!("${{token.values.{name}}}")).is_err() {
                self.wrong(&place, "a value's name has letters, digits, `-`, `_` and `.` only");
            }
            if let Some(path) = self.path(&place, path) {
                values.insert(name.clone(), path);
            }
        }
        for name in create.private.iter().filter(|name| !create.values.contains_key(*name)) {
            self.wrong("create.private", format!("{name:?} is none of create.values"));
        }
        if create.values.keys().all(|name| create.private.contains(name)) && !create.values.is_empty() {
            self.wrong("create.private", "leaves nothing to be published");
        }
        if create.dpop && !create.values.contains_key(TokenSet::TOKEN) {
            self.wrong("create.values", "has to have token where dpop is said: the proof of a call names it");
        }
        if create.dpop && create.values.contains_key(PROOF_KEY) {
            self.wrong(format!("create.values.{}", PROOF_KEY), "is the name of the key that dpop makes");
        }
        let id = self.optional_path("create.id", create.id.as_ref());
        let granted = self.granted("create.permissions", create.permissions.as_ref(), create.permissions_with_spaces);
        let asks = |variable: &Variable| matches!(variable, Variable::Expires | Variable::Lifetime);
        let asks_lifetime = variables(&create.request).iter().any(asks);
        let expires = self.expires(asks_lifetime)?;
        Some(Create {
            operation: operation?,
            values,
            private: create.private.iter().cloned().collect(),
            tells_lost: create.report_lost,
            id: id?,
            granted: granted?,
            expires,
            is_bound: create.dpop,
            asks_lifetime,
            asks: asks_permissions,
        })
    }

    /// How it is known when a token expires.
    fn expires(&mut self, asks_lifetime: bool) -> Option<Option<Expires>> {
        let create = &self.recipe.create;
        let said = self.time("create.expires", create.expires.as_ref())?;
        Some(match (said, create.expires_as_asked) {
            (None, false) => None,
            (Some(said), false) => Some(Expires::Said(said)),
            (None, true) => {
                if !asks_lifetime {
                    self.wrong("create.expiresAsAsked", "needs ${expires|...} or ${lifetime|...} in create.request");
                }
                Some(Expires::AsAsked)
            }
            (Some(_), true) => {
                self.wrong("create", "set expires or expiresAsAsked, not both");
                None
            }
        })
    }

    /// What a create says of permissions; those that there are have to be said or probed.
    fn asks(&mut self, request: &api::HttpRequest) -> Asks {
        let variables = variables(request);
        let asks = if variables.contains(&Variable::Permission) {
            Asks::OnePermission
        } else if variables.contains(&Variable::Permissions) {
            Asks::Permissions
        } else {
            Asks::Nothing
        };
        let (known, probes) = (&self.recipe.permissions, &self.recipe.verify.probes);
        if asks == Asks::Nothing && !known.iter().all(|permission| probes.contains_key(&permission.name)) {
            self.wrong("create.request", "never uses ${permissions}, so no token would get the requested ones");
        }
        if known.is_empty() && asks != Asks::Nothing {
            self.wrong("permissions", "is empty, and create.request says ${permissions}: list those that there are");
        }
        asks
    }
}
