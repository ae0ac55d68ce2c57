//! The expressions of an nf_tables rule: which registers hold a device, and a rule in words.
//!
//! Pure. Reference: linux/netfilter/nf_tables.h; numbers are big-endian there, except what is compared
//! with a register.

use std::ffi::c_int;
use std::io;

use nix::libc;
use serde::{Deserialize, Serialize};

use crate::netlink::NetlinkAttribute;
use crate::netlink::attribute::{MessageBuilder, NLA_F_NESTED, attributes};
use crate::netlink::uapi::{
    NFT_FIB_RESULT_OIF, NFT_FIB_RESULT_OIFNAME, NFT_META_IIFKIND, NFT_META_OIFKIND, NFT_META_SDIF,
    NFT_META_SDIFNAME, NFTA_BITWISE_DREG, NFTA_BYTEORDER_DREG, NFTA_CMP_DATA, NFTA_CMP_OP,
    NFTA_CMP_SREG, NFTA_DATA_VALUE, NFTA_DUP_SREG_DEV, NFTA_EXPR_DATA, NFTA_EXPR_NAME,
    NFTA_FIB_DREG, NFTA_FIB_RESULT, NFTA_FWD_SREG_DEV, NFTA_IMMEDIATE_DATA, NFTA_IMMEDIATE_DREG,
    NFTA_LIST_ELEM, NFTA_LOOKUP_DREG, NFTA_META_DREG, NFTA_META_KEY, NFTA_PAYLOAD_BASE,
    NFTA_PAYLOAD_DREG, NFTA_PAYLOAD_LEN, NFTA_PAYLOAD_OFFSET, NFTA_TARGET_INFO, NFTA_TARGET_NAME,
};

/// The longest name of a device, with the byte that ends it.
pub(super) const NAME_SIZE: usize = libc::IFNAMSIZ;

/// One expression: its name and its attributes as they came.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Expression {
    /// What it is: `meta`, `cmp`, `lookup` …
    pub name: String,
    /// Its attributes.
    pub attributes: Vec<NetlinkAttribute>,
}

/// What a rule sends to a device, by its number in a register or by its name.
const DUPLICATES: [(&str, u16); 2] = [("dup", NFTA_DUP_SREG_DEV), ("fwd", NFTA_FWD_SREG_DEV)];

/// The device that a rule sends packets or copies of them to.
pub(super) enum Destination {
    Index(u32),
    Name(String),
}

/// What of a device a register holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Device {
    Name(Direction),
    Index(Direction),
    /// What the kernel calls its kind by.
    Kind,
    /// The number of its group.
    Group,
}

/// Which device of the packet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Direction {
    Input,
    Output,
    /// The one that a route leads to (`fib`).
    Route,
}

/// The devices that registers hold, by the byte where each begins.
#[derive(Debug, Default)]
pub(super) struct Registers(Vec<(usize, Device)>);

impl Expression {
    /// The value of an attribute.
    pub(super) fn get(&self, kind: u16) -> Option<&[u8]> {
        let found = self.attributes.iter().find(|one| one.is(kind));
        found.map(|one| one.value.as_slice())
    }

    pub(super) fn number(&self, kind: u16) -> Option<u32> {
        number(self.get(kind)?)
    }

    /// A number as libc has the kernel's enumerations.
    pub(super) fn key(&self, kind: u16) -> Option<c_int> {
        self.number(kind)?.try_into().ok()
    }

    pub(super) fn text(&self, kind: u16) -> Option<String> {
        self.get(kind).map(text)
    }

    /// The device that it sends to; `before` are the expressions of its rule before it.
    pub(super) fn destination(&self, before: &[Self]) -> Option<Destination> {
        if self.name == "target" && self.text(NFTA_TARGET_NAME).as_deref() == Some("TEE") {
            // `struct xt_tee_tginfo`: an address, then the name of a device
            let name = self.get(NFTA_TARGET_INFO)?.get(16..16 + NAME_SIZE)?;
            return Some(Destination::Name(text(name)));
        }
        let (_, kind) = DUPLICATES.iter().find(|(name, _)| *name == self.name)?;
        let from = byte(self.number(*kind)?)?;
        let loads = |one: &&Self| {
            let into = one.number(NFTA_IMMEDIATE_DREG).and_then(byte);
            one.name == "immediate" && into == Some(from)
        };
        let loaded = before.iter().rev().find(loads)?;
        let index = value(loaded.get(NFTA_IMMEDIATE_DATA)?)?;
        Some(Destination::Index(u32::from_ne_bytes(
            index.first_chunk().copied()?,
        )))
    }

