//! The words of `permissions`: `verb resource[.group][:subresource][/name]`.
//!
//! RBAC writes a subresource after a slash (`pods/log`) and so would make it look like a name. Here the slash always
//! begins the name of one object, and a subresource follows a colon: `get pods:log` reads logs, `get pods/log` reads
//! the pod named `log`. Everything is parsed once, here; wildcards are not accepted, because a token that may do
//! everything cannot be compared with what was asked for.

use std::{fmt, str::FromStr};

use crate::api::object_name::{is_label, is_subdomain};

/// How permissions are written; part of every message about one.
pub const GRAMMAR: &str = "write \"verb resource[.group][:subresource][/name]\", for example \"get configmaps\", \
    \"list deployments.apps\", \"get pods:log\" or \"get configmaps/settings\"";

/// Verbs that every resource may offer; which ones it does offer is in the API server's discovery.
const COMMON_VERBS: [&str; 8] = ["get", "list", "watch", "create", "update", "patch", "delete", "deletecollection"];

/// Verbs that only the authorizer knows. Some of their resources, like `users`, are in no discovery.
const SPECIAL_VERBS: [&str; 7] = ["approve", "attest", "bind", "escalate", "impersonate", "sign", "use"];

/// Subresources that people write after a slash, out of the habit of RBAC.
const SLASH_HABITS: [&str; 10] =
    ["attach", "binding", "ephemeralcontainers", "eviction", "exec", "log", "portforward", "proxy", "scale", "status"];

/// One permission that was asked for.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Permission {
    pub verb: String,
    /// API group; empty for the core group.
    pub group: String,
    /// Plural name of the resource.
    pub resource: String,
    pub subresource: Option<String>,
    /// The one object that it is for; `None` for all.
    pub name: Option<String>,
}

/// A text that is not a permission, with a sentence that says why and how to write it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct ParsePermissionError(String);

impl Permission {
    /// The resource as RBAC writes it, `resource` or `resource/subresource`.
    pub fn rbac_resource(&self) -> String {
        match &self.subresource {
            Some(subresource) => format!("{}/{subresource}", self.resource),
            None => self.resource.clone(),
        }
    }

    /// Whether only the authorizer knows the verb, so that discovery has nothing to say about the permission.
    pub fn has_special_verb(&self) -> bool {
        SPECIAL_VERBS.contains(&self.verb.as_str())
    }

    /// The permission, for a person who did not get it: names the usual mistake where it looks like one.
    pub fn explain_missing(&self) -> String {
        match &self.name {
            Some(name) if self.subresource.is_none() && SLASH_HABITS.contains(&name.as_str()) => {
                let subresource = Self { subresource: Some(name.clone()), name: None, ..self.clone() };
                format!("{self} (the object named {name}; the subresource is written \"{subresource}\")")
            }
            _ => self.to_string(),
        }
    }
}

impl fmt::Display for Permission {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.verb, self.resource)?;
        if !self.group.is_empty() {
            write!(f, ".{}", self.group)?;
        }
        if let Some(subresource) = &self.subresource {
            write!(f, ":{subresource}")?;
        }
        self.name.as_ref().map_or(Ok(()), |name| write!(f, "/{name}"))
    }
}

impl FromStr for Permission {
    type Err = ParsePermissionError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let wrong = |why: String| ParsePermissionError(format!("permission {text:?}: {why}"));
        if text.contains('*') {
            return Err(wrong("wildcards are not accepted; name each verb and resource".to_owned()));
        }
        let Some((verb, object)) = text.split_once(' ') else {
            return Err(wrong(format!("a verb and a resource are needed; {GRAMMAR}")));
        };
        if !COMMON_VERBS.contains(&verb) && !SPECIAL_VERBS.contains(&verb) {
            return Err(wrong(format!("{verb:?} is not a verb of Kubernetes; the verbs are {}", known_verbs())));
        }
        let permission = parse_object(verb, object).map_err(wrong)?;
        refuse_unlimitable(&permission).map_err(wrong)?;
        Ok(permission)
    }
}

/// The part after the verb.
fn parse_object(verb: &str, object: &str) -> Result<Permission, String> {
    let (kind, name) = match object.split_once('/') {
        Some((kind, name)) => (kind, Some(name)),
        None => (object, None),
    };
    let (kind, subresource) = match kind.split_once(':') {
        Some((kind, subresource)) => (kind, Some(subresource)),
        None => (kind, None),
    };
    let (resource, group) = kind.split_once('.').map_or((kind, None), |(resource, group)| (resource, Some(group)));
    if resource.chars().any(|letter| letter.is_ascii_uppercase()) {
        return Err(format!(
            "resources are written in lower case and in the plural, as `kubectl api-resources` prints them; {GRAMMAR}"
        ));
    }
    if !is_label(resource) {
        return Err(format!("{resource:?} cannot be the name of a resource; {GRAMMAR}"));
    }
    if let Some(group) = group.filter(|group| !is_subdomain(group)) {
        return Err(format!("{group:?} cannot be an API group; {GRAMMAR}"));
    }
    if let Some(subresource) = subresource.filter(|subresource| !is_label(subresource)) {
        return Err(format!("{subresource:?} cannot be a subresource; {GRAMMAR}"));
    }
    if let Some(name) = name.filter(|name| !is_object_name(name)) {
        return Err(format!(
            "{name:?} cannot be the name of an object; a subresource is written after a colon; {GRAMMAR}"
        ));
    }
    Ok(Permission {
        verb: verb.to_owned(),
        group: group.unwrap_or_default().to_owned(),
        resource: resource.to_owned(),
        subresource: subresource.map(str::to_owned),
        name: name.map(str::to_owned),
    })
}

