//! Hardware addresses.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// An Ethernet hardware address; prints as `52:54:00:12:34:56`.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Mac(pub [u8; 6]);

impl fmt::Display for Mac {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [a, b, c, d, e, g] = self.0;
        write!(f, "{a:02x}:{b:02x}:{c:02x}:{d:02x}:{e:02x}:{g:02x}")
    }
}

impl fmt::Debug for Mac {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for Mac {
    type Err = definitions::Error;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let invalid = || {
            let expected = "six bytes such as 52:54:00:12:34:56";
            definitions::Error::invalid("a hardware address", text, expected)
        };
        // Cisco's form, which systemd reads too, is three pairs of bytes: 5254.0012.3456
        let (separators, bytes_each) = if text.contains('.') {
            (&['.'][..], 2)
        } else {
            (&[':', '-'][..], 1)
        };
        let mut bytes = [0; 6];
        let mut parts = text.split(separators);
        for bytes in bytes.chunks_exact_mut(bytes_each) {
            let part = parts.next().ok_or_else(invalid)?;
            let plain = part.len() <= 2 * bytes_each && part.bytes().all(|c| c.is_ascii_hexdigit());
            match u16::from_str_radix(part, 16) {
                Ok(value) if plain => {
                    bytes.copy_from_slice(&value.to_be_bytes()[2 - bytes_each..]);
                }
                _ => return Err(invalid()),
            }
        }
        match parts.next() {
            None => Ok(Self(bytes)),
            Some(_) => Err(invalid()),
        }
    }
}

impl TryFrom<String> for Mac {
    type Error = definitions::Error;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

impl From<Mac> for String {
    fn from(mac: Mac) -> Self {
        mac.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hardware_address_parses_and_prints() {
        let mac: Mac = "52:54:0:12:34:AB".parse().unwrap();
        assert_eq!(mac.to_string(), "52:54:00:12:34:ab");
        let dotted: Mac = "5254.12.34Ab".parse().unwrap();
        assert_eq!(dotted.to_string(), "52:54:00:12:34:ab");
        for bad in [
            "",
            "5254.0012",
            "5254.0012.3456.78",
            "52540.0012.3456",
            "52:54.00:12.34:56",
            "52:54:00:12:34",
            "52:54:00:12:34:56:78",
            "52:54:00:12:34:+6",
        ] {
            assert!(bad.parse::<Mac>().is_err(), "{bad}");
        }
    }
}
