//! The expressions of an nf_tables rule as the kernel lists and takes them.
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
    NFTA_BITWISE_DREG, NFTA_BITWISE_SREG, NFTA_CMP_DATA, NFTA_CMP_OP, NFTA_CMP_SREG,
    NFTA_DATA_VALUE, NFTA_EXPR_DATA, NFTA_EXPR_NAME, NFTA_IMMEDIATE_DATA, NFTA_IMMEDIATE_DREG,
    NFTA_LIST_ELEM, NFTA_LOOKUP_DREG, NFTA_META_DREG, NFTA_META_KEY, NFTA_PAYLOAD_BASE,
    NFTA_PAYLOAD_LEN, NFTA_PAYLOAD_OFFSET,
};

/// The longest name of a device, with the byte that ends it.
pub(crate) const NAME_SIZE: usize = libc::IFNAMSIZ;

/// One expression: its name and its attributes as they came.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Expression {
    /// What it is: `meta`, `cmp`, `lookup` …
    pub name: String,
    /// Its attributes.
    pub attributes: Vec<NetlinkAttribute>,
}

impl Expression {
    /// The value of an attribute.
    pub(crate) fn get(&self, kind: u16) -> Option<&[u8]> {
        let found = self.attributes.iter().find(|one| one.is(kind));
        found.map(|one| one.value.as_slice())
    }

    pub(crate) fn number(&self, kind: u16) -> Option<u32> {
        number(self.get(kind)?)
    }

    /// A number as libc has the kernel's enumerations.
    pub(crate) fn key(&self, kind: u16) -> Option<c_int> {
        self.number(kind)?.try_into().ok()
    }

    pub(crate) fn text(&self, kind: u16) -> Option<String> {
        self.get(kind).map(text)
    }

    /// The byte of the registers where it puts what it loads or computes.
    pub(crate) fn loads_into(&self) -> Option<usize> {
        let kind = match self.name.as_str() {
            // these name what they are about first, a register or a key
            "bitwise" | "byteorder" | "hash" | "socket" | "tunnel" => NFTA_BITWISE_DREG,
            "lookup" => NFTA_LOOKUP_DREG,
            "meta" | "ct" | "payload" | "fib" | "rt" | "exthdr" | "numgen" | "osf" | "xfrm"
            | "immediate" => NFTA_META_DREG,
            _ => return None,
        };
        self.number(kind).and_then(byte)
    }

    /// The byte of the registers from which it computes what it loads.
    pub(crate) fn computes_from(&self) -> Option<usize> {
        let computes = matches!(self.name.as_str(), "bitwise" | "byteorder" | "hash");
        let from = self.number(NFTA_BITWISE_SREG).filter(|_| computes);
        from.and_then(byte)
    }

    /// The bytes that a comparison compares with.
    pub(crate) fn compared(&self) -> Option<Vec<u8>> {
        value(self.get(NFTA_CMP_DATA)?)
    }

    /// The same comparison with other bytes.
    pub(crate) fn comparing(&self, bytes: &[u8]) -> Self {
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
    pub(crate) fn equals(register: u32, bytes: &[u8]) -> Self {
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
    pub(crate) fn immediate(register: u32, data: &[u8]) -> Self {
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

/// Where a register begins: four of sixteen bytes, or sixteen of four in the same place.
pub(crate) fn byte(register: u32) -> Option<usize> {
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

/// Reads the expressions of a rule.
pub(crate) fn decode(list: &[u8]) -> io::Result<Vec<Expression>> {
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
pub(crate) fn encode(expressions: &[Expression]) -> Vec<u8> {
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
pub(crate) fn is_same(one: &[Expression], other: &[Expression]) -> bool {
    let lasting = Expression::lasting;
    one.len() == other.len() && one.iter().zip(other).all(|(a, b)| lasting(a) == lasting(b))
}

/// The transport protocol that a rule asks for: what extensions of iptables check themselves against.
pub(crate) fn protocol(expressions: &[Expression]) -> Option<u8> {
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
pub(crate) fn value(nested: &[u8]) -> Option<Vec<u8>> {
    let mut inside = attributes(nested).ok()?.into_iter();
    inside
        .find(|one| one.is(NFTA_DATA_VALUE))
        .map(|one| one.value)
}

pub(crate) fn number(bytes: &[u8]) -> Option<u32> {
    Some(u32::from_be_bytes(bytes.try_into().ok()?))
}

pub(crate) fn text(bytes: &[u8]) -> String {
    let end = bytes
        .iter()
        .position(|&byte| byte == 0)
        .unwrap_or(bytes.len());
    String::from_utf8_lossy(&bytes[..end]).into_owned()
}

/// A device's name as a register holds it.
pub(crate) fn padded(name: &str) -> Vec<u8> {
    let mut bytes = name.as_bytes().to_vec();
    bytes.resize(NAME_SIZE.max(bytes.len() + 1), 0);
    bytes
}
