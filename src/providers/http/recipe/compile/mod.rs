//! From what a provider object says to a recipe that can work.
//!
//! All mistakes are collected, each with the place where it is, so that a recipe is mended in one go.

mod answer;
pub(in crate::providers) mod credential;
mod list;
mod request;
mod revoke;
mod words;

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use serde_json_path::JsonPath;

use self::request::variables;
use super::{
    Asks, Check, Create, Expires, List, ListValues, Operation, Recipe, Time, Verify, path,
    template::{Template, Variable},
};
use crate::{
    api::provider::http as api,
    providers::{error::detail, http::message::dpop},
    secret_value::TokenSet,
};

/// The longest time that one call may take: two of them have to fit between an intent and the time when another replica gives
/// up waiting for it.
pub const MAX_TIMEOUT: Duration = Duration::from_secs(15);
const TIMEOUT: Duration = Duration::from_secs(10);

/// Largest recipe, as JSON. The record keeps the recipe of each token that it knows, up to four times, and has room for 1 MiB with
/// everything else.
const MAX_SIZE: usize = 64 << 10;

/// Values of one token.
const MAX_VALUES: usize = 16;

/// Calls that a look at a token can take for its permissions.
const MAX_PROBES: usize = 32;

/// Mistakes that are collected: what is told has to be short enough to be read, and to be stored.
const MAX_MISTAKES: usize = 20;

/// How long a new token may take to become usable, where the recipe does not say.
const ACTIVATION: Duration = Duration::from_secs(60);

/// A mistake and its place, in the words of the YAML, from the provider's spec on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mistake {
    pub place: String,
    pub why: String,
}

impl std::fmt::Display for Mistake {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}: {}", self.place, self.why)
    }
}

/// Which variables an operation knows.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(in crate::providers::http) enum Known {
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
    pub(in crate::providers::http) fn knows(self, variable: &Variable) -> bool {
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

    pub(in crate::providers::http) fn told(self) -> &'static str {
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

/// Compiles a recipe.
///
/// # Errors
/// Every mistake.
pub fn compile(recipe: &api::HttpProvider) -> Result<Recipe, Vec<Mistake>> {
    written(recipe)?;
    let mut compiler = Compiler { recipe, mistakes: Vec::new(), credential_keys: BTreeSet::new() };
    let compiled = compiler.recipe();
    match compiled {
        Some(compiled) if compiler.mistakes.is_empty() => Ok(compiled),
        _ => Err(compiler.mistakes),
    }
}

/// A recipe as it would be stored. One that is too large for that is not looked at any further.
pub(in crate::providers::http) fn written(recipe: &api::HttpProvider) -> Result<Vec<u8>, Vec<Mistake>> {
    let mistake = |place: &str, why: String| vec![Mistake { place: place.to_owned(), why }];
    let written =
        serde_json::to_vec(recipe).map_err(|error| mistake("the recipe", format!("cannot be written: {error}")))?;
    match written.len() > MAX_SIZE {
        true => {
            Err(mistake("caBundle", format!("and everything else are larger than {} KiB together", MAX_SIZE >> 10)))
        }
        false => Ok(written),
    }
}

pub(in crate::providers::http) struct Compiler<'a> {
    pub(in crate::providers::http) recipe: &'a api::HttpProvider,
    mistakes: Vec<Mistake>,
    /// Keys of the credential's Secret that requests name.
    pub(in crate::providers::http) credential_keys: BTreeSet<String>,
}

