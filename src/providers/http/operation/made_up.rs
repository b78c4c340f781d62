//! Values that look like those of a token and were made up.

use ring::rand::{SecureRandom, SystemRandom};
use zeroize::Zeroizing;

use crate::{
    providers::http::recipe::token::PROOF_KEY,
    secret_value::{SecretValue, TokenSet},
};

/// Fewer characters than this may be the value of somebody else, so more are made up.
const ENOUGH: usize = 24;

/// Values of the same shape that nobody was given: the beginning, where kinds of tokens differ, is as it was. A key
/// that a token is bound to is kept, because it only signs.
pub(super) fn made_up(values: &TokenSet) -> TokenSet {
    let fields = values.iter().map(|(name, value)| {
        let value = if name == PROOF_KEY { value.clone() } else { made_up_of(value) };
        (name.to_owned(), value)
    });
    TokenSet::new(fields.collect())
}

fn made_up_of(value: &SecretValue) -> SecretValue {
    let bytes = value.expose();
    let mut random = Zeroizing::new(vec![0; bytes.len().max(ENOUGH)]);
    if SystemRandom::new().fill(random.as_mut_slice()).is_err() {
        random.iter_mut().zip(1_u8..).for_each(|(byte, number)| *byte = number);
    }
    let kept = if bytes.len() < ENOUGH { 0 } else { (bytes.len() - ENOUGH).min(bytes.len() / 3) };
    let mut made_up = bytes.to_vec();
    made_up.resize(random.len(), b'x');
    for (byte, random) in made_up.iter_mut().zip(random.iter()).skip(kept) {
        *byte = match *byte {
            b'0'..=b'9' => b'0' + random % 10,
            b'a'..=b'z' => b'a' + random % 26,
            b'A'..=b'Z' => b'A' + random % 26,
            other => other,
        };
    }
    SecretValue::new(made_up)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_made_up_value_has_the_shape_of_a_token_and_is_none() {
        for token in ["glpat-0123456789abcdefABCDEF", "eyJhbGciOiJFUzI1NiJ9.eyJzdWIiOiJhIn0.c2lnbmF0dXJl", "17", ""] {
            let value = SecretValue::new(token);
            let made_up = made_up_of(&value);
            let text = made_up.expose_str().expect("text still");
            assert_ne!(text, token);
            assert!(text.len() >= ENOUGH && text.len() >= token.len(), "{token}: {} characters", text.len());
            let kinds = |text: &str| -> Vec<u8> {
                text.bytes()
                    .map(|byte| {
                        if byte.is_ascii_digit() {
                            b'0'
                        } else if byte.is_ascii_lowercase() {
                            b'a'
                        } else if byte.is_ascii_uppercase() {
                            b'A'
                        } else {
                            byte
                        }
                    })
                    .collect()
            };
            assert!(kinds(text).starts_with(&kinds(token)), "{token}");
        }
        assert!(made_up_of(&SecretValue::new("glpat-0123456789abcdefABCDEF")).expose().starts_with(b"gl"));
    }

    #[test]
    fn the_key_of_a_bound_token_is_kept() {
        let values =
            TokenSet::single(SecretValue::new("0123456789abcdef0123456789")).with(PROOF_KEY, SecretValue::new("key"));
        let made_up = made_up(&values);
        assert_eq!(made_up.get(PROOF_KEY), values.get(PROOF_KEY));
        assert_ne!(made_up.get(TokenSet::TOKEN), values.get(TokenSet::TOKEN));
    }
}
