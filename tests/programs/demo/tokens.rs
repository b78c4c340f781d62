//! Every token that the Secret ever held, in order: the first is token 1.

use std::sync::{Mutex, PoisonError};

use tokenturn::testkit::Token;

#[derive(Default)]
pub struct Tokens(Mutex<Vec<Token>>);

impl Tokens {
    /// Notes what the Secret holds; the number of the token if it is a new one.
    pub fn note(&self, token: Token) -> Option<usize> {
        let mut tokens = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if tokens.contains(&token) {
            return None;
        }
        tokens.push(token);
        Some(tokens.len())
    }

    /// All so far.
    pub fn all(&self) -> Vec<Token> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// `token 2 (0123456789ab)`.
    pub fn name(&self, fingerprint: &str) -> String {
        match self.all().iter().position(|token| token.fingerprint() == fingerprint) {
            Some(index) => format!("token {} ({fingerprint})", index + 1),
            None => format!("a token ({fingerprint})"),
        }
    }
}
