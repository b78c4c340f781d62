//! Recipes that were compiled, so that it is done once for each serial of a provider object and not at every reconcile.
//!
//! A recipe is found again by a digest of what it says: that changes with the serial of its object, and the recipes
//! that records keep of older serials have no other name.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
};

use sha2::{Digest, Sha256};

use super::{
    Recipe,
    compile::{self, Mistake},
};
use crate::api::HttpProvider;

/// How much of recipes is kept, by their length as JSON: hundreds of ordinary ones.
const MAX_KEPT: usize = 2 << 20;

/// What the compiler says of a recipe.
pub(super) type Compiled = Result<Arc<Recipe>, Vec<String>>;

/// The recipes of all provider objects.
#[derive(Clone, Default)]
pub(in crate::providers::http) struct Recipes(Arc<Mutex<KeptRecipes>>);

#[derive(Default)]
struct KeptRecipes {
    recipes: HashMap<[u8; 32], KeptRecipe>,
    length: usize,
    /// Counts the uses: what was not used for longest goes first.
    looks: u64,
}

struct KeptRecipe {
    compiled: Compiled,
    length: usize,
    asked: u64,
}

impl Recipes {
    /// A recipe, compiled unless it was before.
    ///
    /// # Errors
    /// Every mistake.
    pub fn get(&self, recipe: &HttpProvider) -> Compiled {
        let written = compile::written(recipe).map_err(|mistakes| describe(&mistakes))?;
        let digest = Sha256::digest(&written).into();
        if let Some(known) = self.known(&digest) {
            return known;
        }
        let compiled = compile::compile(recipe).map(Arc::new).map_err(|mistakes| describe(&mistakes));
        self.keep(digest, written.len(), &compiled);
        compiled
    }

    fn known(&self, digest: &[u8; 32]) -> Option<Compiled> {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        kept.looks += 1;
        let looks = kept.looks;
        let entry = kept.recipes.get_mut(digest)?;
        entry.asked = looks;
        Some(entry.compiled.clone())
    }

    fn keep(&self, digest: [u8; 32], length: usize, compiled: &Compiled) {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let entry = KeptRecipe { compiled: compiled.clone(), length, asked: kept.looks };
        kept.length += length;
        if let Some(same) = kept.recipes.insert(digest, entry) {
            kept.length -= same.length;
        }
        while kept.length > MAX_KEPT {
            let oldest = kept.recipes.iter().min_by_key(|(_, entry)| entry.asked).map(|(digest, _)| *digest);
            let Some(dropped) = oldest.and_then(|digest| kept.recipes.remove(&digest)) else { break };
            kept.length -= dropped.length;
        }
    }
}

fn describe(mistakes: &[Mistake]) -> Vec<String> {
    mistakes.iter().map(ToString::to_string).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn recipe(change: impl FnOnce(&mut Value)) -> HttpProvider {
        let mut recipe = json!({
            "baseUrl": "https://api.example.com",
            "create": {
                "request": {"method": "POST", "path": "/tokens", "json": {"name": "${name}"}},
                "values": {"token": "$.token"}, "id": "$.id",
            },
            "list": {"request": {"path": "/tokens"}, "items": "$[*]", "name": "$.name", "id": "$.id"},
            "verify": {"request": {"path": "/me", "headers": {"Authorization": "Bearer ${token.values.token}"}}},
            "revoke": {"request": {"method": "DELETE", "path": "/tokens/${token.id}"}},
        });
        change(&mut recipe);
        serde_json::from_value(recipe).unwrap()
    }

    /// Regression: every reconcile of every token compiled the recipe anew.
    #[test]
    fn a_recipe_is_compiled_once_and_again_when_it_is_changed() {
        let recipes = Recipes::default();
        let first = recipes.get(&recipe(|_| {})).unwrap();
        let again = recipes.get(&recipe(|_| {})).unwrap();
        assert!(Arc::ptr_eq(&first, &again));
        let other = recipes.get(&recipe(|recipe| recipe["baseUrl"] = json!("https://b.example.com"))).unwrap();
        assert_eq!(other.base.host_str(), Some("b.example.com"));
        // Mistakes too.
        let wrong = || recipes.get(&recipe(|recipe| recipe["list"]["id"] = json!("$[")));
        assert_eq!(wrong().unwrap_err(), wrong().unwrap_err());
        assert_eq!(recipes.0.lock().unwrap().recipes.len(), 3);
    }

    #[test]
    fn what_is_kept_is_bounded_and_what_is_in_use_stays() {
        let recipes = Recipes::default();
        let used = recipes.get(&recipe(|_| {})).unwrap();
        for index in 0..100 {
            let large = format!("{index} {}", "x".repeat(60_000));
            let large = |recipe: &mut Value| recipe["caBundle"] = json!(large);
            recipes.get(&recipe(large)).unwrap();
            assert!(Arc::ptr_eq(&used, &recipes.get(&recipe(|_| {})).unwrap()), "{index}");
        }
        let kept = recipes.0.lock().unwrap();
        assert!(kept.length <= MAX_KEPT && kept.recipes.len() < 40, "{} of {}", kept.recipes.len(), kept.length);
        assert_eq!(kept.length, kept.recipes.values().map(|entry| entry.length).sum::<usize>());
    }

    /// What cannot be a recipe is not even looked at.
    #[test]
    fn a_recipe_that_is_too_large_is_not_compiled() {
        let recipes = Recipes::default();
        let mistakes = recipes.get(&recipe(|recipe| recipe["caBundle"] = json!("x".repeat(1 << 20)))).unwrap_err();
        assert_eq!(mistakes, ["caBundle: and everything else are larger than 64 KiB together"]);
        assert!(recipes.0.lock().unwrap().recipes.is_empty());
    }
}
