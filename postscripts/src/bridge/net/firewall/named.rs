//! Which devices data of nf_tables is about: a name, a number, a kind or a group that is compared with, and the
//! elements of a set.

use super::Move;
use super::device::{Destination, Device};
use crate::nftables::{NAME_SIZE, Set, SetElement, Verdict, padded, text};

/// The kind that the kernel calls a bridge by.
const BRIDGE: &str = "bridge";

/// An element about the NIC that has none of the same effect beside it about the bridge.
pub(super) struct Lack<'a> {
    pub(super) element: &'a SetElement,
    /// Whether there is one of another effect in its place.
    pub(super) is_taken: bool,
}

impl Device {
    /// How many bytes a register needs for it.
    pub(super) fn size(self) -> usize {
        match self {
            Self::Name(_) | Self::Kind => NAME_SIZE,
            Self::Index(_) | Self::Group => 4,
        }
    }
}

impl Move {
    /// Reports whether data that is compared with means the NIC: a name without its end is the beginning of one.
    pub(super) fn nic_is(&self, device: Device, data: &[u8]) -> bool {
        is(self.nic_key(device), data)
    }

    /// Reports whether packets that are sent there leave by the NIC.
    pub(super) fn is_destination(&self, destination: &Destination) -> bool {
        match destination {
            Destination::Index(index) => *index == self.nic_index,
            Destination::Name(name) => *name == self.nic,
        }
    }

    pub(super) fn bridge_is(&self, device: Device, data: &[u8]) -> bool {
        is(self.bridge_key(device), data)
    }

    /// The NIC as a key holds it, if it has such a property.
    pub(super) fn nic_key(&self, device: Device) -> Option<Vec<u8>> {
        Some(match device {
            Device::Name(_) => padded(&self.nic),
            Device::Index(_) => self.nic_index.to_ne_bytes().into(),
            Device::Kind => padded(self.nic_kind.as_deref()?),
            Device::Group => self.nic_group.to_ne_bytes().into(),
        })
    }

    /// The bridge as a key holds it, once it has a number.
    pub(super) fn bridge_key(&self, device: Device) -> Option<Vec<u8>> {
        Some(match device {
            Device::Name(_) => padded(&self.bridge),
            Device::Index(_) => self.bridge_index?.to_ne_bytes().into(),
            Device::Kind => padded(BRIDGE),
            Device::Group => self.bridge_group.to_ne_bytes().into(),
        })
    }
}

fn is(key: Option<Vec<u8>>, data: &[u8]) -> bool {
    !data.is_empty() && key.is_some_and(|key| key.starts_with(data))
}

impl Set {
    /// Returns the elements about one device that have none of the same effect beside them about another.
    pub(super) fn lacks(
        &self,
        at: usize,
        about: Option<Vec<u8>>,
        other: Option<Vec<u8>>,
    ) -> Vec<Lack<'_>> {
        let Some(about) = about else {
            return Vec::new();
        };
        let lack = |element, beside: Option<&SetElement>| Lack {
            element,
            is_taken: beside.is_some(),
        };
        if self.has_ranges() {
            let beside = other.and_then(|other| self.range(&other));
            let own = self.range(&about).into_iter();
            return own
                .filter(|own| beside.is_none_or(|beside| beside.data() != own.data()))
                .map(|own| lack(own, beside))
                .collect();
        }
        let place = at..at + about.len();
        let is_about = |element: &&SetElement| {
            let (Some(first), last) = (element.key(), element.last_key()) else {
                return false;
            };
            let last = last.unwrap_or_else(|| first.clone());
            let ends = (first.get(place.clone()), last.get(place.clone()));
            !element.is_catch_all()
                && matches!(ends, (Some(first), Some(last)) if first <= &about[..] && &about[..] <= last)
        };
        let moved = |key: Option<Vec<u8>>| {
            let mut key = key?;
            key.splice(place.clone(), other.iter().flatten().copied());
            Some(key)
        };
        let beside = |element: &SetElement| {
            other.as_ref()?;
            let wanted = (moved(element.key()), moved(element.last_key()));
            let mut all = self.read().iter();
            all.find(|other| (other.key(), other.last_key()) == wanted)
        };
        let found = self.read().iter().filter(is_about);
        found
            .map(|element| (element, beside(element)))
            .filter(|(element, beside)| beside.is_none_or(|beside| beside.data() != element.data()))
            .map(|(element, beside)| lack(element, beside))
            .collect()
    }

    /// Returns the beginning of the range that a key falls into.
    fn range(&self, key: &[u8]) -> Option<&SetElement> {
        let ends = |element: &&SetElement| element.key().is_some_and(|end| end.as_slice() <= key);
        let below = self.read().iter().filter(ends);
        let last = below.max_by_key(|element| (element.key(), !element.is_end()));
        last.filter(|element| !element.is_end())
    }

    /// Reports whether an element can be added to it as it is.
    pub(super) fn takes_more(&self) -> bool {
        let is_plain = |element: &SetElement| element.last_key().is_none();
        !self.is_anonymous()
            && self.is_open()
            && !self.has_ranges()
            && self.read().iter().all(is_plain)
    }

    /// Reports whether more names than one begin as the one that begins a range does: one name ends with itself.
    fn is_wildcard(&self, first: &[u8]) -> bool {
        let ends = self.read().iter().filter(|element| element.is_end());
        let after = ends
            .filter_map(SetElement::key)
            .filter(|end| end.as_slice() > first);
        let itself = |end: &[u8]| end.strip_prefix(&first[..first.len() - 1]) == Some(&[1]);
        self.has_ranges() && !after.min().is_some_and(|end| itself(&end))
    }

    /// Its elements in words.
    pub(super) fn names(&self) -> String {
        let shown = self
            .read()
            .iter()
            .filter(|element| !element.is_end())
            .map(|element| {
                let key = element.key().unwrap_or_default();
                let name = match key.len() {
                    ..NAME_SIZE => format!("{key:02x?}"),
                    _ if self.is_wildcard(&key) => format!("\"{}*\"", text(&key)),
                    _ => format!("\"{}\"", text(&key)),
                };
                let verdict = element.data().and_then(Verdict::parse);
                verdict.map_or(name.clone(), |verdict| format!("{name} : {verdict}"))
            });
        let shown: Vec<_> = shown.collect();
        if self.is_map() {
            format!("vmap {{ {} }}", shown.join(", "))
        } else {
            format!("{{ {} }}", shown.join(", "))
        }
    }
}
