//! Where a recipe may connect to: not to the node, the cloud's metadata, or the API server, and not where the
//! administrator's rules for egress say no.
//!
//! Whoever may write a provider object chooses where the operator connects to. Addresses are looked at after the name
//! was resolved, and the connection is made to exactly those: an answer that changes between look and connect (DNS
//! rebinding) gains nothing.

use std::{
    net::{IpAddr, Ipv4Addr, SocketAddr},
    sync::Arc,
};

use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use url::{Host, Url};

pub use super::api_server::ApiServer;
use super::{
    api_server::Refusal,
    egress::{Egress, EgressRules},
    special,
};
use crate::{api::ProviderKind, providers::Error};

const LOOPBACK: &str = "it is a loopback address; the operator's flag --allow-loopback-providers allows these";

/// What is allowed beyond the usual, and what is not.
#[derive(Clone, Debug, Default)]
pub struct Reach {
    /// Loopback addresses, for tests and sidecars.
    pub loopback: bool,
    /// Plain HTTP.
    pub plain_http: bool,
    pub api_server: ApiServer,
    /// The administrator's rules.
    pub egress: Arc<Egress>,
}

impl Reach {
    /// For calls of one provider object. `namespace` is that of a TokenProvider.
    #[must_use]
    pub fn of(&self, kind: ProviderKind, namespace: &str, name: &str) -> Reachable {
        Reachable { reach: self.clone(), rules: self.egress.of(kind, namespace, name) }
    }

    /// Why an address is not connected to, by whomever; `None` if it may be.
    #[must_use]
    pub fn refusal(&self, address: IpAddr) -> Option<Refusal> {
        let address = address.to_canonical();
        if address.is_loopback() {
            // Allowed also where the API server is: a cluster on loopback is a test.
            return (!self.loopback).then(|| Refusal::lasting(LOOPBACK));
        }
        // A translator or a tunnel leads to what is inside; what is not meant by it begins with a zero most often.
        let inside = embedded(address);
        let is_meant = |inside: &Ipv4Addr| inside.octets()[0] != 0;
        for inside in inside.iter().filter(|inside| is_meant(inside)).copied().map(IpAddr::V4) {
            let why = if inside.is_loopback() { Some(LOOPBACK) } else { special::never(inside) };
            if let Some(why) = why {
                return Some(Refusal::lasting(format!("it leads to {inside}, and {why}")));
            }
        }
        if let Some(why) = special::never(address) {
            return Some(Refusal::lasting(why));
        }
        self.api_server.refusal(inside.into_iter().map(IpAddr::V4).chain([address]))
    }

    /// Whether a URL may be asked for, as far as it says by itself.
    ///
    /// # Errors
    /// Why not, and what to do.
    pub fn check(&self, url: &Url) -> Result<(), String> {
        if url.scheme() != "https" && !self.plain_http {
            return Err("has to begin with https://; the operator's flag --allow-plain-http allows http://".to_owned());
        }
        self.check_host(url)
    }

    /// Whether the host of a URL may be connected to, as far as it says by itself and as is known now.
    ///
    /// # Errors
    /// Why not, and what to do.
    pub fn check_host(&self, url: &Url) -> Result<(), String> {
        let Some(address) = literal(url) else { return Ok(()) };
        // What is not known yet is no mistake of the recipe: the call waits for it.
        let reach = match self.api_server.is_known() {
            true => self.clone(),
            false => Self { api_server: ApiServer::default(), ..self.clone() },
        };
        match reach.refusal(address) {
            Some(refusal) => Err(refusal.of(&address.to_string()).to_string()),
            None => Ok(()),
        }
    }
}

/// Where the calls of one provider object may go.
#[derive(Clone, Debug)]
pub struct Reachable {
    pub reach: Reach,
    rules: Arc<EgressRules>,
}

impl Reachable {
    /// What tells it apart from others.
    #[must_use]
    pub fn whose(&self) -> &str {
        self.rules.whose()
    }

    /// Why an address is not connected to.
    fn refusal(&self, address: IpAddr) -> Option<Refusal> {
        let address = address.to_canonical();
        let by_rules = || self.rules.address_refusal(address, &embedded(address)).map(Refusal::lasting);
        self.reach.refusal(address).or_else(by_rules)
    }

    /// Whether a URL may be asked for. The address of a name is looked at when it is resolved; behind a proxy, by
    /// nobody.
    ///
    /// # Errors
    /// Why not.
    pub fn check(&self, url: &Url) -> Result<(), Error> {
        let host = url.host_str().unwrap_or_default();
        self.check_address(url)?;
        self.rules.host_refusal(host).map_or(Ok(()), |why| Err(Refusal::lasting(why).of(host)))
    }

