//! Asks the API server whether it accepts a token, and calls it with that token.
//!
//! Request and answer of a TokenReview hold the token. They are read here and nowhere else, without the client's own
//! decoding, which logs an answer that it cannot read; copies within reach are zeroized.

use http::header::{AUTHORIZATION, HeaderValue};
use jiff::Timestamp;
use k8s_openapi::api::authentication::v1::{TokenReview, TokenReviewSpec};
use kube::{Client, Config, config::AuthInfo};
use zeroize::{Zeroize, Zeroizing};

use super::errors::{CallError, call};
use crate::connect::connect;

const TOKEN_REVIEWS: &str = "/apis/authentication.k8s.io/v1/tokenreviews";

/// What the API server says about a token.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Review {
    Accepted {
        username: String,
    },
    /// With the API server's reason, which may be empty.
    NotAccepted {
        why: String,
    },
}

/// Asks whether the API server that answers accepts a token. It may remember a yes for ten seconds.
pub async fn review(client: &Client, token: &str) -> Result<Review, CallError> {
    let review =
        TokenReview { spec: TokenReviewSpec { token: Some(token.to_owned()), audiences: None }, ..Default::default() };
    let request = post(TOKEN_REVIEWS, &review);
    wipe(review);
    let mut text = call(client.request_text(request?)).await.map_err(CallError::without_detail)?;
    let answer = serde_json::from_str::<TokenReview>(&text).map_err(|_| CallError::unreadable());
    text.zeroize();
    let mut answer = answer?;
    let status = answer.status.take().unwrap_or_default();
    wipe(answer);
    if status.authenticated != Some(true) {
        return Ok(Review::NotAccepted { why: without(status.error.unwrap_or_default(), token) });
    }
    Ok(Review::Accepted { username: status.user.and_then(|user| user.username).unwrap_or_default() })
}

/// How the API server says that a token is over, whatever becomes of its Secret.
pub const EXPIRED: &str = "service account token has expired";

/// Whether the API server's reason for not accepting a token can never change again while the bound Secret exists: it
/// ended, or its ServiceAccount went. Wording of Kubernetes 1.21 to 1.36; anything else is left open.
pub fn is_final(why: &str) -> bool {
    let account_gone = why.contains("serviceaccounts \"") && why.contains("\" not found");
    let account_deleted = why.contains("service account ") && why.contains(" has been deleted");
    let account_replaced = why.contains("service account UID (") && why.contains("does not match claim");
    why.contains(EXPIRED) || account_gone || account_deleted || account_replaced
}

/// A POST of an object as JSON.
pub fn post(path: &str, body: &impl serde::Serialize) -> Result<http::Request<Vec<u8>>, CallError> {
    const UNBUILT: CallError =
        CallError::NotSent { why: "the request could not be built; please report this as a bug" };
    let body = serde_json::to_vec(body).map_err(|_| UNBUILT)?;
    http::Request::post(path).header(http::header::CONTENT_TYPE, "application/json").body(body).map_err(|_| UNBUILT)
}

fn wipe(mut review: TokenReview) {
    review.spec.token.zeroize();
}

/// A sentence that does not quote the token.
fn without(sentence: String, token: &str) -> String {
    if sentence.contains(token) { "the API server's reason quotes the token".to_owned() } else { sentence }
}

/// Calls the API server for somebody: for the operator, or with a token as the only credential.
#[derive(Clone, Copy)]
pub struct Caller<'a> {
    client: &'a Client,
    token: Option<&'a str>,
}

impl<'a> Caller<'a> {
    /// Calls with what `client` has.
    pub fn new(client: &'a Client) -> Self {
        Self { client, token: None }
    }

    /// Calls with a token, by a client that has no credential of its own, see [`anonymous`].
    pub fn with_token(anonymous: &'a Client, token: &'a str) -> Self {
        Self { client: anonymous, token: Some(token) }
    }

    /// Sends an object that is a question, and gives it back with its answer.
    pub async fn ask<T: serde::Serialize + serde::de::DeserializeOwned>(
        &self,
        path: &str,
        question: &T,
    ) -> Result<T, CallError> {
        let mut request = post(path, question)?;
        if let Some(token) = self.token {
            let text = Zeroizing::new(format!("Bearer {token}"));
            let mut header = HeaderValue::from_str(&text)
                .map_err(|_| CallError::NotSent { why: "the token holds characters that no HTTP header can have" })?;
            header.set_sensitive(true);
            request.headers_mut().insert(AUTHORIZATION, header);
        }
        let answer = call(self.client.request_text(request)).await?;
        serde_json::from_str(&answer).map_err(|_| CallError::unreadable())
    }
}

/// A client without any credential, for [`Caller::with_token`]. Connection, trust and limits are those of `template`.
///
/// One for all tokens: what it has no certificate for, a connection cannot answer for, so the API server knows each request by its header
/// alone. A client for each token would cost a TLS handshake each time.
pub fn anonymous(template: &Config) -> Result<Client, CallError> {
    connect(without_credentials(template))
        .map_err(|_| CallError::NotSent { why: "no client could be built to verify tokens with" })
}