    /// The bytes that a comparison compares with.
    pub(super) fn compared(&self) -> Option<Vec<u8>> {
        value(self.get(NFTA_CMP_DATA)?)
    }

    /// The same comparison with other bytes.
    pub(super) fn comparing(&self, bytes: &[u8]) -> Self {
        let data = MessageBuilder::default()
            .attribute(NFTA_DATA_VALUE, bytes)
            .into_bytes();
        let mut other = self.clone();
        for one in &mut other.attributes {
            if one.is(NFTA_CMP_DATA) {
                one.value.clone_from(&data);
            }
        }
        other
    }

    /// A comparison of a register with bytes for equality.
    pub(super) fn equals(register: u32, bytes: &[u8]) -> Self {
        let data = MessageBuilder::default()
            .attribute(NFTA_DATA_VALUE, bytes)
            .into_bytes();
        let parts = [
            (NFTA_CMP_SREG, register.to_be_bytes().to_vec()),
            (NFTA_CMP_OP, libc::NFT_CMP_EQ.to_be_bytes().to_vec()),
            (NFTA_CMP_DATA, data),
        ];
        Self::new("cmp", parts)
    }

    /// Puts data, a verdict or a value, into a register.
    pub(super) fn immediate(register: u32, data: &[u8]) -> Self {
        let parts = [
            (NFTA_IMMEDIATE_DREG, register.to_be_bytes().to_vec()),
            (NFTA_IMMEDIATE_DATA, data.to_vec()),
        ];
        Self::new("immediate", parts)
    }

    fn new(name: &str, parts: impl IntoIterator<Item = (u16, Vec<u8>)>) -> Self {
        let attribute = |(kind, value)| NetlinkAttribute { kind, value };
        Self {
            name: name.to_owned(),
            attributes: parts.into_iter().map(attribute).collect(),
        }
    }

    /// The same without what changes by itself.
    fn lasting(&self) -> Self {
        match self.name.as_str() {
            "counter" | "quota" | "last" => Self::new(&self.name, []),
            _ => self.clone(),
        }
    }
}

impl Registers {
    /// Returns the device that begins at this byte.
    pub(super) fn at(&self, byte: usize) -> Option<Device> {
        self.0
            .iter()
            .find(|(at, _)| *at == byte)
            .map(|(_, device)| *device)
    }

    /// Returns the devices in a key of that length from this byte on, each with its place in the key.
    pub(super) fn within(&self, from: usize, length: usize) -> Vec<(usize, Device)> {
        let inside = self
            .0
            .iter()
            .filter(|(at, _)| (from..from + length).contains(at));
        inside.map(|(at, device)| (at - from, *device)).collect()
    }

    /// Follows what an expression puts into a register.
    pub(super) fn follow(&mut self, expression: &Expression) {
        let register = match expression.name.as_str() {
            "cmp" | "range" | "dynset" | "counter" | "limit" | "log" => return,
            "bitwise" => expression.number(NFTA_BITWISE_DREG),
            "byteorder" => expression.number(NFTA_BYTEORDER_DREG),
            "lookup" => expression.number(NFTA_LOOKUP_DREG),
            "fib" => expression.number(NFTA_FIB_DREG),
            "meta" => expression.number(NFTA_META_DREG),
            // the others, such as payload and ct, name their destination first too
            _ => expression.number(NFTA_PAYLOAD_DREG),
        };
        let Some(byte) = register.and_then(byte) else {
            return;
        };
        self.0.retain(|(at, _)| *at != byte);
        let device = match expression.name.as_str() {
            "meta" => expression.key(NFTA_META_KEY).and_then(meta),
            "fib" => expression.key(NFTA_FIB_RESULT).and_then(fib),
            _ => None,
        };
        self.0.extend(device.map(|device| (byte, device)));
    }
}

/// Where a register begins: four of sixteen bytes, or sixteen of four in the same place.
pub(super) fn byte(register: u32) -> Option<usize> {
    const FIRST: usize = libc::NFT_REG_1 as usize;
    const LAST: usize = libc::NFT_REG_4 as usize;
    const FIRST_32: usize = libc::NFT_REG32_00 as usize;
    const LAST_32: usize = libc::NFT_REG32_15 as usize;
    let register = register as usize;
    match register {
        FIRST..=LAST => Some((register - FIRST) * libc::NFT_REG_SIZE as usize),
        FIRST_32..=LAST_32 => Some((register - FIRST_32) * libc::NFT_REG32_SIZE as usize),
        _ => None,
    }
}