impl Compiler<'_> {
    pub(in crate::providers::http) fn wrong(&mut self, place: impl Into<String>, why: impl Into<String>) {
        let (place, why) = match self.mistakes.len() {
            ..MAX_MISTAKES => (detail(&place.into()), detail(&why.into())),
            MAX_MISTAKES => ("and more".to_owned(), format!("only the first {MAX_MISTAKES} mistakes are named")),
            _ => return,
        };
        self.mistakes.push(Mistake { place, why });
    }

    /// What is looked through at every answer, or called at every look, is little.
    pub(in crate::providers::http) fn at_most(
        &mut self,
        place: impl Into<String>,
        found: usize,
        most: usize,
        what: &str,
    ) {
        if found > most {
            self.wrong(place, format!("has {found} {what}; {most} are possible"));
        }
    }

    /// Everything is looked at, also after a mistake.
    fn recipe(&mut self) -> Option<Recipe> {
        let recipe = self.recipe;
        let base = self.base("baseUrl", &recipe.base_url);
        let proxy = recipe.proxy.as_ref().map(|proxy| self.proxy(proxy));
        let credential = recipe.credential.as_ref().map(|credential| self.credential(credential));
        self.parameters();
        let permissions = self.permissions();
        let create = self.create();
        let list = recipe.list.as_ref().map(|list| self.list(list));
        let list_values = recipe.list_values.as_ref().map(|list| self.list_values(list));
        let check = recipe.check.as_ref().map(|check| self.check(check));
        let verify = self.verify();
        let last_used = recipe.last_used.as_ref().map(|last_used| self.last_used(last_used));
        let confirm = recipe.confirm.as_ref().map(|confirm| self.confirm(confirm));
        let revoke = recipe.revoke.as_ref().map(|revoke| self.revoke(revoke));
        let in_place = recipe.in_place.as_ref().map(|in_place| self.in_place(in_place));
        if recipe.in_place.is_some() {
            // The next token ends it.
        } else if recipe.revoke.is_none() {
            self.nothing_revokes();
        } else if recipe.list.is_none() && !self.knows_expiry() && !recipe.create.tell_lost {
            let why = "is needed where tokens do not expire: one whose answer was lost would live for ever; an API that has none can have create.tellLost";
            self.wrong("list", why);
        }
        self.tells_lost();
        let timeout = recipe.timeout.map_or(TIMEOUT, Duration::from);
        if timeout.is_zero() || timeout > MAX_TIMEOUT {
            self.wrong("timeout", format!("has to be more than 0 and at most {} s", MAX_TIMEOUT.as_secs()));
        }
        let list = match list {
            None => None,
            Some(list) => Some(list?),
        };
        let list_values = match list_values {
            None => None,
            Some(list) => Some(list?),
        };
        Some(Recipe {
            base: base?,
            proxy: match proxy {
                None => None,
                Some(proxy) => Some(proxy?),
            },
            timeout,
            activation: recipe.activation.map_or(ACTIVATION, Duration::from),
            propagation: recipe.propagation.map_or(Duration::ZERO, Duration::from),
            credential: match credential {
                None => None,
                Some(credential) => Some(credential?),
            },
            credential_keys: std::mem::take(&mut self.credential_keys),
            parameters: recipe.parameters.clone(),
            permissions,
            create: create?,
            check: match check {
                None => self.check_by_list(list.as_ref(), list_values.as_ref()),
                Some(check) => Some(check?),
            },
            in_place: match in_place {
                None => None,
                Some(in_place) => Some(in_place?),
            },
            last_used: match last_used {
                None => None,
                Some(last_used) => Some(last_used?),
            },
            confirm: match confirm {
                None => None,
                Some(confirm) => Some(confirm?),
            },
            list,
            list_values,
            verify: verify?,
            revoke: match revoke {
                None => None,
                Some(revoke) => Some(revoke?),
            },
        })
    }

    fn create(&mut self) -> Option<Create> {
        let create = &self.recipe.create;
        let operation = self.operation("create", Known::Create, &create.request, &create.answer);
        let asks_permissions = self.asks(&create.request);
        let mut values = BTreeMap::new();
        self.at_most("create.values", create.values.len(), MAX_VALUES, "values");
        if create.values.is_empty() {
            self.wrong("create.values", "is empty: say where the token is in the answer");
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
        if create.dpop && create.values.contains_key(dpop::KEY) {
            self.wrong(format!("create.values.{}", dpop::KEY), "is the name of the key that dpop makes");
        }
        let id = self.optional_path("create.id", create.id.as_ref());
        let granted = self.granted("create.permissions", create.permissions.as_ref(), create.permissions_with_spaces);
        let said = self.time("create.expires", create.expires.as_ref())?;
        let asks = |variable: &Variable| matches!(variable, Variable::Expires | Variable::Lifetime);
        let asks_lifetime = variables(&create.request).iter().any(asks);
        let expires = match (said, create.expires_as_asked) {
            (None, false) => None,
            (Some(said), false) => Some(Expires::Said(said)),
            (None, true) => {
                if !asks_lifetime {
                    self.wrong("create.expiresAsAsked", "needs ${expires|...} or ${lifetime|...} in create.request");
                }
                Some(Expires::AsAsked)
            }
            (Some(_), true) => {
                self.wrong("create", "say expires or expiresAsAsked, not both");
                None
            }
        };
        Some(Create {
            operation: operation?,
            values,
            private: create.private.iter().cloned().collect(),
            tells_lost: create.tell_lost,
            id: id?,
            granted: granted?,
            expires,
            is_bound: create.dpop,
            asks_lifetime,
            asks: asks_permissions,
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
            self.wrong("create.request", "never says ${permissions}, so no token would get those that are asked for");
        }
        if known.is_empty() && asks != Asks::Nothing {
            self.wrong("permissions", "is empty, and create.request says ${permissions}: list those that there are");
        }
        asks
    }

    fn verify(&mut self) -> Option<Verify> {
        let verify = &self.recipe.verify;
        let known = if verify.show_credential { Known::Introspect } else { Known::Verify };
        let operation = self.operation("verify", known, &verify.request, &verify.answer);
        if !variables(&verify.request).iter().any(|variable| matches!(variable, Variable::TokenValue(_))) {
            self.wrong("verify.request", "never shows the token: say ${token.values.token} where the API expects it");
        }
        let granted = self.granted("verify.permissions", verify.permissions.as_ref(), verify.permissions_with_spaces);
        self.at_most("verify.probes", verify.probes.len(), MAX_PROBES, "probes");
        let probes: Vec<_> = verify.probes.iter().map(|(name, probe)| self.probe(name, probe)).collect();
        let expires = self.time("verify.expires", verify.expires.as_ref());
        Some(Verify {
            operation: operation?,
            shows_credential: verify.show_credential,
            granted: granted?,
            probes: probes.into_iter().collect::<Option<_>>()?,
            expires: expires?,
        })
    }

    fn check(&mut self, check: &api::HttpCheck) -> Option<Check> {
        if self.recipe.credential.is_none() {
            self.wrong("check", "needs credential: there is none to try");
        }
        let operation = self.operation("check", Known::Check, &check.request, &check.answer);
        let expires = self.time("check.expires", check.expires.as_ref());
        Some(Check { operation: operation?, expires: expires? })
    }

    /// Who may list tokens is known: a list that needs no parameters tries the credential where nothing else does.
    fn check_by_list(&self, list: Option<&List>, list_values: Option<&ListValues>) -> Option<Check> {
        let said = self.recipe.list.as_ref().map(|list| &list.request);
        let request = said.or(self.recipe.list_values.as_ref().map(|list| &list.request))?;
        let needs_parameters = variables(request).iter().any(|variable| matches!(variable, Variable::Parameter(_)));
        let operation = list.map(|list| &list.operation).or(list_values.map(|list| &list.operation))?;
        let can_be_asked = !needs_parameters && self.recipe.credential.is_some();
        can_be_asked.then(|| Check { operation: operation.clone(), expires: None })
    }

    fn probe(&mut self, name: &str, probe: &api::HttpProbe) -> Option<(String, Operation)> {
        let place = format!("verify.probes.{name}");
        if !self.recipe.permissions.iter().any(|permission| permission.name == name) {
            self.wrong(&place, "is none of permissions");
        }
        if !variables(&probe.request).iter().any(|variable| matches!(variable, Variable::TokenValue(_))) {
            self.wrong(
                format!("{place}.request"),
                "never shows the token: say ${token.values.token} where the API expects it",
            );
        }
        let operation = self.operation(&place, Known::Verify, &probe.request, &probe.answer)?;
        Some((name.to_owned(), operation))
    }

    pub(in crate::providers::http) fn knows_expiry(&self) -> bool {
        self.recipe.create.expires.is_some() || self.recipe.create.expires_as_asked
    }

    /// Without a revoke the expiry is what ends a token, so it has to be known.
    fn nothing_revokes(&mut self) {
        if !self.knows_expiry() {
            self.wrong("create.expires", "is needed without revoke: tokens have to be minted anew before they end");
        }
        if self.recipe.list.is_some() {
            self.wrong("list", "is of no use without revoke: what is found could not be revoked");
        }
    }

    pub(in crate::providers::http) fn path(&mut self, place: &str, path: &str) -> Option<JsonPath> {
        path::parse(path).map_err(|why| self.wrong(place, why)).ok()
    }

    pub(in crate::providers::http) fn optional_path(
        &mut self,
        place: &str,
        path: Option<&String>,
    ) -> Option<Option<JsonPath>> {
        match path {
            None => Some(None),
            Some(path) => self.path(place, path).map(Some),
        }
    }

    /// A time that has passed: one in the future would say of a token that it is in use for ever.
    pub(in crate::providers::http) fn past(
        &mut self,
        place: &str,
        time: Option<&api::HttpTime>,
    ) -> Option<Option<Time>> {
        if time.is_some_and(|time| time.otherwise.is_some()) {
            self.wrong(
                format!("{place}.otherwise"),
                "is of no use: it counts from now, and nothing was used in the future",
            );
        }
        if time.is_some_and(|time| time.format == api::HttpTimeFormat::SecondsFromNow) {
            self.wrong(format!("{place}.format"), "is of no use: nothing was used in the future");
        }
        self.time(place, time)
    }

    pub(in crate::providers::http) fn time(
        &mut self,
        place: &str,
        time: Option<&api::HttpTime>,
    ) -> Option<Option<Time>> {
        match time {
            None => Some(None),
            Some(api::HttpTime { path, format, otherwise }) => {
                let otherwise = otherwise.map(Duration::from);
                if otherwise.is_some_and(|span| span.is_zero()) {
                    self.wrong(format!("{place}.otherwise"), "has to be more than 0");
                }
                self.path(&format!("{place}.path"), path).map(|path| Some(Time { path, format: *format, otherwise }))
            }
        }
    }
}
