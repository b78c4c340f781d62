//! Before a token is minted: whether its account is there, and the API server has what the permissions speak of.

use futures::future::join;
use k8s_openapi::api::core::v1::ServiceAccount;

use super::{
    Kubernetes,
    errors::call,
    permission::Permission,
    specification::SERVICE_ACCOUNT,
    vocabulary::{Finding, Vocabulary},
};
use crate::{
    connect::objects::Api,
    core::token::Owner,
    providers::{Class, Error},
};

impl Kubernetes {
    pub(super) async fn check_account(&self, owner: &Owner, account: &str) -> Result<(), Error> {
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
}

fn no_account(owner: &Owner, account: &str) -> Error {
    let message = format!(
        "ServiceAccount {account} does not exist in namespace {}; create it, or name another one in spec.parameters.{SERVICE_ACCOUNT}",
        owner.namespace
    );
    Error::new(Class::Missing, message)
}
