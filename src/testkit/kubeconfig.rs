//! Credentials of the control plane: the service account key, kubeconfig files, clients.

use std::{fs, io::Write, os::unix::fs::OpenOptionsExt, path::Path};

use k8s_openapi::ByteString;
use kube::config::{KubeConfigOptions, Kubeconfig};
use ring::{
    rand::SystemRandom,
    signature::{ECDSA_P256_SHA256_ASN1_SIGNING, EcdsaKeyPair, KeyPair},
};
use serde_json::{Value, json};

use super::Error;

/// `SubjectPublicKeyInfo` of an uncompressed P-256 point, up to the point itself (RFC 5480).
const P256_PUBLIC_KEY: [u8; 26] = [
    0x30, 0x59, 0x30, 0x13, 0x06, 0x07, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01, 0x06, 0x08, 0x2a, 0x86, 0x48, 0xce,
    0x3d, 0x03, 0x01, 0x07, 0x03, 0x42, 0x00,
];

/// Writes a fresh key pair for service account tokens.
pub(super) fn write_account_key(private: &Path, public: &Path) -> Result<(), Error> {
    let random = SystemRandom::new();
    let key = EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_ASN1_SIGNING, &random)
        .map_err(|problem| Error::invalid("make a service account key", problem))?;
    let pair = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_ASN1_SIGNING, key.as_ref(), &random)
        .map_err(|problem| Error::invalid("read the new service account key", problem))?;
    let point = [&P256_PUBLIC_KEY, pair.public_key().as_ref()].concat();
    write_private(private, &pem("PRIVATE KEY", key.as_ref().to_vec()))?;
    write_private(public, &pem("PUBLIC KEY", point))
}

/// The text of a kubeconfig for a bearer token. JSON is YAML, so every client reads it.
pub(super) fn text(url: &str, ca_pem: &str, token: &str) -> String {
    let ca = base64(ca_pem.as_bytes().to_vec());
    let config = json!({
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": "testkit",
        "clusters": [{"name": "testkit", "cluster": {"server": url, "certificate-authority-data": ca}}],
        "users": [{"name": "testkit", "user": {"token": token}}],
        "contexts": [{"name": "testkit", "context": {"cluster": "testkit", "user": "testkit"}}],
    });
    serde_json::to_string_pretty(&config).expect("a JSON value has a text")
}

/// A kube configuration for a bearer token, with a user agent that the audit log shows.
pub(super) async fn config(url: &str, ca_pem: &str, token: &str, user_agent: &str) -> Result<kube::Config, Error> {
    let parsed = Kubeconfig::from_yaml(&text(url, ca_pem, token))
        .map_err(|problem| Error::invalid("read back a kubeconfig", problem))?;
    let mut config = kube::Config::from_custom_kubeconfig(parsed, &KubeConfigOptions::default())
        .await
        .map_err(|problem| Error::invalid("use a kubeconfig", problem))?;
    let agent = user_agent.parse().map_err(|problem| Error::invalid("user agent", problem))?;
    config.headers.push((http::header::USER_AGENT, agent));
    Ok(config)
}

/// Writes a file that only its owner can read.
pub(super) fn write_private(path: &Path, text: &str) -> Result<(), Error> {
    let what = || format!("write {}", path.display());
    fs::OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(path)
        .and_then(|mut file| file.write_all(text.as_bytes()))
        .map_err(Error::io(what()))
}

fn pem(label: &str, der: Vec<u8>) -> String {
    let encoded = base64(der);
    let lines: Vec<&str> = (0..encoded.len()).step_by(64).map(|at| &encoded[at..encoded.len().min(at + 64)]).collect();
    format!("-----BEGIN {label}-----\n{}\n-----END {label}-----\n", lines.join("\n"))
}

/// The Kubernetes types already know base64; a crate for this alone is not worth it.
fn base64(bytes: Vec<u8>) -> String {
    match serde_json::to_value(ByteString(bytes)) {
        Ok(Value::String(text)) => text,
        other => unreachable!("bytes are encoded as a string, not {other:?}"),
    }
}
