//! Who the operator is at an API, read from its Secret for every call, and what all drivers of recipes share.

use std::{
    collections::{BTreeMap, HashMap},
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use base64::{Engine, prelude::BASE64_STANDARD};
use http::{HeaderName, HeaderValue, header};
use k8s_openapi::api::core::v1::Secret;
use kube::{Api, Client};
use url::form_urlencoded;
use zeroize::{Zeroize, Zeroizing};

use super::{
    guard::Reach,
    recipe::{Credential, Shown},
    render::{Scope, header_value},
    throttle::Throttle,
    transport,
};
use crate::{
    api::{ProviderKind, names::ROLE_LABEL, provider::http::HttpBasic},
    providers::{Class, Error},
};

/// Clients that are kept; beyond that all are made anew.
const MAX_CLIENTS: usize = 64;

type ClientKey = (Option<String>, Duration);

/// What all drivers of recipes share.
#[derive(Clone)]
pub struct Shared {
    kubernetes: Client,
    /// Namespace of the operator: of the credentials of cluster-wide providers.
    namespace: Arc<str>,
    pub(super) reach: Arc<Reach>,
    pub(super) throttle: Throttle,
    clients: Arc<Mutex<HashMap<ClientKey, reqwest::Client>>>,
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
            clients: Arc::default(),
        }
    }

    /// Where a provider object's Secrets are: beside it, or where the operator runs.
    pub(super) fn namespace_of<'a>(&'a self, kind: ProviderKind, namespace: &'a str) -> &'a str {
        match kind {
            ProviderKind::TokenProvider => namespace,
            ProviderKind::ClusterTokenProvider => &self.namespace,
        }
    }

    /// A client, made once for each set of certificates.
    pub(super) fn client(&self, ca_bundle: Option<&str>, timeout: Duration) -> Result<reqwest::Client, String> {
        let key = (ca_bundle.map(str::to_owned), timeout);
        let mut clients = self.clients.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(client) = clients.get(&key) {
            return Ok(client.clone());
        }
        let client = transport::client(ca_bundle, timeout, &self.reach)?;
        if clients.len() >= MAX_CLIENTS {
            clients.clear();
        }
        clients.insert(key, client.clone());
        Ok(client)
    }

    /// What the credential's Secret holds.
    pub(super) async fn data(&self, namespace: &str, credential: &Credential) -> Result<Data, Error> {
        let data = self.read(namespace, &credential.secret).await?;
        Ok(Data { data, secret: format!("{namespace}/{}", credential.secret) })
    }

    async fn read(&self, namespace: &str, name: &str) -> Result<BTreeMap<String, Vec<u8>>, Error> {
        let secrets: Api<Secret> = Api::namespaced(self.kubernetes.clone(), namespace);
        let found = secrets.get_opt(name).await.map_err(|error| {
            let why = match &error {
                kube::Error::Api(status) => status.message.clone(),
                other => other.to_string(),
            };
            Error::new(
                Class::Unavailable,
                format!("the Secret {namespace}/{name} of the credential cannot be read: {why}"),
            )
        })?;
        let Some(secret) = found else {
            let message = format!("the Secret {namespace}/{name} of the credential does not exist; create it");
            return Err(Error::new(Class::Invalid, message));
        };
        // Records and targets hold tokens of others; a provider object must not be a way to read them.
        if secret.metadata.labels.iter().flatten().any(|(name, _)| name == ROLE_LABEL) {
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
        headers.map_err(|why| Error::new(Class::Invalid, format!("Secret {}: {why}", self.secret)))
    }
}

/// HTTP Basic authentication (RFC 7617). OAuth 2.0 encodes both parts as in forms first (RFC 6749, section 2.3.1), which also
/// makes a colon possible.
fn basic_header(data: &BTreeMap<String, Vec<u8>>, basic: &HttpBasic) -> Result<HeaderValue, String> {
    let part = |key: &str| {
        let bytes = data.get(key).ok_or_else(|| format!("it has no key {key:?}"))?;
        let text = std::str::from_utf8(bytes).map_err(|_| format!("its key {key:?} is no text"))?;
        let text = text.trim_end_matches(['\r', '\n']);
        Ok::<_, String>(match basic.form_encoded {
            true => form_urlencoded::byte_serialize(text.as_bytes()).collect(),
            false => text.to_owned(),
        })
    };
    let (username, password) = (part(&basic.username_key)?, Zeroizing::new(part(&basic.password_key)?));
    if username.contains(':') {
        return Err("the user name has a colon, which HTTP Basic authentication cannot show".to_owned());
    }
    let shown = Zeroizing::new(BASE64_STANDARD.encode(Zeroizing::new(format!("{username}:{}", *password))));
    let mut value =
        HeaderValue::try_from(format!("Basic {}", *shown)).map_err(|_| "it cannot stand in a header".to_owned())?;
    value.set_sensitive(true);
    Ok(value)
}
