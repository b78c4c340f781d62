//! What all drivers of recipes share, and how Secrets are read for them.

use std::{collections::BTreeMap, sync::Arc};

use http::HeaderValue;
use jiff::Timestamp;
use k8s_openapi::api::core::v1::Secret;
use kube::Client;

use super::{
    assertion::AssertionClaims,
    held::AdminTokens,
    secret::{CredentialData, basic_header},
    service_account,
};
use crate::{
    api::{
        ProviderKind,
        names::{ROLE_LABEL, ROLE_TARGET},
        provider::http::HttpBasic,
    },
    connect::{
        objects::{Api, bad_name},
        trouble,
    },
    core::ledger::kept::Kept,
    providers::{
        Class, Error,
        http::{
            recipe::{
                cache::Recipes,
                credential::{ASSERTION, Credential, SERVICE_ACCOUNT_TOKEN},
                proofs::RecipeProofs,
            },
            send::{clients::Clients, guard::Reach, throttle::Throttle},
        },
    },
};

/// What all drivers of recipes share.
#[derive(Clone)]
pub struct Shared {
    kubernetes: Client,
    /// Namespace of the operator: of the credentials of cluster-wide providers.
    namespace: Arc<str>,
    pub(in crate::providers::http) reach: Arc<Reach>,
    pub throttle: Throttle,
    pub(super) clients: Clients,
    pub(super) admin_tokens: AdminTokens,
    pub(in crate::providers::http) recipes: Recipes,
    pub(in crate::providers::http) proofs: RecipeProofs,
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
            proofs: RecipeProofs::default(),
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
    pub(in crate::providers::http) async fn data(
        &self,
        namespace: &str,
        credential: &Credential,
    ) -> Result<CredentialData, Error> {
        let held = match &credential.secret {
            None => BTreeMap::new(),
            Some(secret) => self.read(namespace, secret, "the credential").await?,
        };
        let secret = credential.secret.as_deref().unwrap_or_default();
        let mut data = CredentialData { data: held, secret: format!("{namespace}/{secret}") };
        if let Some(account) = &credential.service_account {
            let token = service_account::token(&self.kubernetes, namespace, account).await?;
            data.put(SERVICE_ACCOUNT_TOKEN, token.as_bytes());
        }
        if let Some(wanted) = &credential.assertion {
            let client_id = data.client_id(wanted.client_id.as_deref(), wanted.client_id_key.as_deref())?;
            let claims = AssertionClaims {
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
        let data = CredentialData { data, secret: format!("{namespace}/{name}") };
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
        // Records hold the tokens of all; a provider object must not be a way to read them. A target is a Secret like
        // any other of its namespace: so the operator's own credential can be rotated.
        let role = secret.metadata.labels.as_ref().and_then(|labels| labels.get(ROLE_LABEL));
        if role.is_some_and(|role| role != ROLE_TARGET) {
            let message = format!("the Secret {namespace}/{name} is written by tokenturn and cannot be a credential");
            return Err(Error::new(Class::Invalid, message));
        }
        Ok(secret.data.unwrap_or_default().into_iter().map(|(key, value)| (key, value.0)).collect())
    }
}
