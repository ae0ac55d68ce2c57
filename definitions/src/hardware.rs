//! Hardware addresses of NICs, however they are spelt.
//!
//! A text comes in, in any usual spelling; it goes out in one: lower-case pairs with colons between, as the
//! kernel prints them. Several are separated by `|`, each with the host name that it
//! belongs to after a `!`. Reference: IEEE 802 (six octets), RFC 4391 (InfiniBand: eight or twenty).

use std::fmt::Write as _;
use std::str::FromStr;

use crate::Error;

/// How many octets an address has.
const OCTETS: [usize; 3] = [6, 8, 20];

/// The hardware addresses of a node: `52:54:00:00:00:01`, or `mac!host|mac2!host2`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MacAddresses(String);

crate::name::text! { MacAddresses }

impl MacAddresses {
    /// Returns the first address, which is the one that the node installs over.
    pub fn first(&self) -> &str {
        let end = self.0.find(['!', '|']);
        end.map_or(&self.0, |end| &self.0[..end])
    }

    /// Lists the addresses, each with the host name that it belongs to where one is given.
    pub fn entries(&self) -> impl Iterator<Item = (&str, Option<&str>)> {
        self.0.split('|').map(|entry| match entry.split_once('!') {
            Some((address, host)) => (address, Some(host)),
            None => (entry, None),
        })
    }
}

impl FromStr for MacAddresses {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        let entries: Result<Vec<_>, _> = text
            .split('|')
            .map(|entry| normalised(entry.trim()))
            .collect();
        Ok(Self(entries?.join("|")))
    }
}

/// Writes one entry, `mac` or `mac!host`, as it is stored.
fn normalised(entry: &str) -> Result<String, Error> {
    let (address, host) = match entry.split_once('!') {
        Some((address, host)) => (address.trim(), Some(host.trim())),
        None => (entry, None),
    };
    let expected =
        "six pairs of hexadecimal digits such as 52:54:00:00:00:01; several as mac!host|mac2!host2";
    let octets =
        octets(address).ok_or_else(|| Error::invalid("a hardware address", address, expected))?;
    if let Some(fault) = octets_fault(&octets) {
        return Err(Error::invalid("the address of a NIC", address, fault));
    }
    let mut address = String::with_capacity(3 * octets.len());
    for (at, octet) in octets.iter().enumerate() {
        let colon = if at == 0 { "" } else { ":" };
        // A string takes whatever is written to it.
        let _ = write!(address, "{colon}{octet:02x}");
    }
    match host {
        None => Ok(address),
        // xCAT's word for an address whose NIC has no name of its own.
        Some("*NOIP*") => Ok(format!("{address}!*NOIP*")),
        Some(host) => Ok(format!("{address}!{}", host.parse::<crate::NodeName>()?)),
    }
}

/// Says what keeps octets from being the address of one NIC: tools print all zeros for one that they could not read,
/// and the lowest bit of the first octet of six is set for groups of NICs, all ones being everybody's (IEEE 802-2014
/// §8.2.2).
fn octets_fault(octets: &[u8]) -> Option<&'static str> {
    let all = |octet: u8| octets.iter().all(|other| *other == octet);
    if all(0x00) || all(0xff) {
        Some("that of one NIC, and not zero or the broadcast address")
    } else if octets.len() == 6 && octets[0] % 2 == 1 {
        Some("that of one NIC, and not of a group of them, whose first octet is odd")
    } else {
        None
    }
}

