//! Proofs of possession (DPoP, RFC 9449): a key for each token, and the proofs by which its holder shows that it has
//! it.

use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use http::{Method, header};
use jiff::Timestamp;
use ring::{
    rand::{SecureRandom, SystemRandom},
    signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair},
};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use url::Url;
use zeroize::Zeroizing;

use super::{answer::Received, body::wipe};

/// What an answer says that wants a nonce in the proof (RFC 9449, sections 8 and 9).
const WANTS_NONCE: &str = "use_dpop_nonce";

/// Length of a coordinate, and of the private key, of P-256.
const LENGTH: usize = 32;

/// A P-256 key (ES256).
pub struct ProofKey {
    pair: EcdsaKeyPair,
    x: String,
    y: String,
    d: Zeroizing<String>,
}

/// What a proof is for.
#[derive(Clone, Copy)]
pub struct ProofClaims<'a> {
    pub method: &'a Method,
    pub url: &'a Url,
    /// The token that is shown beside it.
    pub token: Option<&'a str>,
    pub nonce: Option<&'a str>,
    pub now: Timestamp,
}

fn encode(bytes: impl AsRef<[u8]>) -> String {
    BASE64_URL_SAFE_NO_PAD.encode(bytes)
}

impl ProofKey {
    /// A new key.
    ///
    /// # Errors
    /// The system gives no random numbers.
    pub fn generate() -> Result<Self, String> {
        let none = || "no key for the token can be made".to_owned();
        let random = SystemRandom::new();
        // PKCS#8 with the public half at its end, before which the private one stands and five bytes of DER. ring
        // offers no other way to a key that can leave it, and no way to overwrite this copy.
        let document = EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &random).map_err(|_| none())?;
        let bytes = document.as_ref();
        let public = bytes.len().checked_sub(2 * LENGTH + 1).ok_or_else(none)?;
        let private = public.checked_sub(5 + LENGTH).ok_or_else(none)?;
        // Refused if the two do not belong together.
        Self::of(&bytes[private..private + LENGTH], &bytes[public..]).ok_or_else(none)
    }

    /// Reads what [`Self::jwk`] wrote.
    ///
    /// # Errors
    /// It is no such key. The text is not shown.
    pub fn from_jwk(text: &str) -> Result<Self, String> {
        let mut jwk: Value = serde_json::from_str(text).map_err(|_| "it is no JWK".to_owned())?;
        let part = |name: &str| {
            let bytes = BASE64_URL_SAFE_NO_PAD.decode(jwk[name].as_str()?).ok()?;
            Some(Zeroizing::new(bytes))
        };
        let key = match (part("d"), part("x"), part("y")) {
            (Some(d), Some(x), Some(y)) => Self::of(&d, &[&[4], x.as_slice(), y.as_slice()].concat()),
            _ => None,
        };
        wipe(&mut jwk);
        key.ok_or_else(|| "it is no private key of P-256 as a JWK".to_owned())
    }

    fn of(private: &[u8], public: &[u8]) -> Option<Self> {
        let random = SystemRandom::new();
        let algorithm = &ECDSA_P256_SHA256_FIXED_SIGNING;
        let pair = EcdsaKeyPair::from_private_key_and_public_key(algorithm, private, public, &random).ok()?;
        let (x, y) = pair.public_key().as_ref().get(1..)?.split_at_checked(LENGTH)?;
        let (x, y) = (encode(x), encode(y));
        Some(Self { pair, x, y, d: Zeroizing::new(encode(private)) })
    }

    /// The private key as a JWK (RFC 7518, section 6.2.2), for whoever shows the token.
    #[must_use]
    pub fn jwk(&self) -> Zeroizing<String> {
        let Self { x, y, d, .. } = self;
        Zeroizing::new(format!(r#"{{"kty":"EC","crv":"P-256","x":"{x}","y":"{y}","d":"{}"}}"#, **d))
    }

    /// What a token says that is bound to the key: `cnf.jkt` (RFC 9449, section 6; RFC 7638).
    #[must_use]
    pub fn thumbprint(&self) -> String {
        let Self { x, y, .. } = self;
        encode(Sha256::digest(format!(r#"{{"crv":"P-256","kty":"EC","x":"{x}","y":"{y}"}}"#)))
    }

    /// A proof for one request (RFC 9449, section 4.2).
    ///
    /// # Errors
    /// The system gives no random numbers.
    pub fn proof(&self, claims: &ProofClaims<'_>) -> Result<String, String> {
        let Self { x, y, pair, .. } = self;
        let random = SystemRandom::new();
        let mut id = [0; 16];
        random.fill(&mut id).map_err(|_| "the system gives no random numbers".to_owned())?;
        let header = json!({"typ": "dpop+jwt", "alg": "ES256", "jwk": {"kty": "EC", "crv": "P-256", "x": x, "y": y}});
        let mut url = claims.url.clone();
        url.set_query(None);
        url.set_fragment(None);
        let mut body = json!({
            "jti": encode(id), "htm": claims.method.as_str(), "htu": url.as_str(), "iat": claims.now.as_second(),
        });
        if let Some(token) = claims.token {
            body["ath"] = json!(encode(Sha256::digest(token)));
        }
        if let Some(nonce) = claims.nonce {
            body["nonce"] = json!(nonce);
        }
        let input = format!("{}.{}", encode(header.to_string()), encode(body.to_string()));
        let signature = pair.sign(&random, input.as_bytes()).map_err(|_| "the key cannot sign".to_owned())?;
        Ok(format!("{input}.{}", encode(signature)))
    }
}

/// What an answer says of a proof (RFC 9449, sections 5, 7.1, 8 and 9), if it says something.
#[must_use]
pub fn refused_proof(received: &Received) -> Option<&'static str> {
    if !received.status.is_client_error() {
        return None;
    }
    let said = received.body.json().and_then(|body| body["error"].as_str()).unwrap_or_default();
    let challenges = received.headers.get_all(header::WWW_AUTHENTICATE);
    let challenged = |code: &str| challenges.iter().any(|value| value.to_str().is_ok_and(|text| text.contains(code)));
    [WANTS_NONCE, "invalid_dpop_proof"].into_iter().find(|code| said == *code || challenged(code))
}

/// The nonce that an answer wants in the proof. Whoever answers so has done nothing else.
#[must_use]
pub fn wanted_nonce(received: &Received) -> Option<String> {
    refused_proof(received).filter(|code| *code == WANTS_NONCE)?;
    received.headers.get("dpop-nonce")?.to_str().ok().map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use http::{HeaderMap, HeaderValue, StatusCode};
    use ring::signature::{ECDSA_P256_SHA256_FIXED, UnparsedPublicKey};

    use super::*;
    use crate::providers::http::message::answer::Body;

    #[test]
    fn a_key_goes_to_a_jwk_and_back_and_no_two_are_the_same() {
        let key = ProofKey::generate().unwrap();
        let again = ProofKey::from_jwk(&key.jwk()).unwrap();
        assert_eq!(key.thumbprint(), again.thumbprint());
        assert_ne!(key.thumbprint(), ProofKey::generate().unwrap().thumbprint());
        for wrong in ["", "{}", r#"{"kty":"EC","d":"canary"}"#, &key.jwk().replace("\"d\":\"", "\"d\":\"AAAA")] {
            let why = ProofKey::from_jwk(wrong).err().unwrap();
            assert!(!why.contains("canary"), "{why}");
        }
    }

    /// The key of RFC 9449 and its thumbprint, sections 4.1 and 6.1.
    #[test]
    fn the_thumbprint_is_that_of_the_standard() {
        let mut key = ProofKey::generate().unwrap();
        key.x = "l8tFrhx-34tV3hRICRDY9zCkDlpBhF42UQUfWVAWBFs".to_owned();
        key.y = "9VE4jf_Ok_o64zbTTlcuNJajHmt6v9TDVrU0CdvGRDA".to_owned();
        assert_eq!(key.thumbprint(), "0ZcOCORZNYy-DWpqq30jZyJGHTN0d2HglBV3uiguA4I");
    }

    #[test]
    fn a_proof_says_what_it_is_for_and_is_signed() {
        let key = ProofKey::generate().unwrap();
        let url = Url::parse("https://api.example/things?a=b#c").unwrap();
        let now = "2026-11-22T10:00:00Z".parse().unwrap();
        let claims = ProofClaims { method: &Method::GET, url: &url, token: Some("abc"), nonce: Some("n"), now };
        let proof = key.proof(&claims).unwrap();
        let (input, signature) = proof.rsplit_once('.').unwrap();
        let signature = BASE64_URL_SAFE_NO_PAD.decode(signature).unwrap();
        let public = UnparsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, key.pair.public_key().as_ref());
        public.verify(input.as_bytes(), &signature).unwrap();
        let decoded = BASE64_URL_SAFE_NO_PAD.decode(input.split_once('.').unwrap().1).unwrap();
        let mut body: Value = serde_json::from_slice(&decoded).unwrap();
        assert!(body["jti"].take().as_str().is_some_and(|id| id.len() == 22));
        let expected = json!({
            "jti": null, "htm": "GET", "htu": "https://api.example/things", "iat": 1_795_341_600, "nonce": "n",
            // echo -n abc | sha256sum
            "ath": "ungWv48Bz-pBQUDeXa4iI7ADYaOWF3qctBD_YfIAFa0",
        });
        assert_eq!(body, expected);
        assert!(!proof.contains(key.d.as_str()));
    }

    #[test]
    fn a_nonce_is_wanted_by_the_body_or_by_a_challenge_only() {
        let received = |status: u16, challenge: &'static str, body: &str| {
            let mut headers = HeaderMap::new();
            headers.insert("dpop-nonce", HeaderValue::from_static("n"));
            headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static(challenge));
            Received {
                status: StatusCode::from_u16(status).unwrap(),
                headers,
                body: Body::of(body.as_bytes().to_vec()),
            }
        };
        let wants = r#"{"error":"use_dpop_nonce"}"#;
        assert_eq!(wanted_nonce(&received(400, "", wants)), Some("n".to_owned()));
        assert_eq!(wanted_nonce(&received(401, "DPoP error=\"use_dpop_nonce\"", "")), Some("n".to_owned()));
        assert_eq!(wanted_nonce(&received(400, "", r#"{"error":"invalid_grant"}"#)), None);
        assert_eq!(wanted_nonce(&received(200, "", wants)), None);
        assert_eq!(wanted_nonce(&received(500, "", wants)), None);
    }
}
