//! Compares the rules that a token was granted with the permissions that were asked for, with the semantics of RBAC.
//!
//! Pure. A rule grants the product of its verbs, groups, resources and, if it has any, names. What every authenticated
//! account may do is no surplus. Surplus without a wildcard is written like a permission, so that it can be copied into
//! `permissions` by someone who wants it.

use std::{collections::BTreeSet, fmt};

use k8s_openapi::api::authorization::v1::ResourceRule;

use super::permission::Permission;

/// Most entries of a list of surplus permissions; the last one then counts the rest.
const MOST_SURPLUS: usize = 50;

const ANY: &str = "*";

/// Whether the rules grant a permission.
pub fn grants(rules: &[ResourceRule], permission: &Permission) -> bool {
    rules.iter().any(|rule| rule_grants(rule, permission))
}

fn rule_grants(rule: &ResourceRule, permission: &Permission) -> bool {
    let resource = permission.rbac_resource();
    rule.verbs.iter().any(|verb| matches(verb, &permission.verb))
        && list(&rule.api_groups).iter().any(|group| matches(group, &permission.group))
        && list(&rule.resources).iter().any(|granted| resource_matches(granted, &resource))
        && names_match(list(&rule.resource_names), permission.name.as_deref())
}

fn matches(granted: &str, asked: &str) -> bool {
    granted == ANY || granted == asked
}

/// `*` grants all resources with their subresources, `pods` does not grant `pods/log`, `*/log` grants that of every
/// resource. The authorizer reads `pods/*` as plain text: it grants nothing.
fn resource_matches(granted: &str, asked: &str) -> bool {
    let same_subresource = || match (granted.strip_prefix("*/"), asked.split_once('/')) {
        (Some(granted), Some((_, asked))) => granted == asked,
        _ => false,
    };
    matches(granted, asked) || same_subresource()
}

/// A rule without names grants all objects; one with names grants these only, and no request without a name.
fn names_match(granted: &[String], asked: Option<&str>) -> bool {
    granted.is_empty() || asked.is_some_and(|asked| granted.iter().any(|name| name == asked))
}

fn list(field: &Option<Vec<String>>) -> &[String] {
    field.as_deref().unwrap_or_default()
}

/// What the rules grant beyond the permissions, sorted, without what is implied by a wildcard in the list.
pub fn surplus(rules: &[ResourceRule], asked: &[Permission]) -> Vec<String> {
    let granted: BTreeSet<Grant> =
        rules.iter().flat_map(atoms).filter(|grant| !is_common(grant) && !is_asked(grant, asked)).collect();
    let broad: Vec<&Grant> = granted.iter().filter(|grant| grant.is_broad()).collect();
    let mut lines: Vec<String> = granted
        .iter()
        .filter(|grant| !broad.iter().any(|other| other != grant && other.implies(grant)))
        .map(Grant::to_string)
        .collect();
    if lines.len() > MOST_SURPLUS {
        let rest = lines.split_off(MOST_SURPLUS - 1).len();
        lines.push(format!("and {rest} more"));
    }
    lines
}

/// One combination that a rule grants.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Grant<'a> {
    verb: &'a str,
    group: &'a str,
    /// As RBAC writes it, with the subresource after a slash.
    resource: &'a str,
    name: Option<&'a str>,
}

impl Grant<'_> {
    fn is_broad(&self) -> bool {
        self.name.is_none() || [self.verb, self.group, self.resource].iter().any(|part| part.starts_with(ANY))
    }

    fn implies(&self, other: &Self) -> bool {
        matches(self.verb, other.verb)
            && matches(self.group, other.group)
            && resource_matches(self.resource, other.resource)
            && (self.name.is_none() || self.name == other.name)
    }
}

impl fmt::Display for Grant<'_> {
    /// Like a permission; `core` stands for the core group where a wildcard resource needs one to be named.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (resource, subresource) =
            self.resource.split_once('/').map_or((self.resource, None), |(resource, sub)| (resource, Some(sub)));
        write!(f, "{} {resource}", self.verb)?;
        match self.group {
            ANY if resource == ANY => {}
            "" if resource == ANY => f.write_str(".core")?,
            "" => {}
            group => write!(f, ".{group}")?,
        }
        if let Some(subresource) = subresource {
            write!(f, ":{subresource}")?;
        }
        self.name.map_or(Ok(()), |name| write!(f, "/{name}"))
    }
}

