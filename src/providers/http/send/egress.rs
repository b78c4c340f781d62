//! What administrators allow providers to connect to: a file of rules, for tenants' own providers and for cluster-wide
//! ones apart.
//!
//! A rule is about hosts, as URLs name them, about addresses, after a name was resolved, or about proxies. In each,
//! `deny` wins; with `allow`, only what it lists may be; without it the profile decides.

use std::{
    collections::BTreeMap,
    net::{IpAddr, Ipv4Addr},
    sync::Arc,
};

use ipnet::IpNet;
use serde::Deserialize;

use super::special;
use crate::api::{ProviderKind, object_name};

/// What holds where the rules say nothing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Profile {
    /// Every host, private addresses included.
    #[default]
    Open,
    /// No host, no proxy, and public addresses only.
    Strict,
}

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

#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct RuleLists {
    hosts: Lists,
    addresses: Lists,
    proxies: Lists,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Lists {
    allow: Option<Vec<String>>,
    deny: Vec<String>,
}

/// All rules of an installation.
#[derive(Clone, Debug, Default)]
pub struct Egress {
    token_providers: Arc<Rules>,
    namespaces: BTreeMap<String, Arc<Rules>>,
    cluster_token_providers: Arc<Rules>,
    providers: BTreeMap<String, Arc<Rules>>,
}

/// The rules for one kind of provider objects, or for some of them.
#[derive(Clone, Debug, Default)]
pub struct Rules {
    /// Whose they are, in words.
    whose: String,
    profile: Profile,
    hosts: Lines<Host>,
    addresses: Lines<Addresses>,
    proxies: Lines<Host>,
}

#[derive(Clone, Debug)]
struct Lines<T> {
    allow: Option<Vec<T>>,
    deny: Vec<T>,
}

impl<T> Default for Lines<T> {
    fn default() -> Self {
        Self { allow: None, deny: Vec::new() }
    }
}

impl<T> Lines<T> {
    /// Whether something may be; `otherwise` where the rules say nothing of it.
    fn allows(&self, matches: impl Fn(&T) -> bool, otherwise: bool) -> bool {
        let allowed = self.allow.as_ref().map_or(otherwise, |allow| allow.iter().any(&matches));
        allowed && !self.deny.iter().any(matches)
    }
}

/// `example.com`, `*.example.com` for every host below it, or an address that stands in URLs as such.
#[derive(Clone, Debug)]
enum Host {
    One(String),
    Below(String),
    Address(IpAddr),
}

impl Host {
    /// The numbers of an address are no labels of a name.
    fn matches(&self, host: &str, literal: Option<IpAddr>) -> bool {
        match (self, literal) {
            (Self::Address(one), Some(address)) => *one == address,
            (Self::One(one), None) => one == host,
            (Self::Below(end), None) => host.strip_suffix(end.as_str()).is_some_and(|rest| !rest.is_empty()),
            _ => false,
        }
    }
}

/// A text that is an address, IPv4-mapped ones as IPv4.
fn literal(text: &str) -> Option<IpAddr> {
    text.parse().ok().map(|address: IpAddr| address.to_canonical())
}

/// Whether URLs take a host for an IPv4 address, or for nothing that could be meant:
/// <https://url.spec.whatwg.org/#ends-in-a-number-checker>.
fn ends_in_a_number(name: &str) -> bool {
    let last = name.rsplit('.').next().unwrap_or_default();
    let is_hex = |digits: &str| digits.bytes().all(|byte| byte.is_ascii_hexdigit());
    last.bytes().all(|byte| byte.is_ascii_digit()) || last.strip_prefix("0x").is_some_and(is_hex)
}

/// A range, or all public addresses.
#[derive(Clone, Debug)]
enum Addresses {
    Public,
    In(IpNet),
}

impl Addresses {
    fn matches(&self, address: IpAddr) -> bool {
        match self {
            Self::Public => special::is_public(address),
            Self::In(net) => net.contains(&address),
        }
    }
}

impl Egress {
    /// The profile by itself.
    #[must_use]
    pub fn profile(profile: Profile) -> Self {
        let rules = |whose: &str| Arc::new(Rules { whose: whose.to_owned(), profile, ..Rules::default() });
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
            Arc::new(Rules::new(whose, profile, place, said, &mut mistakes))
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
    pub fn of(&self, kind: ProviderKind, namespace: &str, name: &str) -> Arc<Rules> {
        let (own, all) = match kind {
            ProviderKind::TokenProvider => (self.namespaces.get(namespace), &self.token_providers),
            ProviderKind::ClusterTokenProvider => (self.providers.get(name), &self.cluster_token_providers),
        };
        own.unwrap_or(all).clone()
    }
}

const TOKEN_PROVIDERS: &str = "TokenProviders";
const CLUSTER_TOKEN_PROVIDERS: &str = "ClusterTokenProviders";

impl Rules {
    fn new(whose: String, profile: Profile, place: &str, said: RuleLists, mistakes: &mut Vec<String>) -> Self {
        let RuleLists { hosts, addresses, proxies } = said;
        Self {
            whose,
            profile,
            hosts: lines(hosts, &format!("{place}.hosts"), host, mistakes),
            addresses: lines(addresses, &format!("{place}.addresses"), range, mistakes),
            proxies: lines(proxies, &format!("{place}.proxies"), host, mistakes),
        }
    }