/// The device that `meta` loads.
fn meta(key: c_int) -> Option<Device> {
    Some(match key {
        libc::NFT_META_IIF | NFT_META_SDIF => Device::Index(Direction::Input),
        libc::NFT_META_OIF => Device::Index(Direction::Output),
        libc::NFT_META_IIFNAME | libc::NFT_META_BRI_IIFNAME | NFT_META_SDIFNAME => {
            Device::Name(Direction::Input)
        }
        libc::NFT_META_OIFNAME | libc::NFT_META_BRI_OIFNAME => Device::Name(Direction::Output),
        libc::NFT_META_IIFGROUP | libc::NFT_META_OIFGROUP => Device::Group,
        NFT_META_IIFKIND | NFT_META_OIFKIND => Device::Kind,
        _ => return None,
    })
}

/// The device that `fib` finds.
fn fib(result: c_int) -> Option<Device> {
    match result {
        NFT_FIB_RESULT_OIF => Some(Device::Index(Direction::Route)),
        NFT_FIB_RESULT_OIFNAME => Some(Device::Name(Direction::Route)),
        _ => None,
    }
}

/// Reads the expressions of a rule.
pub(super) fn decode(list: &[u8]) -> io::Result<Vec<Expression>> {
    let mut found = Vec::new();
    for element in attributes(list)? {
        let parts = attributes(&element.value)?;
        let part = |kind| parts.iter().find(|part| part.is(kind));
        found.push(Expression {
            name: part(NFTA_EXPR_NAME)
                .map(|name| text(&name.value))
                .unwrap_or_default(),
            attributes: attributes(part(NFTA_EXPR_DATA).map_or(&[], |data| &data.value))?,
        });
    }
    Ok(found)
}

/// The expressions of a rule as the kernel takes them.
pub(super) fn encode(expressions: &[Expression]) -> Vec<u8> {
    let mut list = MessageBuilder::default();
    for expression in expressions {
        let data = MessageBuilder::default()
            .others(&expression.attributes)
            .into_bytes();
        let element = MessageBuilder::default().text(NFTA_EXPR_NAME, &expression.name);
        let element = element
            .attribute(NLA_F_NESTED | NFTA_EXPR_DATA, &data)
            .into_bytes();
        list = list.attribute(NLA_F_NESTED | NFTA_LIST_ELEM, &element);
    }
    list.into_bytes()
}

/// Reports whether two rules do the same.
pub(super) fn is_same(one: &[Expression], other: &[Expression]) -> bool {
    let lasting = Expression::lasting;
    one.len() == other.len() && one.iter().zip(other).all(|(a, b)| lasting(a) == lasting(b))
}

/// The transport protocol that a rule asks for: what extensions of iptables check themselves against.
pub(super) fn protocol(expressions: &[Expression]) -> Option<u8> {
    let loads = |one: &Expression| match one.name.as_str() {
        "meta" => one.key(NFTA_META_KEY) == Some(libc::NFT_META_L4PROTO),
        // the next header of IPv6 and the protocol of IPv4, by their places in the header
        "payload" => {
            let place = [NFTA_PAYLOAD_OFFSET, NFTA_PAYLOAD_LEN].map(|kind| one.number(kind));
            one.key(NFTA_PAYLOAD_BASE) == Some(libc::NFT_PAYLOAD_NETWORK_HEADER)
                && matches!(place, [Some(6 | 9), Some(1)])
        }
        _ => false,
    };
    expressions.windows(2).find_map(|pair| {
        let is_compared =
            pair[1].name == "cmp" && pair[1].key(NFTA_CMP_OP) == Some(libc::NFT_CMP_EQ);
        let compared = pair[1].compared()?;
        (loads(&pair[0]) && is_compared && compared.len() == 1).then(|| compared[0])
    })
}

/// What is inside a `struct nlattr` that holds a value.
pub(super) fn value(nested: &[u8]) -> Option<Vec<u8>> {
    let mut inside = attributes(nested).ok()?.into_iter();
    inside
        .find(|one| one.is(NFTA_DATA_VALUE))
        .map(|one| one.value)
}

pub(super) fn number(bytes: &[u8]) -> Option<u32> {
    Some(u32::from_be_bytes(bytes.try_into().ok()?))
}

pub(super) fn text(bytes: &[u8]) -> String {
    let end = bytes
        .iter()
        .position(|&byte| byte == 0)
        .unwrap_or(bytes.len());
    String::from_utf8_lossy(&bytes[..end]).into_owned()
}

/// A device's name as a register holds it.
pub(super) fn padded(name: &str) -> Vec<u8> {
    let mut bytes = name.as_bytes().to_vec();
    bytes.resize(NAME_SIZE.max(bytes.len() + 1), 0);
    bytes
}
