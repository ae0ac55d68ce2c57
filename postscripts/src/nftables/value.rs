//! What a register holds when not everything about a packet is known, and comparisons with it.
//!
//! Pure. Each bit is known or not: of a device's name perhaps the beginning, of an address the network.
//! Reference: net/netfilter/nft_cmp.c, nft_range.c, nft_bitwise.c, nft_byteorder.c; all compare byte by byte.

use std::cmp::Ordering;

use nix::libc;

use super::expression::{Expression, value};
use crate::netlink::uapi::{
    NFT_BITWISE_MASK_XOR, NFTA_BITWISE_MASK, NFTA_BITWISE_OP, NFTA_BITWISE_XOR, NFTA_BYTEORDER_LEN,
    NFTA_BYTEORDER_SIZE, NFTA_CMP_DATA, NFTA_CMP_OP, NFTA_RANGE_FROM_DATA, NFTA_RANGE_OP,
    NFTA_RANGE_TO_DATA,
};

/// Whether something holds for every packet of a kind, for none, or for some.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Certainty {
    No,
    Maybe,
    Yes,
}

/// Bytes of which some bits may be unknown.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Value {
    /// Unknown bits are 0.
    bytes: Vec<u8>,
    /// The bits that are known.
    known: Vec<u8>,
}

/// A comparison of a value with bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Comparison {
    kind: ComparisonKind,
    data: Vec<u8>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum ComparisonKind {
    Equal,
    Less,
    /// From the data to these bytes.
    Within(Vec<u8>),
    /// The opposite of the other.
    Not(Box<ComparisonKind>),
}

impl Certainty {
    pub(crate) fn not(self) -> Self {
        match self {
            Self::No => Self::Yes,
            Self::Maybe => Self::Maybe,
            Self::Yes => Self::No,
        }
    }

    fn of(is_always: bool, is_never: bool) -> Self {
        match (is_always, is_never) {
            (true, _) => Self::Yes,
            (_, true) => Self::No,
            _ => Self::Maybe,
        }
    }
}

impl Value {
    pub(crate) fn of(bytes: &[u8]) -> Self {
        Self {
            bytes: bytes.to_vec(),
            known: vec![u8::MAX; bytes.len()],
        }
    }

    pub(crate) fn unknown(length: usize) -> Self {
        Self {
            bytes: vec![0; length],
            known: vec![0; length],
        }
    }

    /// The first so many bits of bytes; the others are unknown.
    pub(crate) fn starting(bytes: &[u8], bits: usize) -> Self {
        let known = |at: usize| match bits.saturating_sub(at * 8) {
            bits @ 0..8 => !(u8::MAX >> bits),
            _ => u8::MAX,
        };
        let known: Vec<_> = (0..bytes.len()).map(known).collect();
        Self {
            bytes: bytes.iter().zip(&known).map(|(a, b)| a & b).collect(),
            known,
        }
    }

    pub(crate) fn length(&self) -> usize {
        self.bytes.len()
    }

    /// Puts another value over the bytes from there on.
    pub(crate) fn put(&mut self, at: usize, other: &Self) {
        let end = at + other.bytes.len();
        if self.bytes.len() < end {
            self.bytes.resize(end, 0);
            self.known.resize(end, 0);
        }
        self.bytes[at..end].copy_from_slice(&other.bytes);
        self.known[at..end].copy_from_slice(&other.known);
    }

    /// Returns some of its bytes; what is after its end is unknown.
    pub(crate) fn part(&self, at: usize, length: usize) -> Self {
        let byte = |from: &[u8], at: usize| from.get(at).copied().unwrap_or_default();
        let places = at..at.saturating_add(length);
        Self {
            bytes: places.clone().map(|at| byte(&self.bytes, at)).collect(),
            known: places.map(|at| byte(&self.known, at)).collect(),
        }
    }

    /// The bytes, where all of them are known.
    pub(crate) fn whole(&self) -> Option<&[u8]> {
        let is_whole = self.known.iter().all(|known| *known == u8::MAX);
        is_whole.then_some(&self.bytes)
    }

