//! Keeps each different thing once and gives it a number; remembers the answers of pure functions.

use std::{
    collections::HashMap,
    hash::{BuildHasher, Hash, RandomState},
    sync::{PoisonError, RwLock},
};

/// Things by number. Number 0 is given to nothing.
pub struct Kept<T> {
    inner: RwLock<(HashMap<String, u32>, Vec<T>)>,
}

impl<T> Default for Kept<T> {
    fn default() -> Self {
        Self { inner: RwLock::new((HashMap::new(), Vec::new())) }
    }
}

impl<T: Clone> Kept<T> {
    /// The number of a thing; equal keys are the same thing.
    pub fn number(&self, key: String, thing: impl FnOnce() -> T) -> u32 {
        let mut inner = self.inner.write().unwrap_or_else(PoisonError::into_inner);
        if let Some(number) = inner.0.get(&key) {
            return *number;
        }
        inner.1.push(thing());
        let number = u32::try_from(inner.1.len()).expect("fewer than four billion things");
        inner.0.insert(key, number);
        number
    }

    pub fn get(&self, number: u32) -> T {
        let inner = self.inner.read().unwrap_or_else(PoisonError::into_inner);
        inner.1[number as usize - 1].clone()
    }
}

/// Answers of a pure function, in shards so that threads seldom wait for each other.
pub struct Memo<K, V> {
    hash: RandomState,
    shards: Vec<RwLock<HashMap<K, V>>>,
}

impl<K, V> Default for Memo<K, V> {
    fn default() -> Self {
        Self { hash: RandomState::new(), shards: (0..64).map(|_| RwLock::default()).collect() }
    }
}

impl<K: Eq + Hash, V: Copy> Memo<K, V> {
    /// The answer for `key`, computed once.
    pub fn get(&self, key: K, compute: impl FnOnce(&K) -> V) -> V {
        let shard = &self.shards[self.hash.hash_one(&key) as usize % self.shards.len()];
        if let Some(value) = shard.read().unwrap_or_else(PoisonError::into_inner).get(&key) {
            return *value;
        }
        let value = compute(&key);
        shard.write().unwrap_or_else(PoisonError::into_inner).insert(key, value);
        value
    }
}
