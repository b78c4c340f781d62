//! A token is created: the Secret that it is bound to, then the token.

use jiff::Timestamp;
use k8s_openapi::api::authentication::v1::TokenRequest;
use kube::api::PostParams;
use zeroize::Zeroize;

use super::{
    Kubernetes,
    bound::{self, Bound},
    errors::{CallError, call},
    review,
};
use crate::{
    api::names::FIELD_MANAGER,
    connect::objects,
    providers::{Class, Error, Request},
    secret_value::SecretValue,
};

impl Kubernetes {
    /// Creates a token and what it is bound to.
    pub(super) async fn create_token(
        &self,
        request: &Request,
        account: &str,
    ) -> Result<(Bound, SecretValue, Timestamp), Error> {
        let bound = self.create_bound_secret(request).await?;
        let (value, expires_at) = self.request_token(request, account, &bound).await?;
        Ok((bound, value, expires_at))
    }

    /// Creates the Secret that a token is to be bound to. No token exists yet.
    async fn create_bound_secret(&self, request: &Request) -> Result<Bound, Error> {
        let owner = &request.owner;
        let tried = || {
            format!("cannot create Secret {}/{}, to which the new token would be bound", owner.namespace, request.id)
        };
        let created = call(self.secrets(owner).create(&post_params(), &bound::secret(request)))
            .await
            .map_err(|failure| failure.of_create(tried()))?;
        match (created.metadata.uid, created.metadata.creation_timestamp) {
            (Some(uid), Some(time)) => Ok(Bound { name: request.id.clone(), uid, created: time.0 }),
            _ => Err(CallError::unreadable().of_create(tried())),
        }
    }

    /// Sends the TokenRequest. A Secret whose token was refused stays behind; the next sweep lists and deletes it.
    async fn request_token(
        &self,
        request: &Request,
        account: &str,
        bound: &Bound,
    ) -> Result<(SecretValue, Timestamp), Error> {
        let namespace = &request.owner.namespace;
        let tried = || format!("cannot mint a token of ServiceAccount {account} in namespace {namespace}");
        let path =
            objects::token_path(namespace, account).map_err(|error| CallError::from(&error).of_create(tried()))?;
        let body = bound::token_request(bound, request.lifetime);
        let sent = review::post(&path, &body).map_err(|failure| failure.of_create(tried()))?;
        let mut text = match call(self.client.request_text(sent)).await {
            Ok(text) => text,
            Err(failure) if failure.is(404) => {
                // Either the account is missing, or somebody deleted the Secret in between.
                self.find_account(&request.owner, account).await?;
                return Err(Error::new(Class::Conflict, format!("{}: Secret {} is gone", tried(), bound.name)));
            }
            Err(failure) => return Err(failure.of_create(tried())),
        };
        // Decoded here because the client would log an answer that it cannot read.
        let answer =
            serde_json::from_str::<TokenRequest>(&text).map_err(|_| CallError::unreadable().of_create(tried()));
        text.zeroize();
        let status = answer?.status.ok_or_else(|| CallError::unreadable().of_create(tried()))?;
        let value = SecretValue::new(status.token);
        if value.is_empty() {
            Err(CallError::unreadable().of_create(tried()))
        } else {
            Ok((value, status.expiration_timestamp.0))
        }
    }
}

fn post_params() -> PostParams {
    PostParams { field_manager: Some(FIELD_MANAGER.to_owned()), ..PostParams::default() }
}
