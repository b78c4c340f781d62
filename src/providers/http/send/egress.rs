//! What administrators allow providers to connect to: a file of rules, for tenants' own providers and for cluster-wide
//! ones apart.
//!
//! A rule is about hosts, as URLs name them, about addresses, after a name was resolved, or about proxies. In each,
//! `deny` wins; with `allow`, only what it lists may be; without it the profile decides.

use std::{collections::BTreeMap, sync::Arc};

use serde::Deserialize;

use super::rules::RuleLists;
pub use super::rules::{EgressRules, Profile};
use crate::api::{ProviderKind, object_name};

#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "camelCase")]
struct File {
    /// TokenProviders, which tenants write.
    token_providers: RuleLists,
    /// Instead of that, for the TokenProviders of a namespace.
    namespaces: BTreeMap<String, RuleLists>,
    /// ClusterTokenProviders, which administrators write.
    cluster_token_providers: RuleLists,
    /// Instead of that, for a ClusterTokenProvider by its name.
    providers: BTreeMap<String, RuleLists>,
}

/// All rules of an installation.
#[derive(Clone, Debug, Default)]
pub struct Egress {
    token_providers: Arc<EgressRules>,
    namespaces: BTreeMap<String, Arc<EgressRules>>,
    cluster_token_providers: Arc<EgressRules>,
    providers: BTreeMap<String, Arc<EgressRules>>,
}

impl Egress {
    /// The profile by itself.
    #[must_use]
    pub fn profile(profile: Profile) -> Self {
        let rules = |whose: &str| Arc::new(EgressRules::silent(whose, profile));
        Self {
            token_providers: rules(TOKEN_PROVIDERS),
            cluster_token_providers: rules(CLUSTER_TOKEN_PROVIDERS),
            ..Self::default()
        }
    }

    /// Reads the file of rules.
    ///
    /// # Errors
    /// Every mistake, with its place.
    pub fn read(text: &str, profile: Profile) -> Result<Self, String> {
        let file: Option<File> = serde_norway::from_str(text).map_err(|error| format!("it cannot be read: {error}"))?;
        let File { token_providers, namespaces, cluster_token_providers, providers } = file.unwrap_or_default();
        let mut mistakes = Vec::new();
        for namespace in namespaces.keys() {
            mistakes.extend(object_name::check_namespace(namespace).err().map(|bad| format!("namespaces: {bad}")));
        }
        for name in providers.keys() {
            let bad = object_name::check("ClusterTokenProvider", name).err();
            mistakes.extend(bad.map(|bad| format!("providers: {bad}")));
        }
        let mut rules = |whose: String, place: &str, said: RuleLists| {
            Arc::new(EgressRules::new(whose, profile, place, said, &mut mistakes))
        };
        let egress = Self {
            token_providers: rules(TOKEN_PROVIDERS.to_owned(), "tokenProviders", token_providers),
            cluster_token_providers: rules(
                CLUSTER_TOKEN_PROVIDERS.to_owned(),
                "clusterTokenProviders",
                cluster_token_providers,
            ),
            namespaces: namespaces
                .into_iter()
                .map(|(name, said)| {
                    let place = format!("namespaces.{name}");
                    (name.clone(), rules(format!("TokenProviders of namespace {name}"), &place, said))
                })
                .collect(),
            providers: providers
                .into_iter()
                .map(|(name, said)| {
                    let place = format!("providers.{name}");
                    (name.clone(), rules(format!("ClusterTokenProvider {name}"), &place, said))
                })
                .collect(),
        };
        if mistakes.is_empty() { Ok(egress) } else { Err(mistakes.join("; ")) }
    }

    /// The rules for a provider object. `namespace` is that of a TokenProvider.
    #[must_use]
    pub fn of(&self, kind: ProviderKind, namespace: &str, name: &str) -> Arc<EgressRules> {
        let (own, all) = match kind {
            ProviderKind::TokenProvider => (self.namespaces.get(namespace), &self.token_providers),
            ProviderKind::ClusterTokenProvider => (self.providers.get(name), &self.cluster_token_providers),
        };
        own.unwrap_or(all).clone()
    }
}

const TOKEN_PROVIDERS: &str = "TokenProviders";
const CLUSTER_TOKEN_PROVIDERS: &str = "ClusterTokenProviders";

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use super::*;

    const RULES: &str = "
tokenProviders:
  hosts: {allow: ['*.example.com', GitLab.example.org], deny: [internal.example.com]}
  addresses: {allow: [public, 10.1.0.0/16], deny: [10.1.2.3]}
namespaces:
  shop: {hosts: {deny: ['*.example.org']}}
clusterTokenProviders:
  proxies: {allow: [proxy.example.com]}
providers:
  vault: {hosts: {allow: [10.2.0.1]}}
