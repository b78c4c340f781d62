//! Reads permissions and parameters of a `RotatedToken`. Pure; says everything that is wrong at once.

use super::permission::Permission;
use crate::{
    api::object_name,
    core::token::Specification,
    providers::{Class, Error, Problem},
};

/// The one parameter: whose tokens.
pub const SERVICE_ACCOUNT: &str = "serviceAccount";

/// A specification that has been understood.
#[derive(Debug, PartialEq, Eq)]
pub struct Wanted {
    pub account: String,
    pub permissions: Vec<Permission>,
}

/// Reads a specification, or says everything that is wrong with it.
pub fn understand(specification: &Specification) -> Result<Wanted, Vec<Problem>> {
    let mut problems = Vec::new();
    for name in specification.parameters.keys().filter(|name| *name != SERVICE_ACCOUNT) {
        problems.push(Problem::Parameter(format!(
            "parameter {name:?} is not known to the kubernetes provider; it has {SERVICE_ACCOUNT:?} only"
        )));
    }
    let account = specification.parameters.get(SERVICE_ACCOUNT).cloned().unwrap_or_default();
    if account.is_empty() {
        problems.push(Problem::Parameter(format!(
            "parameter {SERVICE_ACCOUNT:?} is missing; set it to the ServiceAccount of the same namespace that the token is issued for"
        )));
    } else if !object_name::is_subdomain(&account) {
        problems.push(Problem::Parameter(format!(
            "parameter {SERVICE_ACCOUNT:?}: {account:?} cannot be the name of a ServiceAccount"
        )));
    }
    let mut permissions = Vec::new();
    for text in &specification.permissions {
        match text.parse() {
            Ok(permission) => permissions.push(permission),
            Err(error) => problems.push(Problem::UnknownPermission(format!("{error}"))),
        }
    }
    if problems.is_empty() { Ok(Wanted { account, permissions }) } else { Err(problems) }
}

/// The same for calls, which expect that a specification was checked before.
pub fn wanted(specification: &Specification) -> Result<Wanted, Error> {
    understand(specification).map_err(|problems| {
        let class = if problems.iter().any(|problem| matches!(problem, Problem::Parameter(_))) {
            Class::Invalid
        } else {
            Class::UnknownPermission
        };
        let sentences = problems.into_iter().map(|problem| match problem {
            Problem::UnknownPermission(why) | Problem::Parameter(why) => why,
        });
        Error::new(class, sentences.collect::<Vec<_>>().join("; "))
    })
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::api::{ProviderKind, ProviderRef};

    fn specification(permissions: &[&str], parameters: &[(&str, &str)]) -> Specification {
        Specification {
            provider: ProviderRef { kind: ProviderKind::TokenProvider, name: "cluster".to_owned() },
            permissions: permissions.iter().map(|text| (*text).to_owned()).collect(),
            parameters: BTreeMap::from_iter(
                parameters.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())),
            ),
        }
    }

    #[test]
    fn a_good_specification_is_understood() {
        let wanted = understand(&specification(&["get configmaps"], &[("serviceAccount", "api-client.v2")])).unwrap();
        assert_eq!(wanted.account, "api-client.v2");
        assert_eq!(wanted.permissions, ["get configmaps".parse().unwrap()]);
    }

    #[test]
    fn every_mistake_is_named_at_once() {
        let bad = specification(&["read configmaps", "get *"], &[("serviceaccount", "api"), ("audience", "x")]);
        let problems = understand(&bad).unwrap_err();
        let about = |problem: &Problem| match problem {
            Problem::Parameter(why) => why.split(' ').nth(1).unwrap_or_default().to_owned(),
            Problem::UnknownPermission(why) => why.split('"').nth(1).unwrap_or_default().to_owned(),
        };
        let subjects: Vec<String> = problems.iter().map(about).collect();
        assert_eq!(subjects, ["\"audience\"", "\"serviceaccount\"", "\"serviceAccount\"", "read configmaps", "get *"]);
        assert_eq!(wanted(&bad).unwrap_err().class(), Class::Invalid);
        let unknown = specification(&["read configmaps"], &[("serviceAccount", "api")]);
        assert_eq!(wanted(&unknown).unwrap_err().class(), Class::UnknownPermission);
    }

    #[test]
    fn names_that_no_service_account_can_have_are_refused() {
        for name in ["API", "a/b", "a b", "-a", "a.", "system:a", "*", "../a"] {
            let problems = understand(&specification(&[], &[("serviceAccount", name)])).unwrap_err();
            assert!(matches!(&problems[..], [Problem::Parameter(why)] if why.contains("cannot be the name")), "{name}");
        }
    }
}