/// The authorizer does not learn the name of an object that is created or deleted together with others.
fn refuse_unlimitable(permission: &Permission) -> Result<(), String> {
    let verb = permission.verb.as_str();
    let nameless = verb == "deletecollection" || (verb == "create" && permission.subresource.is_none());
    if nameless && permission.name.is_some() {
        return Err(format!("Kubernetes cannot limit {verb} to one object; leave \"/name\" out"));
    }
    Ok(())
}

fn known_verbs() -> String {
    COMMON_VERBS.iter().chain(&SPECIAL_VERBS).copied().collect::<Vec<_>>().join(", ")
}

/// Any name that fits into a path; RBAC objects, for example, may have colons in theirs.
fn is_object_name(text: &str) -> bool {
    !matches!(text, "" | "." | "..")
        && text.len() <= 253
        && !text.chars().any(|c| matches!(c, '/' | '%') || c.is_whitespace() || c.is_control())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn permission(
        verb: &str,
        group: &str,
        resource: &str,
        subresource: Option<&str>,
        name: Option<&str>,
    ) -> Permission {
        Permission {
            verb: verb.to_owned(),
            group: group.to_owned(),
            resource: resource.to_owned(),
            subresource: subresource.map(str::to_owned),
            name: name.map(str::to_owned),
        }
    }

    #[test]
    fn well_written_permissions_are_understood_and_printed_as_written() {
        let cases = [
            ("get configmaps", permission("get", "", "configmaps", None, None)),
            ("list deployments.apps", permission("list", "apps", "deployments", None, None)),
            ("get configmaps/settings", permission("get", "", "configmaps", None, Some("settings"))),
            ("get configmaps/a.b", permission("get", "", "configmaps", None, Some("a.b"))),
            ("get pods:log", permission("get", "", "pods", Some("log"), None)),
            ("get pods:log/api-0", permission("get", "", "pods", Some("log"), Some("api-0"))),
            ("get pods/log", permission("get", "", "pods", None, Some("log"))),
            (
                "patch deployments.apps:scale/api",
                permission("patch", "apps", "deployments", Some("scale"), Some("api")),
            ),
            (
                "create serviceaccounts:token/api",
                permission("create", "", "serviceaccounts", Some("token"), Some("api")),
            ),
            (
                "bind clusterroles.rbac.authorization.k8s.io/system:view",
                permission("bind", "rbac.authorization.k8s.io", "clusterroles", None, Some("system:view")),
            ),
        ];
        for (text, expected) in cases {
            let parsed: Permission = text.parse().unwrap();
            assert_eq!(parsed, expected, "{text}");
            assert_eq!(parsed.to_string(), text);
        }
    }

    #[test]
    fn mistakes_are_refused_with_what_to_write_instead() {
        let cases = [
            ("", "a verb and a resource are needed; write \"verb resource"),
            ("get", "a verb and a resource are needed"),
            ("configmaps get", "the verbs are get, list, watch, create"),
            ("read configmaps", "\"read\" is not a verb of Kubernetes"),
            ("GET configmaps", "\"GET\" is not a verb"),
            ("get ConfigMaps", "lower case and in the plural"),
            ("get  configmaps", "cannot be the name of a resource"),
            ("get configmaps secrets", "cannot be the name of a resource"),
            ("get config_maps", "cannot be the name of a resource"),
            ("get ", "cannot be the name of a resource"),
            ("get /settings", "cannot be the name of a resource"),
            ("get deployments.", "cannot be an API group"),
            ("get deployments.apps.", "cannot be an API group"),
            ("get pods:", "cannot be a subresource"),
            ("get configmaps/", "cannot be the name of an object"),
            ("get pods/api-0/log", "a subresource is written after a colon"),
            ("get configmaps/..", "cannot be the name of an object"),
            ("* configmaps", "wildcards are not accepted"),
            ("get *", "wildcards are not accepted"),
            ("get configmaps/*", "wildcards are not accepted"),
            ("create configmaps/settings", "cannot limit create to one object"),
            ("deletecollection configmaps/settings", "cannot limit deletecollection to one object"),
        ];
        for (text, expected) in cases {
            let message = text.parse::<Permission>().unwrap_err().to_string();
            assert!(message.contains(expected), "{text:?} gave {message:?}");
            assert!(message.contains(&format!("{text:?}")), "{message:?} does not name {text:?}");
        }
    }

    #[test]
    fn a_missing_permission_that_looks_like_a_subresource_says_so() {
        let explained = |text: &str| text.parse::<Permission>().unwrap().explain_missing();
        assert_eq!(
            explained("get pods/log"),
            "get pods/log (the object named log; the subresource is written \"get pods:log\")"
        );
        assert_eq!(explained("get configmaps/settings"), "get configmaps/settings");
    }
}