    /// Whether a proxy may be used.
    ///
    /// # Errors
    /// Why not.
    pub fn check_proxy(&self, url: &Url) -> Result<(), Error> {
        let host = url.host_str().unwrap_or_default();
        self.check_address(url)?;
        self.rules.proxy_refusal(host).map_or(Ok(()), |why| Err(Refusal::lasting(why).of(host)))
    }

    fn check_address(&self, url: &Url) -> Result<(), Error> {
        let Some(address) = literal(url) else { return Ok(()) };
        self.refusal(address).map_or(Ok(()), |refusal| Err(refusal.of(&address.to_string())))
    }
}

/// The address that stands in a URL as such.
fn literal(url: &Url) -> Option<IpAddr> {
    match url.host() {
        Some(Host::Ipv4(address)) => Some(IpAddr::V4(address)),
        Some(Host::Ipv6(address)) => Some(IpAddr::V6(address)),
        Some(Host::Domain(_)) | None => None,
    }
}

fn embedded(address: IpAddr) -> Vec<Ipv4Addr> {
    match address {
        IpAddr::V4(_) => Vec::new(),
        IpAddr::V6(address) => special::embedded(address),
    }
}

/// Resolves names and leaves out what may not be connected to: then an [`Error`] is among the causes of the client's.
pub struct GuardedResolver {
    pub reach: Reachable,
}

