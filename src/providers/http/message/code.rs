//! The code by which an answer names what is wrong: the one thing of an answer's body that is shown without being in
//! the recipe.
//!
//! A body may hold secrets, so it is shown only if it looks like a word of a list, as `invalid_grant` or `E1001`, and
//! if it has nothing in common with what the request showed.

use std::collections::BTreeMap;

use base64::{Engine, prelude::BASE64_STANDARD};
use http::HeaderValue;
use serde_json::Value;
use url::Url;
use zeroize::Zeroizing;

use super::render::{Rendered, Scope};
use crate::secret_value::TokenSet;

/// Longest code.
const MAX_LENGTH: usize = 64;

/// Longest word of a code: an opaque text has longer ones, or mixes letters and digits.
const MAX_WORD: usize = 20;

/// Shorter texts of a request are no secrets: `api`, `v1`.
const MIN_SECRET: usize = 6;

/// So many letters and digits in a row that two texts have in common are no chance.
const RUN: usize = 8;

/// Where codes stand, from the body on or from one of these on.
const WITHIN: [&str; 3] = ["", "/error", "/errors/0"];
const NAMES: [&str; 6] = ["error", "code", "error_code", "errorCode", "type", "status"];

/// What a request shows, and what it could have shown, to be compared with an answer.
pub struct RequestSecrets(Zeroizing<Vec<u8>>);

impl RequestSecrets {
    /// All that a request shows, beside what is `known` where it was made.
    #[must_use]
    pub fn of(request: &Rendered, known: &[u8]) -> Self {
        let headers: Vec<_> = request.headers.values().collect();
        let basics: Vec<_> = headers.iter().filter_map(|value| basic(value)).collect();
        let body = request.body.iter().map(|body| body.as_slice());
        let parts =
            [request.url.as_str().as_bytes(), known].into_iter().chain(headers.iter().map(|value| value.as_bytes()));
        Self(joined(&parts.chain(basics.iter().map(|pair| pair.as_slice())).chain(body).collect::<Vec<_>>()))
    }

    /// Whether the host of an address repeats one of them, in any case of letters. What stands in the host that was asked is no secret.
    ///
    /// A host name has neither all characters of a credential nor its length: what echoes one divides it by others, or cuts it. So a run
    /// of letters and digits that both have counts too, whatever stands between. That is strict: a host that is hidden can still be
    /// read from the server, while a host that is named is what a user needs to correct the base URL.
    pub(super) fn contains_host(&self, host: &str) -> bool {
        let within = |long: &[u8], word: &[u8]| long.windows(word.len()).any(|part| part.eq_ignore_ascii_case(word));
        let url = self.0.split(|byte| *byte == b' ').next().and_then(|url| std::str::from_utf8(url).ok());
        let asked = url.and_then(|url| Url::parse(url).ok()).and_then(|url| url.host_str().map(str::to_owned));
        let asked = asked.unwrap_or_default();
        let words = self.0.split(|byte| !byte.is_ascii_alphanumeric() && *byte != b'-');
        let mut secrets = words.filter(|word| word.len() >= MIN_SECRET && !within(asked.as_bytes(), word));
        secrets.any(|word| within(host.as_bytes(), word)) || self.have_a_run_of(host, &asked)
    }

    /// Whether letters and digits that follow each other in a host do so in one of them, and not in the host that was asked.
    fn have_a_run_of(&self, host: &str, asked: &str) -> bool {
        let (host, asked) = (squeezed(host.as_bytes()), squeezed(asked.as_bytes()));
        self.0.split(|byte| *byte == b' ').map(squeezed).filter(|secret| secret.len() >= MIN_SECRET).any(|secret| {
            let mut runs = secret.windows(secret.len().min(RUN)).filter(|run| !contains(&asked, run));
            runs.any(|run| contains(&host, run))
        })
    }

    /// Whether a text has something in common with them.
    fn has_to_do_with(&self, code: &str) -> bool {
        let mut words = self.0.split(|byte| !is_of_code(*byte)).filter(|word| word.len() >= MIN_SECRET);
        let code = code.as_bytes();
        words.any(|word| contains(word, code) || contains(code, word))
    }
}

fn contains(long: &[u8], short: &[u8]) -> bool {
    long.windows(short.len()).any(|window| window == short)
}

/// The letters and digits of a text, in lower case. Made at its size, see [`joined`].
fn squeezed(text: &[u8]) -> Zeroizing<Vec<u8>> {
    let mut squeezed = Zeroizing::new(Vec::with_capacity(text.len()));
    squeezed.extend(text.iter().filter(|byte| byte.is_ascii_alphanumeric()).map(u8::to_ascii_lowercase));
    squeezed
}

/// The secrets that a request is made with: also those that it does not show can be in its answer.
#[must_use]
pub fn known(scope: &Scope<'_>) -> Zeroizing<Vec<u8>> {
    let sets =
        scope.token_values.into_iter().chain(scope.replaced).flat_map(TokenSet::iter).map(|(_, value)| value.expose());
    let keys = scope.credential.into_iter().flat_map(BTreeMap::values).map(Vec::as_slice);
    joined(&sets.chain(keys).chain(scope.random.map(str::as_bytes)).collect::<Vec<_>>())
}

