//! What a credential's Secret holds, and what is made of it to be shown.

use std::collections::BTreeMap;

use base64::{Engine, prelude::BASE64_STANDARD};
use http::{HeaderName, HeaderValue, header};
use sha2::{Digest, Sha256};
use url::form_urlencoded;
use zeroize::{Zeroize, Zeroizing};

use super::assertion::{self, AssertionClaims};
use crate::{
    api::provider::http::{HttpBasic, HttpClientCertificate, SigningAlgorithm},
    providers::{
        Class, Error,
        http::{
            message::render::{Scope, header_value},
            recipe::credential::{ASSERTION, Presentation, SERVICE_ACCOUNT_TOKEN, SESSION},
            send::client::Identity,
        },
    },
};

/// Key of a client's id, where nothing else is said.
const CLIENT_ID: &str = "clientId";

/// Longest certificate chain, or private key, in PEM.
const MAX_PEM: usize = 32 << 10;

/// What a credential's Secret holds; overwritten when it is dropped.
pub(in crate::providers::http) struct CredentialData {
    pub(super) data: BTreeMap<String, Vec<u8>>,
    pub(super) secret: String,
}

impl Drop for CredentialData {
    fn drop(&mut self) {
        self.data.values_mut().for_each(Zeroize::zeroize);
    }
}

impl CredentialData {
    /// Adds what stands for a substitution; it hides a key of that name.
    pub(in crate::providers::http) fn put(&mut self, name: &str, value: &[u8]) {
        let hidden = self.data.insert(name.to_owned(), value.to_vec());
        hidden.into_iter().for_each(|mut hidden| hidden.zeroize());
    }

    /// For the templates of requests.
    pub(in crate::providers::http) fn keys(&self) -> &BTreeMap<String, Vec<u8>> {
        &self.data
    }

    /// The headers that show the credential.
    pub(in crate::providers::http) fn headers(
        &self,
        shown: &Presentation,
    ) -> Result<Vec<(HeaderName, HeaderValue)>, Error> {
        let headers = match shown {
            Presentation::Nowhere => Ok(Vec::new()),
            Presentation::Headers(headers) => {
                let scope = Scope { credential: Some(&self.data), ..Scope::default() };
                let rendered =
                    headers.iter().map(|(name, template)| Ok((name.clone(), header_value(name, template, &scope)?)));
                rendered.collect::<Result<Vec<_>, String>>()
            }
            Presentation::Basic(basic) => {
                basic_header(&self.data, basic).map(|value| vec![(header::AUTHORIZATION, value)])
            }
        };
        headers.map_err(|why| self.wrong(&why))
    }

    /// The client certificate, with its private key.
    pub(super) fn identity(&self, wanted: &HttpClientCertificate) -> Result<Identity, Error> {
        let mut pem = Zeroizing::new(Vec::new());
        for key in [&wanted.certificate_key, &wanted.private_key_key] {
            let part = self.data.get(key).ok_or_else(|| self.wrong(&format!("it has no key {key:?}")))?;
            self.is_short(key, part)?;
            // Made at its size, so that no copy of a key is left behind by growing.
            let mut longer = Zeroizing::new(Vec::with_capacity(pem.len() + part.len() + 1));
            longer.extend_from_slice(&pem);
            longer.extend_from_slice(part);
            longer.push(b'\n');
            pem = longer;
        }
        Ok(Identity { pem })
    }

    /// One key of it, as text, without a line break at its end.
    pub(in crate::providers::http) fn text(&self, key: &str) -> Result<&str, Error> {
        let bytes = self.data.get(key).ok_or_else(|| self.wrong(&format!("it has no key {key:?}")))?;
        let text = std::str::from_utf8(bytes).map_err(|_| self.wrong(&format!("its key {key:?} is no text")))?;
        match text.trim_end_matches(['\r', '\n']) {
            "" => Err(self.wrong(&format!("its key {key:?} is empty"))),
            text => Ok(text),
        }
    }

