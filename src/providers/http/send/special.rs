//! Addresses that are no public ones, those that are never connected to, and IPv4 addresses inside of IPv6 ones. Pure.
//!
//! From the IANA registries of special-purpose addresses (RFC 6890):
//! <https://www.iana.org/assignments/iana-ipv4-special-registry> and
//! <https://www.iana.org/assignments/iana-ipv6-special-registry>; and from the documents of the clouds for their metadata services.

use std::{
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
    sync::LazyLock,
};

use ipnet::IpNet;

/// What the registry of IPv4 does not call globally reachable.
const NOT_PUBLIC_V4: [&str; 16] = [
    "0.0.0.0/8",        // this network
    "10.0.0.0/8",       // private use
    "100.64.0.0/10",    // shared address space of carriers, and of pods and services
    "127.0.0.0/8",      // loopback
    "169.254.0.0/16",   // link-local
    "172.16.0.0/12",    // private use
    "192.0.0.0/24",     // protocol assignments
    "192.0.2.0/24",     // documentation
    "192.88.99.0/24",   // relays of 6to4, deprecated
    "192.168.0.0/16",   // private use
    "198.18.0.0/15",    // benchmarks
    "198.51.100.0/24",  // documentation
    "203.0.113.0/24",   // documentation
    "224.0.0.0/4",      // multicast
    "240.0.0.0/4",      // reserved, broadcast
    "168.63.129.16/32", // Azure's, which is public by its number alone
];

/// Of IPv6, 2000::/3 is public but for these.
const NOT_PUBLIC_V6: [&str; 4] = [
    "2001::/23",     // protocol assignments: Teredo, benchmarks, ORCHID
    "2001:db8::/32", // documentation
    "2002::/16",     // 6to4
    "3fff::/20",     // documentation
];

/// Services of clouds that give credentials to whoever asks, beside those at link-local addresses.
const METADATA: [&str; 6] = [
    "100.100.100.200/32",     // Alibaba Cloud
    "168.63.129.16/32",       // Azure (WireServer)
    "192.0.0.192/32",         // Oracle Cloud
    "fd00:ec2::/32",          // AWS: instance metadata, name servers, time, pod identity
    "fd20:ce::254/128",       // Google Cloud
    "fd00:c1::a9fe:a9fe/128", // Oracle Cloud
];

fn nets(texts: &[&str]) -> Vec<IpNet> {
    texts.iter().filter_map(|text| text.parse().ok()).collect()
}

static NOT_PUBLIC: LazyLock<Vec<IpNet>> = LazyLock::new(|| [nets(&NOT_PUBLIC_V4), nets(&NOT_PUBLIC_V6)].concat());
static CLOUDS: LazyLock<Vec<IpNet>> = LazyLock::new(|| nets(&METADATA));

fn is_in(nets: &[IpNet], address: IpAddr) -> bool {
    nets.iter().any(|net| net.contains(&address))
}

/// Whether an address is one of the public Internet.
#[must_use]
pub fn is_public(address: IpAddr) -> bool {
    match address.to_canonical() {
        IpAddr::V6(address) if is_translated(address) => is_public(IpAddr::V4(last(address))),
        IpAddr::V6(address) if address.segments()[0] & 0xe000 != 0x2000 => false,
        address => !is_in(&NOT_PUBLIC, address),
    }
}

/// Why nothing of a provider can be at an address, wherever that is; `None` if it could.
#[must_use]
pub fn never(address: IpAddr) -> Option<&'static str> {
    let address = address.to_canonical();
    match address {
        _ if address.is_unspecified() || address.is_multicast() => Some("nothing can be reached there"),
        IpAddr::V4(v4) if v4.octets()[0] == 0 => Some("nothing can be reached there"),
        IpAddr::V4(v4) if v4.is_link_local() || v4.is_broadcast() => Some("it is a link-local address"),
        IpAddr::V6(v6) if v6.is_unicast_link_local() => Some("it is a link-local address"),
        _ if is_in(&CLOUDS, address) => Some("it is a metadata service"),
        _ => None,
    }
}

/// The prefix by which translators reach IPv4 (RFC 6052).
fn is_translated(address: Ipv6Addr) -> bool {
    address.segments()[..6] == [0x64, 0xff9b, 0, 0, 0, 0]
}

/// The last 32 bits.
fn last(address: Ipv6Addr) -> Ipv4Addr {
    let [.., a, b, c, d] = address.octets();
    Ipv4Addr::new(a, b, c, d)
}

/// The IPv4 addresses that something on the way may make of an IPv6 address: translators (RFC 6052, RFC 8215), tunnels
/// (6to4, Teredo, ISATAP), and the forms that were once for compatibility. Not all that are returned need be meant.
#[must_use]
pub fn embedded(address: Ipv6Addr) -> Vec<Ipv4Addr> {
    let octets = address.octets();
    let at = |from: [usize; 4]| Ipv4Addr::from(from.map(|index| octets[index]));
    match address.segments() {
        // 64:ff9b::/96
        _ if is_translated(address) => vec![last(address)],
        // 64:ff9b:1::/48: with prefixes of 48, 56, 64 and 96 bits, where the bits 64 to 71 are left out.
        [0x64, 0xff9b, 1, ..] => vec![at([6, 7, 9, 10]), at([7, 9, 10, 11]), at([9, 10, 11, 12]), last(address)],
        // 2002::/16
        [0x2002, ..] => vec![at([2, 3, 4, 5])],
        // 2001::/32: the server, and the client with its bits turned.
        [0x2001, 0, ..] => vec![at([4, 5, 6, 7]), Ipv4Addr::from(!u32::from(last(address)))],
        // ISATAP, with any prefix.
        [_, _, _, _, 0 | 0x200, 0x5efe, _, _] => vec![last(address)],
        // ::/96, ::ffff:0/96, ::ffff:0:0/96
        [0, 0, 0, 0, 0, 0 | 0xffff, _, _] | [0, 0, 0, 0, 0xffff, 0, _, _] => vec![last(address)],
        _ => Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_tables_are_read_whole() {
        assert_eq!(NOT_PUBLIC.len(), NOT_PUBLIC_V4.len() + NOT_PUBLIC_V6.len());
        assert_eq!(CLOUDS.len(), METADATA.len());
    }

    #[test]
    fn public_is_what_the_registries_call_so() {
        for public in ["1.1.1.1", "100.63.0.1", "172.32.0.1", "2606:4700::1111", "2a00::1", "64:ff9b::1.1.1.1"] {
            assert!(is_public(public.parse().unwrap()), "{public}");
        }
        for special in [
            "10.0.0.1",
            "100.64.0.1",
            "172.31.0.1",
            "192.168.0.1",
            "198.18.0.1",
            "203.0.113.1",
            "240.0.0.1",
            "fd00::1",
            "2001:db8::1",
            "2001::1",
            "2002:808:808::1",
            "64:ff9b::10.0.0.1",
            "64:ff9b:1::808:808",
            "::ffff:10.0.0.1",
            "::1",
            "5f00::1",
            "168.63.129.16",
            "::",
        ] {
            assert!(!is_public(special.parse().unwrap()), "{special}");
        }
    }
}
