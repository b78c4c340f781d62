//! Values that must not be found where they do not belong.
//!
//! Every value that this program makes begins with [`CANARY`], the contract server's do too, and tokens of ServiceAccounts begin as every
//! JWT does. So a value is found by how it begins, also in base64, as the API server writes the data of Secrets.

use base64::{Engine, engine::general_purpose::STANDARD};

/// How a value of this program begins.
pub const CANARY: &str = "canary";

/// How a JWT with a short header begins.
const JWT: &str = "eyJhbGciOi";

/// What is looked for.
pub struct Canaries(Vec<String>);

impl Canaries {
    pub fn new() -> Self {
        let encoded = [CANARY, JWT].into_iter().flat_map(|text| (0..3).map(move |shift| encoded(text, shift)));
        Self([CANARY.to_owned(), JWT.to_owned()].into_iter().chain(encoded).collect())
    }

    /// Where the first value is in a text: what stands before it, never the value.
    pub fn found_in(&self, text: &str) -> Option<String> {
        let at = self.0.iter().filter_map(|needle| text.find(needle.as_str())).min()?;
        let before: String = text[..at].chars().rev().take(160).collect();
        Some(before.chars().rev().collect())
    }

    /// How many lines of a text hold a value.
    pub fn count(&self, text: &str) -> usize {
        text.lines().filter(|line| self.0.iter().any(|needle| line.contains(needle.as_str()))).count()
    }
}

/// The base64 of a text that begins at some byte of a group of three: the part that depends on nothing else.
fn encoded(text: &str, shift: usize) -> String {
    let padded = [vec![b'x'; shift], text.as_bytes().to_vec()].concat();
    let whole = padded.len() / 3 * 4;
    let first = if shift == 0 { 0 } else { shift + 1 };
    STANDARD.encode(&padded)[first..whole].to_owned()
}
