//! What the tests of this room begin with.

use super::{Link, LinkKind, Mac};

/// A device that is up, without an address; its hardware address ends in `mac`.
pub(super) fn link(name: &str, kind: LinkKind, mac: u8) -> Link {
    Link {
        name: name.to_owned(),
        kind,
        mac: Some(Mac([0x52, 0x54, 0, 0, 0, mac])),
        mtu: 1500,
        up: true,
        carrier: true,
        group: 0,
        master: None,
        parent: None,
        bridge: None,
        addresses: Vec::new(),
        neighbours: Vec::new(),
        sysctls: Default::default(),
    }
}