";

    fn of(profile: Profile, kind: ProviderKind, namespace: &str, name: &str) -> Arc<EgressRules> {
        Egress::read(RULES, profile).unwrap().of(kind, namespace, name)
    }

    #[test]
    fn hosts_are_compared_whole_and_deny_wins() {
        let rules = of(Profile::Open, ProviderKind::TokenProvider, "blog", "p");
        for (host, allowed) in [
            ("api.example.com", true),
            ("a.b.example.com.", true),
            ("gitlab.example.org", true),
            ("example.com", false),
            ("badexample.com", false),
            ("internal.example.com", false),
            ("example.net", false),
            ("10.1.0.1", false),
        ] {
            assert_eq!(rules.host_refusal(host).is_none(), allowed, "{host}");
        }
        let address = |text: &str| rules.address_refusal(text.parse().unwrap(), &[]).is_none();
        assert!(address("10.1.0.1") && address("1.1.1.1"));
        assert!(!address("10.1.2.3") && !address("10.2.0.1") && !address("fd00::1"));
        let inside = Ipv4Addr::new(10, 1, 2, 3);
        assert!(rules.address_refusal("64:ff9b::a01:203".parse().unwrap(), &[inside]).is_some());
    }

    /// Regression: another notation of an address, and an address as if its numbers were labels of a name.
    #[test]
    fn addresses_as_hosts_are_compared_in_one_form_and_never_by_their_ends() {
        let rules = |text: &str| {
            let text = format!("tokenProviders: {{hosts: {text}, addresses: {{deny: ['::ffff:10.0.0.0/104']}}}}");
            Egress::read(&text, Profile::Open).map(|egress| egress.of(ProviderKind::TokenProvider, "shop", "p"))
        };
        let denied = rules("{deny: [192.0.2.2, '::ffff:192.0.2.3', '2001:DB8:0::1']}").unwrap();
        for host in ["192.0.2.2", "[::ffff:192.0.2.2]", "[::ffff:c000:202]", "192.0.2.3", "[2001:db8::1]"] {
            assert!(denied.host_refusal(host).is_some(), "{host}");
        }
        assert!(denied.host_refusal("192.0.2.4").is_none() && denied.host_refusal("[2001:db8::2]").is_none());
        assert!(denied.address_refusal("10.1.1.1".parse().unwrap(), &[]).is_some());
        let allowed = rules("{allow: ['::ffff:192.0.2.2']}").unwrap();
        assert!(allowed.host_refusal("192.0.2.2").is_none() && allowed.host_refusal("192.0.2.3").is_some());
        for never in ["*.2.2", "*.2", "192.0.2", "*.192.0.2.2", "2130706433", "a.0x7f", "'*.::1'", "192.0.2.02"] {
            let reported = rules(&format!("{{deny: ['{}']}}", never.trim_matches('\''))).err();
            assert!(reported.is_some_and(|reported| reported.contains("tokenProviders.hosts.deny[0]")), "{never}");
        }
    }

    #[test]
    fn the_most_special_rules_hold_and_the_profile_where_they_are_silent() {
        let shop = of(Profile::Open, ProviderKind::TokenProvider, "shop", "p");
        assert!(shop.host_refusal("any.example.net").is_none() && shop.host_refusal("a.example.org").is_some());
        let strict = of(Profile::Strict, ProviderKind::TokenProvider, "shop", "p");
        assert!(strict.host_refusal("any.example.net").unwrap().contains("TokenProviders of namespace shop"));
        assert!(strict.address_refusal("10.0.0.1".parse().unwrap(), &[]).is_some());
        let vault = of(Profile::Strict, ProviderKind::ClusterTokenProvider, "shop", "vault");
        assert!(vault.host_refusal("10.2.0.1").is_none() && vault.proxy_refusal("proxy.example.com").is_some());
        let other = of(Profile::Open, ProviderKind::ClusterTokenProvider, "shop", "other");
        assert!(other.proxy_refusal("proxy.example.com").is_none() && other.proxy_refusal("evil.example").is_some());
        let none = Egress::profile(Profile::Strict).of(ProviderKind::TokenProvider, "shop", "p");
        assert!(none.host_refusal("example.com").is_some());
    }

    #[test]
    fn every_mistake_is_told_with_its_place() {
        let wrong = "
tokenProviders: {hosts: {allow: ['https://example.com', '*']}, addresses: {deny: [10.0.0.0/40]}}
namespaces: {Shop: {}}
providers: {'../x': {}}
";
        let reported = Egress::read(wrong, Profile::Open).unwrap_err();
        for part in [
            "tokenProviders.hosts.allow[0]: \"https://example.com\"",
            "tokenProviders.hosts.allow[1]",
            "tokenProviders.addresses.deny[0]",
            "\"Shop\" cannot be the name of a namespace",
            "providers: \"../x\"",
        ] {
            assert!(reported.contains(part), "{part}: {reported}");
        }
        let reported = Egress::read("tokenProvider: {}", Profile::Open).unwrap_err();
        assert!(reported.contains("unknown field `tokenProvider`"), "{reported}");
        assert!(Egress::read("", Profile::Open).is_ok());
    }
}
