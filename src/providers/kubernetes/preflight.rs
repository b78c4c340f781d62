//! Before a token is minted: whether its account is there, and the API server has what the permissions speak of.

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

use futures::future::join;
use k8s_openapi::api::core::v1::ServiceAccount;

use super::{
    Kubernetes, access,
    errors::call,
    permission::Permission,
    specification::SERVICE_ACCOUNT,
    vocabulary::{Finding, Vocabulary},
};
use crate::{
    connect::objects::Api,
    core::token::Owner,
    providers::{Class, Error},
    recent::Recent,
};

/// What was found right within the last minute, for all tokens of an account and, of discovery, for all. What is not so any more makes the
/// create fail, and leaves nothing behind.
#[derive(Clone, Default)]
pub struct Checked {
    rights: Recent<Account, (), Error>,
    account: Recent<Account, (), Error>,
    vocabulary: Recent<(), Arc<Vocabulary>, Error>,
}

/// Namespace and name.
type Account = (String, String);

fn of(owner: &Owner, account: &str) -> Account {
    (owner.namespace.clone(), account.to_owned())
}

impl Checked {
    /// A create failed: the next one is checked anew.
    pub fn forget(&self, owner: &Owner, account: &str) {
        let account = of(owner, account);
        self.rights.forget(&account);
        self.account.forget(&account);
    }
}

impl Kubernetes {
    pub(super) async fn check_own_rights(&self, owner: &Owner, account: &str) -> Result<(), Error> {
        let ask = access::check_own_rights(&self.client, &owner.namespace, account);
        self.checked.rights.get(of(owner, account), ask).await
    }

    pub(super) async fn check_account(&self, owner: &Owner, account: &str) -> Result<(), Error> {
        self.checked.account.get(of(owner, account), self.find_account(owner, account)).await
    }

    /// Whether the account is there now.
    pub(super) async fn find_account(&self, owner: &Owner, account: &str) -> Result<(), Error> {
        let namespace = &owner.namespace;
        let accounts: Api<ServiceAccount> = Api::namespaced(self.client.clone(), namespace);
        match call(accounts.get_metadata_opt(account)).await {
            Ok(Some(_)) => Ok(()),
            Ok(None) => Err(no_account(owner, account)),
            Err(failure) => {
                Err(failure.of_repeatable(format!("cannot read ServiceAccount {account} in namespace {namespace}")))
            }
        }
    }

    pub(super) async fn check_vocabulary(&self, permissions: &[Permission]) -> Result<(), Error> {
        let is_new = AtomicBool::new(false);
        let read = async {
            is_new.store(true, Ordering::Relaxed);
            self.read_vocabulary().await
        };
        let found = check(&*self.checked.vocabulary.get((), read).await?, permissions);
        if found.is_ok() || is_new.load(Ordering::Relaxed) {
            return found;
        }
        // Somebody may have installed what was missing a minute ago.
        self.checked.vocabulary.forget(&());
        check(&*self.checked.vocabulary.get((), self.read_vocabulary()).await?, permissions)
    }

    async fn read_vocabulary(&self) -> Result<Arc<Vocabulary>, Error> {
        let (core, others) =
            join(call(self.client.list_core_api_versions_aggregated()), call(self.client.list_api_groups_aggregated()))
                .await;
        let cannot = "cannot read which resources the API server has";
        let groups = core.map_err(|failure| failure.of_repeatable(cannot))?.items.into_iter();
        let vocabulary = Vocabulary::new(groups.chain(others.map_err(|failure| failure.of_repeatable(cannot))?.items));
        if vocabulary.is_empty() {
            return Err(Error::new(
                Class::Unavailable,
                format!("{cannot}: it does not offer aggregated discovery (Kubernetes 1.27 and later do)"),
            ));
        }
        Ok(Arc::new(vocabulary))
    }
}

/// Whether the API server has what the permissions speak of.
fn check(vocabulary: &Vocabulary, permissions: &[Permission]) -> Result<(), Error> {
    let (mut unknown, mut stale) = (Vec::new(), Vec::new());
    for permission in permissions {
        match vocabulary.find(permission) {
            Finding::Known => {}
            Finding::Unknown(why) => unknown.push(why),
            Finding::Stale(why) => stale.push(why),
        }
    }
    match (unknown.is_empty(), stale.is_empty()) {
        (true, true) => Ok(()),
        (false, _) => Err(Error::new(Class::UnknownPermission, unknown.join("; "))),
        (true, false) => Err(Error::new(
            Class::Unavailable,
            format!("{}; the server of its API group does not answer", stale.join("; ")),
        )),
    }
}

fn no_account(owner: &Owner, account: &str) -> Error {
    let message = format!(
        "ServiceAccount {account} does not exist in namespace {}; create it, or name another one in spec.parameters.{SERVICE_ACCOUNT}",
        owner.namespace
    );
    Error::new(Class::Missing, message)
}
