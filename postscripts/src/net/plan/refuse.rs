//! What must not be done, found before anything is.

use super::Uplink;
use crate::net::{Kind, Link, NetState};

/// Why an uplink cannot be planned: what is in the way, and what to do about it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[allow(missing_docs)] // the messages say what the fields are
pub enum Refusal {
    /// No device of that name.
    #[error("there is no NIC '{nic}' on this host, only {known}")]
    NoNic { nic: String, known: String },
    /// A device that no bridge can have as a port.
    #[error("{nic} cannot be a port of a bridge: it is {what}")]
    NoPort { nic: String, what: String },
    /// A port of something else.
    #[error("{nic} belongs to {master} already: take it out first ('ip link set {nic} nomaster')")]
    OtherMaster { nic: String, master: String },
    /// Something stands on the NIC that cannot stand on a port.
    #[error(
        "{nic} carries {upper}, a {kind} device, which a port of a bridge cannot: remove it first"
    )]
    Upper {
        nic: String,
        upper: String,
        kind: String,
    },
    /// The bridge's name is taken.
    #[error("'{bridge}' is there already and is {what}, not a bridge: choose another name")]
    NameTaken { bridge: String, what: String },
    /// The NIC stands on the bridge itself.
    #[error("{nic} stands on {bridge} and cannot become its port")]
    Circle { nic: String, bridge: String },
}

/// Drivers whose devices the kernel never takes as ports, and that exclude a bridge from the NIC
/// they stand on.
const EXCLUSIVE: [&str; 4] = ["macvlan", "macvtap", "ipvlan", "ipvtap"];

/// Returns the NIC, if nothing is in the way.
pub(super) fn check<'a>(state: &'a NetState, uplink: &Uplink) -> Result<&'a Link, Refusal> {
    let (nic, bridge) = (uplink.nic.to_string(), uplink.bridge.to_string());
    let Some(link) = state.link(&nic) else {
        let candidates = state
            .links
            .iter()
            .filter(|link| unfit(&link.kind).is_none());
        let mut known: Vec<_> = candidates.map(|link| link.name.as_str()).collect();
        known.sort_unstable();
        let known = match known.is_empty() {
            true => "devices that cannot be ports".to_owned(),
            false => known.join(", "),
        };
        return Err(Refusal::NoNic { nic, known });
    };
    if let Some(what) = unfit(&link.kind) {
        return Err(Refusal::NoPort { nic, what });
    }
    if let Some(master) = link.master.clone().filter(|master| *master != bridge) {
        return Err(Refusal::OtherMaster { nic, master });
    }
    if link.parent.as_ref() == Some(&bridge) {
        return Err(Refusal::Circle { nic, bridge });
    }
    for upper in state
        .links
        .iter()
        .filter(|upper| upper.parent.as_ref() == Some(&nic))
    {
        match &upper.kind {
            Kind::Other(kind) if EXCLUSIVE.contains(&kind.as_str()) => {
                let (upper, kind) = (upper.name.clone(), kind.clone());
                return Err(Refusal::Upper { nic, upper, kind });
            }
            _ => {}
        }
    }
    match state.link(&bridge) {
        Some(other) if other.kind != Kind::Bridge => {
            let what = describe(&other.kind);
            Err(Refusal::NameTaken { bridge, what })
        }
        _ => Ok(link),
    }
}

/// Says what a device is when it cannot be a port.
fn unfit(kind: &Kind) -> Option<String> {
    match kind {
        Kind::Ethernet => None,
        Kind::Other(driver) if !EXCLUSIVE.contains(&driver.as_str()) => None,
        Kind::Wireless => Some(format!(
            "{}, and an access point passes on one hardware address only; use a wired NIC",
            describe(kind)
        )),
        Kind::Bridge => Some("a bridge itself; name the NIC".to_owned()),
        _ => Some(describe(kind)),
    }
}

fn describe(kind: &Kind) -> String {
    match kind {
        Kind::Ethernet => "an Ethernet device".to_owned(),
        Kind::Loopback => "the loopback device".to_owned(),
        Kind::Wireless => "a wireless device".to_owned(),
        Kind::Bridge => "a bridge".to_owned(),
        Kind::NotEthernet => "a device without Ethernet frames".to_owned(),
        Kind::Other(driver) if driver.starts_with(['a', 'e', 'i', 'o', 'u']) => {
            format!("an {driver} device")
        }
        Kind::Other(driver) => format!("a {driver} device"),
    }
}
