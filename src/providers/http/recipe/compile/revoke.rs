//! How a recipe ends tokens: by a call, by the token that takes their place; and what is reported of one that nothing
//! finds.

use std::collections::BTreeMap;

use serde_json_path::JsonPath;

use super::{
    compiler::{Compiler, Known},
    request::variables,
};
use crate::{
    api::provider::http as api,
    providers::http::recipe::{
        operation::{Operation, Reading},
        template::Variable,
        token::{InPlace, LastUsed, NamedBy, Revoke},
    },
};

/// Calls that come before the one that revokes.
const MAX_FIRST: usize = 8;

impl Compiler<'_> {
    pub(super) fn in_place(&mut self, in_place: &api::HttpInPlace) -> Option<InPlace> {
        let revokes = self.recipe.revoke.is_some() && in_place.present.is_none();
        for (place, is_there) in [("list", self.recipe.list.is_some()), ("revoke", revokes)] {
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
        let present = match &in_place.present {
            None => None,
            Some(present) => Some(self.present(present)?),
        };
        Some(InPlace { initial: in_place.initial.clone(), present })
    }

    fn present(&mut self, present: &api::HttpPresent) -> Option<Reading> {
        let place = "inPlace.present";
        let create = &self.recipe.create;
        if !present.values.keys().eq(create.values.keys()) {
            self.wrong(format!("{place}.values"), "has to have exactly the values of create.values");
        }
        for (what, is_there) in [("id", create.id.is_some()), ("dpop", create.dpop), ("expires", self.knows_expiry())] {
            if is_there {
                self.wrong(place, format!("cannot tell what create.{what} says; leave one of them out"));
            }
        }
        if self.recipe.revoke.as_ref().is_some_and(|revoke| revoke.precondition.is_none()) {
            self.wrong(
                "revoke.precondition",
                "is needed with inPlace: revoke must not end what has taken the token's place",
            );
        }
        let operation = self.operation(place, Known::List, &present.request, &present.answer);
        let values = self.reading(place, &present.values);
        Some(Reading { operation: operation?, values: values? })
    }

    /// Values of a token in an answer.
    fn reading(&mut self, place: &str, paths: &BTreeMap<String, String>) -> Option<BTreeMap<String, JsonPath>> {
        let read: Vec<_> = paths
            .iter()
            .map(|(name, path)| {
                let place = format!("{place}.values.{name}");
                if !self.recipe.create.values.contains_key(name) {
                    self.wrong(&place, "is none of create.values");
                }
                Some((name.clone(), self.path(&place, path)?))
            })
            .collect();
        read.into_iter().collect()
    }

    pub(super) fn confirm(&mut self, confirm: &api::HttpStep) -> Option<Operation> {
        if self.recipe.revoke.is_none() {
            self.wrong("confirm", "is of no use without revoke");
        }
        if naming(&confirm.request).is_none() {
            self.wrong(
                "confirm.request",
                "never names the token: use ${token.id}, ${token.name} or ${token.values.NAME}",
            );
        }
        self.says_gone("confirm", &confirm.answer);
        self.operation("confirm", Known::Revoke, &confirm.request, &confirm.answer)
    }

    pub(super) fn last_used(&mut self, last_used: &api::HttpLastUsed) -> Option<LastUsed> {
        let place = "lastUsed";
        if naming(&last_used.request).is_none() {
            self.wrong(
                format!("{place}.request"),
                "never names the token: use ${token.id}, ${token.name} or ${token.values.NAME}",
            );
        }
        self.says_gone(place, &last_used.answer);
        let operation = self.operation(place, Known::Revoke, &last_used.request, &last_used.answer);
        let time = self.past(&format!("{place}.time"), Some(&last_used.time))?;
        Some(LastUsed { operation: operation?, time: time? })
    }

    /// What is asked about one token has to say by itself that there is none: a status that a gateway gives as well
    /// proves nothing.
    fn says_gone(&mut self, place: &str, answer: &api::HttpAnswer) {
        let gone = |meaning: &api::HttpMeaning| *meaning == api::HttpMeaning::Gone;
        let is_said = answer.statuses.values().any(gone)
            || answer.cases.iter().any(|case| gone(&case.meaning))
            || answer.expect.iter().any(|expected| expected.default.as_ref().is_some_and(gone));
        if !is_said {
            self.wrong(
                format!("{place}.answer"),
                "never maps an answer to Gone; set which answer means it, as statuses: { \"404\": Gone }",
            );
        }
    }

    pub(super) fn revoke(&mut self, revoke: &api::HttpRevoke) -> Option<Revoke> {
        let operation = self.operation("revoke", Known::Revoke, &revoke.request, &revoke.answer);
        self.at_most("revoke.before", revoke.before.len(), MAX_FIRST, "calls");
        let first: Vec<_> = (0..)
            .zip(&revoke.before)
            .map(|(index, step)| {
                self.operation(&format!("revoke.before[{index}]"), Known::Revoke, &step.request, &step.answer)
            })
            .collect();
        let precondition = match &revoke.precondition {
            None => None,
            Some(precondition) => {
                let operation =
                    self.operation("revoke.precondition", Known::List, &precondition.request, &precondition.answer);
                let values = self.reading("revoke.precondition", &precondition.values);
                Some(Reading { operation: operation?, values: values? })
            }
        };
        let by = self.revoke_by(revoke);
        Some(Revoke { precondition, before: first.into_iter().collect::<Option<_>>()?, operation: operation?, by: by? })
    }

    fn revoke_by(&mut self, revoke: &api::HttpRevoke) -> Option<NamedBy> {
        // What is compared is what names it.
        let compared = revoke.precondition.as_ref().map(|_| NamedBy::Value);
        let Some(by) = naming(&revoke.request).or(compared) else {
            self.wrong(
                "revoke.request",
                "never names the token: use ${token.id}, ${token.name} or ${token.values.NAME}",
            );
            return None;
        };
        if self.names_ids() {
            if self.recipe.create.id.is_none() {
                self.wrong("create.id", "is needed, because ${token.id} is used");
            }
            if self.recipe.list.as_ref().is_some_and(|list| list.id.is_none()) {
                self.wrong("list.id", "is needed, because ${token.id} is used");
            }
            return Some(NamedBy::Id);
        }
        Some(by)
    }

    /// Whether a call about a token names it by its id.
    fn names_ids(&self) -> bool {
        let of_revoke = self
            .recipe
            .revoke
            .iter()
            .flat_map(|revoke| revoke.before.iter().map(|step| &step.request).chain([&revoke.request]));
        let confirm = self.recipe.confirm.iter().map(|confirm| &confirm.request);
        let last_used = self.recipe.last_used.iter().map(|last_used| &last_used.request);
        of_revoke.chain(confirm).chain(last_used).any(|request| variables(request).contains(&Variable::TokenId))
    }

    pub(super) fn knows_expiry(&self) -> bool {
        self.recipe.create.expires.is_some() || self.recipe.create.expires_as_asked
    }

    /// Without a revoke the expiry is what ends a token, so it has to be known.
    fn nothing_revokes(&mut self) {
        if !self.knows_expiry() {
            self.wrong(
                "create.expires",
                "is needed without revoke: the next token has to be minted before the old one ends",
            );
        }
        if self.recipe.list.is_some() {
            self.wrong("list", "is of no use without revoke: what is found could not be revoked");
        }
    }

    /// How the tokens of a recipe end, and how those are found whose answer was lost.
    pub(super) fn ends(&mut self) {
        let recipe = self.recipe;
        if recipe.in_place.is_some() {
            // The next token ends it.
        } else if recipe.revoke.is_none() {
            self.nothing_revokes();
        } else if recipe.list.is_none() && !self.knows_expiry() && !recipe.create.report_lost {
            let why = "is needed where tokens do not expire: a token whose answer was lost would stay valid for ever; for an API without a list set create.reportLost";
            self.wrong("list", why);
        }
    }

    pub(super) fn tells_lost(&mut self) {
        let create = &self.recipe.create;
        if !create.report_lost {
            return;
        }
        let can_be_found = self.recipe.list.is_some() || self.recipe.list_values.is_some();
        if can_be_found || self.recipe.in_place.is_some() || self.knows_expiry() {
            self.wrong("create.reportLost", "is for tokens that neither expire nor can be listed");
        }
        if !variables(&create.request).contains(&Variable::Name) {
            self.wrong(
                "create.reportLost",
                "needs ${name} in create.request: an administrator has to find the token by it",
            );
        }
    }
}

/// What a request names a token by.
fn naming(request: &api::HttpRequest) -> Option<NamedBy> {
    let named = variables(request);
    if named.contains(&Variable::TokenId) {
        Some(NamedBy::Id)
    } else if named.contains(&Variable::TokenName) {
        Some(NamedBy::Name)
    } else {
        let is_value = |variable: &Variable| matches!(variable, Variable::TokenValue(_));
        named.iter().any(is_value).then_some(NamedBy::Value)
    }
}