/// With spaces between, and made at its size, so that no copy of a secret is left behind by growing.
fn joined(parts: &[&[u8]]) -> Zeroizing<Vec<u8>> {
    let mut joined = Zeroizing::new(Vec::with_capacity(parts.iter().map(|part| part.len() + 1).sum()));
    for part in parts {
        joined.extend_from_slice(part);
        joined.push(b' ');
    }
    joined
}

/// User name and password of HTTP Basic authentication.
fn basic(value: &HeaderValue) -> Option<Zeroizing<Vec<u8>>> {
    BASE64_STANDARD.decode(value.as_bytes().strip_prefix(b"Basic ")?).ok().map(Zeroizing::new)
}

/// The code of an answer that is no success, where it can be shown.
#[must_use]
pub fn code(body: &Value, shown: &RequestSecrets) -> Option<String> {
    let places = WITHIN.iter().flat_map(|within| NAMES.iter().map(move |name| format!("{within}/{name}")));
    let mut texts = places.filter_map(|place| body.pointer(&place)?.as_str());
    texts.find(|text| is_code(text) && !shown.has_to_do_with(text)).map(str::to_owned)
}

const fn is_of_code(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'.' | b'-')
}

/// Whether a text looks like a word of a list.
fn is_code(text: &str) -> bool {
    let is_word = |word: &str| {
        let letters = word.bytes().take_while(u8::is_ascii_alphabetic).count();
        let (letters, digits) = word.split_at(letters);
        let are_digits = digits.len() <= 6 && digits.bytes().all(|byte| byte.is_ascii_digit());
        // A prefix of a number, as in `E1001`.
        word.len() <= MAX_WORD && are_digits && (digits.is_empty() || letters.len() <= 4)
    };
    (1..=MAX_LENGTH).contains(&text.len())
        && text.bytes().all(is_of_code)
        && text.split(['_', '.', '-']).all(is_word)
        && text.bytes().any(|byte| byte.is_ascii_alphabetic())
}

#[cfg(test)]
mod tests {
    use http::{HeaderMap, Method, header};
    use serde_json::json;

    use super::*;

    fn shown(header: &str, body: &str) -> RequestSecrets {
        let headers = HeaderMap::from_iter([(header::AUTHORIZATION, HeaderValue::try_from(header).unwrap())]);
        let url = "https://api.example.com/v1/tokens/opaque-id".parse().unwrap();
        let body = Some(Zeroizing::new(body.as_bytes().to_vec()));
        RequestSecrets::of(&Rendered { method: Method::GET, url, headers, body }, b"revoked-by-its-id")
    }

    #[test]
    fn a_code_is_shown_where_it_looks_like_one() {
        let nothing = shown("Bearer x", "");
        for (body, found) in [
            (json!({"error": "invalid_grant", "error_description": "the secret canary"}), Some("invalid_grant")),
            (json!({"code": "E1001"}), Some("E1001")),
            (json!({"error": {"code": "InvalidAuthenticationToken", "message": "canary"}}), None),
            (json!({"error": {"code": "AccessDenied", "message": "canary"}}), Some("AccessDenied")),
            (json!({"errors": [{"code": "UNAUTHENTICATED"}]}), Some("UNAUTHENTICATED")),
            (json!({"error": "Unauthorized: canary", "status": "insufficient-scope"}), Some("insufficient-scope")),
            (json!({"code": 401}), None),
            (json!({"code": "401"}), None),
            (json!({"error": "a sentence"}), None),
            (json!({"error": ""}), None),
            (json!({"error": "x".repeat(65)}), None),
            // Opaque.
            (json!({"code": "glpat-x8Yk2mQz91LfPq7T"}), None),
            (json!({"code": "6ad1bc7c-3a3c-4b0e-9d3c-1b2a3c4d5e6f"}), None),
            (json!({"code": "QWxhZGRpbjpvcGVuIHNlc2FtZQ"}), None),
            (json!(["invalid_grant"]), None),
        ] {
            assert_eq!(code(&body, &nothing).as_deref(), found, "{body}");
        }
    }

    #[test]
    fn what_the_request_shows_is_never_shown() {
        for (shown, said) in [
            (shown("Bearer correct-horse-battery", ""), "correct-horse-battery"),
            (shown("Bearer correct-horse-battery", ""), "bad_token.correct-horse-battery"),
            (shown("Bearer correct-horse-battery", ""), "horse"),
            (shown("Basic YWRtaW46c3dvcmRmaXNo", ""), "swordfish"),
            (shown("Basic YWRtaW46c3dvcmRmaXNo", ""), "unknown-swordfish"),
            (shown("x", "{\"token\":\"swordfish\"}"), "swordfish"),
            (shown("x", "client_id=me&client_secret=swordfish"), "swordfish"),
            (shown("x", ""), "opaque-id"),
            (shown("x", ""), "revoked-by-its-id"),
        ] {
            assert_eq!(code(&json!({"error": said}), &shown), None, "{said}");
            assert_eq!(code(&json!({"error": "invalid_grant"}), &shown).as_deref(), Some("invalid_grant"));
        }
    }
}
