//! Who the operator is at an API, read from its Secret for every call, and what all drivers of recipes share.

use std::{collections::BTreeMap, sync::Arc};

use base64::{Engine, prelude::BASE64_STANDARD};
use http::{HeaderName, HeaderValue, header};
use jiff::Timestamp;
use k8s_openapi::api::core::v1::Secret;
use kube::Client;
use sha2::{Digest, Sha256};
use url::form_urlencoded;
use zeroize::{Zeroize, Zeroizing};

use super::{
    admin_tokens::AdminTokens,
    assertion::{self, Claims},
    clients::{Clients, Identity},
    compiled::Recipes,
    guard::Reach,
    proven::Proven,
    recipe::{Credential, Shown},
    render::{Scope, header_value},
    service_account,
    throttle::Throttle,
};
use crate::{
    api::{
        ProviderKind,
        names::{ROLE_LABEL, ROLE_TARGET},
        provider::http::{HttpBasic, HttpClientCertificate, SigningAlgorithm},
    },
    connect::{
        objects::{Api, bad_name},
        trouble,
    },
    core::ledger::kept::Kept,
    providers::{Class, Error},
};

/// The substitution of an assertion.
pub(super) const ASSERTION: &str = "assertion";

/// The substitution of the token of a ServiceAccount.
pub(super) const SERVICE_ACCOUNT_TOKEN: &str = "serviceAccountToken";

/// The substitution of what a login gives.
pub(super) const SESSION: &str = "session";

/// Key of a client's id, where nothing else is said.
const CLIENT_ID: &str = "clientId";

/// Longest certificate chain, or private key, in PEM.
const MAX_PEM: usize = 32 << 10;

/// What all drivers of recipes share.
#[derive(Clone)]
pub struct Shared {
    kubernetes: Client,
    /// Namespace of the operator: of the credentials of cluster-wide providers.
    namespace: Arc<str>,
    pub(super) reach: Arc<Reach>,
    pub throttle: Throttle,
    pub(super) clients: Clients,
    pub(super) admin_tokens: AdminTokens,
    pub(super) recipes: Recipes,
    pub(super) proven: Proven,
    /// Copies of Secrets, for an object that goes and whose namespace may have taken them before.
    kept: Arc<Kept>,
}

impl Shared {
    /// Reads credentials with `kubernetes`; those of cluster-wide providers in `namespace`.
    #[must_use]
    pub fn new(kubernetes: Client, namespace: &str, reach: Reach) -> Self {
        Self {
            kubernetes,
            namespace: namespace.into(),
            reach: Arc::new(reach),
            throttle: Throttle::default(),
            clients: Clients::default(),
            admin_tokens: AdminTokens::default(),
            recipes: Recipes::default(),
            proven: Proven::default(),
            kept: Arc::default(),
        }
    }

    /// The same with copies of Secrets that may be gone.
    #[must_use]
    pub fn with_kept(self, kept: Arc<Kept>) -> Self {
        Self { kept, ..self }
    }

    /// Where a provider object's Secrets are: beside it, or where the operator runs.
    pub(super) fn namespace_of<'a>(&'a self, kind: ProviderKind, namespace: &'a str) -> &'a str {
        match kind {
            ProviderKind::TokenProvider => namespace,
            ProviderKind::ClusterTokenProvider => &self.namespace,
        }
    }

    /// What the credential's Secret holds, what is signed with it, and a token of its ServiceAccount.
    pub(super) async fn data(&self, namespace: &str, credential: &Credential) -> Result<Data, Error> {
        let held = match &credential.secret {
            None => BTreeMap::new(),
            Some(secret) => self.read(namespace, secret, "the credential").await?,
        };
        let secret = credential.secret.as_deref().unwrap_or_default();
        let mut data = Data { data: held, secret: format!("{namespace}/{secret}") };
        if let Some(account) = &credential.service_account {
            let token = service_account::token(&self.kubernetes, namespace, account).await?;
            data.put(SERVICE_ACCOUNT_TOKEN, token.as_bytes());
        }
        if let Some(wanted) = &credential.assertion {
            let client_id = data.client_id(wanted.client_id.as_deref(), wanted.client_id_key.as_deref())?;
            let claims = Claims {
                client_id: &client_id,
                audience: &wanted.audience,
                key_id: wanted.key_id.as_deref(),
                now: Timestamp::now(),
            };
            let signed = data.signed(&wanted.private_key_key, wanted.algorithm, &claims)?;
            data.put(ASSERTION, signed.as_bytes());
        }
        Ok(data)
    }

