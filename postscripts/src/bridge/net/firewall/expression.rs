//! The expressions of an nf_tables rule: which registers hold a device, and what a rule says in words.
//!
//! Pure. Reference: linux/netfilter/nf_tables.h; numbers are big-endian there, except what is compared
//! with a register.

use std::io;

use crate::netlink::NetlinkAttribute;
use crate::netlink::attribute::{MessageBuilder, attributes};
use serde::{Deserialize, Serialize};

/// `NFTA_LIST_ELEM`, `NFTA_EXPR_NAME`, `NFTA_EXPR_DATA`, `NFTA_DATA_VALUE`.
const ELEMENT: u16 = 1;
const NAME: u16 = 1;
const DATA: u16 = 2;
const VALUE: u16 = 1;
/// The longest name of a device, with the byte that ends it.
pub(super) const NAME_SIZE: usize = 16;

/// One expression: its name and its attributes as they came.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Expression {
    /// What it is: `meta`, `cmp`, `lookup` …
    pub name: String,
    /// Its attributes.
    pub attributes: Vec<NetlinkAttribute>,
}

/// What of a device a register holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Device {
    Name(Direction),
    Index(Direction),
    /// What the kernel calls its kind by.
    LinkKind,
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
        let found = self.attributes.iter().find(|one| one.kind & 0x3fff == kind);
        found.map(|one| one.value.as_slice())
    }

    pub(super) fn number(&self, kind: u16) -> Option<u32> {
        number(self.get(kind)?)
    }

    pub(super) fn text(&self, kind: u16) -> Option<String> {
        self.get(kind).map(text)
    }

    /// The bytes that a comparison compares with.
    pub(super) fn compared(&self) -> Option<Vec<u8>> {
        value(self.get(3)?)
    }

    /// The same comparison with other bytes.
    pub(super) fn comparing(&self, bytes: &[u8]) -> Self {
        let data = MessageBuilder::default()
            .attribute(VALUE, bytes)
            .into_bytes();
        let mut other = self.clone();
        for one in &mut other.attributes {
            if one.kind & 0x3fff == 3 {
                one.value.clone_from(&data);
            }
        }
        other
    }

    /// A comparison of a register with bytes for equality.
    pub(super) fn equals(register: u32, bytes: &[u8]) -> Self {
        let data = MessageBuilder::default()
            .attribute(VALUE, bytes)
            .into_bytes();
        let parts = [
            (1, register.to_be_bytes().to_vec()),
            (2, vec![0; 4]),
            (3, data),
        ];
        Self::new("cmp", parts)
    }

    /// Puts data, a verdict or a value, into a register.
    pub(super) fn immediate(register: u32, data: &[u8]) -> Self {
        let parts = [(1, register.to_be_bytes().to_vec()), (2, data.to_vec())];
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
            "bitwise" | "byteorder" => expression.number(2),
            "lookup" => expression.number(3),
            _ => expression.number(1),
        };
        let Some(byte) = register.and_then(byte) else {
            return;
        };
        self.0.retain(|(at, _)| *at != byte);
        let device = match expression.name.as_str() {
            "meta" => expression.number(2).and_then(meta),
            "fib" => expression.number(2).and_then(fib),
            _ => None,
        };
        self.0.extend(device.map(|device| (byte, device)));
    }
}

/// Where a register begins: four of sixteen bytes, or sixteen of four in the same place.
pub(super) fn byte(register: u32) -> Option<usize> {
    let register = register as usize;
    match register {
        1..=4 => Some((register - 1) * 16),
        8..=23 => Some((register - 8) * 4),
        _ => None,
    }
}

/// `NFT_META_*`.
fn meta(key: u32) -> Option<Device> {
    Some(match key {
        4 => Device::Index(Direction::Input),
        5 => Device::Index(Direction::Output),
        6 => Device::Name(Direction::Input),
        7 => Device::Name(Direction::Output),
        17 | 34 => Device::Name(Direction::Input),
        18 => Device::Name(Direction::Output),
        21 | 22 => Device::Group,
        26 | 27 => Device::LinkKind,
        33 => Device::Index(Direction::Input),
        _ => return None,
    })
}

/// `NFT_FIB_RESULT_*`.
fn fib(result: u32) -> Option<Device> {
    match result {
        1 => Some(Device::Index(Direction::Route)),
        2 => Some(Device::Name(Direction::Route)),
        _ => None,
    }
}

/// Reads the expressions of a rule.
pub(super) fn decode(list: &[u8]) -> io::Result<Vec<Expression>> {
    let mut found = Vec::new();
    for element in attributes(list)? {
        let parts = attributes(&element.value)?;
        let part = |kind| parts.iter().find(|part| part.kind & 0x3fff == kind);
        found.push(Expression {
            name: part(NAME).map(|name| text(&name.value)).unwrap_or_default(),
            attributes: attributes(part(DATA).map_or(&[], |data| &data.value))?,
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
        let element = MessageBuilder::default().text(NAME, &expression.name);
        let element = element.attribute(0x8000 | DATA, &data).into_bytes();
        list = list.attribute(0x8000 | ELEMENT, &element);
    }
    list.into_bytes()
}

/// Says whether two rules do the same.
pub(super) fn is_same(one: &[Expression], other: &[Expression]) -> bool {
    let lasting = Expression::lasting;
    one.len() == other.len() && one.iter().zip(other).all(|(a, b)| lasting(a) == lasting(b))
}

/// The transport protocol that a rule asks for: what extensions of iptables check themselves against.
pub(super) fn protocol(expressions: &[Expression]) -> Option<u8> {
    let loads = |one: &Expression| match one.name.as_str() {
        "meta" => one.number(2) == Some(16),
        "payload" => {
            let place = (one.number(2), one.number(3), one.number(4));
            matches!(place, (Some(1), Some(6 | 9), Some(1)))
        }
        _ => false,
    };
    expressions.windows(2).find_map(|pair| {
        let is_compared = pair[1].name == "cmp" && pair[1].number(2) == Some(0);
        let compared = pair[1].compared()?;
        (loads(&pair[0]) && is_compared && compared.len() == 1).then(|| compared[0])
    })
}

/// What is inside a `struct nlattr` that holds a value.
pub(super) fn value(nested: &[u8]) -> Option<Vec<u8>> {
    let mut inside = attributes(nested).ok()?.into_iter();
    inside
        .find(|one| one.kind & 0x3fff == VALUE)
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
