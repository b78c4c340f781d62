//! The only type that holds a token value.
//!
//! Zeroized when dropped, never printed, not serializable. It is made from a provider's answer or read from the record,
//! and consumed by the writes of record and target and by calls to the provider; nothing else takes it.

use std::{collections::BTreeMap, fmt};

use sha2::{Digest, Sha256};
use zeroize::{Zeroize, ZeroizeOnDrop};

/// One secret string or blob.
#[derive(Clone, PartialEq, Eq, Zeroize, ZeroizeOnDrop)]
pub struct SecretValue(Vec<u8>);

impl SecretValue {
    /// Takes over the bytes; the caller keeps no copy.
    #[must_use]
    pub fn new(bytes: impl Into<Vec<u8>>) -> Self {
        Self(bytes.into())
    }

    /// The bytes, for the one call that needs them.
    #[must_use]
    pub fn expose(&self) -> &[u8] {
        &self.0
    }

    /// The value as text, for headers and JSON; `None` if it is not UTF-8.
    #[must_use]
    pub fn expose_str(&self) -> Option<&str> {
        std::str::from_utf8(&self.0).ok()
    }

    /// True for a value that must never be published.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl fmt::Debug for SecretValue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[redacted]")
    }
}

/// Everything that one issue of a credential consists of, by field name, published in one write.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TokenSet(BTreeMap<String, SecretValue>);

impl TokenSet {
    /// Name of the field that every provider has.
    pub const TOKEN: &'static str = "token";

    /// A set of named values.
    #[must_use]
    pub fn new(fields: BTreeMap<String, SecretValue>) -> Self {
        Self(fields)
    }

    /// A set of one value, named `token`.
    #[must_use]
    pub fn single(value: SecretValue) -> Self {
        Self(BTreeMap::from([(Self::TOKEN.to_owned(), value)]))
    }

    /// The set with one more value.
    #[must_use]
    pub fn with(mut self, field: &str, value: SecretValue) -> Self {
        self.0.insert(field.to_owned(), value);
        self
    }

    /// One value.
    #[must_use]
    pub fn get(&self, field: &str) -> Option<&SecretValue> {
        self.0.get(field)
    }

    /// All values with their names, in order of the names.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &SecretValue)> {
        self.0.iter().map(|(name, value)| (name.as_str(), value))
    }

    /// First 12 hexadecimal digits of a SHA-256 over the primary value (`token` if there is one, else all in order).
    ///
    /// Tokens are long and random, so a truncated hash tells them apart and gives nothing away.
    #[must_use]
    pub fn fingerprint(&self) -> String {
        let mut hash = Sha256::new();
        match self.get(Self::TOKEN) {
            Some(value) => hash.update(value.expose()),
            None => self.0.values().for_each(|value| hash.update(value.expose())),
        }
        hash.finalize().iter().take(6).map(|byte| format!("{byte:02x}")).collect()
    }
}

/// SHA-256 over named values, in hexadecimal: tells whether they changed, not what they are.
pub fn digest<'a>(fields: impl Iterator<Item = (&'a str, &'a SecretValue)>) -> String {
    let mut hash = Sha256::new();
    for (name, value) in fields {
        for part in [name.as_bytes(), value.expose()] {
            hash.update(u64::try_from(part.len()).unwrap_or(u64::MAX).to_be_bytes());
            hash.update(part);
        }
    }
    hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The first 16 hexadecimal digits of a SHA-256, for names of which there are very many.
#[must_use]
pub fn digest_of(name: &str) -> String {
    Sha256::digest(name.as_bytes()).iter().take(8).map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn debug_output_never_shows_a_value() {
        let set = TokenSet::single(SecretValue::new("hunter2-hunter2"));
        let printed = format!("{set:?} {:?}", set.get("token"));
        assert!(!printed.contains("hunter2"), "{printed}");
        assert!(printed.contains("[redacted]"));
    }

    #[test]
    fn fingerprint_is_the_start_of_the_sha256_of_the_token() {
        // echo -n abc | sha256sum
        assert_eq!(TokenSet::single(SecretValue::new("abc")).fingerprint(), "ba7816bf8f01");
    }
}
