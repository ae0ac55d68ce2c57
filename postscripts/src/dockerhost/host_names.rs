//! Who this host is: the names and addresses that its certificate must speak for.
//!
//! Read from the kernel and from `/etc/hosts`, never from a name service: a static program that asks
//! one loads libraries of a host it does not know. Left out is what is not the host's own or does not
//! last: loopback, link-local and temporary addresses, and the bridges that Docker makes itself, which
//! carry the same addresses on every host.

use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv6Addr};
use std::path::Path;

use anyhow::{Context, Result};
use definitions::host_name_fault;

use crate::tls::SubjectAltNames;

/// `IFA_F_TEMPORARY | IFA_F_DADFAILED | IFA_F_DEPRECATED | IFA_F_TENTATIVE` (`linux/if_addr.h`).
const PASSING_FLAGS: u8 = 0x01 | 0x08 | 0x20 | 0x40;

/// The scope column of `/proc/net/if_inet6` for a global address.
const GLOBAL_SCOPE: &str = "00";

/// Reads the names and addresses of this host, and adds those that the administrator gave.
pub(super) fn load(hosts: &Path, extra: &[San]) -> Result<SubjectAltNames> {
    let hostname = hostname()?;
    let hosts = std::fs::read_to_string(hosts).unwrap_or_default();
    let mut names = SubjectAltNames {
        dns: dns_names(&hostname, &hosts),
        addresses: addresses_v4()?,
    };
    names.addresses.extend(addresses_v6());
    for san in extra {
        match san {
            San::Address(address) => names.addresses.insert(*address),
            San::Dns(name) => names.dns.insert(name.clone()),
        };
    }
    Ok(names)
}

/// Says why the host's own name is not in its certificate, if it is not.
pub(super) fn left_out() -> Result<Option<String>> {
    let hostname = hostname()?;
    Ok(host_name_fault(&hostname).map(|fault| {
        format!(
            "no certificate can have this host's name {hostname:?}: {fault}; clients reach it by its addresses \
             and by what --san adds"
        )
    }))
}

fn hostname() -> Result<String> {
    let hostname = nix::unistd::gethostname().context("reading the host's name")?;
    Ok(hostname.to_string_lossy().to_lowercase())
}

/// A name that the administrator adds to the certificate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum San {
    /// An IP address.
    Address(IpAddr),
    /// A DNS name.
    Dns(String),
}

impl std::str::FromStr for San {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if let Ok(address) = text.parse() {
            return Ok(Self::Address(address));
        }
        match host_name_fault(text) {
            None => Ok(Self::Dns(text.to_lowercase())),
            Some(fault) => Err(format!(
                "expected an IP address or a DNS name such as host01.cluster: {fault}"
            )),
        }
    }
}

/// Returns the short name, and each full name that `/etc/hosts` gives for it.
fn dns_names(hostname: &str, hosts: &str) -> BTreeSet<String> {
    let short = hostname.split('.').next().unwrap_or(hostname);
    let full = hosts
        .lines()
        .filter_map(|line| line.split('#').next())
        .flat_map(|line| line.split_whitespace().skip(1))
        .map(str::to_lowercase)
        .filter(|name| name.split('.').next() == Some(short));
    let own = [short.to_owned(), hostname.to_owned()];
    full.chain(own)
        .filter(|name| host_name_fault(name).is_none() && name != "localhost")
        .collect()
}

/// Returns the lasting IPv4 addresses of this host.
pub(super) fn addresses_v4() -> Result<BTreeSet<IpAddr>> {
    let interfaces = nix::ifaddrs::getifaddrs().context("reading the host's addresses")?;
    Ok(interfaces
        .filter(|interface| !is_made_by_docker(&interface.interface_name))
        .filter_map(|interface| Some(interface.address?.as_sockaddr_in()?.ip()))
        .filter(|address| !address.is_loopback() && !address.is_link_local())
        .map(IpAddr::from)
        .collect())
}

