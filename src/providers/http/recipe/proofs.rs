//! Which recipes have shown that they do what they say, for as long as the process runs.
//!
//! Kept here and not in the records, because it is one for all tokens of a provider object: a restart costs one more
//! look at the next rotation of each of them, and nothing at rest.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, PoisonError},
};

/// Most provider objects that are remembered; with more, some show it again.
const MOST: usize = 4_096;

/// How often a provider may answer the made-up value with a failure of its own before that is taken for its way to
/// refuse it.
const TRIES: u32 = 3;

/// The provider objects whose recipes have shown it, by name.
#[derive(Clone, Default)]
pub struct RecipeProofs {
    objects: Arc<Mutex<BTreeMap<String, RecipeState>>>,
}

/// What is known of one recipe.
#[derive(Clone, Debug, Default)]
struct RecipeState {
    recipe: String,
    is_whole: bool,
    /// Failures in answer to the made-up value.
    failures: u32,
    unshown: Vec<String>,
}

impl RecipeProofs {
    /// Whether a provider object has shown it with this recipe.
    #[must_use]
    pub fn is_whole(&self, object: &str, recipe: &str) -> bool {
        self.with(object, recipe, |shown| shown.is_whole)
    }

    /// Whether a provider object has shown it with the recipe that it had last.
    #[must_use]
    pub fn is_known(&self, object: &str) -> bool {
        let objects = self.objects.lock().unwrap_or_else(PoisonError::into_inner);
        objects.get(object).is_some_and(|shown| shown.is_whole)
    }

    /// Counts a failure in answer to the made-up value; true when there were enough of them.
    #[must_use]
    pub fn has_failed(&self, object: &str, recipe: &str) -> bool {
        self.with(object, recipe, |shown| {
            shown.failures += 1;
            shown.failures >= TRIES
        })
    }

    /// It has shown it, but for some things.
    pub fn note(&self, object: &str, recipe: &str, unshown: Vec<String>) {
        self.with(object, recipe, |shown| {
            shown.is_whole = true;
            shown.unshown = unshown;
        });
    }

    /// What it could not show.
    #[must_use]
    pub fn unshown(&self, object: &str) -> Vec<String> {
        let objects = self.objects.lock().unwrap_or_else(PoisonError::into_inner);
        objects.get(object).map(|shown| shown.unshown.clone()).unwrap_or_default()
    }

    fn with<T>(&self, object: &str, recipe: &str, change: impl FnOnce(&mut RecipeState) -> T) -> T {
        let mut objects = self.objects.lock().unwrap_or_else(PoisonError::into_inner);
        if objects.len() >= MOST && !objects.contains_key(object) {
            objects.clear();
        }
        let shown = objects.entry(object.to_owned()).or_default();
        if shown.recipe != recipe {
            *shown = RecipeState { recipe: recipe.to_owned(), ..RecipeState::default() };
        }
        change(shown)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn another_recipe_has_to_show_it_again() {
        let proofs = RecipeProofs::default();
        proofs.note("a", "one", vec!["list.lastUsed".to_owned()]);
        assert!(proofs.is_whole("a", "one") && proofs.unshown("a").len() == 1);
        assert!(!proofs.is_whole("b", "one"), "another object");
        assert!(!proofs.is_whole("a", "two") && proofs.unshown("a").is_empty(), "another recipe");
    }

    #[test]
    fn a_provider_that_fails_on_nonsense_is_not_asked_for_ever() {
        let proofs = RecipeProofs::default();
        assert_eq!([(); 3].map(|()| proofs.has_failed("a", "one")), [false, false, true]);
    }
}
