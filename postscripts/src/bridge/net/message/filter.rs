//! Filters of traffic control: `struct tcmsg` and `TCA_*` (linux/rtnetlink.h), what each kind calls its parts
//! (linux/pkt_cls.h), the action `mirred` (linux/tc_act/tc_mirred.h) and extended matches (linux/tc_ematch/tc_em_meta.h).

use std::io;

use nix::libc;

use crate::netlink::NetlinkAttribute;
use crate::netlink::attribute::{attributes, number, split, take, take_text};
use crate::nftables::text;

/// A filter, and the devices that it names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct TrafficFilter {
    /// Its kind and its place, in words.
    pub(crate) words: String,
    /// What it compares a device of the packet with.
    pub(crate) compares: Vec<FilterDevice>,
    /// The numbers of the devices that it sends packets or copies of them to.
    pub(crate) sends: Vec<u32>,
}

/// A device as a filter names it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum FilterDevice {
    Name(String),
    Index(u32),
}

/// What a kind calls its parts.
struct FilterKind {
    name: &'static str,
    actions: u16,
    /// The device that a packet came in by, by name.
    input: Option<u16>,
    /// The same, by number.
    input_index: Option<u16>,
    ematches: Option<u16>,
}

const fn kind(name: &'static str, actions: u16) -> FilterKind {
    FilterKind {
        name,
        actions,
        input: None,
        input_index: None,
        ematches: None,
    }
}

const KINDS: [FilterKind; 9] = [
    FilterKind {
        input: Some(8), // TCA_U32_INDEV
        ..kind("u32", 7)
    },
    FilterKind {
        input: Some(2), // TCA_FLOWER_INDEV
        ..kind("flower", 3)
    },
    FilterKind {
        input: Some(3), // TCA_FW_INDEV
        ..kind("fw", 4)
    },
    FilterKind {
        input_index: Some(4), // TCA_ROUTE4_IIF
        ..kind("route", 6)
    },
    FilterKind {
        ematches: Some(2), // TCA_BASIC_EMATCHES
        ..kind("basic", 3)
    },
    FilterKind {
        ematches: Some(3), // TCA_CGROUP_EMATCHES
        ..kind("cgroup", 1)
    },
    FilterKind {
        ematches: Some(11), // TCA_FLOW_EMATCHES
        ..kind("flow", 9)
    },
    kind("matchall", 2),
    kind("bpf", 1),
];

const TCA_ACT_KIND: u16 = 1;
const TCA_ACT_OPTIONS: u16 = 2;
const TCA_MIRRED_PARMS: u16 = 2;
const TCA_EMATCH_TREE_LIST: u16 = 2;
const TCF_EM_META: u16 = 4;
const TCA_EM_META_HDR: u16 = 1;
const TCA_EM_META_RVALUE: u16 = 3;
/// The type of a value that is a name (`TCF_META_TYPE_VAR`); that of a number is 1.
const TCF_META_TYPE_VAR: u16 = 0;
/// The device of a packet, the one that its route came in by, the one that its socket is bound to.
const DEVICES: [u16; 3] = [5, 15, 19];

/// Asks for the filters of a device below one place of its queueing.
pub(crate) fn encode_filter_request(device: u32, parent: u32) -> Vec<u8> {
    let words = [0, device, 0, parent, 0];
    words.into_iter().flat_map(u32::to_ne_bytes).collect()
}

/// Reads an `RTM_NEWTFILTER`; `None` where it names no device.
pub(crate) fn decode_filter(bytes: &[u8]) -> io::Result<Option<TrafficFilter>> {
    let (header, mut rest) = split::<20>(bytes)?;
    let info = number(&header[16..20]).unwrap_or_default();
    let kind = take_text(&mut rest, libc::TCA_KIND).unwrap_or_default();
    let known = KINDS.iter().find(|known| known.name == kind);
    let (Some(known), Some(options)) = (known, take(&mut rest, libc::TCA_OPTIONS)) else {
        return Ok(None);
    };
    let mut parts = attributes(&options)?;
    let mut take = |kind: Option<u16>| kind.and_then(|kind| take(&mut parts, kind));
    let mut compares = Vec::new();
    compares.extend(take(known.input).map(|name| FilterDevice::Name(text(&name))));
    let index = take(known.input_index);
    compares.extend(
        index
            .and_then(|bytes| number(&bytes))
            .map(FilterDevice::Index),
    );
    compares.extend(matched(&take(known.ematches).unwrap_or_default())?);
    let sends = destinations(&take(Some(known.actions)).unwrap_or_default())?;
    let preference = info >> 16;
    Ok(
        (!compares.is_empty() || !sends.is_empty()).then(|| TrafficFilter {
            words: format!("{kind} filter with preference {preference}"),
            compares,
            sends,
        }),
    )
}

/// The devices that actions send to.
fn destinations(actions: &[u8]) -> io::Result<Vec<u32>> {
    let mut found = Vec::new();
    for action in attributes(actions)? {
        let mut parts = attributes(&action.value)?;
        if take_text(&mut parts, TCA_ACT_KIND).as_deref() != Some("mirred") {
            continue;
        }
        let mut options = attributes(&take(&mut parts, TCA_ACT_OPTIONS).unwrap_or_default())?;
        // `struct tc_mirred`: five words of every action, what is done, the device
        let parameters = take(&mut options, TCA_MIRRED_PARMS);
        found.extend(parameters.and_then(|words| number(words.get(24..28)?)));
    }
    Ok(found)
}