    /// Whose rules they are; different ones have different names.
    #[must_use]
    pub fn whose(&self) -> &str {
        &self.whose
    }

    /// Why a host is not asked; `None` if it may be.
    #[must_use]
    pub fn host_refusal(&self, host: &str) -> Option<String> {
        self.refusal(&self.hosts, host, "hosts")
    }

    /// Why a host is not used as a proxy; `None` if it may be.
    #[must_use]
    pub fn proxy_refusal(&self, host: &str) -> Option<String> {
        self.refusal(&self.proxies, host, "proxies")
    }

    fn refusal(&self, lines: &Lines<Host>, host: &str, place: &str) -> Option<String> {
        let host = host.trim_matches(['[', ']']).trim_end_matches('.').to_ascii_lowercase();
        let literal = literal(&host);
        let allowed = lines.allows(|rule| rule.matches(&host, literal), self.profile == Profile::Open);
        (!allowed).then(|| format!("the egress rules for {} do not allow it ({place})", self.whose))
    }

    /// Why an address is not connected to; `None` if it may be. `embedded` are the IPv4 addresses in it: what is denied
    /// for one of them is denied for it.
    #[must_use]
    pub fn address_refusal(&self, address: IpAddr, embedded: &[Ipv4Addr]) -> Option<String> {
        let Lines { allow, deny } = &self.addresses;
        let is_allowed = match (allow, self.profile) {
            (Some(allow), _) => allow.iter().any(|rule| rule.matches(address)),
            (None, Profile::Open) => true,
            (None, Profile::Strict) => special::is_public(address),
        };
        let mut all = std::iter::once(address).chain(embedded.iter().copied().map(IpAddr::V4));
        let is_denied = all.any(|address| deny.iter().any(|rule| rule.matches(address)));
        let allowed = is_allowed && !is_denied;
        (!allowed).then(|| format!("the egress rules for {} do not allow {address} (addresses)", self.whose))
    }
}

fn lines<T>(
    lists: Lists,
    place: &str,
    read: impl Fn(&str) -> Result<T, String>,
    mistakes: &mut Vec<String>,
) -> Lines<T> {
    let mut all = |texts: Vec<String>, list: &str| {
        let read = texts.iter().enumerate().filter_map(|(index, text)| {
            read(text).map_err(|why| mistakes.push(format!("{place}.{list}[{index}]: {text:?} {why}"))).ok()
        });
        read.collect::<Vec<T>>()
    };
    let Lists { allow, deny } = lists;
    Lines { allow: allow.map(|texts| all(texts, "allow")), deny: all(deny, "deny") }
}

fn host(text: &str) -> Result<Host, String> {
    let text = text.to_ascii_lowercase();
    let (is_below, name) = match text.strip_prefix("*.") {
        Some(name) => (true, name),
        None => (false, text.as_str()),
    };
    if let Some(address) = literal(name).filter(|_| !is_below) {
        return Ok(Host::Address(address));
    }
    if !object_name::is_subdomain(name) || ends_in_a_number(name) {
        return Err("is no host: write example.com, *.example.com for every host below it, or an address".to_owned());
    }
    Ok(if is_below { Host::Below(format!(".{name}")) } else { Host::One(name.to_owned()) })
}

fn range(text: &str) -> Result<Addresses, String> {
    if text == "public" {
        return Ok(Addresses::Public);
    }
    let one = text.parse::<IpAddr>().map(IpNet::from);
    text.parse::<IpNet>()
        .or(one)
        .map(|net| Addresses::In(canonical(net)))
        .map_err(|_| "is no range: write 10.0.0.0/8, fd00::/8, an address, or public".to_owned())
}

/// A range of IPv4-mapped addresses as one of IPv4, as addresses are compared.
fn canonical(net: IpNet) -> IpNet {
    match (net.addr().to_canonical(), net.prefix_len().checked_sub(96)) {
        (address @ IpAddr::V4(_), Some(length)) if net.addr().is_ipv6() => IpNet::new(address, length).unwrap_or(net),
        _ => net,
    }
}

#[cfg(test)]
mod tests {
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

    fn of(profile: Profile, kind: ProviderKind, namespace: &str, name: &str) -> Arc<Rules> {
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
            let told = rules(&format!("{{deny: ['{}']}}", never.trim_matches('\''))).err();
            assert!(told.is_some_and(|told| told.contains("tokenProviders.hosts.deny[0]")), "{never}");
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
        let told = Egress::read(wrong, Profile::Open).unwrap_err();
        for part in [
            "tokenProviders.hosts.allow[0]: \"https://example.com\"",
            "tokenProviders.hosts.allow[1]",
            "tokenProviders.addresses.deny[0]",
            "\"Shop\" cannot be the name of a namespace",
            "providers: \"../x\"",
        ] {
            assert!(told.contains(part), "{part}: {told}");
        }
        let told = Egress::read("tokenProvider: {}", Profile::Open).unwrap_err();
        assert!(told.contains("unknown field `tokenProvider`"), "{told}");
        assert!(Egress::read("", Profile::Open).is_ok());
    }
}
