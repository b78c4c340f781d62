//! From what a provider object says to a recipe that can work.
//!
//! All mistakes are collected, each with the place where it is, so that a recipe is mended in one go.

mod answer;
mod compiler;
mod create;
mod credential;
mod list;
mod proxy;
mod request;
mod revoke;
mod verify;
mod words;

use std::{collections::BTreeSet, time::Duration};

use self::compiler::Compiler;
pub use self::compiler::Mistake;
pub(in crate::providers) use self::credential::client_mistakes;
use super::Recipe;
use crate::api::provider::http as api;

/// The longest time that one call may take: two of them have to fit between an intent and the time when another replica
/// gives up waiting for it.
pub const MAX_TIMEOUT: Duration = Duration::from_secs(15);

const TIMEOUT: Duration = Duration::from_secs(10);

/// Largest recipe, as JSON. The record keeps the recipe of each token that it knows, up to four times, and has room for
/// 1 MiB with everything else.
const MAX_SIZE: usize = 64 << 10;

/// How long a new token may take to become usable, where the recipe does not say.
const ACTIVATION: Duration = Duration::from_secs(60);

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

impl Compiler<'_> {
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
        self.ends();
        self.tells_lost();
        let timeout = self.timeout();
        let (list, list_values) = (whole(list)?, whole(list_values)?);
        Some(Recipe {
            base: base?,
            proxy: whole(proxy)?,
            timeout,
            activation: recipe.activation.map_or(ACTIVATION, Duration::from),
            propagation: recipe.propagation.map_or(Duration::ZERO, Duration::from),
            credential: whole(credential)?,
            credential_keys: std::mem::take(&mut self.credential_keys),
            parameters: recipe.parameters.clone(),
            permissions,
            create: create?,
            check: match check {
                None => self.check_by_list(list.as_ref(), list_values.as_ref()),
                Some(check) => Some(check?),
            },
            in_place: whole(in_place)?,
            last_used: whole(last_used)?,
            confirm: whole(confirm)?,
            list,
            list_values,
            verify: verify?,
            revoke: whole(revoke)?,
        })
    }

    fn timeout(&mut self) -> Duration {
        let timeout = self.recipe.timeout.map_or(TIMEOUT, Duration::from);
        if timeout.is_zero() || timeout > MAX_TIMEOUT {
            self.wrong("timeout", format!("has to be more than 0 and at most {} s", MAX_TIMEOUT.as_secs()));
        }
        timeout
    }
}

/// A part that need not be there, but has no mistake where it is.
fn whole<T>(part: Option<Option<T>>) -> Option<Option<T>> {
    part.map_or(Some(None), |part| part.map(Some))
}
