//! What an authorization server makes of a proof of possession (DPoP, RFC 9449, sections 4.3 and 8).

use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use ring::signature::{ECDSA_P256_SHA256_FIXED, UnparsedPublicKey};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use crate::testkit::contract::{Answer, Asked, store::Store};

/// The thumbprint of the key of which a proof is shown; `None` where none is.
///
/// # Errors
/// The answer to a proof that is wrong, or lacks a nonce.
pub(super) fn key(asked: &Asked, store: &mut Store) -> Result<Option<String>, Answer> {
    let shown = asked.header("dpop");
    if shown.is_empty() || !store.behaviour.proofs {
        return Ok(None);
    }
    let wrong = || Answer::json(400, json!({"error": "invalid_dpop_proof"}));
    let (thumbprint, claims) = signed(shown).ok_or_else(wrong)?;
    let url = format!("http://{}/{}", asked.header("host"), asked.path.join("/"));
    let is_for_this = claims["htm"] == asked.method.as_str() && claims["htu"] == url;
    let is_new = claims["jti"].as_str().is_some_and(|id| store.take_proof(id));
    if !is_for_this || !is_new {
        return Err(wrong());
    }
    match claims["nonce"].as_str().is_some_and(|nonce| store.take_nonce(nonce)) {
        true => Ok(Some(thumbprint)),
        false => {
            let wants = Answer::json(400, json!({"error": "use_dpop_nonce"}));
            Err(wants.with_header("dpop-nonce", store.give_nonce()))
        }
    }
}

/// Whose proof it is, and what it claims; `None` where it is not signed by the key that it names.
fn signed(proof: &str) -> Option<(String, Value)> {
    let (input, signature) = proof.rsplit_once('.')?;
    let (header, claims) = input.split_once('.')?;
    let decoded = |text: &str| BASE64_URL_SAFE_NO_PAD.decode(text).ok();
    let parsed = |text: &str| serde_json::from_slice::<Value>(&decoded(text)?).ok();
    let (header, claims) = (parsed(header)?, parsed(claims)?);
    let [x, y] = [&header["jwk"]["x"], &header["jwk"]["y"]].map(|part| part.as_str().unwrap_or_default());
    let public = [&[4], decoded(x)?.as_slice(), decoded(y)?.as_slice()].concat();
    UnparsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, public).verify(input.as_bytes(), &decoded(signature)?).ok()?;
    // RFC 7638: the members that are needed, in order.
    let named = json!({"crv": "P-256", "kty": "EC", "x": x, "y": y}).to_string();
    let is_proof = header["typ"] == "dpop+jwt" && header["alg"] == "ES256";
    is_proof.then(|| (BASE64_URL_SAFE_NO_PAD.encode(Sha256::digest(named)), claims))
}