    /// The id of a client: as the provider object says it, or a key of the Secret.
    pub(super) fn client_id(&self, said: Option<&str>, key: Option<&str>) -> Result<String, Error> {
        match said {
            Some(said) => Ok(said.to_owned()),
            None => self.text(key.unwrap_or(CLIENT_ID)).map(str::to_owned),
        }
    }

    /// A client assertion, signed with a key of the Secret.
    pub(super) fn signed(
        &self,
        key: &str,
        algorithm: SigningAlgorithm,
        claims: &AssertionClaims<'_>,
    ) -> Result<Zeroizing<String>, Error> {
        let pem = self.text(key)?.as_bytes();
        self.is_short(key, pem)?;
        assertion::sign(pem, algorithm, claims).map_err(|why| self.wrong(&format!("its key {key:?} {why}")))
    }

    /// Whether a certificate or a key is not longer than any is: it is read for every call.
    fn is_short(&self, key: &str, pem: &[u8]) -> Result<(), Error> {
        match pem.len() > MAX_PEM {
            true => Err(self.wrong(&format!("its key {key:?} is longer than {} KiB", MAX_PEM >> 10))),
            false => Ok(()),
        }
    }

    /// The Secret, as its namespace and name.
    pub(super) fn secret(&self) -> &str {
        &self.secret
    }

    /// A digest of all of it: tells whether it was replaced, not what it is.
    pub(super) fn digest(&self, settings: &impl serde::Serialize) -> [u8; 32] {
        let made = [ASSERTION, SERVICE_ACCOUNT_TOKEN, SESSION];
        let mut hash = Sha256::new();
        let settings = serde_json::to_vec(settings).unwrap_or_default();
        let parts = self.data.iter().filter(|(key, _)| !made.contains(&key.as_str()));
        let parts = parts.flat_map(|(key, value)| [key.as_bytes(), value.as_slice()]);
        for part in parts.chain([settings.as_slice()]) {
            hash.update(u64::try_from(part.len()).unwrap_or(u64::MAX).to_be_bytes());
            hash.update(part);
        }
        hash.finalize().into()
    }

    /// Something of it that cannot be used.
    pub(in crate::providers::http) fn wrong(&self, why: &str) -> Error {
        Error::new(Class::Invalid, format!("Secret {}: {why}", self.secret))
    }
}

/// HTTP Basic authentication (RFC 7617). OAuth 2.0 encodes both parts as in forms first (RFC 6749, section 2.3.1),
/// which also makes a colon possible.
pub(super) fn basic_header(data: &BTreeMap<String, Vec<u8>>, basic: &HttpBasic) -> Result<HeaderValue, String> {
    let text = |key: &str| {
        let bytes = data.get(key).ok_or_else(|| format!("it has no key {key:?}"))?;
        let text = std::str::from_utf8(bytes).map_err(|_| format!("its key {key:?} is no text"))?;
        Ok::<_, String>(text.trim_end_matches(['\r', '\n']))
    };
    let encoded = |text: &str| match basic.form_encoded {
        true => form_urlencoded::byte_serialize(text.as_bytes()).collect(),
        false => text.to_owned(),
    };
    let username = basic.username.as_deref().map_or_else(|| text(&basic.username_key), Ok)?;
    let (username, password) = (encoded(username), Zeroizing::new(encoded(text(&basic.password_key)?)));
    if username.contains(':') {
        return Err("the user name has a colon, which HTTP Basic authentication cannot show".to_owned());
    }
    basic_value(&username, &password)
}

/// The header of HTTP Basic authentication.
pub(super) fn basic_value(username: &str, password: &str) -> Result<HeaderValue, String> {
    let shown = Zeroizing::new(BASE64_STANDARD.encode(Zeroizing::new(format!("{username}:{password}"))));
    let mut value = HeaderValue::try_from(format!("Basic {}", *shown))
        .map_err(|_| "it has characters that a header cannot carry".to_owned())?;
    value.set_sensitive(true);
    Ok(value)
}
