//! What stands in a recipe beside its operations: addresses, parameters, and permissions.

use std::collections::BTreeMap;

use serde_json::Value;
use url::Url;

use super::compiler::Compiler;
use crate::{
    api::provider::http as api,
    providers::http::recipe::{parameters::parameter_value, template::Template},
};

/// Longest address, as browsers and servers take it.
const MAX_URL: usize = 2_048;

impl Compiler<'_> {
    pub(super) fn url(&mut self, place: &str, text: &str) -> Option<Url> {
        if text.len() > MAX_URL {
            self.wrong(place, format!("is longer than {MAX_URL} characters"));
            return None;
        }
        Url::parse(text).map_err(|error| self.wrong(place, format!("is no URL: {error}"))).ok()
    }

    /// Where requests go.
    pub(super) fn base(&mut self, place: &str, text: &str) -> Option<Url> {
        let url = self.url(place, text)?;
        // Whoever may ask for a token must not choose who gets the credential.
        if text.contains("${") {
            self.wrong(
                place,
                "cannot have substitutions: where the credential is sent is for the provider object to say",
            );
        }
        if !matches!(url.scheme(), "https" | "http") || url.host().is_none() {
            self.wrong(place, "has to begin with https:// and a host");
        }
        if !url.username().is_empty() || url.password().is_some() {
            self.wrong(place, "names a user; put credentials into the Secret of credential.secretRef");
        }
        if url.query().is_some() || url.fragment().is_some() {
            self.wrong(place, "has a query or a fragment; put query parameters into the requests");
        }
        Some(url)
    }

    pub(super) fn parameters(&mut self) {
        for (name, parameter) in &self.recipe.parameters {
            let place = format!("parameters.{name}");
            if Template::parse(&format!("${{parameters.{name}}}")).is_err() {
                self.wrong(&place, "a parameter's name has letters, digits, `-`, `_` and `.` only");
            }
            for value in parameter.default.iter().chain(&parameter.values) {
                if let Err(why) = parameter_value(parameter.kind, value) {
                    self.wrong(&place, why);
                }
            }
            if let Some(default) = &parameter.default
                && !parameter.values.is_empty()
                && !parameter.values.contains(default)
            {
                self.wrong(&place, format!("the default {default:?} is none of its values"));
            }
        }
    }

    pub(super) fn permissions(&mut self) -> BTreeMap<String, Value> {
        let mut known = BTreeMap::new();
        for api::HttpPermission { name, value } in &self.recipe.permissions {
            let value = value.clone().unwrap_or_else(|| Value::String(name.clone()));
            if says_a_substitution(&value) {
                let why =
                    format!("the value of {name:?} has a `${{`: it is sent as it is, nothing is substituted in it");
                self.wrong("permissions", why);
            }
            if known.insert(name.clone(), value).is_some() {
                self.wrong("permissions", format!("{name:?} is listed twice"));
            }
        }
        known
    }
}

/// Whether a text in it looks as if something was to be substituted.
fn says_a_substitution(value: &Value) -> bool {
    match value {
        Value::String(text) => text.contains("${"),
        Value::Array(items) => items.iter().any(says_a_substitution),
        Value::Object(fields) => fields.iter().any(|(name, field)| name.contains("${") || says_a_substitution(field)),
        Value::Null | Value::Bool(_) | Value::Number(_) => false,
    }
}
