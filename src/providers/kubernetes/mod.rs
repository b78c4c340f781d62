//! Tokens of ServiceAccounts, by the TokenRequest API.
//!
//! Each token is bound to a small Secret of its own. The Secret's name is the token's id, so listing these Secrets
//! lists the tokens, and deleting one revokes its token: the API server refuses a token whose Secret is gone.
//!
//! Guarantees: no call is repeated here; no call outlives [`errors::DEADLINE`]; only Secrets with our labels and a name
//! of the asking owner are listed, and only by UID are they deleted; a value is in requests and answers only, never in
//! a message.
//!
//! Assumes: the client does not repeat requests by itself (`Config::default_retry` is off), because a create must be
//! sent once; the API server remembers an accepted token for ten seconds, its default, which cannot be set.
//!
//! Limit: permissions are compared in the owner's namespace. A cluster-scoped resource that is granted by a
//! RoleBinding, where it has no effect, counts as granted.

mod access;
mod bound;
mod create;
mod errors;
mod permission;
mod preflight;
mod review;
mod rules;
mod specification;
mod vocabulary;

use std::{
    sync::{Arc, OnceLock},
    time::Duration,
};

use futures::future::join3;
use k8s_openapi::api::core::v1::Secret;
use kube::{
    Client, Config,
    api::{DeleteParams, ListParams, Preconditions},
};

use self::{
    errors::{CallError, call},
    permission::Permission,
    review::{Caller, Review},
    specification::{Wanted, understand, wanted},
};
use super::{
    Capabilities, Class, Error, Expiry, Inspect, LostAnswer, Minted, Problem, Provider, Request, RevokeBy, Strategy,
    Subject,
};
use crate::{
    connect::objects::Api,
    core::{
        ledger::revocable::Revocable,
        token::{Census, Handle, Issued, Listed, Liveness, Owner, Specification, Verification},
    },
    secret_value::TokenSet,
};

/// New tokens work at once; this is for API servers that learn of a Secret or a binding late.
const ACTIVATION: Duration = Duration::from_secs(60);

/// The ten seconds for which an API server remembers an accepted token, and a little more.
const PROPAGATION: Duration = Duration::from_secs(12);

/// The driver for tokens of the cluster itself.
#[derive(Clone)]
pub struct Kubernetes {
    client: Client,
    config: Config,
    /// What was found right before a mint, see [`preflight`].
    checked: preflight::Checked,
    /// Has no credential: new tokens are tried with it. Made when it is first needed.
    anonymous: Arc<OnceLock<Client>>,
}

impl Kubernetes {
    /// A driver that mints and revokes with `client`, which must not repeat requests by itself. `config` says how to
    /// reach the same API server; its credential is not used, new tokens are tried in its place.
    #[must_use]
    pub fn new(client: Client, config: Config) -> Self {
        Self { client, config, checked: preflight::Checked::default(), anonymous: Arc::default() }
    }

    fn anonymous(&self) -> Result<&Client, CallError> {
        if let Some(client) = self.anonymous.get() {
            return Ok(client);
        }
        let client = review::anonymous(&self.config)?;
        Ok(self.anonymous.get_or_init(|| client))
    }

    fn secrets(&self, owner: &Owner) -> Api<Secret> {
        Api::namespaced(self.client.clone(), &owner.namespace)
    }

    /// Whether the Secret that a token is bound to is still the same.
    async fn bound_secret(&self, owner: &Owner, name: &str, uid: &str) -> Result<Presence, Error> {
        let found = call(self.secrets(owner).get_metadata_opt(name)).await;
        let found =
            found.map_err(|failure| failure.of_repeatable(format!("cannot read Secret {}/{name}", owner.namespace)))?;
        Ok(match found.filter(|secret| secret.metadata.uid.as_deref() == Some(uid)) {
            None => Presence::Absent,
            Some(secret) if secret.metadata.deletion_timestamp.is_some() => Presence::Deleting,
            Some(_) => Presence::Present,
        })
    }

    async fn review(&self, token: &str) -> Result<Review, Error> {
        review::review(&self.client, token)
            .await
            .map_err(|failure| failure.of_repeatable("cannot verify the token at the API server"))
    }

