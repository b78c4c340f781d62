//! Asks the API server what an account may do: the operator before it mints, and a new token before it is published.

use futures::future::try_join_all;
use k8s_openapi::api::authorization::v1::{
    ResourceAttributes, SelfSubjectAccessReview, SelfSubjectAccessReviewSpec, SelfSubjectRulesReview,
    SelfSubjectRulesReviewSpec, SubjectRulesReviewStatus,
};
use kube::Client;

use super::{errors::CallError, permission::Permission, review::Caller};
use crate::providers::{Class, Error};

const ACCESS_REVIEWS: &str = "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews";
const RULES_REVIEWS: &str = "/apis/authorization.k8s.io/v1/selfsubjectrulesreviews";

/// Asks whether the caller may do something; every authorizer of the cluster is heard.
pub async fn may(caller: Caller<'_>, attributes: ResourceAttributes) -> Result<bool, CallError> {
    let spec = SelfSubjectAccessReviewSpec { resource_attributes: Some(attributes), non_resource_attributes: None };
    let review = SelfSubjectAccessReview { spec, ..Default::default() };
    let answer = caller.ask(ACCESS_REVIEWS, &review).await?;
    Ok(answer.status.is_some_and(|status| status.allowed))
}

/// Every rule that the caller is granted in a namespace.
pub async fn granted_rules(caller: Caller<'_>, namespace: &str) -> Result<SubjectRulesReviewStatus, CallError> {
    let spec = SelfSubjectRulesReviewSpec { namespace: Some(namespace.to_owned()) };
    let review = SelfSubjectRulesReview { spec, ..SelfSubjectRulesReview::default() };
    let answer = caller.ask(RULES_REVIEWS, &review).await?;
    answer.status.ok_or_else(CallError::unreadable)
}

/// Those of the permissions that no authorizer grants, when asked for each.
pub async fn still_missing<'a>(
    caller: Caller<'_>,
    namespace: &str,
    missing: Vec<&'a Permission>,
) -> Result<Vec<&'a Permission>, CallError> {
    let asked = missing.iter().map(|permission| may(caller, attributes(permission, namespace)));
    let answers = try_join_all(asked).await?;
    Ok(missing.into_iter().zip(answers).filter(|(_, allowed)| !allowed).map(|(permission, _)| permission).collect())
}

fn attributes(permission: &Permission, namespace: &str) -> ResourceAttributes {
    ResourceAttributes {
        verb: Some(permission.verb.clone()),
        group: Some(permission.group.clone()),
        resource: Some(permission.resource.clone()),
        subresource: permission.subresource.clone(),
        name: permission.name.clone(),
        namespace: Some(namespace.to_owned()),
        ..ResourceAttributes::default()
    }
}

/// One thing that the driver does.
struct Need {
    verb: &'static str,
    group: &'static str,
    resource: &'static str,
    subresource: Option<&'static str>,
    /// Why it is needed, for the message.
    purpose: &'static str,
    namespaced: bool,
}

const NEEDS: [Need; 6] = [
    Need {
        verb: "create",
        group: "",
        resource: "serviceaccounts",
        subresource: Some("token"),
        purpose: "mint tokens",
        namespaced: true,
    },
    Need {
        verb: "create",
        group: "",
        resource: "secrets",
        subresource: None,
        purpose: "bind tokens to Secrets",
        namespaced: true,
    },
    Need {
        verb: "get",
        group: "",
        resource: "secrets",
        subresource: None,
        purpose: "see that a token is revoked",
        namespaced: true,
    },
    Need {
        verb: "list",
        group: "",
        resource: "secrets",
        subresource: None,
        purpose: "find the tokens that it minted",
        namespaced: true,
    },
    Need {
        verb: "delete",
        group: "",
        resource: "secrets",
        subresource: None,
        purpose: "revoke tokens",
        namespaced: true,
    },
    Need {
        verb: "create",
        group: "authentication.k8s.io",
        resource: "tokenreviews",
        subresource: None,
        purpose: "see whether a token is accepted",
        namespaced: false,
    },
];

impl Need {
    fn attributes(&self, namespace: &str, account: &str) -> ResourceAttributes {
        ResourceAttributes {
            verb: Some(self.verb.to_owned()),
            group: Some(self.group.to_owned()),
            resource: Some(self.resource.to_owned()),
            subresource: self.subresource.map(str::to_owned),
            namespace: self.namespaced.then(|| namespace.to_owned()),
            name: self.subresource.map(|_| account.to_owned()),
            ..ResourceAttributes::default()
        }
    }

    fn what(&self) -> String {
        let subresource = self.subresource.map(|name| format!("/{name}")).unwrap_or_default();
        let group = if self.group.is_empty() { String::new() } else { format!(".{}", self.group) };
        format!("{} {}{group}{subresource} (to {})", self.verb, self.resource, self.purpose)
    }
}

/// Whether the operator may mint, find, review and revoke tokens of an account; says everything that is missing at
/// once.
pub async fn check_own_rights(client: &Client, namespace: &str, account: &str) -> Result<(), Error> {
    let reviews = NEEDS.iter().map(|need| may(Caller::new(client), need.attributes(namespace, account)));
    let answers =
        try_join_all(reviews).await.map_err(|failure| failure.of_repeatable("cannot read the rights of tokenturn"))?;
    let missing: Vec<String> =
        NEEDS.iter().zip(answers).filter(|(_, allowed)| !allowed).map(|(need, _)| need.what()).collect();
    if missing.is_empty() {
        return Ok(());
    }
    Err(Error::new(
        Class::AccessDenied,
        format!(
            "tokenturn may not {} for namespace {namespace}; install the chart with kubernetesProvider.enabled=true and with \
             {namespace} in watchNamespaces (or with none listed), or grant it by hand",
            missing.join(", ")
        ),
    ))
}