    /// The header that shows the user name and the password of a Secret to a proxy.
    pub(super) async fn proxy_authorization(&self, namespace: &str, name: &str) -> Result<HeaderValue, Error> {
        let data = self.read(namespace, name, "the proxy").await?;
        let data = Data { data, secret: format!("{namespace}/{name}") };
        let [username_key, password_key] = ["username", "password"].map(str::to_owned);
        let basic = HttpBasic { username: None, username_key, password_key, form_encoded: false };
        basic_header(&data.data, &basic).map_err(|why| data.wrong(&why))
    }

    async fn read(&self, namespace: &str, name: &str, whose: &str) -> Result<BTreeMap<String, Vec<u8>>, Error> {
        let secrets: Api<Secret> = Api::namespaced(self.kubernetes.clone(), namespace);
        let found = secrets.get_opt(name).await.map_err(|error| match bad_name(&error) {
            Some(why) => Error::new(Class::Invalid, format!("the Secret of {whose}: {why}; correct the reference")),
            None => {
                let why = trouble::why(&error);
                Error::new(
                    Class::Unavailable,
                    format!("the Secret {namespace}/{name} of {whose} cannot be read: {why}"),
                )
            }
        })?;
        let Some(secret) = found else {
            let kept = self.kept.secrets.get(name).filter(|_| namespace != &*self.namespace);
            if let Some(kept) = kept {
                tracing::debug!(
                    secret = %format_args!("{namespace}/{name}"),
                    "a Secret went before the tokens that depend on it; its copy is shown"
                );
                return Ok(kept.iter().map(|(key, value)| (key.clone(), value.expose().to_vec())).collect());
            }
            let message = format!("the Secret {namespace}/{name} of {whose} does not exist; create it");
            return Err(Error::new(Class::CredentialMissing, message));
        };
        // Records hold the tokens of all; a provider object must not be a way to read them. A target is a Secret like any other of its
        // namespace: so the operator's own credential can be rotated.
        let role = secret.metadata.labels.as_ref().and_then(|labels| labels.get(ROLE_LABEL));
        if role.is_some_and(|role| role != ROLE_TARGET) {
            let message = format!("the Secret {namespace}/{name} is written by tokenturn and cannot be a credential");
            return Err(Error::new(Class::Invalid, message));
        }
        Ok(secret.data.unwrap_or_default().into_iter().map(|(key, value)| (key, value.0)).collect())
    }
}

/// What a credential's Secret holds; overwritten when it is dropped.
pub(super) struct Data {
    data: BTreeMap<String, Vec<u8>>,
    secret: String,
}

impl Drop for Data {
    fn drop(&mut self) {
        self.data.values_mut().for_each(Zeroize::zeroize);
    }
}

impl Data {
    /// Adds what stands for a substitution; it hides a key of that name.
    pub(super) fn put(&mut self, name: &str, value: &[u8]) {
        let hidden = self.data.insert(name.to_owned(), value.to_vec());
        hidden.into_iter().for_each(|mut hidden| hidden.zeroize());
    }

    /// For the templates of requests.
    pub(super) fn keys(&self) -> &BTreeMap<String, Vec<u8>> {
        &self.data
    }

    /// The headers that show the credential.
    pub(super) fn headers(&self, shown: &Shown) -> Result<Vec<(HeaderName, HeaderValue)>, Error> {
        let headers = match shown {
            Shown::Nowhere => Ok(Vec::new()),
            Shown::Headers(headers) => {
                let scope = Scope { credential: Some(&self.data), ..Scope::default() };
                let rendered =
                    headers.iter().map(|(name, template)| Ok((name.clone(), header_value(name, template, &scope)?)));
                rendered.collect::<Result<Vec<_>, String>>()
            }
            Shown::Basic(basic) => basic_header(&self.data, basic).map(|value| vec![(header::AUTHORIZATION, value)]),
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
    pub(super) fn text(&self, key: &str) -> Result<&str, Error> {
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
        claims: &Claims<'_>,
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
    pub(super) fn wrong(&self, why: &str) -> Error {
        Error::new(Class::Invalid, format!("Secret {}: {why}", self.secret))
    }
}

/// HTTP Basic authentication (RFC 7617). OAuth 2.0 encodes both parts as in forms first (RFC 6749, section 2.3.1), which also
/// makes a colon possible.
fn basic_header(data: &BTreeMap<String, Vec<u8>>, basic: &HttpBasic) -> Result<HeaderValue, String> {
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
    let mut value =
        HeaderValue::try_from(format!("Basic {}", *shown)).map_err(|_| "it cannot stand in a header".to_owned())?;
    value.set_sensitive(true);
    Ok(value)
}
