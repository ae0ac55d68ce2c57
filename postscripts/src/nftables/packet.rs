//! A packet or frame of a new conversation at a hook, as far as it is known.
//!
//! Pure. Out: what an expression that loads reads of it. Reference: net/netfilter/nft_meta.c, nft_ct.c,
//! nft_payload.c, nft_fib.c; RFC 791, 8200 and 826.

use std::ffi::c_int;

use ipnetwork::IpNetwork;
use nix::libc;

use super::expression::{Expression, NAME_SIZE, padded};
use super::value::Value;
use crate::netlink::uapi::{
    NFT_META_IIFKIND, NFT_META_OIFKIND, NFTA_CT_KEY, NFTA_META_KEY, NFTA_PAYLOAD_BASE,
    NFTA_PAYLOAD_LEN, NFTA_PAYLOAD_OFFSET,
};

/// Ether types.
pub(crate) const IPV4_FRAME: u16 = 0x0800;
pub(crate) const ARP_FRAME: u16 = 0x0806;
pub(crate) const IPV6_FRAME: u16 = 0x86dd;

/// `NF_CT_STATE_BIT` of a conversation that begins, of what belongs to none, and of what is not looked at.
const NEW: u32 = 1 << 3;
const INVALID: u32 = 1;
/// The original direction of a conversation.
const ORIGINAL: u8 = 0;
/// No header that is looked at is longer: IPv6.
const NETWORK_HEADER: usize = 40;
const LINK_HEADER: usize = 14;

/// A device that a packet passes.
#[derive(Debug, Clone)]
pub(crate) struct Interface {
    name: Value,
    index: Value,
    kind: Value,
}

/// What is known of a packet.
#[derive(Debug, Clone)]
pub(crate) struct Packet {
    /// `NFPROTO_*`: the family that looks at it.
    pub(crate) family: u8,
    pub(crate) ether_type: u16,
    /// Nothing where a hook shows none.
    pub(crate) input: Option<Interface>,
    pub(crate) output: Option<Interface>,
    /// The bridges of the ports, in the family of bridges.
    pub(crate) input_bridge: Option<Interface>,
    pub(crate) output_bridge: Option<Interface>,
    /// The networks that it comes from and goes to.
    pub(crate) source: Option<IpNetwork>,
    pub(crate) destination: Option<IpNetwork>,
    pub(crate) tracking: Tracking,
}

/// What connection tracking knows of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Tracking {
    /// It begins a conversation.
    New,
    /// It was not looked at yet, or never is: ARP.
    Invalid,
    /// A rule may have left it out (`notrack`).
    Unknown,
}

impl Interface {
    /// One of that name, and the number that the kernel has for it.
    pub(crate) fn named(name: &str, index: Option<u32>) -> Self {
        let number = |index: u32| Value::of(&index.to_ne_bytes());
        Self {
            name: Value::of(&padded(name)),
            index: index.map_or(Value::unknown(4), number),
            kind: Value::unknown(NAME_SIZE),
        }
    }

    /// One of which only the beginning of the name and the kind are known.
    pub(crate) fn beginning(start: &str, kind: &str) -> Self {
        Self {
            name: Value::starting(&padded(start), start.len() * 8),
            index: Value::unknown(4),
            kind: Value::of(&padded(kind)),
        }
    }
}

/// What an expression loads.
pub(crate) enum Loaded {
    Value(Value),
    /// Nothing: its rule ends.
    Nothing,
    /// Something, or nothing.
    Perhaps,
}

impl Packet {
    /// What an expression that loads reads of it.
    pub(super) fn load(&self, one: &Expression) -> Loaded {
        match one.name.as_str() {
            "meta" => self.meta(one.key(NFTA_META_KEY).unwrap_or(c_int::MAX)),
            "ct" => self.ct(one.key(NFTA_CT_KEY).unwrap_or(c_int::MAX)),
            "payload" => self.payload(one),
            _ => Loaded::Perhaps,
        }
    }