fn without_credentials(template: &Config) -> Config {
    let mut config = template.clone();
    config.auth_info = AuthInfo::default();
    config.headers.retain(|(name, _)| !carries_identity(name.as_str()));
    config.default_retry = false;
    config
}

fn carries_identity(header: &str) -> bool {
    matches!(header, "authorization" | "proxy-authorization" | "cookie")
        || header.starts_with("impersonate-")
        || header.starts_with("x-remote-")
}

/// When a token ends by its own claim; for a token that the API server accepts, so that the claim is genuine.
pub fn expiry(token: &str) -> Option<Timestamp> {
    #[derive(serde::Deserialize)]
    struct Claims {
        exp: i64,
    }
    let payload = decode_base64url(token.split('.').nth(1)?)?;
    let claims: Claims = serde_json::from_slice(&payload).ok()?;
    Timestamp::from_second(claims.exp).ok()
}

fn decode_base64url(text: &str) -> Option<Vec<u8>> {
    let mut bytes = Vec::with_capacity(text.len() / 4 * 3 + 2);
    for chunk in text.as_bytes().chunks(4) {
        let mut bits: u32 = 0;
        for &letter in chunk {
            let digit = match letter {
                b'A'..=b'Z' => letter - b'A',
                b'a'..=b'z' => letter - b'a' + 26,
                b'0'..=b'9' => letter - b'0' + 52,
                b'-' => 62,
                b'_' => 63,
                _ => return None,
            };
            bits = bits << 6 | u32::from(digit);
        }
        bits <<= 6 * (4 - chunk.len());
        bytes.extend(bits.to_be_bytes().into_iter().skip(1).take(chunk.len() * 6 / 8));
    }
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_client_of_all_tokens_keeps_the_connection_and_no_credential() {
        let mut template = Config::new("https://cluster.example:6443".parse().unwrap());
        template.root_cert = Some(vec![vec![1, 2, 3]]);
        template.tls_server_name = Some("kubernetes".to_owned());
        template.auth_info.username = Some("admin".to_owned());
        template.auth_info.password = Some("hunter2".to_owned().into());
        template.auth_info.client_certificate = Some("/admin.crt".to_owned());
        template.auth_info.client_key = Some("/admin.key".to_owned());
        template.auth_info.token_file = Some("/var/run/token".to_owned());
        template.auth_info.impersonate = Some("root".to_owned());
        for name in ["authorization", "impersonate-user", "user-agent"] {
            template.headers.push((name.parse().unwrap(), "value".parse().unwrap()));
        }
        let config = without_credentials(&template);
        let AuthInfo {
            username, password, token, token_file, client_certificate, client_key, impersonate, exec, ..
        } = config.auth_info;
        assert_eq!((username, token_file, client_certificate, client_key, impersonate), (None, None, None, None, None));
        assert!(password.is_none() && exec.is_none() && token.is_none());
        assert_eq!(config.headers.iter().map(|(name, _)| name.as_str()).collect::<Vec<_>>(), ["user-agent"]);
        assert!(!config.default_retry);
        assert_eq!(config.cluster_url, template.cluster_url);
        assert_eq!(config.root_cert, template.root_cert);
        assert_eq!(config.tls_server_name, template.tls_server_name);
    }

    #[test]
    fn a_reason_that_quotes_the_token_is_not_passed_on() {
        assert_eq!(without("invalid bearer token".to_owned(), "eyJ"), "invalid bearer token");
        assert!(!without("bad: eyJ".to_owned(), "eyJ").contains("eyJ"));
    }

    #[test]
    fn only_reasons_that_cannot_change_are_final() {
        let cases = [
            ("[invalid bearer token, service account token has expired]", true),
            ("[invalid bearer token, serviceaccounts \"api\" not found]", true),
            ("[invalid bearer token, service account shop/api has been deleted]", true),
            ("[invalid bearer token, service account UID (1) does not match claim (2)]", true),
            ("[invalid bearer token, service account token has been invalidated]", false),
            ("[invalid bearer token, Get \"https://[::1]:6443/api\": context deadline exceeded]", false),
            ("[invalid bearer token, service account token is not valid yet]", false),
            ("etcdserver: request timed out", false),
            ("invalid bearer token", false),
            ("", false),
        ];
        for (why, expected) in cases {
            assert_eq!(is_final(why), expected, "{why}");
        }
    }

    #[test]
    fn the_expiry_claim_is_read_and_anything_else_is_no_expiry() {
        // {"exp":1700000000,"sub":"?>~"} and the same with a length that leaves two and three letters over.
        let cases = [
            ("h.eyJleHAiOjE3MDAwMDAwMDAsInN1YiI6Ij8-fiJ9.s", Some(1_700_000_000)),
            ("h.eyJleHAiOjE3MDAwMDAwMDB9.s", Some(1_700_000_000)),
            ("h.eyJleHAiOjE3MDAwMDAwMDAgfQ.s", Some(1_700_000_000)),
            ("h.eyJzdWIiOiJ4In0.s", None),
            ("h.!!!.s", None),
            ("opaque", None),
            ("", None),
        ];
        for (token, expected) in cases {
            assert_eq!(expiry(token).map(Timestamp::as_second), expected, "{token}");
        }
    }
}
