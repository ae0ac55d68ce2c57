//! A set, map or verdict map, and what a key finds in it.
//!
//! Pure. Reference: net/netfilter/nft_set_rbtree.c (the ends of ranges are elements of their own),
//! nft_set_pipapo.c (ranges in each part of a key), nft_lookup.c.

use std::ffi::c_int;
use std::io;

use nix::libc;

use super::expression::{number, text, value};
use super::value::{Certainty, Value};
use crate::netlink::NetlinkAttribute;
use crate::netlink::attribute::{attributes, take};
use crate::netlink::netfilter::NetfilterObject;
use crate::netlink::uapi::{
    NFT_SET_CONCAT, NFT_SET_ELEM_CATCHALL, NFTA_SET_DESC, NFTA_SET_DESC_CONCAT, NFTA_SET_ELEM_DATA,
    NFTA_SET_ELEM_EXPIRATION, NFTA_SET_ELEM_FLAGS, NFTA_SET_ELEM_KEY, NFTA_SET_ELEM_KEY_END,
    NFTA_SET_ELEM_LIST_ELEMENTS, NFTA_SET_ELEM_TIMEOUT, NFTA_SET_FIELD_LEN, NFTA_SET_FLAGS,
    NFTA_SET_KEY_LEN, NFTA_SET_NAME, NFTA_SET_TABLE,
};

/// A set, map or verdict map.
#[derive(Debug, Clone)]
pub(crate) struct Set {
    pub(crate) family: u8,
    pub(crate) table: String,
    pub(crate) name: String,
    pub(crate) flags: u32,
    pub(crate) key: usize,
    /// How long each part of a key is, where it has several.
    pub(crate) parts: Vec<usize>,
    /// Nothing where they were not asked for, or are too many.
    pub(crate) elements: Option<Vec<SetElement>>,
}

/// An element of a set.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct SetElement {
    pub(crate) attributes: Vec<NetlinkAttribute>,
}

impl Set {
    /// Its elements as far as they were read.
    pub(crate) fn read(&self) -> &[SetElement] {
        self.elements.as_deref().unwrap_or_default()
    }

    fn has(&self, flag: c_int) -> bool {
        self.flags & flag as u32 != 0
    }

    pub(crate) fn is_anonymous(&self) -> bool {
        self.has(libc::NFT_SET_ANONYMOUS)
    }

    /// Reports whether elements may come and go.
    pub(crate) fn is_open(&self) -> bool {
        !self.has(libc::NFT_SET_CONSTANT)
    }

    pub(crate) fn is_map(&self) -> bool {
        self.has(libc::NFT_SET_MAP)
    }

    /// Reports whether its elements are the two ends of ranges.
    pub(crate) fn has_ranges(&self) -> bool {
        self.has(libc::NFT_SET_INTERVAL) && !self.has(NFT_SET_CONCAT)
    }

    /// The elements that a key may find, each with whether it surely does.
    pub(crate) fn find(&self, key: &Value) -> Vec<(Certainty, &SetElement)> {
        let found =
            |(element, certainty)| (certainty != Certainty::No).then_some((certainty, element));
        let mut all: Vec<_> = if self.has_ranges() {
            self.ranges(key).filter_map(found).collect()
        } else {
            let plain = self.read().iter().filter(|element| !element.is_catch_all());
            let asked = plain.map(|element| (element, self.holds(element, key)));
            asked.filter_map(found).collect()
        };
        // whoever finds no other finds this one
        let others = all.iter().map(|(certainty, _)| *certainty).max();
        let last = self.read().iter().find(|element| element.is_catch_all());
        let rest = others.unwrap_or(Certainty::No).not();
        all.extend(last.and_then(|element| found((element, rest))));
        all
    }

    /// Ranges begin with an element and end before the next one.
    fn ranges(&self, key: &Value) -> impl Iterator<Item = (&SetElement, Certainty)> {
        let ends = self.read().iter().filter(|element| !element.is_catch_all());
        let mut ends: Vec<_> = ends.filter_map(|one| Some((one.key()?, one))).collect();
        // an end and a beginning may be in the same place: the end is of the range before
        ends.sort_unstable_by(|(a, one), (b, other)| {
            a.cmp(b).then(other.is_end().cmp(&one.is_end()))
        });
        let next: Vec<_> = ends.iter().skip(1).map(|(key, _)| key.clone()).collect();
        let certainty = |first: &[u8], end: Option<&Vec<u8>>| {
            key.part(0, first.len())
                .is_from(first, end.map(Vec::as_slice))
        };
        let ranges = ends.into_iter().enumerate();
        let ranges = ranges.filter(|(_, (_, element))| !element.is_end());
        let ranges =
            ranges.map(|(at, (first, element))| (element, certainty(&first, next.get(at))));
        ranges.collect::<Vec<_>>().into_iter()
    }