/// Returns the lasting IPv6 addresses of this host.
pub(super) fn addresses_v6() -> impl Iterator<Item = IpAddr> {
    let text = std::fs::read_to_string("/proc/net/if_inet6").unwrap_or_default();
    parse_inet6(&text).into_iter().map(IpAddr::from)
}

/// Reads `/proc/net/if_inet6`: address, interface index, prefix length, scope, flags (all
/// hexadecimal) and name (`net/ipv6/addrconf.c`, `if6_seq_show`).
fn parse_inet6(text: &str) -> Vec<Ipv6Addr> {
    let lasting = |line: &str| {
        let [address, _, _, scope, flags, name] =
            <[&str; 6]>::try_from(line.split_whitespace().collect::<Vec<_>>()).ok()?;
        let flags = u8::from_str_radix(flags, 16).ok()?;
        let bits = u128::from_str_radix(address, 16).ok()?;
        let lasts = scope == GLOBAL_SCOPE && flags & PASSING_FLAGS == 0 && !is_made_by_docker(name);
        lasts.then(|| Ipv6Addr::from_bits(bits))
    };
    text.lines().filter_map(lasting).collect()
}

/// Says whether an interface is one that Docker makes: `docker0`, `docker_gwbridge`, `br-` and twelve
/// hexadecimal digits, `veth…`.
pub(super) fn is_made_by_docker(name: &str) -> bool {
    let network = name
        .strip_prefix("br-")
        .is_some_and(|id| id.len() == 12 && id.chars().all(|c| c.is_ascii_hexdigit()));
    network || name == "docker0" || name == "docker_gwbridge" || name.starts_with("veth")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn full_names_come_from_the_lines_that_name_this_host() {
        let hosts =
            "127.0.0.1 localhost\n127.0.1.1 host01.cluster host01 # me\n10.0.0.9 host02.cluster\n";
        let names: Vec<_> = dns_names("host01", hosts).into_iter().collect();
        assert_eq!(names, ["host01", "host01.cluster"]);
        let names: Vec<_> = dns_names("host01.lab", "").into_iter().collect();
        assert_eq!(names, ["host01", "host01.lab"]);
        assert!(dns_names("localhost", hosts).is_empty());
        let hosts = "127.0.1.1 Docker_Host_1.lab docker_host_1\n";
        let names: Vec<_> = dns_names("docker_host_1", hosts).into_iter().collect();
        assert_eq!(names, ["docker_host_1", "docker_host_1.lab"]);
        // No label is longer than 63 characters.
        assert!(dns_names(&"a".repeat(64), "").is_empty());
    }

    #[test]
    fn only_lasting_global_addresses_count() {
        let text = "\
fd000000000000000000000000000005 02 40 00 80     eth0
fd000000000000000000000000000006 02 40 00 01     eth0
fe800000000000000000000000000005 02 40 20 80     eth0
00000000000000000000000000000001 01 80 10 80       lo
fd000000000000000000000000000007 09 40 00 80  docker0
cut short
";
        assert_eq!(parse_inet6(text), ["fd00::5".parse::<Ipv6Addr>().unwrap()]);
    }

    #[test]
    fn bridges_of_docker_are_not_the_hosts() {
        for (name, docker) in [
            ("docker0", true),
            ("br-0123456789ab", true),
            ("br-lan", false),
            ("mydocker0", false),
            ("vethab12", true),
            ("eth0", false),
        ] {
            assert_eq!(is_made_by_docker(name), docker, "{name}");
        }
    }

    #[test]
    fn a_san_is_an_address_or_a_name() {
        assert_eq!(
            "10.0.0.5".parse(),
            Ok(San::Address("10.0.0.5".parse().unwrap()))
        );
        assert_eq!(
            "Host01.Cluster".parse(),
            Ok(San::Dns("host01.cluster".to_owned()))
        );
        assert_eq!("node_1".parse(), Ok(San::Dns("node_1".to_owned())));
        for text in ["", "a b", "-a", "a..b", "*.cluster"] {
            assert!(text.parse::<San>().is_err(), "{text}");
        }
    }
}