    /// Tries the token: asks with it for the rules that it was granted, and compares.
    async fn compare(&self, owner: &Owner, wanted: &Wanted, token: &str) -> Result<Verification, Error> {
        let tried = || format!("cannot read the permissions of the new token in namespace {}", owner.namespace);
        let anonymous = self.anonymous().map_err(|failure| failure.of_repeatable(tried()))?;
        let caller = Caller::with_token(anonymous, token);
        let granted = match access::granted_rules(caller, &owner.namespace).await {
            Ok(granted) => granted,
            Err(failure) if failure.is(401) => {
                return Ok(Verification::NotYet { why: "the API server does not accept the token yet".to_owned() });
            }
            Err(failure) => return Err(failure.of_repeatable(tried())),
        };
        let mut missing: Vec<&Permission> = wanted
            .permissions
            .iter()
            .filter(|permission| !rules::grants(&granted.resource_rules, permission))
            .collect();
        // Authorizers that cannot list their rules, such as webhooks, can still be asked one by one.
        if granted.incomplete || granted.evaluation_error.is_some() {
            missing = access::still_missing(caller, &owner.namespace, missing)
                .await
                .map_err(|failure| failure.of_repeatable(tried()))?;
        }
        if missing.is_empty() {
            let surplus = rules::surplus(&granted.resource_rules, &wanted.permissions);
            return Ok(Verification::Works { surplus, expires_at: review::expiry(token) });
        }
        Ok(Verification::Insufficient { missing: missing.into_iter().map(Permission::explain_missing).collect() })
    }
}

/// What the provider can do.
#[must_use]
pub fn capabilities() -> Capabilities {
    Capabilities {
        strategy: Strategy::Overlap,
        revoke_by: RevokeBy::BoundObject,
        expiry: Expiry::Requested,
        lost_answer: LostAnswer::ListAndRevoke,
        label: true,
        shows_surplus: true,
        tells_last_use: false,
        fields: vec![TokenSet::TOKEN.to_owned()],
        activation: ACTIVATION,
        propagation: PROPAGATION,
    }
}

impl Inspect for Kubernetes {
    fn name(&self) -> &'static str {
        "kubernetes"
    }

    fn capabilities(&self) -> Capabilities {
        capabilities()
    }

    fn check(&self, specification: &Specification) -> Vec<Problem> {
        understand(specification).err().unwrap_or_default()
    }

    async fn preflight(&self, subject: Subject<'_>) -> Result<Option<Census>, Error> {
        let Subject { owner, specification, .. } = subject;
        let wanted = wanted(specification)?;
        let (rights, account, vocabulary) = join3(
            self.check_own_rights(owner, &wanted.account),
            self.check_account(owner, &wanted.account),
            self.check_vocabulary(&wanted.permissions),
        )
        .await;
        rights.and(account).and(vocabulary).map(|()| None)
    }

    async fn list(&self, subject: Subject<'_>) -> Result<Vec<Listed>, Error> {
        let Subject { owner, naming, .. } = subject;
        let selector = bound::selector(owner);
        let found = call(self.secrets(owner).list_metadata(&ListParams::default().labels(&selector))).await;
        let found = found.map_err(|failure| {
            failure.of_repeatable(format!("cannot list the Secrets of namespace {}", owner.namespace))
        })?;
        Ok(found.items.into_iter().filter_map(|secret| bound::listed(secret.metadata, naming)).collect())
    }

    async fn verify(&self, subject: Subject<'_>, values: &TokenSet) -> Result<Verification, Error> {
        let Subject { owner, specification, .. } = subject;
        let wanted = wanted(specification)?;
        let Some(token) = token(values) else {
            return Ok(Verification::Dead { why: "there is no readable value named token".to_owned() });
        };
        let expected = format!("system:serviceaccount:{}:{}", owner.namespace, wanted.account);
        match self.review(token).await? {
            // An API server may learn of the bound Secret late; how long that is believed is for the caller to say.
            Review::NotAccepted { why } if !why.contains(review::EXPIRED) => {
                Ok(Verification::NotYet { why: format!("the API server does not accept the token: {why}") })
            }
            Review::NotAccepted { why } => Ok(Verification::Dead { why }),
            Review::Accepted { username } if username != expected => {
                Ok(Verification::Dead { why: format!("it is a token of {username:?}, not of {expected:?}") })
            }
            Review::Accepted { .. } => self.compare(owner, &wanted, token).await,
        }
    }

    async fn liveness(
        &self,
        subject: Subject<'_>,
        issued: &Issued,
        values: Option<&TokenSet>,
    ) -> Result<Liveness, Error> {
        let owner = subject.owner;
        let (name, uid) = bound_object(&issued.handle)?;
        let why = match values.and_then(token) {
            None => None,
            Some(token) => match self.review(token).await? {
                // A review remembers for ten seconds what it accepted.
                Review::Accepted { .. } => {
                    return Ok(match self.bound_secret(owner, name, uid).await? {
                        Presence::Absent | Presence::Deleting => Liveness::Ending,
                        Presence::Present => Liveness::Alive,
                    });
                }
                Review::NotAccepted { why } => Some(why),
            },
        };
        // The review alone is no proof: it also says no when the API server failed to look the Secret up.
        match (self.bound_secret(owner, name, uid).await?, why) {
            (Presence::Absent, _) => Ok(Liveness::Gone),
            (Presence::Present | Presence::Deleting, None) => Ok(Liveness::Alive),
            // Somebody's finalizer can hold a deleted Secret for ever; the token is refused all the same.
            (Presence::Deleting, Some(_)) => Ok(Liveness::Gone),
            (Presence::Present, Some(why)) if review::is_final(&why) => Ok(Liveness::Gone),
            (Presence::Present, Some(why)) => {
                let message = format!(
                    "the API server does not accept the token bound to Secret {}/{name}, which exists: {why}",
                    owner.namespace
                );
                Err(Error::new(Class::Unavailable, message))
            }
        }
    }
}

