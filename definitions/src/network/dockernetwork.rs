//! The argument of `setupdockerhost`: `mydocker0=10.1.0.0/16@10.1.0.5:eth0`.

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

use ipnetwork::IpNetwork;
use serde::{Deserialize, Serialize};

use super::IfName;
use crate::Error;

/// A docker network on a bridge: its name, which is the bridge's too, its subnet, its gateway, and the
/// NIC that becomes the bridge's port: `mydocker0=10.1.0.0/16@10.1.0.5:eth0`.
///
/// The gateway is the docker host's own address in the subnet: docker gives it to the bridge. An IPv6
/// gateway is in brackets before a NIC (`net6=fd00::/64@[fd00::5]:eth0`).
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct DockerNetwork {
    name: IfName,
    subnet: IpNetwork,
    gateway: IpAddr,
    nic: Option<IfName>,
}

/// The form that every error shows.
const FORM: &str = "NAME=NET/LEN@GATEWAY[:NIC] such as 'mydocker0=10.1.0.0/16@10.1.0.5:eth0'";

impl DockerNetwork {
    /// Makes a network.
    ///
    /// # Errors
    /// When docker would refuse the name, the subnet has host bits, the gateway is no address for a
    /// host in the subnet, or the NIC is the bridge itself.
    pub fn new(
        name: IfName,
        subnet: IpNetwork,
        gateway: IpAddr,
        nic: Option<IfName>,
    ) -> Result<Self, Error> {
        let allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '.' | '-');
        let begins = name
            .as_str()
            .starts_with(|c: char| c.is_ascii_alphanumeric());
        if !begins || !name.as_str().chars().all(allowed) {
            let expected = "letters, digits, '_', '.' and '-', a letter or digit first";
            return Err(Error::invalid(
                "the name of a docker network",
                name.as_str(),
                expected,
            ));
        }
        if subnet.ip() != subnet.network() {
            let expected = format!("'{}/{}'", subnet.network(), subnet.prefix());
            return Err(Error::invalid(
                "the address of a network",
                subnet.to_string(),
                expected,
            ));
        }
        let outside = !subnet.contains(gateway) || gateway == subnet.network();
        if outside || subnet.is_ipv4() && gateway == subnet.broadcast() {
            let expected = format!("the address of a host in {subnet}");
            return Err(Error::invalid("a gateway", gateway.to_string(), expected));
        }
        if nic.as_ref() == Some(&name) {
            let expected = "the NIC below the bridge, which has another name";
            return Err(Error::invalid(
                "the port of a bridge",
                name.as_str(),
                expected,
            ));
        }
        Ok(Self {
            name,
            subnet,
            gateway,
            nic,
        })
    }

    /// Returns the name of the docker network and of its bridge.
    pub fn name(&self) -> &IfName {
        &self.name
    }

    /// Returns the subnet.
    pub fn subnet(&self) -> IpNetwork {
        self.subnet
    }

    /// Returns the docker host's own address in the subnet.
    pub fn gateway(&self) -> IpAddr {
        self.gateway
    }

    /// Returns the NIC that becomes the bridge's port, where one is named.
    pub fn nic(&self) -> Option<&IfName> {
        self.nic.as_ref()
    }
}

impl FromStr for DockerNetwork {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        let malformed = || Error::invalid("a docker network", text, FORM);
        let (name, rest) = text.split_once('=').ok_or_else(malformed)?;
        let (subnet, rest) = rest.split_once('@').ok_or_else(malformed)?;
        let (gateway, nic) = split_gateway(rest).ok_or_else(malformed)?;
        Self::new(
            name.parse()?,
            parse_subnet(subnet).ok_or_else(malformed)?,
            gateway,
            nic.map(str::parse).transpose()?,
        )
    }
}

/// Parses a subnet; unlike the crate's own parser it wants the prefix length.
fn parse_subnet(text: &str) -> Option<IpNetwork> {
    let (address, prefix) = text.split_once('/')?;
    let digits = (1..=3).contains(&prefix.len()) && prefix.bytes().all(|b| b.is_ascii_digit());
    let prefix = digits.then(|| prefix.parse().ok())??;
    IpNetwork::new(address.parse().ok()?, prefix).ok()
}

/// Parts `GATEWAY[:NIC]`, where an IPv6 gateway before a NIC is in brackets.
fn split_gateway(text: &str) -> Option<(IpAddr, Option<&str>)> {
    if let Ok(gateway) = text.parse() {
        return Some((gateway, None));
    }
    if let Some(rest) = text.strip_prefix('[') {
        let (gateway, nic) = rest.split_once("]:")?;
        return Some((IpAddr::V6(gateway.parse().ok()?), Some(nic)));
    }
    let (gateway, nic) = text.split_once(':')?;
    Some((IpAddr::V4(gateway.parse().ok()?), Some(nic)))
}

impl fmt::Display for DockerNetwork {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}={}@", self.name, self.subnet)?;
        match (self.gateway, &self.nic) {
            (gateway, None) => write!(f, "{gateway}"),
            (IpAddr::V4(gateway), Some(nic)) => write!(f, "{gateway}:{nic}"),
            (IpAddr::V6(gateway), Some(nic)) => write!(f, "[{gateway}]:{nic}"),
        }
    }
}

impl TryFrom<String> for DockerNetwork {
    type Error = Error;

    fn try_from(text: String) -> Result<Self, Error> {
        text.parse()
    }
}

