//! Where a recipe may connect to: not to the node, the cloud's metadata, or the API server, unless the operator is told so.
//!
//! Whoever may write a provider object chooses where the operator connects to. Addresses are looked at after the name was
//! resolved, and the connection is made to exactly those: an answer that changes between look and connect (DNS rebinding)
//! gains nothing.

use std::{
    collections::BTreeSet,
    io,
    net::{IpAddr, SocketAddr},
    sync::Arc,
};

use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use url::{Host, Url};

const LOOPBACK: &str = "it is a loopback address; the operator's flag --allow-loopback-providers allows these";

/// What is allowed beyond the usual.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Reach {
    /// Loopback addresses, for tests and sidecars.
    pub loopback: bool,
    /// Plain HTTP.
    pub plain_http: bool,
    /// Addresses of the API server, which its own provider is for.
    pub refused: BTreeSet<IpAddr>,
}

impl Reach {
    /// Why an address is not connected to; `None` if it may be.
    #[must_use]
    pub fn refusal(&self, address: IpAddr) -> Option<&'static str> {
        let address = address.to_canonical();
        if address.is_loopback() {
            // Allowed also where the API server is: a cluster on loopback is a test.
            return (!self.loopback).then_some(LOOPBACK);
        }
        if self.refused.contains(&address) {
            return Some("it is the API server's");
        }
        match address {
            _ if address.is_unspecified() || address.is_multicast() => Some("nothing can be reached there"),
            IpAddr::V4(address) if address.is_link_local() || address.is_broadcast() => {
                Some("it is a link-local address")
            }
            IpAddr::V6(address) if address.is_unicast_link_local() => Some("it is a link-local address"),
            // The address of the metadata services that speak IPv6.
            IpAddr::V6(address) if address.segments()[..2] == [0xfd00, 0x0ec2] => Some("it is a metadata service"),
            _ => None,
        }
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

    /// Whether the host of a URL may be connected to, as far as it says by itself.
    ///
    /// # Errors
    /// Why not, and what to do.
    pub fn check_host(&self, url: &Url) -> Result<(), String> {
        let address = match url.host() {
            Some(Host::Ipv4(address)) => IpAddr::V4(address),
            Some(Host::Ipv6(address)) => IpAddr::V6(address),
            Some(Host::Domain(_)) | None => return Ok(()),
        };
        match self.refusal(address) {
            Some(why) => Err(refused(&address.to_string(), why)),
            None => Ok(()),
        }
    }
}

fn refused(host: &str, why: &str) -> String {
    format!("{host} is not connected to because {why}")
}

/// Resolves names and leaves out what may not be connected to.
pub struct GuardedResolver {
    pub reach: Arc<Reach>,
}

impl Resolve for GuardedResolver {
    fn resolve(&self, name: Name) -> Resolving {
        let reach = self.reach.clone();
        Box::pin(async move {
            let host = name.as_str().to_owned();
            let mut why_not = None;
            let mut allowed: Vec<SocketAddr> = Vec::new();
            for address in tokio::net::lookup_host((host.as_str(), 0)).await? {
                match reach.refusal(address.ip()) {
                    Some(why) => why_not = Some(refused(&host, why)),
                    None => allowed.push(address),
                }
            }
            match why_not {
                // One bad address among good ones is how rebinding looks.
                Some(why) => Err(io::Error::new(io::ErrorKind::PermissionDenied, why).into()),
                None => Ok(Box::new(allowed.into_iter()) as Addrs),
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reach() -> Reach {
        Reach { refused: BTreeSet::from(["10.96.0.1".parse().unwrap()]), ..Reach::default() }
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
        ] {
            assert!(reach().refusal(refused.parse().unwrap()).is_some(), "{refused}");
        }
        for allowed in ["10.0.0.1", "192.168.1.1", "1.1.1.1", "2606:4700::1111", "fd00:1::1"] {
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
}
