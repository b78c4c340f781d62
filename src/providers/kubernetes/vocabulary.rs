//! What the API server serves: resources, subresources and their verbs, from aggregated discovery.
//!
//! A permission for something that does not exist would never be granted; a misspelt one is told apart here, with a
//! hint, before a token is minted. The look-up is pure.

use std::collections::{BTreeMap, BTreeSet};

use kube::core::discovery::v2::{APIGroupDiscovery, APIResourceDiscovery, APIVersionDiscovery};

use super::permission::Permission;

/// What discovery says about a permission.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Finding {
    Known,
    /// A sentence with a hint.
    Unknown(String),
    /// The group is served by another server, which does not answer at the moment.
    Stale(String),
}

/// Every resource that the API server serves, of all versions.
#[derive(Debug, Default)]
pub struct Vocabulary {
    /// By group and resource.
    resources: BTreeMap<(String, String), Served>,
    /// Groups of which a version could not be asked.
    stale: BTreeSet<String>,
}

#[derive(Debug, Default)]
struct Served {
    verbs: BTreeSet<String>,
    subresources: BTreeMap<String, BTreeSet<String>>,
    /// Singular, kind and short names, in lower case.
    aliases: BTreeSet<String>,
}

impl Vocabulary {
    /// Takes in the answers of `/api` and `/apis`.
    pub fn new(groups: impl IntoIterator<Item = APIGroupDiscovery>) -> Self {
        let mut vocabulary = Self::default();
        for group in groups {
            let name = group.metadata.and_then(|metadata| metadata.name).unwrap_or_default();
            for version in group.versions {
                vocabulary.add(&name, version);
            }
        }
        vocabulary
    }

    /// Whether discovery gave anything at all.
    pub fn is_empty(&self) -> bool {
        self.resources.is_empty()
    }

    fn add(&mut self, group: &str, version: APIVersionDiscovery) {
        if version.freshness.as_deref() == Some("Stale") {
            self.stale.insert(group.to_owned());
        }
        for resource in version.resources {
            let Some(name) = resource.resource.clone() else {
                continue;
            };
            self.resources.entry((group.to_owned(), name)).or_default().add(resource);
        }
    }

    /// Whether a permission speaks of something that exists.
    pub fn find(&self, permission: &Permission) -> Finding {
        if permission.has_special_verb() {
            return Finding::Known;
        }
        let key = (permission.group.clone(), permission.resource.clone());
        let unknown = match self.resources.get(&key) {
            Some(served) => match served.find(permission) {
                Ok(()) => return Finding::Known,
                Err(why) => why,
            },
            None => format!(
                "the API server has no resource {}{}",
                qualified(&permission.group, &permission.resource),
                self.hint(permission)
            ),
        };
        let sentence = format!("permission \"{permission}\": {unknown}");
        if self.stale.contains(&permission.group) { Finding::Stale(sentence) } else { Finding::Unknown(sentence) }
    }

    /// The resource that was probably meant, as the end of a sentence.
    fn hint(&self, permission: &Permission) -> String {
        let asked = permission.resource.as_str();
        let namesakes = self.resources.keys().filter(|(_, resource)| resource == asked);
        let aliased = self.resources.iter().filter(|(_, served)| served.aliases.contains(asked)).map(|(key, _)| key);
        let similar = self.resources.keys().filter(|(_, resource)| distance(resource, asked) <= asked.len().min(6) / 3);
        let meant = namesakes.chain(aliased).chain(similar).next();
        meant.map_or_else(
            || "; `kubectl api-resources` lists all of them".to_owned(),
            |(group, resource)| format!("; perhaps {} is meant", qualified(group, resource)),
        )
    }
}

impl Served {
    fn add(&mut self, resource: APIResourceDiscovery) {
        self.verbs.extend(resource.verbs);
        let kind = resource.response_kind.and_then(|kind| kind.kind);
        let aliases = resource.short_names.into_iter().chain(kind).chain(resource.singular_resource);
        self.aliases.extend(aliases.map(|alias| alias.to_lowercase()));
        for subresource in resource.subresources {
            let Some(name) = subresource.subresource else { continue };
            self.subresources.entry(name).or_default().extend(subresource.verbs);
        }
    }

    fn find(&self, permission: &Permission) -> Result<(), String> {
        let verbs = match &permission.subresource {
            None => &self.verbs,
            Some(name) => self.subresources.get(name).ok_or_else(|| {
                format!(
                    "{} has no subresource {name}; it has: {}",
                    permission.resource,
                    joined(self.subresources.keys())
                )
            })?,
        };
        if verbs.contains(&permission.verb) {
            return Ok(());
        }
        Err(format!(
            "{} does not know {}; it knows: {}",
            permission.rbac_resource(),
            permission.verb,
            joined(verbs.iter())
        ))
    }
}

