//! Client assertions: short-lived JWTs by which a client proves who it is with its private key (RFC 7523, section 2.2).
//!
//! Signed by ring: RS256 and PS256 with RSA keys of 2048 to 4096 bits, ES256 with P-256, `EdDSA` with Ed25519 (RFC
//! 7518, RFC 8037). A key is PKCS#8 in PEM. Every assertion is used for one request.

use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use jiff::Timestamp;
use ring::{
    rand::{SecureRandom, SystemRandom},
    signature::{
        ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair, RSA_PKCS1_SHA256, RSA_PSS_SHA256, RsaEncoding,
        RsaKeyPair,
    },
};
use rustls::pki_types::{PrivateKeyDer, pem::PemObject};
use serde_json::{Map, Value, json};
use zeroize::{Zeroize, Zeroizing};

use crate::api::provider::credential::SigningAlgorithm;

/// How long an assertion is good for, in seconds: some servers refuse more than a minute.
const LIFETIME: i64 = 60;

/// How to make PKCS#8 of another encoding.
const CONVERT: &str = "convert it: openssl pkcs8 -topk8 -nocrypt -in key.pem";

/// What an assertion says.
#[derive(Clone, Copy, Debug)]
pub struct AssertionClaims<'a> {
    /// Issuer and subject: both are the client.
    pub client_id: &'a str,
    pub audience: &'a str,
    /// The name of the key at the server, for a server that knows several.
    pub key_id: Option<&'a str>,
    pub now: Timestamp,
}

/// A signed assertion.
///
/// # Errors
/// What is wrong with the key, in words that follow its name. They never hold any of it.
pub fn sign(
    pem: &[u8],
    algorithm: SigningAlgorithm,
    claims: &AssertionClaims<'_>,
) -> Result<Zeroizing<String>, String> {
    let random = SystemRandom::new();
    let mut id = [0; 16];
    random.fill(&mut id).map_err(|_| "cannot be used: the system gives no random numbers".to_owned())?;
    let input = input(algorithm, claims, &BASE64_URL_SAFE_NO_PAD.encode(id));
    let mut key = private_key(pem)?;
    let signature = signature(&key, algorithm, input.as_bytes(), &random);
    key.zeroize();
    Ok(Zeroizing::new(format!("{input}.{}", BASE64_URL_SAFE_NO_PAD.encode(signature?))))
}

/// What is signed (RFC 7515, section 5.1).
fn input(algorithm: SigningAlgorithm, claims: &AssertionClaims<'_>, id: &str) -> String {
    let mut header = Map::from_iter([("alg".to_owned(), json!(algorithm.name())), ("typ".to_owned(), json!("JWT"))]);
    header.extend(claims.key_id.map(|id| ("kid".to_owned(), json!(id))));
    let now = claims.now.as_second();
    let claims = json!({
        "iss": claims.client_id, "sub": claims.client_id, "aud": claims.audience, "jti": id, "iat": now, "exp": now + LIFETIME,
    });
    let encode = |value: &Value| BASE64_URL_SAFE_NO_PAD.encode(value.to_string());
    format!("{}.{}", encode(&Value::Object(header)), encode(&claims))
}

fn private_key(pem: &[u8]) -> Result<PrivateKeyDer<'static>, String> {
    if pem.windows(9).any(|window| window == b"ENCRYPTED") {
        return Err(format!("is encrypted with a passphrase; {CONVERT}"));
    }
    match PrivateKeyDer::from_pem_slice(pem) {
        Ok(key @ PrivateKeyDer::Pkcs8(_)) => Ok(key),
        Ok(mut other) => {
            other.zeroize();
            Err(format!("is a private key, but not in PKCS#8 (BEGIN PRIVATE KEY); {CONVERT}"))
        }
        Err(_) => {
            Err("holds no private key in PEM: PKCS#8 (BEGIN PRIVATE KEY) is needed; a JWK is not known here".to_owned())
        }
    }
}

fn signature(
    key: &PrivateKeyDer<'_>,
    algorithm: SigningAlgorithm,
    input: &[u8],
    random: &SystemRandom,
) -> Result<Vec<u8>, String> {
    let der = key.secret_der();
    let rsa = |padding: &'static dyn RsaEncoding| {
        let pair = RsaKeyPair::from_pkcs8(der).map_err(|_| {
            format!("is no RSA key of 2048 to 4096 bits, which {} needs; check algorithm", algorithm.name())
        })?;
        let mut signature = vec![0; pair.public().modulus_len()];
        pair.sign(padding, random, input, &mut signature).map_err(|_| "cannot sign".to_owned())?;
        Ok(signature)
    };
    match algorithm {
        SigningAlgorithm::Rs256 => rsa(&RSA_PKCS1_SHA256),
        SigningAlgorithm::Ps256 => rsa(&RSA_PSS_SHA256),
        SigningAlgorithm::Es256 => {
            let pair = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, der, random)
                .map_err(|_| "is no key of the curve P-256, which ES256 needs; check algorithm".to_owned())?;
            let signature = pair.sign(random, input).map_err(|_| "cannot sign".to_owned())?;
            Ok(signature.as_ref().to_vec())
        }
        SigningAlgorithm::EdDsa => {
            // Without its public half, as OpenSSL writes it.
            let pair = Ed25519KeyPair::from_pkcs8_maybe_unchecked(der)
                .map_err(|_| "is no Ed25519 key, which EdDSA needs; check algorithm".to_owned())?;
            Ok(pair.sign(input).as_ref().to_vec())
        }
    }
}