impl From<DockerNetwork> for String {
    fn from(network: DockerNetwork) -> Self {
        network.to_string()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_parts_are_read() {
        let network: DockerNetwork = "mydocker0=10.1.0.0/16@10.1.0.5:eth0".parse().unwrap();
        assert_eq!(network.name().as_str(), "mydocker0");
        assert_eq!(network.subnet().to_string(), "10.1.0.0/16");
        assert_eq!(network.gateway().to_string(), "10.1.0.5");
        assert_eq!(network.nic().map(IfName::as_str), Some("eth0"));
    }

    #[test]
    fn every_form_prints_as_it_was_written() {
        for text in [
            "mynet0=10.20.0.0/16@10.20.0.1",
            "mynet0=10.20.0.0/16@10.20.0.1:eth1",
            "net6=fd00::/64@fd00::5",
            "net6=fd00::/64@[fd00::5]:eth0",
            "net6=fd00::/64@[fd00::5]:ad0",
        ] {
            assert_eq!(text.parse::<DockerNetwork>().unwrap().to_string(), text);
        }
    }

    #[test]
    fn what_is_wrong_is_named() {
        let form = |text: &str| format!("'{text}' is not a docker network: expected {FORM}");
        for text in [
            "",
            "mydocker0",
            "a=10.1.0.0/16",
            "a=10.1.0.0@10.1.0.5",
            "a=10.1.0.0/255.255.0.0@10.1.0.5",
            "a=10.1.0.0/33@10.1.0.5",
            "a=10.1.0.0/+16@10.1.0.5",
            "a=10.1.0.0/16@gateway",
            "a=fd00::/64@fd00::5:eth0",
        ] {
            assert_eq!(
                text.parse::<DockerNetwork>().unwrap_err().to_string(),
                form(text)
            );
        }
        for (text, expected) in [
            (
                "a b=10.1.0.0/16@10.1.0.5",
                "'a b' is not the name of a network interface: expected 1 to 15 bytes without '/', ':', '%' and white space",
            ),
            (
                "-a=10.1.0.0/16@10.1.0.5",
                "'-a' is not the name of a docker network: expected letters, digits, '_', '.' and '-', a letter or digit first",
            ),
            (
                "a=10.5.107.0/8@10.5.107.1",
                "'10.5.107.0/8' is not the address of a network: expected '10.0.0.0/8'",
            ),
            (
                "a=10.1.0.0/16@10.2.0.5",
                "'10.2.0.5' is not a gateway: expected the address of a host in 10.1.0.0/16",
            ),
            (
                "a=10.1.0.0/16@fd00::5",
                "'fd00::5' is not a gateway: expected the address of a host in 10.1.0.0/16",
            ),
            (
                "a=10.1.0.0/16@10.1.0.0",
                "'10.1.0.0' is not a gateway: expected the address of a host in 10.1.0.0/16",
            ),
            (
                "a=10.1.0.0/16@10.1.255.255",
                "'10.1.255.255' is not a gateway: expected the address of a host in 10.1.0.0/16",
            ),
            (
                "a=10.1.0.0/16@10.1.0.5:a",
                "'a' is not the port of a bridge: expected the NIC below the bridge, which has another name",
            ),
            (
                "a=10.1.0.0/16@10.1.0.5:",
                "'' is not the name of a network interface: expected 1 to 15 bytes without '/', ':', '%' and white space",
            ),
        ] {
            assert_eq!(
                text.parse::<DockerNetwork>().unwrap_err().to_string(),
                expected
            );
        }
    }

    fn networks() -> impl Strategy<Value = DockerNetwork> {
        let name = "[a-zA-Z0-9][a-zA-Z0-9_.-]{0,14}";
        let nic = proptest::option::of("[!-~]{1,15}");
        (name, any::<IpAddr>(), 0..=128_u8, any::<u64>(), nic).prop_filter_map(
            "a network that can be made",
            |(name, address, prefix, host, nic)| {
                let whole = IpNetwork::new(
                    address,
                    prefix.min(if address.is_ipv4() { 32 } else { 128 }),
                );
                let whole = whole.ok()?;
                let subnet = IpNetwork::new(whole.network(), whole.prefix()).ok()?;
                let gateway = match subnet.network() {
                    IpAddr::V4(net) => IpAddr::V4(
                        (u32::from(net) | (host as u32 & !mask32(subnet.prefix()))).into(),
                    ),
                    IpAddr::V6(net) => IpAddr::V6(
                        (u128::from(net) | (u128::from(host) & !mask128(subnet.prefix()))).into(),
                    ),
                };
                let nic = nic.map(|nic| nic.parse()).transpose().ok()?;
                DockerNetwork::new(name.parse().ok()?, subnet, gateway, nic).ok()
            },
        )
    }

    fn mask32(prefix: u8) -> u32 {
        u32::MAX.checked_shl(32 - u32::from(prefix)).unwrap_or(0)
    }

    fn mask128(prefix: u8) -> u128 {
        u128::MAX.checked_shl(128 - u32::from(prefix)).unwrap_or(0)
    }

    proptest! {
        #[test]
        fn what_is_printed_parses_to_itself(network in networks()) {
            prop_assert_eq!(network.to_string().parse::<DockerNetwork>().unwrap(), network);
        }

        #[test]
        fn no_text_makes_the_parser_panic(text in "[a-z0-9=@/:.\\[\\]-]{0,48}|\\PC{0,48}") {
            if let Ok(network) = text.parse::<DockerNetwork>() {
                prop_assert_eq!(network.to_string().parse::<DockerNetwork>().unwrap(), network);
            }
        }
    }
}
