//! What the parts of the compiler share: the mistakes that it collects, the variables that an operation knows, paths
//! and times.

use std::{collections::BTreeSet, fmt, time::Duration};

use serde_json_path::JsonPath;

use crate::{
    api::provider::http as api,
    providers::{
        error::detail,
        http::recipe::{operation::Time, path, template::Variable},
    },
};

/// Mistakes that are collected: what is reported has to be short enough to be read, and to be stored.
const MAX_MISTAKES: usize = 20;

/// A mistake and its place, in the words of the YAML, from the provider's spec on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mistake {
    pub place: String,
    pub why: String,
}

impl fmt::Display for Mistake {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.place, self.why)
    }
}

/// Which variables an operation knows.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Known {
    Create,
    List,
    Verify,
    /// A verify that shows the credential.
    Introspect,
    Revoke,
    Credential,
    Check,
}

impl Known {
    pub(super) fn knows(self, variable: &Variable) -> bool {
        match variable {
            Variable::Name
            | Variable::Permissions
            | Variable::Permission
            | Variable::Replaced(_)
            | Variable::Random
            | Variable::Expires
            | Variable::Lifetime => self == Self::Create,
            Variable::Parameter(_) => !matches!(self, Self::Credential | Self::Check),
            Variable::Credential(_) => self != Self::Verify,
            Variable::TokenId | Variable::TokenName => self == Self::Revoke,
            Variable::TokenValue(_) => matches!(self, Self::Verify | Self::Introspect | Self::Revoke),
        }
    }

    pub(super) fn describe(self) -> &'static str {
        match self {
            Self::Create => {
                "create knows name, permissions, permission, random, expires, lifetime, parameters, credential and with inPlace replaced"
            }
            Self::List => "list knows parameters and credential",
            Self::Verify => "verify knows token.values and parameters, and with showCredential: true credential",
            Self::Introspect => "verify knows token.values, parameters and credential",
            Self::Revoke => "revoke knows token.id, token.name, token.values, parameters and credential",
            Self::Check => "check knows credential",
            Self::Credential => "the credential's headers and its login know credential.KEY",
        }
    }
}

pub(super) struct Compiler<'a> {
    pub(super) recipe: &'a api::HttpProvider,
    pub(super) mistakes: Vec<Mistake>,
    /// Keys of the credential's Secret that requests name.
    pub(super) credential_keys: BTreeSet<String>,
}

impl Compiler<'_> {
    pub(super) fn wrong(&mut self, place: impl Into<String>, why: impl Into<String>) {
        let (place, why) = match self.mistakes.len() {
            ..MAX_MISTAKES => (detail(&place.into()), detail(&why.into())),
            MAX_MISTAKES => ("and more".to_owned(), format!("only the first {MAX_MISTAKES} mistakes are named")),
            _ => return,
        };
        self.mistakes.push(Mistake { place, why });
    }

    /// What is searched at every answer, or called at every reconcile, is little.
    pub(super) fn at_most(&mut self, place: impl Into<String>, found: usize, most: usize, what: &str) {
        if found > most {
            self.wrong(place, format!("has {found} {what}; {most} are possible"));
        }
    }

    pub(super) fn path(&mut self, place: &str, path: &str) -> Option<JsonPath> {
        path::parse(path).map_err(|why| self.wrong(place, why)).ok()
    }

    pub(super) fn optional_path(&mut self, place: &str, path: Option<&String>) -> Option<Option<JsonPath>> {
        match path {
            None => Some(None),
            Some(path) => self.path(place, path).map(Some),
        }
    }

    /// A time that has passed: one in the future would say of a token that it is in use for ever.
    pub(super) fn past(&mut self, place: &str, time: Option<&api::HttpTime>) -> Option<Option<Time>> {
        if time.is_some_and(|time| time.default.is_some()) {
            self.wrong(
                format!("{place}.default"),
                "is of no use: it counts from now, and nothing was used in the future",
            );
        }
        if time.is_some_and(|time| time.format == api::HttpTimeFormat::SecondsFromNow) {
            self.wrong(format!("{place}.format"), "is of no use: nothing was used in the future");
        }
        self.time(place, time)
    }

    pub(super) fn time(&mut self, place: &str, time: Option<&api::HttpTime>) -> Option<Option<Time>> {
        match time {
            None => Some(None),
            Some(api::HttpTime { path, format, default }) => {
                let default = default.map(Duration::from);
                if default.is_some_and(|span| span.is_zero()) {
                    self.wrong(format!("{place}.default"), "has to be more than 0");
                }
                self.path(&format!("{place}.path"), path).map(|path| Some(Time { path, format: *format, default }))
            }
        }
    }
}