    /// The smallest bytes that it may be.
    fn least(&self) -> &[u8] {
        &self.bytes
    }

    /// The largest bytes that it may be.
    fn most(&self) -> Vec<u8> {
        let bytes = self.bytes.iter().zip(&self.known);
        bytes.map(|(byte, known)| byte | !known).collect()
    }

    /// Reports whether it is equal to bytes of its length.
    pub(crate) fn equals(&self, data: &[u8]) -> Certainty {
        let mut bits = self.bytes.iter().zip(&self.known).zip(data);
        let differs = bits.any(|((byte, known), data)| (byte ^ data) & known != 0);
        Certainty::of(!differs && self.whole().is_some(), differs)
    }

    /// Reports whether it comes before bytes of its length.
    fn is_before(&self, data: &[u8]) -> Certainty {
        Certainty::of(self.most().as_slice() < data, self.least() >= data)
    }

    /// Reports whether it is one of those from the first to the last.
    pub(crate) fn is_within(&self, first: &[u8], last: &[u8]) -> Certainty {
        let most = self.most();
        Certainty::of(
            self.least() >= first && most.as_slice() <= last,
            most.as_slice() < first || self.least() > last,
        )
    }

    /// Reports whether it is at or after the first and before the end, if there is one.
    pub(super) fn is_from(&self, first: &[u8], end: Option<&[u8]>) -> Certainty {
        let before = end.map_or(Certainty::Yes, |end| self.is_before(end));
        self.is_before(first).not().min(before)
    }

    /// What an expression that computes (`bitwise`, `byteorder`) makes of it.
    pub(crate) fn computed(&self, by: &Expression) -> Self {
        let done = match by.name.as_str() {
            "bitwise" => self.masked(by),
            "byteorder" => self.swapped(by),
            _ => None,
        };
        done.unwrap_or_else(|| Self::unknown(self.bytes.len()))
    }

    /// What is masked out is known to be 0.
    fn masked(&self, by: &Expression) -> Option<Self> {
        let operation = by.number(NFTA_BITWISE_OP).unwrap_or_default();
        let mask = by.get(NFTA_BITWISE_MASK).and_then(value)?;
        let xor = by.get(NFTA_BITWISE_XOR).and_then(value)?;
        let fits = mask.len() == xor.len() && mask.len() <= self.bytes.len();
        if operation != NFT_BITWISE_MASK_XOR || !fits {
            return None;
        }
        let bits = mask.iter().zip(&xor).enumerate();
        let (bytes, known) = bits
            .map(|(at, (mask, xor))| {
                let known = self.known[at] | !mask;
                ((self.bytes[at] & mask ^ xor) & known, known)
            })
            .unzip();
        Some(Self { bytes, known })
    }

    /// Turns each number around where this machine keeps them the other way.
    fn swapped(&self, by: &Expression) -> Option<Self> {
        let [size, length] = [NFTA_BYTEORDER_SIZE, NFTA_BYTEORDER_LEN].map(|kind| by.number(kind));
        let (size, length) = (size? as usize, length? as usize);
        let turned = |bytes: &[u8]| -> Option<Vec<u8>> {
            let mut bytes = bytes.get(..length)?.to_vec();
            if cfg!(target_endian = "little") {
                bytes.chunks_mut(size.max(1)).for_each(<[u8]>::reverse);
            }
            Some(bytes)
        };
        Some(Self {
            bytes: turned(&self.bytes)?,
            known: turned(&self.known)?,
        })
    }
}