/// Everything that one rule grants, each combination by itself.
fn atoms(rule: &ResourceRule) -> Vec<Grant<'_>> {
    let names: Vec<Option<&str>> = match list(&rule.resource_names) {
        [] => vec![None],
        names => names.iter().map(|name| Some(name.as_str())).collect(),
    };
    let mut atoms = Vec::new();
    for verb in &rule.verbs {
        for group in list(&rule.api_groups) {
            for resource in list(&rule.resources) {
                atoms.extend(names.iter().map(|&name| Grant { verb, group, resource, name }));
            }
        }
    }
    atoms
}

/// Whether every authenticated account, or every ServiceAccount, has it by the rules that each cluster starts with.
fn is_common(grant: &Grant) -> bool {
    matches!(
        (grant.verb, grant.group, grant.resource),
        ("create", "authorization.k8s.io", "selfsubjectaccessreviews" | "selfsubjectrulesreviews")
            | ("create", "authentication.k8s.io", "selfsubjectreviews")
            | ("get" | "list" | "watch", "certificates.k8s.io", "clustertrustbundles")
    )
}

fn is_asked(grant: &Grant, asked: &[Permission]) -> bool {
    asked.iter().any(|permission| {
        grant.verb == permission.verb
            && grant.group == permission.group
            && grant.resource == permission.rbac_resource()
            && (permission.name.is_none() || permission.name.as_deref() == grant.name)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `verbs | groups | resources | names`, each separated by commas; `core` is the core group.
    fn rule(text: &str) -> ResourceRule {
        let parts: Vec<Vec<String>> = text
            .split('|')
            .map(|part| {
                part.trim().split(',').filter(|word| !word.is_empty()).map(|word| word.replace("core", "")).collect()
            })
            .collect();
        let part = |index: usize| parts.get(index).cloned().unwrap_or_default();
        ResourceRule {
            verbs: part(0),
            api_groups: Some(part(1)),
            resources: Some(part(2)),
            resource_names: Some(part(3)),
        }
    }

    fn permissions(texts: &[&str]) -> Vec<Permission> {
        texts.iter().map(|text| text.parse().unwrap()).collect()
    }

    #[test]
    fn rules_grant_what_rbac_grants() {
        let cases = [
            ("get|core|configmaps", "get configmaps", true),
            ("get|core|configmaps", "get configmaps/settings", true),
            ("get|core|configmaps", "list configmaps", false),
            ("get|core|configmaps", "get secrets", false),
            ("get,list|core|secrets,configmaps", "list configmaps", true),
            ("*|core|configmaps", "deletecollection configmaps", true),
            ("get|apps|deployments", "get deployments.apps", true),
            ("get|apps|deployments", "get deployments", false),
            ("get|core|deployments", "get deployments.apps", false),
            ("get|*|deployments", "get deployments.apps", true),
            ("get|core|*", "get configmaps", true),
            ("get|core|*", "get pods:log", true),
            ("get|core|*", "get deployments.apps", false),
            ("get|core|pods", "get pods:log", false),
            ("get|core|pods/log", "get pods:log", true),
            ("get|core|pods/log", "get pods:log/api-0", true),
            ("get|core|pods/log", "get pods", false),
            ("get|core|pods/log", "get pods/log", false),
            ("get|core|*/log", "get pods:log", true),
            ("get|core|*/log", "get pods:status", false),
            ("get|core|*/log", "get pods", false),
            ("get|core|pods/*", "get pods:log", false),
            ("get|core|pods/*", "get pods", false),
            ("get|core|configmaps|settings", "get configmaps/settings", true),
            ("get|core|configmaps|settings,other", "get configmaps/other", true),
            ("get|core|configmaps|settings", "get configmaps/other", false),
            ("get|core|configmaps|settings", "get configmaps", false),
            ("*|*|*|settings", "get configmaps", false),
            ("*|*|*", "impersonate users", true),
            ("|core|configmaps", "get configmaps", false),
            ("get||configmaps", "get configmaps", false),
            ("get|core|", "get configmaps", false),
        ];
        for (granted, asked, expected) in cases {
            assert_eq!(grants(&[rule(granted)], &asked.parse().unwrap()), expected, "{granted} for {asked}");
        }
    }

    #[test]
    fn one_rule_of_several_is_enough_and_two_halves_are_not() {
        let halves = [rule("get|core|secrets"), rule("list|core|configmaps")];
        assert!(!grants(&halves, &"get configmaps".parse().unwrap()));
        assert!(grants(&halves, &"list configmaps".parse().unwrap()));
        assert!(!grants(&[], &"get configmaps".parse().unwrap()));
    }

    #[test]
    fn surplus_is_what_was_granted_and_not_asked_for() {
        let cases: [(&[&str], &[&str], &[&str]); 20] = [
            (&["get|core|configmaps"], &["get configmaps"], &[]),
            (&["get|core|configmaps"], &[], &["get configmaps"]),
            (&["get,delete|core|configmaps"], &["get configmaps"], &["delete configmaps"]),
            (&["get|core,apps|configmaps"], &["get configmaps"], &["get configmaps.apps"]),
            (&["*|*|*"], &["get configmaps"], &["* *"]),
            (&["*|core|*"], &[], &["* *.core"]),
            (&["get|apps|*"], &[], &["get *.apps"]),
            (&["get|*|pods"], &["get pods"], &["get pods.*"]),
            (&["get|core|pods/log"], &["get pods"], &["get pods:log"]),
            (&["get|core|*/log"], &["get pods:log"], &["get *.core:log"]),
            (&["get|core|configmaps|settings"], &["get configmaps/settings"], &[]),
            (&["get|core|configmaps|settings"], &["get configmaps"], &[]),
            (&["get|core|configmaps|settings,other"], &["get configmaps/settings"], &["get configmaps/other"]),
            (&["get|core|configmaps"], &["get configmaps/settings"], &["get configmaps"]),
            (&["*|core|configmaps", "get|core|configmaps"], &[], &["* configmaps"]),
            (&["get|core|configmaps", "get|core|configmaps|settings"], &[], &["get configmaps"]),
            (&["get|core|configmaps", "get|core|configmaps"], &[], &["get configmaps"]),
            (
                &["get,list|apps|deployments/scale|api"],
                &[],
                &["get deployments.apps:scale/api", "list deployments.apps:scale/api"],
            ),
            (&["create|authorization.k8s.io|selfsubjectaccessreviews,selfsubjectrulesreviews"], &[], &[]),
            (
                &[
                    "create|authentication.k8s.io|selfsubjectreviews,tokenreviews",
                    "get,list,watch|certificates.k8s.io|clustertrustbundles",
                ],
                &[],
                &["create tokenreviews.authentication.k8s.io"],
            ),
        ];
        for (granted, asked, expected) in cases {
            let rules: Vec<ResourceRule> = granted.iter().map(|text| rule(text)).collect();
            assert_eq!(surplus(&rules, &permissions(asked)), expected, "{granted:?} for {asked:?}");
        }
    }

    #[test]
    fn surplus_can_be_asked_for_as_it_is_written() {
        let rules = [rule("get,list|apps|deployments,deployments/scale|api,web"), rule("get|core|pods/log")];
        let asked: Vec<Permission> = surplus(&rules, &[]).iter().map(|text| text.parse().unwrap()).collect();
        assert_eq!(asked.len(), 9);
        assert_eq!(surplus(&rules, &asked), Vec::<String>::new());
    }

    #[test]
    fn a_long_list_of_surplus_ends_with_a_count() {
        let names: Vec<String> = (0..70).map(|number| format!("n{number:02}")).collect();
        let lines = surplus(&[rule(&format!("get|core|configmaps|{}", names.join(",")))], &[]);
        assert_eq!(lines.len(), MOST_SURPLUS);
        assert_eq!(lines.last().map(String::as_str), Some("and 21 more"));
    }
}