/// Reads the octets of an address.
///
/// There is one kind of separator or none. Six parts are octets, whose leading zero may be left out;
/// longer parts, all of one length, hold several octets each.
fn octets(text: &str) -> Option<Vec<u8>> {
    let text = text
        .strip_prefix("0x")
        .or_else(|| text.strip_prefix("0X"))
        .unwrap_or(text);
    let separator = text.find([':', '-', '.']).map(|at| text.as_bytes()[at]);
    let parts = || text.as_bytes().split(|byte| Some(*byte) == separator);
    let digits = |part: &[u8]| !part.is_empty() && part.iter().all(u8::is_ascii_hexdigit);
    if !parts().all(digits) {
        return None;
    }
    let value = |digits: &[u8]| {
        let digit = |byte: &u8| char::from(*byte).to_digit(16).unwrap_or_default() as u8;
        digits
            .iter()
            .fold(0, |octet, byte| octet << 4 | digit(byte))
    };
    if OCTETS.contains(&parts().count()) && parts().all(|part| part.len() <= 2) {
        return Some(parts().map(value).collect());
    }
    let length = parts().next()?.len();
    let even = length % 2 == 0 && parts().all(|part| part.len() == length);
    let octets: Vec<_> = parts().flat_map(|part| part.chunks(2)).map(value).collect();
    (even && OCTETS.contains(&octets.len())).then_some(octets)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_spelling_of_an_address_is_stored_as_one() {
        for text in [
            "52:54:00:aa:0b:01",
            "52:54:0:AA:B:1",
            "52-54-00-AA-0B-01",
            "525400aa0b01",
            "0x525400AA0B01",
            "5254.00AA.0b01",
            "5254-00aa-0b01",
            "525400-aa0b01",
            "52.54.00.aa.0b.01",
            " 52:54:00:aa:0b:01 ",
            "5254:00AA:0B01",
            "52.54.0.aa.b.1",
            "525400AA0B01",
        ] {
            let addresses: MacAddresses = text.parse().unwrap();
            assert_eq!(&*addresses, "52:54:00:aa:0b:01", "{text}");
            assert_eq!(addresses.first(), "52:54:00:aa:0b:01");
        }
        for (text, stored, first) in [
            (
                "52-54-00-00-00-01!n1 | 525400000002!n1-ib",
                "52:54:00:00:00:01!n1|52:54:00:00:00:02!n1-ib",
                "52:54:00:00:00:01",
            ),
            (
                "52:54:00:00:00:01|52:54:00:00:00:02!*NOIP*",
                "52:54:00:00:00:01|52:54:00:00:00:02!*NOIP*",
                "52:54:00:00:00:01",
            ),
            (
                "0002c90300A1B2C3",
                "00:02:c9:03:00:a1:b2:c3",
                "00:02:c9:03:00:a1:b2:c3",
            ),
        ] {
            let addresses: MacAddresses = text.parse().unwrap();
            assert_eq!((&*addresses, addresses.first()), (stored, first), "{text}");
            let entries = addresses.entries().map(|(mac, host)| match host {
                Some(host) => format!("{mac}!{host}"),
                None => mac.to_owned(),
            });
            assert_eq!(entries.collect::<Vec<_>>().join("|"), stored);
        }
    }

    #[test]
    fn an_address_of_no_single_nic_is_refused() {
        for text in ["000000000000", "FF:FF:FF:FF:FF:FF", "ff-ff-ff-ff-ff-ff!n1"] {
            let address = text.split('!').next().unwrap();
            assert_eq!(
                text.parse::<MacAddresses>().unwrap_err().to_string(),
                format!(
                    "'{address}' is not the address of a NIC: expected that of one NIC, and not zero or the broadcast \
                     address"
                )
            );
        }
    }

    #[test]
    fn an_address_of_a_group_of_nics_is_refused() {
        for text in [
            "01:00:5e:00:00:01",
            "33:33:00:00:00:01",
            "0180.c200.0000",
            "b5:54:00:00:00:01",
        ] {
            let error = text.parse::<MacAddresses>().unwrap_err().to_string();
            assert_eq!(
                error,
                format!(
                    "'{text}' is not the address of a NIC: expected that of one NIC, and not of a group of them, whose \
                     first octet is odd"
                )
            );
        }
        // InfiniBand's begin with a queue pair
        assert!(
            "a1:00:02:20:fe:80:00:00:00:00:00:00:e4:1d:2d:03:00:11:22:33"
                .parse::<MacAddresses>()
                .is_ok()
        );
    }

    #[test]
    fn what_is_no_address_is_named() {
        for text in [
            "",
            "eth0",
            "52:54:00:00:00",
            "52:54:00:00:00:0g",
            "52:54:00:00:00:001",
            "52:54-00:00:00:01",
            "525400aa0b0",
            "5254.00aa",
            "52:54:00:00:00:01:",
            "::::::",
            "52 54 00 00 00 01",
            "0",
            "|",
            "\u{ff15}2:54:00:00:00:01",
            "52:54:00:00:00:01,52:54:00:00:00:02",
            "<52:54:00:00:00:01>",
            "52:54:00:00:00:01\0",
            "5\u{e9}:54:00:00:00:01",
        ] {
            let bad = if text == "|" { "" } else { text };
            assert_eq!(
                text.parse::<MacAddresses>().unwrap_err().to_string(),
                format!(
                    "'{bad}' is not a hardware address: expected six pairs of hexadecimal digits such as \
                     52:54:00:00:00:01; several as mac!host|mac2!host2"
                )
            );
        }
        let error = "52:54:00:00:00:01!a b".parse::<MacAddresses>().unwrap_err();
        assert!(
            error
                .to_string()
                .starts_with("'a b' is not the name of a node"),
            "{error}"
        );
    }
}