impl Provider for Kubernetes {
    async fn create(&self, request: &Request) -> Result<Minted, Error> {
        let wanted = wanted(&request.specification)?;
        let created = self.create_token(request, &wanted.account).await;
        // What was found right before was not, or is not any more.
        let (bound, value, expires_at) =
            created.inspect_err(|_| self.checked.forget(&request.owner, &wanted.account))?;
        Ok(Minted {
            values: TokenSet::single(value),
            handle: Handle::BoundObject { name: bound.name, uid: bound.uid },
            // The API server's clock, like the expiry.
            issued_at: bound.created,
            expires_at: Some(expires_at),
            flaw: None,
            unshown: Vec::new(),
        })
    }

    async fn revoke(&self, subject: Subject<'_>, token: &Revocable, _values: Option<&TokenSet>) -> Result<(), Error> {
        let owner = subject.owner;
        let (name, uid) = bound_object(token.handle())?;
        let only_this = Preconditions { uid: Some(uid.to_owned()), resource_version: None };
        let params = DeleteParams { preconditions: Some(only_this), ..DeleteParams::default() };
        match call(self.secrets(owner).delete(name, &params)).await {
            Ok(_) => Ok(()),
            Err(failure) if failure.is(404) => Ok(()),
            // Another Secret of that name: then ours is gone. A look makes sure that the conflict was about this.
            Err(failure) if failure.is(409) && self.bound_secret(owner, name, uid).await? == Presence::Absent => Ok(()),
            Err(failure) => {
                Err(failure
                    .of_repeatable(format!("cannot delete Secret {}/{name} to revoke its token", owner.namespace)))
            }
        }
    }
}

/// The Secret that a token is bound to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Presence {
    Present,
    /// Deleted, and held by a finalizer.
    Deleting,
    Absent,
}

fn token(values: &TokenSet) -> Option<&str> {
    values.get(TokenSet::TOKEN)?.expose_str().filter(|token| !token.is_empty())
}

fn bound_object(handle: &Handle) -> Result<(&str, &str), Error> {
    match handle {
        Handle::BoundObject { name, uid } => Ok((name, uid)),
        _ => Err(Error::new(Class::Invalid, "the record of this token is not one of the kubernetes provider")),
    }
}