    fn meta(&self, key: c_int) -> Loaded {
        // a device that is not there has no name and the number 0
        let of = |device: &Option<Interface>, part: fn(&Interface) -> &Value, length| {
            let absent = Value::of(&vec![0; length]);
            Loaded::Value(
                device
                    .as_ref()
                    .map_or(absent, |device| part(device).clone()),
            )
        };
        let kind = |device: &Option<Interface>| match device {
            Some(device) => Loaded::Value(device.kind.clone()),
            None => Loaded::Nothing,
        };
        match key {
            libc::NFT_META_PROTOCOL => Loaded::Value(Value::of(&self.ether_type.to_be_bytes())),
            libc::NFT_META_NFPROTO => Loaded::Value(Value::of(&[self.family])),
            libc::NFT_META_IIF => of(&self.input, |device| &device.index, 4),
            libc::NFT_META_OIF => of(&self.output, |device| &device.index, 4),
            libc::NFT_META_IIFNAME => of(&self.input, |device| &device.name, NAME_SIZE),
            libc::NFT_META_OIFNAME => of(&self.output, |device| &device.name, NAME_SIZE),
            NFT_META_IIFKIND => kind(&self.input),
            NFT_META_OIFKIND => kind(&self.output),
            libc::NFT_META_BRI_IIFNAME => of(&self.input_bridge, |device| &device.name, NAME_SIZE),
            libc::NFT_META_BRI_OIFNAME => of(&self.output_bridge, |device| &device.name, NAME_SIZE),
            _ => Loaded::Perhaps,
        }
    }

    fn ct(&self, key: c_int) -> Loaded {
        let state = |bits: u32| Loaded::Value(Value::of(&bits.to_ne_bytes()));
        match (key, self.tracking) {
            (libc::NFT_CT_STATE, Tracking::New) => state(NEW),
            (libc::NFT_CT_STATE, Tracking::Invalid) => state(INVALID),
            (libc::NFT_CT_DIRECTION, Tracking::New) => Loaded::Value(Value::of(&[ORIGINAL])),
            (_, Tracking::Invalid) => Loaded::Nothing,
            _ => Loaded::Perhaps,
        }
    }

    fn payload(&self, one: &Expression) -> Loaded {
        let [at, length] = [NFTA_PAYLOAD_OFFSET, NFTA_PAYLOAD_LEN].map(|kind| one.number(kind));
        let (Some(at), Some(length)) = (at, length) else {
            return Loaded::Perhaps;
        };
        let header = match one.key(NFTA_PAYLOAD_BASE) {
            Some(libc::NFT_PAYLOAD_LL_HEADER) => self.link_header(),
            Some(libc::NFT_PAYLOAD_NETWORK_HEADER) => self.network_header(),
            _ => return Loaded::Perhaps,
        };
        Loaded::Value(header.part(at as usize, length.min(MAX_LOAD) as usize))
    }

    fn link_header(&self) -> Value {
        let mut header = Value::unknown(LINK_HEADER);
        header.put(12, &Value::of(&self.ether_type.to_be_bytes()));
        header
    }

    /// The version and the addresses; those of ARP are IPv4's.
    fn network_header(&self) -> Value {
        let mut header = Value::unknown(NETWORK_HEADER);
        let places = match self.ether_type {
            IPV4_FRAME => [12, 16],
            IPV6_FRAME => [8, 24],
            ARP_FRAME => [14, 24],
            _ => return header,
        };
        let version = match self.ether_type {
            IPV4_FRAME => Value::starting(&[0x40], 4),
            IPV6_FRAME => Value::starting(&[0x60], 4),
            // hardware of Ethernet and protocol of IPv4, with addresses of 6 and 4 bytes
            _ => Value::of(&[0, 1, 8, 0, 6, 4]),
        };
        header.put(0, &version);
        for (at, network) in places.into_iter().zip([self.source, self.destination]) {
            if let Some(network) =
                network.filter(|network| network.is_ipv6() == (self.ether_type == IPV6_FRAME))
            {
                header.put(at, &of_network(network));
            }
        }
        header
    }
}

/// No expression loads more (`NFT_REG_SIZE` and its registers).
const MAX_LOAD: u32 = 64;

/// An address of a network.
fn of_network(network: IpNetwork) -> Value {
    let bits = usize::from(network.prefix());
    match network {
        IpNetwork::V4(network) => Value::starting(&network.network().octets(), bits),
        IpNetwork::V6(network) => Value::starting(&network.network().octets(), bits),
    }
}
