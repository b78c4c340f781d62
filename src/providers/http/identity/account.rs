//! The account at a provider that calls are about: a provider object, as a namespace sees it.

use std::{sync::Arc, time::Duration};

use serde_json::Value;

use super::{secret::CredentialData, shared::Shared};
use crate::{
    api::ProviderRef,
    core::token::Specification,
    providers::{
        Class, Error,
        http::{
            message::render::{Parameters, Scope},
            recipe::{
                Recipe,
                credential::{Credential, ProxySettings},
                operation::Operation,
            },
            send::{
                client::{Client, Identity},
                proxy::ProxyRoute,
                throttle::AccountLimiter,
            },
        },
    },
};

/// How a provider object is called: its recipe, and what all drivers share.
#[derive(Clone)]
pub(in crate::providers::http) struct Connection {
    pub recipe: Arc<Recipe>,
    /// How long a call may take.
    pub timeout: Duration,
    pub ca_bundle: Option<Arc<str>>,
    pub reference: ProviderRef,
    pub shared: Shared,
}

impl Connection {
    /// The account, for what is in a namespace: of an owner nothing else counts.
    pub fn account<'a>(&'a self, namespace: &'a str) -> Account<'a> {
        let namespace = self.shared.namespace_of(self.reference.kind, namespace);
        let object = format!("{}/{namespace}/{}", self.reference.kind.as_str(), self.reference.name);
        let secret = self.recipe.credential.as_ref().and_then(|credential| credential.secret.as_ref());
        // It is the same for provider objects with the same address and the same Secret.
        let limiter = match secret {
            None => self.shared.throttle.limiter(&object),
            Some(secret) => {
                let origin = self.recipe.base.origin().ascii_serialization();
                self.shared.throttle.limiter(&format!("{origin} {namespace}/{secret}"))
            }
        };
        Account { connection: self, namespace, object, limiter }
    }
}

/// An account at a provider. What the driver does with it is in `operation`.
pub(in crate::providers::http) struct Account<'a> {
    pub connection: &'a Connection,
    /// Where the provider object's Secrets are.
    pub namespace: &'a str,
    /// The provider object's name among all.
    pub object: String,
    /// What all its tokens share.
    pub(super) limiter: AccountLimiter,
}

/// Who the operator is in a call: what its Secret says, and a client that shows its certificate, if it has one.
pub(in crate::providers::http) struct OperatorIdentity {
    pub data: CredentialData,
    pub client: Client,
}

impl<'a> Account<'a> {
    pub fn recipe(&self) -> &'a Recipe {
        &self.connection.recipe
    }

    pub fn shared(&self) -> &'a Shared {
        &self.connection.shared
    }

    /// Where an operation's request goes, for messages.
    pub fn host(&self, operation: &'a Operation) -> &'a str {
        operation.request.base.as_ref().unwrap_or(&self.recipe().base).host_str().unwrap_or_default()
    }

    /// The parameters and permissions of a specification, for templates.
    pub fn scope<'b>(&self, specification: &'b Specification, permissions: &'b [Value]) -> Scope<'b>
    where
        'a: 'b,
    {
        Scope {
            permissions,
            parameters: Some(Parameters { known: &self.recipe().parameters, given: &specification.parameters }),
            ..Scope::default()
        }
    }

    /// What to look at where the credential is not accepted.
    pub fn remedy(&self) -> String {
        match &self.recipe().credential {
            Some(credential) => format!("check {}", credential.describe()),
            None => "the provider object names no credential".to_owned(),
        }
    }

    /// Who we are, read anew.
    ///
    /// # Errors
    /// What is wrong with the Secret, the certificate, or the way through the proxy.
    pub async fn operator(&self, credential: &Credential) -> Result<OperatorIdentity, Error> {
        let data = self.shared().data(self.namespace, credential).await?;
        let identity = credential.certificate.as_ref().map(|wanted| data.identity(wanted)).transpose()?;
        let route = self.proxy_route().await?;
        let client = self.client(identity.as_ref(), route).map_err(|error| match identity {
            // What is wrong may be in the Secret.
            Some(_) if error.class() == Class::Invalid => data.wrong(&error.to_string()),
            _ => error,
        })?;
        Ok(OperatorIdentity { data, client })
    }

    /// The way through the proxy, with its Secret read anew.
    ///
    /// # Errors
    /// What is wrong with that Secret.
    pub async fn proxy_route(&self) -> Result<Option<ProxyRoute>, Error> {
        let Some(ProxySettings { url, secret }) = &self.recipe().proxy else { return Ok(None) };
        let url = url.clone();
        let Some(name) = secret else { return Ok(Some(ProxyRoute { url, authorization: None, secret: None })) };
        let authorization = Some(self.shared().proxy_authorization(self.namespace, name).await?);
        Ok(Some(ProxyRoute { url, authorization, secret: Some(format!("{}/{name}", self.namespace)) }))
    }

    /// A client that shows nobody to the API.
    ///
    /// # Errors
    /// What is wrong with the certificates, or with the way through the proxy.
    pub async fn plain_client(&self) -> Result<Client, Error> {
        let route = self.proxy_route().await?;
        self.client(None, route)
    }

    fn client(&self, identity: Option<&Identity>, route: Option<ProxyRoute>) -> Result<Client, Error> {
        let Connection { reference, ca_bundle, shared, .. } = self.connection;
        let reach = shared.reach.of(reference.kind, self.namespace, &reference.name);
        shared.clients.get(ca_bundle.as_deref(), identity, route, reach)
    }
}
