//! Nexthop objects: `struct nhmsg` and `NHA_*` (linux/nexthop.h).

use std::io;

use super::DeviceNames;
use crate::bridge::net::NextHop;
use crate::netlink::attribute::{MessageBuilder, split, take_ip, take_number};
use crate::netlink::uapi::{NHA_GATEWAY, NHA_ID, NHA_OIF, RTNH_F_ONLINK};

/// Reads an `RTM_NEWNEXTHOP`.
pub(crate) fn decode_nexthop(bytes: &[u8], names: &DeviceNames) -> io::Result<Option<NextHop>> {
    let (header, mut rest) = split::<8>(bytes)?;
    let [family, _, protocol, _, f0, f1, f2, f3] = header;
    let Some(id) = take_number(&mut rest, NHA_ID) else {
        return Ok(None);
    };
    let device = take_number(&mut rest, NHA_OIF).and_then(|index| names.name(index));
    Ok(Some(NextHop {
        id,
        family,
        protocol,
        // the one flag that is asked for; the others are findings
        flags: u32::from_ne_bytes([f0, f1, f2, f3]) & RTNH_F_ONLINK,
        device: device.map(str::to_owned),
        gateway: take_ip(&mut rest, NHA_GATEWAY),
        other: rest,
    }))
}

/// Writes a nexthop object.
pub(crate) fn encode_nexthop(hop: &NextHop, names: &DeviceNames) -> io::Result<Vec<u8>> {
    let device = hop.device.as_deref().map(|name| names.index(name));
    let mut header = vec![hop.family, 0, hop.protocol, 0];
    header.extend(hop.flags.to_ne_bytes());
    Ok(MessageBuilder::new(&header)
        .number(NHA_ID, hop.id)
        .maybe(device.transpose()?, |body, index| {
            body.number(NHA_OIF, index)
        })
        .maybe(hop.gateway, |body, ip| body.address(NHA_GATEWAY, ip))
        .others(&hop.other)
        .into_bytes())
}