#[cfg(test)]
mod tests {
    use ring::signature::{self, UnparsedPublicKey, VerificationAlgorithm};

    use super::*;

    const KEYS: [(&str, &str); 7] = [
        ("rsa", include_str!("../../../../tests/keys/rsa.pem")),
        ("p256", include_str!("../../../../tests/keys/p256.pem")),
        ("p384", include_str!("../../../../tests/keys/p384.pem")),
        ("ed25519", include_str!("../../../../tests/keys/ed25519.pem")),
        ("rsa-pkcs1", include_str!("../../../../tests/keys/rsa-pkcs1.pem")),
        ("p256-sec1", include_str!("../../../../tests/keys/p256-sec1.pem")),
        ("p256-encrypted", include_str!("../../../../tests/keys/p256-encrypted.pem")),
    ];

    fn signed(key: &str, algorithm: SigningAlgorithm) -> Result<Zeroizing<String>, String> {
        let pem = KEYS.iter().find(|(name, _)| *name == key).map_or(key, |(_, pem)| pem);
        let now = "2026-11-22T10:00:00Z".parse().unwrap();
        let claims =
            AssertionClaims { client_id: "svc", audience: "https://as.example/token", key_id: Some("k1"), now };
        sign(pem.as_bytes(), algorithm, &claims)
    }

    fn part(jwt: &str, index: usize) -> Vec<u8> {
        BASE64_URL_SAFE_NO_PAD.decode(jwt.split('.').nth(index).unwrap()).unwrap()
    }

    /// The last bytes of a `SubjectPublicKeyInfo` are the key, as ring wants it.
    fn public(pem: &str, length: usize) -> Vec<u8> {
        let der = rustls::pki_types::SubjectPublicKeyInfoDer::from_pem_slice(pem.as_bytes()).unwrap();
        der[der.len() - length..].to_vec()
    }

    #[test]
    fn assertions_are_signed_as_the_algorithm_says() {
        let rsa = public(include_str!("../../../../tests/keys/rsa.pub"), 270);
        let p256 = public(include_str!("../../../../tests/keys/p256.pub"), 65);
        let ed25519 = public(include_str!("../../../../tests/keys/ed25519.pub"), 32);
        let cases: [(_, _, _, &'static dyn VerificationAlgorithm); 4] = [
            (SigningAlgorithm::Rs256, "rsa", &rsa, &signature::RSA_PKCS1_2048_8192_SHA256),
            (SigningAlgorithm::Ps256, "rsa", &rsa, &signature::RSA_PSS_2048_8192_SHA256),
            (SigningAlgorithm::Es256, "p256", &p256, &signature::ECDSA_P256_SHA256_FIXED),
            (SigningAlgorithm::EdDsa, "ed25519", &ed25519, &signature::ED25519),
        ];
        for (algorithm, key, public, verification) in cases {
            let jwt = signed(key, algorithm).unwrap();
            let (input, _) = jwt.rsplit_once('.').unwrap();
            let public = UnparsedPublicKey::new(verification, public);
            public.verify(input.as_bytes(), &part(&jwt, 2)).unwrap_or_else(|_| panic!("{algorithm:?}"));
            let header: Value = serde_json::from_slice(&part(&jwt, 0)).unwrap();
            assert_eq!(header, json!({"alg": algorithm.name(), "typ": "JWT", "kid": "k1"}));
        }
    }

    #[test]
    fn an_assertion_says_who_for_whom_and_how_long_and_no_two_are_the_same() {
        let one = signed("ed25519", SigningAlgorithm::EdDsa).unwrap();
        let other = signed("ed25519", SigningAlgorithm::EdDsa).unwrap();
        let mut claims: Value = serde_json::from_slice(&part(&one, 1)).unwrap();
        let id = claims.as_object_mut().unwrap().remove("jti").unwrap();
        assert_eq!(id.as_str().unwrap().len(), 22);
        assert_ne!(*one, *other);
        let now = 1_795_341_600;
        let expected =
            json!({"iss": "svc", "sub": "svc", "aud": "https://as.example/token", "iat": now, "exp": now + 60});
        assert_eq!(claims, expected);
    }

    #[test]
    fn a_key_that_cannot_sign_is_told_without_it() {
        for (key, algorithm, reported) in [
            ("rsa-pkcs1", SigningAlgorithm::Rs256, "not in PKCS#8"),
            ("p256-sec1", SigningAlgorithm::Es256, "not in PKCS#8"),
            ("p256-encrypted", SigningAlgorithm::Es256, "is encrypted with a passphrase"),
            ("p256", SigningAlgorithm::Rs256, "is no RSA key"),
            ("rsa", SigningAlgorithm::Es256, "is no key of the curve P-256"),
            ("p384", SigningAlgorithm::Es256, "is no key of the curve P-256"),
            ("rsa", SigningAlgorithm::EdDsa, "is no Ed25519 key"),
            ("hunter2", SigningAlgorithm::EdDsa, "holds no private key in PEM"),
            ("", SigningAlgorithm::EdDsa, "holds no private key in PEM"),
        ] {
            let why = signed(key, algorithm).unwrap_err();
            assert!(why.contains(reported) && !why.contains("hunter2"), "{key}: {why}");
        }
    }
}