impl Resolve for GuardedResolver {
    fn resolve(&self, name: Name) -> Resolving {
        let reach = self.reach.clone();
        Box::pin(async move {
            let host = name.as_str().to_owned();
            let mut refused = None;
            let mut allowed: Vec<SocketAddr> = Vec::new();
            for address in tokio::net::lookup_host((host.as_str(), 0)).await? {
                match reach.refusal(address.ip()) {
                    Some(refusal) => refused = Some(refusal.of(&host)),
                    None => allowed.push(address),
                }
            }
            match refused {
                // One bad address among good ones is how rebinding looks.
                Some(error) => Err(error.into()),
                None => Ok(Box::new(allowed.into_iter()) as Addrs),
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::providers::Class;
    use crate::providers::http::send::egress::Profile;

    fn reach() -> Reach {
        let api_server =
            ApiServer::known(["10.96.0.1", "203.0.113.7", "fd00:5::1"].map(|one| one.parse().unwrap()).into());
        Reach { api_server, ..Reach::default() }
    }

    #[test]
    fn the_node_the_metadata_and_the_api_server_are_out_of_reach() {
        for refused in [
            "127.0.0.1",
            "127.8.9.1",
            "::1",
            "::ffff:127.0.0.1",
            "169.254.169.254",
            "::ffff:169.254.169.254",
            "fe80::1",
            "fd00:ec2::254",
            "0.0.0.0",
            "::",
            "224.0.0.1",
            "255.255.255.255",
            "10.96.0.1",
            "::ffff:10.96.0.1",
            "203.0.113.7",
            "fd00:5::1",
            "fd20:ce::254",
            "100.100.100.200",
            "168.63.129.16",
            "::127.0.0.1",
            "::ffff:0:127.0.0.1",
            "64:ff9b::169.254.169.254",
            "64:ff9b::10.96.0.1",
            "64:ff9b::127.0.0.1",
            "64:ff9b:1::169.254.169.254",
            "64:ff9b:1:a9fe:a9:fe00::",
            "2002:a9fe:a9fe::1",
            "2002:7f00:1::1",
            "2001:0:4136:e378:8000:63bf:5601:5601",
            "2001:0:a9fe:a9fe::1",
            "fd00::5efe:169.254.169.254",
        ] {
            assert!(reach().refusal(refused.parse().unwrap()).is_some(), "{refused}");
        }
        for allowed in
            ["10.0.0.1", "192.168.1.1", "1.1.1.1", "2606:4700::1111", "fd00:1::1", "64:ff9b::1.1.1.1", "100.64.0.1"]
        {
            assert_eq!(reach().refusal(allowed.parse().unwrap()), None, "{allowed}");
        }
        let open = Reach { loopback: true, ..Reach::default() };
        assert_eq!(open.refusal("127.0.0.1".parse().unwrap()), None);
        assert!(open.refusal("169.254.169.254".parse().unwrap()).is_some());
    }

    #[test]
    fn addresses_in_urls_are_seen_in_every_notation() {
        let check = |url: &str| reach().check(&url.parse().unwrap());
        for refused in [
            "https://2130706433/",
            "https://0x7f.1/",
            "https://[::ffff:7f00:1]/",
            "https://169.254.169.254/x",
            "http://example.com/",
        ] {
            assert!(check(refused).is_err(), "{refused}");
        }
        assert_eq!(check("https://example.com/"), Ok(()));
    }

    /// A look-up that failed left an empty set, and the API server within reach.
    #[test]
    fn nothing_is_connected_to_before_the_api_server_is_known() {
        let api_server = ApiServer::unknown();
        let reach = Reach { api_server: api_server.clone(), ..Reach::default() };
        let refusal = |address: &str| reach.refusal(address.parse().unwrap());
        api_server.not_found("no answer".to_owned());
        assert!(
            refusal("1.1.1.1")
                .is_some_and(|reported| reported.class == Class::Unavailable && reported.why.contains("no answer"))
        );
        assert_eq!(reach.check_host(&"https://1.1.1.1/".parse().unwrap()), Ok(()), "no mistake of the recipe");
        api_server.found(BTreeSet::from(["10.96.0.1".parse().unwrap()]));
        api_server.found(BTreeSet::from(["10.0.0.5".parse().unwrap()]));
        api_server.not_found("no answer".to_owned());
        assert_eq!(refusal("1.1.1.1"), None);
        assert!(refusal("10.96.0.1").is_some() && refusal("10.0.0.5").is_some(), "what was known stays");
    }

    #[test]
    fn rules_hold_for_hosts_addresses_and_proxies() {
        let rules = "tokenProviders: {hosts: {allow: [api.example.com]}, addresses: {deny: [10.0.0.0/8]}, proxies: {allow: []}}";
        let egress = Egress::read(rules, Profile::Open).unwrap();
        let reach = Reach { egress: Arc::new(egress), ..reach() };
        let own = reach.of(ProviderKind::TokenProvider, "shop", "p");
        let url = |text: &str| text.parse::<Url>().unwrap();
        assert_eq!(own.check(&url("https://api.example.com/")), Ok(()));
        assert!(own.check(&url("https://other.example.com/")).unwrap_err().to_string().contains("TokenProviders"));
        assert!(own.check(&url("https://1.1.1.1/")).is_err(), "an address is a host that is not listed");
        assert!(own.check_proxy(&url("http://api.example.com:3128/")).is_err());
        assert!(
            own.refusal("10.1.1.1".parse().unwrap()).is_some() && own.refusal("1.1.1.1".parse().unwrap()).is_none()
        );
        let cluster = reach.of(ProviderKind::ClusterTokenProvider, "shop", "p");
        assert_eq!(cluster.check(&url("https://10.1.1.1/")), Ok(()), "other rules");
        assert!(cluster.check(&url("https://10.96.0.1/")).is_err(), "no rule allows the API server");
    }

    /// Regression: the flag lifted the administrator's rules for loopback too.
    #[test]
    fn rules_hold_for_loopback_where_the_flag_allows_it() {
        let refused = |rules: &str, profile: Profile, address: &str| {
            let egress = Arc::new(Egress::read(rules, profile).unwrap());
            let reach = Reach { loopback: true, egress, ..reach() };
            reach.of(ProviderKind::TokenProvider, "shop", "p").refusal(address.parse().unwrap()).is_some()
        };
        let [deny, allow] =
            ["deny", "allow"].map(|list| format!("tokenProviders: {{addresses: {{{list}: [127.0.0.0/8]}}}}"));
        for (rules, profile, address, is_refused) in [
            ("", Profile::Open, "127.0.0.1", false),
            ("", Profile::Open, "::1", false),
            ("", Profile::Strict, "127.0.0.1", true),
            ("", Profile::Strict, "::1", true),
            (&deny, Profile::Open, "127.0.0.1", true),
            (&deny, Profile::Open, "::ffff:127.0.0.1", true),
            (&deny, Profile::Open, "::1", false),
            (&allow, Profile::Strict, "127.0.0.1", false),
            (&allow, Profile::Open, "::1", true),
        ] {
            assert_eq!(refused(rules, profile, address), is_refused, "{rules} {profile:?} {address}");
        }
        let without = Reach { egress: Arc::new(Egress::read(&allow, Profile::Open).unwrap()), ..reach() };
        let own = without.of(ProviderKind::TokenProvider, "shop", "p");
        assert!(own.refusal("127.0.0.1".parse().unwrap()).is_some(), "rules allow no loopback without the flag");
    }
}
