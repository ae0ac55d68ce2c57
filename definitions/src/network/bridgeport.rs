//! The argument of `bridgeprereq`: `eth0:mydocker0`.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::IfName;
use crate::Error;

/// A bridge and the NIC that becomes its port: `eth0:mydocker0`, or `mydocker0` alone, where the host
/// takes the NIC that it was installed over.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct BridgePort {
    nic: Option<IfName>,
    bridge: IfName,
}

impl BridgePort {
    /// Names a bridge and its port.
    ///
    /// # Errors
    /// When the two are one, or a name holds the `,` that parts several arguments.
    pub fn new(nic: Option<IfName>, bridge: IfName) -> Result<Self, Error> {
        let port = Self { nic, bridge };
        let text = port.to_string();
        if port.nic.as_ref() == Some(&port.bridge) {
            let expected = "a bridge with a name of its own, such as 'eth0:mydocker0'";
            return Err(Error::invalid("a NIC and a bridge", text, expected));
        }
        if text.contains(',') {
            let expected = "names without ',', which parts several bridges";
            return Err(Error::invalid("a NIC and a bridge", text, expected));
        }
        Ok(port)
    }

    /// Returns the NIC, where one is named.
    pub fn nic(&self) -> Option<&IfName> {
        self.nic.as_ref()
    }

    /// Returns the bridge.
    pub fn bridge(&self) -> &IfName {
        &self.bridge
    }
}

impl FromStr for BridgePort {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        match text.split_once(':') {
            Some((nic, bridge)) => Self::new(Some(nic.parse()?), bridge.parse()?),
            None => Self::new(None, text.parse()?),
        }
    }
}

impl fmt::Display for BridgePort {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(nic) = &self.nic {
            write!(f, "{nic}:")?;
        }
        write!(f, "{}", self.bridge)
    }
}

impl TryFrom<String> for BridgePort {
    type Error = Error;

    fn try_from(text: String) -> Result<Self, Error> {
        text.parse()
    }
}

impl From<BridgePort> for String {
    fn from(port: BridgePort) -> Self {
        port.to_string()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_nic_may_be_left_to_the_host() {
        let port: BridgePort = "eth0:mydocker0".parse().unwrap();
        assert_eq!(port.nic().map(IfName::as_str), Some("eth0"));
        assert_eq!(port.bridge().as_str(), "mydocker0");
        let port: BridgePort = "mydocker0".parse().unwrap();
        assert_eq!(port.nic(), None);
        assert_eq!(port.bridge().as_str(), "mydocker0");
    }

    #[test]
    fn what_is_wrong_is_named() {
        for (text, expected) in [
            (
                "",
                "'' is not the name of a network interface: expected 1 to 15 bytes without '/', ':', '%' and white space",
            ),
            (
                ":br0",
                "'' is not the name of a network interface: expected 1 to 15 bytes without '/', ':', '%' and white space",
            ),
            (
                "eth0:br0:1",
                "'br0:1' is not the name of a network interface: expected 1 to 15 bytes without '/', ':', '%' and white space",
            ),
            (
                "br0:br0",
                "'br0:br0' is not a NIC and a bridge: expected a bridge with a name of its own, such as 'eth0:mydocker0'",
            ),
            (
                "eth0:a,b",
                "'eth0:a,b' is not a NIC and a bridge: expected names without ',', which parts several bridges",
            ),
        ] {
            assert_eq!(
                text.parse::<BridgePort>().unwrap_err().to_string(),
                expected
            );
        }
    }

    proptest! {
        #[test]
        fn what_is_printed_parses_to_itself(
            nic in proptest::option::of("[!-~]{1,15}"),
            bridge in "[!-~]{1,15}",
        ) {
            let nic = nic.map(|nic| nic.parse::<IfName>()).transpose();
            let made = nic.and_then(|nic| BridgePort::new(nic, bridge.parse()?));
            prop_assume!(made.is_ok());
            let port = made.unwrap();
            prop_assert_eq!(port.to_string().parse::<BridgePort>().unwrap(), port);
        }

        #[test]
        fn what_parses_prints_as_it_was_written(text in "\\PC{0,24}") {
            if let Ok(port) = text.parse::<BridgePort>() {
                prop_assert_eq!(port.to_string(), text);
            }
        }
    }
}
