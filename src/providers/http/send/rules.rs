//! Rules for egress: about hosts, as URLs name them, about addresses, after a name was resolved, or about proxies.

use std::net::{IpAddr, Ipv4Addr};

use ipnet::IpNet;
use serde::Deserialize;

use super::special;
use crate::api::object_name;

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
#[serde(default, deny_unknown_fields)]
pub(super) struct RuleLists {
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

/// The rules for one kind of provider objects, or for some of them.
#[derive(Clone, Debug, Default)]
pub struct EgressRules {
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

impl EgressRules {
    /// None: the profile decides.
    pub(super) fn silent(whose: &str, profile: Profile) -> Self {
        Self { whose: whose.to_owned(), profile, ..Self::default() }
    }

    pub(super) fn new(
        whose: String,
        profile: Profile,
        place: &str,
        said: RuleLists,
        mistakes: &mut Vec<String>,
    ) -> Self {
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