/// The devices that extended matches compare one of the packet with.
fn matched(tree: &[u8]) -> io::Result<Vec<FilterDevice>> {
    let mut parts = attributes(tree)?;
    let list = take(&mut parts, TCA_EMATCH_TREE_LIST).unwrap_or_default();
    let mut found = Vec::new();
    for NetlinkAttribute { value, .. } in attributes(&list)? {
        // `struct tcf_ematch_hdr`
        let Some((&[_, _, k0, k1, ..], data)) = value.split_first_chunk::<8>() else {
            continue;
        };
        if u16::from_ne_bytes([k0, k1]) == TCF_EM_META {
            found.extend(meta(attributes(data)?));
        }
    }
    Ok(found)
}

/// What one compares a device with, if it does.
fn meta(mut parts: Vec<NetlinkAttribute>) -> Option<FilterDevice> {
    let header = take(&mut parts, TCA_EM_META_HDR)?;
    let left = u16::from_ne_bytes(header.get(..2)?.try_into().ok()?);
    let (type_, id) = (left >> 12, left & 0x7ff);
    let value = take(&mut parts, TCA_EM_META_RVALUE)?;
    if !DEVICES.contains(&id) {
        return None;
    }
    match type_ {
        TCF_META_TYPE_VAR => Some(FilterDevice::Name(text(&value))),
        _ => number(value.get(..4)?).map(FilterDevice::Index),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::netlink::attribute::MessageBuilder;

    fn message(kind: &str, options: MessageBuilder) -> Vec<u8> {
        let mut header = encode_filter_request(7, 0x0001_0000);
        header[16..20].copy_from_slice(&(49_152u32 << 16 | 8).to_ne_bytes());
        MessageBuilder::new(&header)
            .text(libc::TCA_KIND, kind)
            .attribute(libc::TCA_OPTIONS, &options.into_bytes())
            .into_bytes()
    }

    fn action(kind: &str, device: u32) -> Vec<u8> {
        let words = [0, 0, 4, 1, 1, 1, device];
        let parameters: Vec<u8> = words.into_iter().flat_map(u32::to_ne_bytes).collect();
        let options = MessageBuilder::default().attribute(TCA_MIRRED_PARMS, &parameters);
        let action = MessageBuilder::default()
            .text(TCA_ACT_KIND, kind)
            .attribute(TCA_ACT_OPTIONS, &options.into_bytes());
        let list = MessageBuilder::default().attribute(1, &action.into_bytes());
        list.into_bytes()
    }

    fn ematch(kind: u16, left: u16, value: &[u8]) -> Vec<u8> {
        let [l0, l1] = left.to_ne_bytes();
        let data = MessageBuilder::default()
            .attribute(TCA_EM_META_HDR, &[l0, l1, 0, 0, 0, 0, 0, 0])
            .attribute(TCA_EM_META_RVALUE, value)
            .into_bytes();
        let [k0, k1] = kind.to_ne_bytes();
        let one = [&[0, 0, k0, k1, 0, 0, 0, 0], data.as_slice()].concat();
        let list = MessageBuilder::default().attribute(1, &one).into_bytes();
        let tree = MessageBuilder::default()
            .attribute(1, &[1, 0, 0, 0])
            .attribute(TCA_EMATCH_TREE_LIST, &list);
        tree.into_bytes()
    }

    #[test]
    fn a_filter_is_read_with_every_device_that_it_names() {
        let name = |name: &str| vec![FilterDevice::Name(name.to_owned())];
        let part = |kind: u16, value: &[u8]| MessageBuilder::default().attribute(kind, value);
        let int = 1 << 12;
        for (kind, options, compares, sends) in [
            ("u32", part(8, b"eth0\0"), name("eth0"), vec![]),
            ("u32", part(7, &action("mirred", 5)), vec![], vec![5]),
            ("flower", part(2, b"eth0\0"), name("eth0"), vec![]),
            ("flower", part(3, &action("mirred", 5)), vec![], vec![5]),
            ("fw", part(3, b"eth0\0"), name("eth0"), vec![]),
            (
                "route",
                part(4, &5u32.to_ne_bytes()),
                vec![FilterDevice::Index(5)],
                vec![],
            ),
            (
                "basic",
                part(2, &ematch(TCF_EM_META, 5, b"eth0")),
                name("eth0"),
                vec![],
            ),
            (
                "cgroup",
                part(3, &ematch(TCF_EM_META, int | 15, &5u32.to_ne_bytes())),
                vec![FilterDevice::Index(5)],
                vec![],
            ),
            ("matchall", part(2, &action("mirred", 5)), vec![], vec![5]),
            ("bpf", part(1, &action("mirred", 5)), vec![], vec![5]),
        ] {
            let read = decode_filter(&message(kind, options)).unwrap();
            let expected = TrafficFilter {
                words: format!("{kind} filter with preference 49152"),
                compares,
                sends,
            };
            assert_eq!(read, Some(expected), "{kind}");
        }
    }

    #[test]
    fn a_filter_that_names_no_device_or_is_damaged_is_none() {
        let part = |kind: u16, value: &[u8]| MessageBuilder::default().attribute(kind, value);
        for (kind, options) in [
            ("u32", part(4, &[2, 0, 0, 0])),
            ("u32", part(7, &action("gact", 5))),
            ("basic", part(2, &ematch(1, 5, b"eth0"))),
            ("basic", part(2, &ematch(TCF_EM_META, 12, b"eth0"))),
            ("unknown", part(8, b"eth0\0")),
        ] {
            assert_eq!(
                decode_filter(&message(kind, options)).unwrap(),
                None,
                "{kind}"
            );
        }
        assert!(decode_filter(&[0; 19]).is_err());
        let short = part(7, &[255, 0, 1, 0, 0]);
        assert!(decode_filter(&message("u32", short)).is_err());
    }
}
