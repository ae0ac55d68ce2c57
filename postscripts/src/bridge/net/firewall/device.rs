//! Which registers of a rule hold a device, and which device a rule sends to.
//!
//! Pure. What is computed from a device before it is compared (`iif 2-5` turns its number around) is kept with it.

use std::ffi::c_int;

use nix::libc;

use crate::netlink::uapi::{
    NFT_FIB_RESULT_OIF, NFT_FIB_RESULT_OIFNAME, NFT_META_IIFKIND, NFT_META_OIFKIND, NFT_META_SDIF,
    NFT_META_SDIFNAME, NFTA_DUP_SREG_DEV, NFTA_FIB_RESULT, NFTA_FWD_SREG_DEV, NFTA_IMMEDIATE_DATA,
    NFTA_META_KEY, NFTA_TARGET_INFO, NFTA_TARGET_NAME,
};
use crate::nftables::{Expression, NAME_SIZE, Value, byte, text, value};

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

/// A device in a register.
#[derive(Debug)]
pub(super) struct HeldDevice<'a> {
    at: usize,
    pub(super) device: Device,
    computed: Vec<&'a Expression>,
}

/// The devices that registers hold.
#[derive(Debug, Default)]
pub(super) struct Registers<'a>(Vec<HeldDevice<'a>>);

/// Returns the device that an expression sends to; `before` are those of its rule before it.
pub(super) fn destination(one: &Expression, before: &[Expression]) -> Option<Destination> {
    if one.name == "target" && one.text(NFTA_TARGET_NAME).as_deref() == Some("TEE") {
        // `struct xt_tee_tginfo`: an address, then the name of a device
        let name = one.get(NFTA_TARGET_INFO)?.get(16..16 + NAME_SIZE)?;
        return Some(Destination::Name(text(name)));
    }
    let (_, kind) = DUPLICATES.iter().find(|(name, _)| *name == one.name)?;
    let from = byte(one.number(*kind)?);
    let loads = |one: &&Expression| one.name == "immediate" && one.loads_into() == from;
    let loaded = before.iter().rev().find(loads).filter(|_| from.is_some())?;
    let index = value(loaded.get(NFTA_IMMEDIATE_DATA)?)?;
    Some(Destination::Index(u32::from_ne_bytes(
        index.first_chunk().copied()?,
    )))
}

impl HeldDevice<'_> {
    /// Reports whether the register holds the device as it is.
    pub(super) fn is_plain(&self) -> bool {
        self.computed.is_empty()
    }

    /// Reports whether an element of a set can be about this device alone, so that another can be added beside it.
    pub(super) fn is_one(&self) -> bool {
        self.is_plain() && matches!(self.device, Device::Name(_) | Device::Index(_))
    }

    /// What the register holds for a key that the device has.
    pub(super) fn value(&self, key: &[u8]) -> Value {
        let computed = self.computed.iter();
        computed.fold(Value::of(key), |value, by| value.computed(by))
    }
}

impl<'a> Registers<'a> {
    /// Returns the device that begins at this byte.
    pub(super) fn at(&self, byte: usize) -> Option<&HeldDevice<'a>> {
        self.0.iter().find(|held| held.at == byte)
    }

    /// Returns the devices in a key of that length from this byte on, each with its place in the key.
    pub(super) fn within(&self, from: usize, length: usize) -> Vec<(usize, &HeldDevice<'a>)> {
        let all = self.0.iter();
        let inside = all.filter(|held| (from..from + length).contains(&held.at));
        inside.map(|held| (held.at - from, held)).collect()
    }

    /// Follows what an expression puts into a register.
    pub(super) fn follow(&mut self, one: &'a Expression) {
        let Some(at) = one.loads_into() else {
            return;
        };
        let device = match one.name.as_str() {
            "meta" => one.key(NFTA_META_KEY).and_then(meta),
            "fib" => one.key(NFTA_FIB_RESULT).and_then(fib),
            _ => None,
        };
        let plain = device.map(|device| (device, Vec::new()));
        let computed = one
            .computes_from()
            .and_then(|from| self.at(from))
            .map(|held| {
                let computed = held.computed.iter().copied().chain([one]);
                (held.device, computed.collect())
            });
        let held = plain.or(computed);
        self.0.retain(|held| held.at != at);
        self.0.extend(held.map(|(device, computed)| HeldDevice {
            at,
            device,
            computed,
        }));
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