    /// Reports whether a key is this one, or within its range in each of its parts.
    fn holds(&self, element: &SetElement, key: &Value) -> Certainty {
        let Some(first) = element.key() else {
            return Certainty::Maybe;
        };
        let Some(last) = element.last_key() else {
            return key.part(0, first.len()).equals(&first);
        };
        let (mut at, mut certainty) = (0, Certainty::Yes);
        for part in self.parts.iter().copied() {
            let ends = (first.get(at..at + part), last.get(at..at + part));
            certainty = certainty.min(match ends {
                (Some(first), Some(last)) => key.part(at, part).is_within(first, last),
                _ => Certainty::Maybe,
            });
            at += part.next_multiple_of(libc::NFT_REG32_SIZE as usize);
        }
        if self.parts.is_empty() {
            Certainty::Maybe
        } else {
            certainty
        }
    }
}

impl SetElement {
    pub(crate) fn get(&self, kind: u16) -> Option<&[u8]> {
        let found = self.attributes.iter().find(|one| one.is(kind));
        found.map(|one| one.value.as_slice())
    }

    pub(crate) fn key(&self) -> Option<Vec<u8>> {
        value(self.get(NFTA_SET_ELEM_KEY)?)
    }

    /// The last key of a range, in a set whose keys are of several parts.
    pub(crate) fn last_key(&self) -> Option<Vec<u8>> {
        value(self.get(NFTA_SET_ELEM_KEY_END)?)
    }

    fn has(&self, flag: c_int) -> bool {
        let flags = self.get(NFTA_SET_ELEM_FLAGS).and_then(number);
        flags.unwrap_or_default() & flag as u32 != 0
    }

    pub(crate) fn is_end(&self) -> bool {
        self.has(libc::NFT_SET_ELEM_INTERVAL_END)
    }

    pub(crate) fn is_catch_all(&self) -> bool {
        self.has(NFT_SET_ELEM_CATCHALL)
    }

    /// How long it lives altogether and from now, as the attributes that say so.
    pub(crate) fn lifetime(&self) -> Vec<NetlinkAttribute> {
        let is_lifetime = |one: &&NetlinkAttribute| {
            one.is(NFTA_SET_ELEM_TIMEOUT) || one.is(NFTA_SET_ELEM_EXPIRATION)
        };
        self.attributes
            .iter()
            .filter(is_lifetime)
            .cloned()
            .collect()
    }

    /// What a map gives for it.
    pub(crate) fn data(&self) -> Option<&[u8]> {
        self.get(NFTA_SET_ELEM_DATA)
    }
}

/// Reads a set without its elements.
pub(super) fn decode(object: NetfilterObject) -> Option<Set> {
    let mut rest = object.attributes;
    let size = |bytes: &[u8]| number(bytes).map(|number| number as usize);
    Some(Set {
        family: object.family,
        table: text(&take(&mut rest, NFTA_SET_TABLE)?),
        name: text(&take(&mut rest, NFTA_SET_NAME)?),
        flags: take(&mut rest, NFTA_SET_FLAGS)
            .as_deref()
            .and_then(number)
            .unwrap_or_default(),
        key: take(&mut rest, NFTA_SET_KEY_LEN)
            .as_deref()
            .and_then(size)
            .unwrap_or_default(),
        parts: take(&mut rest, NFTA_SET_DESC)
            .and_then(|description| parts(&description).ok())
            .unwrap_or_default(),
        elements: None,
    })
}

/// The lengths of the parts of a key.
fn parts(description: &[u8]) -> io::Result<Vec<usize>> {
    let mut rest = attributes(description)?;
    let mut lengths = Vec::new();
    for part in attributes(&take(&mut rest, NFTA_SET_DESC_CONCAT).unwrap_or_default())? {
        let length = take(&mut attributes(&part.value)?, NFTA_SET_FIELD_LEN);
        lengths.extend(
            length
                .as_deref()
                .and_then(number)
                .map(|length| length as usize),
        );
    }
    Ok(lengths)
}

/// Reads some of the elements of a set.
pub(super) fn decode_elements(object: NetfilterObject) -> io::Result<Vec<SetElement>> {
    let mut rest = object.attributes;
    let list = attributes(&take(&mut rest, NFTA_SET_ELEM_LIST_ELEMENTS).unwrap_or_default())?;
    list.iter()
        .map(|one| attributes(&one.value).map(|attributes| SetElement { attributes }))
        .collect()
}
