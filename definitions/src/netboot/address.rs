//! The address of a diskless node: `10.1.0.5/24@10.1.0.1`.

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

use ipnetwork::IpNetwork;

use crate::Error;

/// An address, the bits of its network, and the router if there is one: `10.1.0.5/24@10.1.0.1`, `fd00::5/64`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NetbootAddress {
    address: IpNetwork,
    gateway: Option<IpAddr>,
}

/// The form that every error shows.
const FORM: &str = "ADDRESS/LEN[@GATEWAY] such as '10.1.0.5/24@10.1.0.1'";

impl NetbootAddress {
    /// Makes one.
    ///
    /// # Errors
    /// When the address is that of no host in its network, or the router is not in the network.
    pub fn new(address: IpNetwork, gateway: Option<IpAddr>) -> Result<Self, Error> {
        let ends = [address.network(), address.broadcast()];
        // RFC 3021: both addresses of a /31 are hosts; IPv6 has no broadcast address.
        let is_end = address.is_ipv4() && address.prefix() < 31 && ends.contains(&address.ip());
        if is_end || address.ip().is_unspecified() || address.ip().is_multicast() {
            let expected = "the address of a host in its network";
            return Err(Error::invalid(
                "a node's address",
                address.to_string(),
                expected,
            ));
        }
        let is_link_local = |ip: IpAddr| matches!(ip, IpAddr::V6(ip) if ip.is_unicast_link_local());
        let reachable = |ip: IpAddr| address.contains(ip) || is_link_local(ip);
        if let Some(gateway) = gateway
            && (gateway == address.ip() || !reachable(gateway))
        {
            let expected = format!("the address of another host in {address}");
            return Err(Error::invalid("a gateway", gateway.to_string(), expected));
        }
        Ok(Self { address, gateway })
    }

    /// Returns the address with the bits of its network.
    pub fn address(&self) -> IpNetwork {
        self.address
    }

    /// Returns the router.
    pub fn gateway(&self) -> Option<IpAddr> {
        self.gateway
    }
}

impl fmt::Display for NetbootAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.address.ip(), self.address.prefix())?;
        match self.gateway {
            Some(gateway) => write!(f, "@{gateway}"),
            None => Ok(()),
        }
    }
}

impl FromStr for NetbootAddress {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        let malformed = || Error::invalid("a node's address", text, FORM);
        let (address, gateway) = match text.split_once('@') {
            Some((address, gateway)) => (address, Some(gateway)),
            None => (text, None),
        };
        let (ip, prefix) = address.split_once('/').ok_or_else(malformed)?;
        let digits = (1..=3).contains(&prefix.len()) && prefix.bytes().all(|b| b.is_ascii_digit());
        let prefix = digits.then(|| prefix.parse().ok()).flatten();
        let ip = ip.parse().map_err(|_| malformed())?;
        let address = IpNetwork::new(ip, prefix.ok_or_else(malformed)?).map_err(|_| malformed())?;
        let gateway = gateway.map(str::parse).transpose();
        Self::new(address, gateway.map_err(|_| malformed())?)
    }
}

/// By what address a diskless node fetches its root image.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AddressSource {
    /// The one of its definition.
    Static(NetbootAddress),
    /// One that the node asks a DHCP server for.
    Dhcp,
}

/// The word for it.
const DHCP: &str = "dhcp";

impl fmt::Display for AddressSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Static(address) => address.fmt(f),
            Self::Dhcp => f.write_str(DHCP),
        }
    }
}

impl FromStr for AddressSource {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        match text {
            DHCP => Ok(Self::Dhcp),
            address => address.parse().map(Self::Static),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn an_address_is_that_of_a_host_beside_its_router() {
        for text in [
            "10.1.0.5/24@10.1.0.1",
            "10.1.0.5/24",
            "10.1.0.4/31@10.1.0.5",
            "10.1.0.5/32",
            "fd00::5/64@fd00::1",
            "fd00::5/64@fe80::1",
        ] {
            assert_eq!(text.parse::<NetbootAddress>().unwrap().to_string(), text);
        }
        for (text, message) in [
            (
                "10.1.0.5",
                "'10.1.0.5' is not a node's address: expected ADDRESS/LEN[@GATEWAY] such as '10.1.0.5/24@10.1.0.1'",
            ),
            (
                "10.1.0.5/33",
                "'10.1.0.5/33' is not a node's address: expected ADDRESS/LEN[@GATEWAY] such as '10.1.0.5/24@10.1.0.1'",
            ),
            (
                "10.1.0.0/24",
                "'10.1.0.0/24' is not a node's address: expected the address of a host in its network",
            ),
            (
                "10.1.0.5/24@10.2.0.1",
                "'10.2.0.1' is not a gateway: expected the address of another host in 10.1.0.5/24",
            ),
            (
                "10.1.0.5/24@10.1.0.5",
                "'10.1.0.5' is not a gateway: expected the address of another host in 10.1.0.5/24",
            ),
        ] {
            let error = text.parse::<NetbootAddress>().unwrap_err();
            assert_eq!(error.to_string(), message);
        }
    }

    proptest! {
        #[test]
        fn what_is_printed_parses_to_the_same(ip: [u8; 16], v6: bool, prefix in 0u8..=128, router: [u8; 16], routed: bool) {
            let make = |bytes: [u8; 16]| if v6 {
                IpAddr::from(bytes)
            } else {
                IpAddr::from([bytes[0], bytes[1], bytes[2], bytes[3]])
            };
            let address = IpNetwork::new(make(ip), prefix.min(if v6 { 128 } else { 32 })).unwrap();
            if let Ok(address) = NetbootAddress::new(address, routed.then(|| make(router))) {
                prop_assert_eq!(address.to_string().parse::<NetbootAddress>().unwrap(), address);
            }
        }
    }
}
