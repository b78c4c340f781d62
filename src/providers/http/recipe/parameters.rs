//! The parameters and permissions of a `RotatedToken`, compared with those that a recipe knows.

use std::collections::{BTreeMap, BTreeSet, HashSet};

use serde_json::Value;

use super::{Recipe, token::Asks};
use crate::{
    api::provider::http as api,
    core::token::Specification,
    providers::{Problem, error::detail},
};

/// Mistakes of a `RotatedToken` that are reported: what is reported has to be short enough to be read, and to be
/// stored.
const MAX_MISTAKES: usize = 10;

impl Recipe {
    /// Mistakes in permissions and parameters.
    pub(in crate::providers::http) fn check(&self, specification: &Specification) -> Vec<Problem> {
        let words: Vec<&str> = self.permissions.keys().map(String::as_str).collect();
        let unknown = asked(specification).filter(|name| !self.permissions.contains_key(*name));
        let permissions = unknown.take(MAX_MISTAKES).map(|name| {
            let known = match words.as_slice() {
                [] => "tokens of this provider have no permissions of their own".to_owned(),
                words => format!("it knows {}", some(words)),
            };
            let name = detail(name);
            Problem::UnknownPermission(format!("spec.permissions: the provider does not know {name:?}; {known}"))
        });
        let reported = match (self.create.asks, specification.permissions.len()) {
            (Asks::Permissions | Asks::OnePermission, 0) => {
                Some("spec.permissions is empty; list what the token may do")
            }
            (Asks::OnePermission, 2..) => Some("spec.permissions: a token of this provider has exactly one of them"),
            _ => None,
        };
        let none = reported.map(|reported| Problem::UnknownPermission(reported.to_owned()));
        let parameters = check_parameters(&self.parameters, &specification.parameters);
        permissions.chain(none).chain(parameters.into_iter().map(Problem::Parameter)).collect()
    }

    /// Which of the permissions that were asked for are not among those that were granted.
    pub(in crate::providers::http) fn missing(&self, specification: &Specification, granted: &[Value]) -> Vec<String> {
        let (known, granted) = (&self.permissions, granted.iter().collect::<HashSet<_>>());
        let is_granted = |name: &str| known.get(name).is_some_and(|value| granted.contains(value));
        asked(specification).filter(|name| !is_granted(name)).map(str::to_owned).collect()
    }

    /// What the permissions stand for.
    pub(in crate::providers::http) fn translate(&self, specification: &Specification) -> Vec<Value> {
        asked(specification).filter_map(|name| self.permissions.get(name)).cloned().collect()
    }
}

/// The permissions that are asked for, each once: a person may name one a thousand times.
pub(in crate::providers::http) fn asked(specification: &Specification) -> impl Iterator<Item = &str> {
    let mut seen = BTreeSet::new();
    specification.permissions.iter().map(String::as_str).filter(move |name| seen.insert(*name))
}

/// Whether a parameter can have a value.
///
/// # Errors
/// Why not.
pub fn parameter_value(kind: api::HttpParameterKind, value: &str) -> Result<Value, String> {
    match kind {
        api::HttpParameterKind::Text => Ok(Value::String(value.to_owned())),
        api::HttpParameterKind::Integer => {
            value.parse::<i64>().map(Value::from).map_err(|_| format!("{value:?} is no whole number"))
        }
        api::HttpParameterKind::Boolean => {
            value.parse::<bool>().map(Value::from).map_err(|_| format!("{value:?} is neither true nor false"))
        }
    }
}

/// Mistakes in the parameters of a `RotatedToken`.
fn check_parameters(known: &BTreeMap<String, api::HttpParameter>, given: &BTreeMap<String, String>) -> Vec<String> {
    let of_known = known.iter().flat_map(|(name, parameter)| {
        let given = given.get(name).or(parameter.default.as_ref());
        match given {
            None => {
                let what = parameter.description.as_ref().map(|text| format!(": {text}")).unwrap_or_default();
                vec![format!("spec.parameters.{name} is missing{what}")]
            }
            Some(value) => {
                let wrong = parameter_value(parameter.kind, value).err();
                let wrong = wrong.map(|why| format!("spec.parameters.{name}: {why}"));
                let is_other = !parameter.values.is_empty() && !parameter.values.contains(value);
                let other = is_other
                    .then(|| format!("spec.parameters.{name}: {value:?} is none of {}", some(&parameter.values)));
                wrong.into_iter().chain(other).collect()
            }
        }
    });
    let names: Vec<&String> = known.keys().collect();
    let unknown = given.keys().filter(|name| !known.contains_key(*name)).map(|name| match known.is_empty() {
        true => format!("spec.parameters.{name}: the provider has no parameters"),
        false => format!("spec.parameters.{name} is not known; the provider has {}", some(&names)),
    });
    of_known.chain(unknown).take(MAX_MISTAKES).map(|mistake| detail(&mistake)).collect()
}

/// Some names, and how many there are beyond.
fn some(names: &[impl AsRef<str>]) -> String {
    const MOST: usize = 20;
    let first: Vec<&str> = names.iter().take(MOST).map(AsRef::as_ref).collect();
    match names.len().checked_sub(MOST).filter(|beyond| *beyond > 0) {
        None => first.join(", "),
        Some(beyond) => format!("{} and {beyond} more", first.join(", ")),
    }
}