impl Comparison {
    /// Reads a `cmp` or a `range`; nothing where it is of a kind that is not known here.
    pub(crate) fn of(one: &Expression) -> Option<Self> {
        use ComparisonKind::{Equal, Less, Not, Within};
        let not = |kind| Not(Box::new(kind));
        let read = |kind| one.get(kind).and_then(value);
        let (kind, data) = match one.name.as_str() {
            "cmp" => {
                let data = read(NFTA_CMP_DATA)?;
                let (data, kind) = match one.key(NFTA_CMP_OP)? {
                    libc::NFT_CMP_EQ => (data, Equal),
                    libc::NFT_CMP_NEQ => (data, not(Equal)),
                    libc::NFT_CMP_LT => (data, Less),
                    libc::NFT_CMP_GTE => (data, not(Less)),
                    libc::NFT_CMP_LTE => (vec![0; data.len()], Within(data)),
                    libc::NFT_CMP_GT => (vec![0; data.len()], not(Within(data))),
                    _ => return None,
                };
                (kind, data)
            }
            "range" => {
                let last = read(NFTA_RANGE_TO_DATA)?;
                let kind = match one.key(NFTA_RANGE_OP)? {
                    libc::NFT_RANGE_EQ => Within(last),
                    libc::NFT_RANGE_NEQ => not(Within(last)),
                    _ => return None,
                };
                (kind, read(NFTA_RANGE_FROM_DATA)?)
            }
            _ => return None,
        };
        Some(Self { kind, data })
    }

    /// How many bytes of a register it looks at.
    pub(crate) fn length(&self) -> usize {
        self.data.len()
    }

    /// Reports whether it holds for a value.
    pub(crate) fn holds(&self, value: &Value) -> Certainty {
        self.kind.holds(&self.data, &value.part(0, self.length()))
    }
}

impl ComparisonKind {
    fn holds(&self, data: &[u8], value: &Value) -> Certainty {
        match self {
            Self::Equal => value.equals(data),
            Self::Less => value.is_before(data),
            Self::Within(last) if last.len().cmp(&data.len()) != Ordering::Equal => {
                Certainty::Maybe
            }
            Self::Within(last) => value.is_within(data, last),
            Self::Not(other) => other.holds(data, value).not(),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn bytes() -> impl Strategy<Value = Vec<u8>> {
        proptest::collection::vec(prop_oneof![Just(0), Just(1), Just(255), any::<u8>()], 3)
    }

    fn kinds(data: Vec<u8>, last: Vec<u8>) -> Vec<Comparison> {
        use ComparisonKind::{Equal, Less, Not, Within};
        let kinds = [Equal, Less, Within(last)];
        let both = kinds
            .into_iter()
            .flat_map(|kind| [kind.clone(), Not(Box::new(kind))]);
        both.map(|kind| Comparison {
            kind,
            data: data.clone(),
        })
        .collect()
    }

    proptest! {
        /// Whatever the unknown bits are, an answer that is sure is right.
        #[test]
        fn a_sure_answer_holds_for_every_packet(
            known in bytes(), held in bytes(), other in bytes(), data in bytes(), last in bytes()
        ) {
            let partly = Value {
                bytes: held.iter().zip(&known).map(|(a, b)| a & b).collect(),
                known: known.clone(),
            };
            let bits = held.iter().zip(&other).zip(&known);
            let possible: Vec<u8> = bits.map(|((a, b), known)| a & known | b & !known).collect();
            for comparison in kinds(data, last) {
                let exact = comparison.holds(&Value::of(&possible));
                prop_assert_ne!(exact, Certainty::Maybe);
                let answer = comparison.holds(&partly);
                prop_assert!(answer == Certainty::Maybe || answer == exact, "{:?}", comparison);
            }
        }
    }

    #[test]
    fn of_an_address_the_network_is_enough_where_it_decides() {
        let within = Value::starting(&[10, 1, 0, 0], 16);
        for (first, last, certainty) in [
            ([10, 1, 0, 0], [10, 1, 255, 255], Certainty::Yes),
            ([10, 0, 0, 0], [10, 255, 255, 255], Certainty::Yes),
            ([10, 1, 0, 1], [10, 1, 255, 255], Certainty::Maybe),
            ([10, 2, 0, 0], [10, 3, 0, 0], Certainty::No),
        ] {
            assert_eq!(within.is_within(&first, &last), certainty, "{first:?}");
        }
    }
}