/// A resource with its group, as permissions write it.
fn qualified(group: &str, resource: &str) -> String {
    if group.is_empty() { format!("\"{resource}\"") } else { format!("\"{resource}.{group}\"") }
}

fn joined<'a>(words: impl Iterator<Item = &'a String>) -> String {
    let words: Vec<&str> = words.map(String::as_str).collect();
    if words.is_empty() { "none".to_owned() } else { words.join(", ") }
}

/// How many letters have to be changed, added or left out to get from one word to the other.
fn distance(one: &str, other: &str) -> usize {
    let mut row: Vec<usize> = (0..=other.len()).collect();
    for (i, a) in one.bytes().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, b) in other.bytes().enumerate() {
            let changed = diagonal + usize::from(a != b);
            diagonal = row[j + 1];
            row[j + 1] = changed.min(row[j] + 1).min(diagonal + 1);
        }
    }
    row[other.len()]
}

#[cfg(test)]
mod tests {
    use kube::core::discovery::v2::APIGroupDiscoveryList;

    use super::*;

    fn vocabulary() -> Vocabulary {
        let text = r#"{"items": [
            {"versions": [{"version": "v1", "resources": [
                {"resource": "configmaps", "responseKind": {"kind": "ConfigMap"}, "singularResource": "configmap", "verbs": ["get", "list"], "shortNames": ["cm"]},
                {"resource": "pods", "verbs": ["get", "list"], "subresources": [{"subresource": "log", "verbs": ["get"]}, {"subresource": "exec", "verbs": ["create"]}]}
            ]}]},
            {"metadata": {"name": "apps"}, "versions": [
                {"version": "v1", "resources": [{"resource": "deployments", "verbs": ["get"]}]},
                {"version": "v2", "resources": [{"resource": "deployments", "verbs": ["list"]}, {"resource": "groups", "verbs": ["get"]}]}
            ]},
            {"metadata": {"name": "metrics.k8s.io"}, "versions": [{"version": "v1beta1", "freshness": "Stale"}]}
        ]}"#;
        let list: APIGroupDiscoveryList = serde_json::from_str(text).unwrap();
        Vocabulary::new(list.items)
    }

    #[test]
    fn what_the_api_server_serves_in_any_version_is_known() {
        let vocabulary = vocabulary();
        for text in [
            "get configmaps",
            "list configmaps/settings",
            "get pods:log/api-0",
            "create pods:exec",
            "get deployments.apps",
            "list deployments.apps",
            "impersonate users",
            "sign signers.certificates.k8s.io/shop.example",
        ] {
            assert_eq!(vocabulary.find(&text.parse().unwrap()), Finding::Known, "{text}");
        }
    }

    #[test]
    fn what_it_does_not_serve_comes_with_a_hint() {
        let cases = [
            ("get deployments", "has no resource \"deployments\"; perhaps \"deployments.apps\" is meant"),
            ("get configmaps.apps", "has no resource \"configmaps.apps\"; perhaps \"configmaps\" is meant"),
            ("get configmap", "perhaps \"configmaps\" is meant"),
            ("get cm", "perhaps \"configmaps\" is meant"),
            ("get confgimaps", "perhaps \"configmaps\" is meant"),
            ("get deploymnts.apps", "perhaps \"deployments.apps\" is meant"),
            ("get unicorns", "`kubectl api-resources` lists all of them"),
            ("get pods:logs", "pods has no subresource logs; it has: exec, log"),
            ("get configmaps:log", "configmaps has no subresource log; it has: none"),
            ("delete pods", "pods does not know delete; it knows: get, list"),
            ("get pods:exec", "pods/exec does not know get; it knows: create"),
        ];
        let vocabulary = vocabulary();
        for (text, expected) in cases {
            let Finding::Unknown(why) = vocabulary.find(&text.parse().unwrap()) else { panic!("{text} is known") };
            assert!(why.contains(expected), "{text} gave {why:?}");
            assert!(why.starts_with(&format!("permission \"{text}\": ")), "{why:?}");
        }
    }

    #[test]
    fn a_group_whose_server_is_away_is_not_called_unknown() {
        let finding = vocabulary().find(&"get pods.metrics.k8s.io".parse().unwrap());
        assert!(matches!(finding, Finding::Stale(_)), "{finding:?}");
    }
}
