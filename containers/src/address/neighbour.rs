//! The kernel's table of neighbours: who is known on the networks of this machine, and how one is forgotten.
//!
//! Reference: arp(7), proc_net(5); rtnetlink(7), `RTM_DELNEIGH`; the kernel's `linux/neighbour.h`.

use std::collections::BTreeMap;
use std::fs;
use std::net::Ipv4Addr;
use std::os::fd::AsRawFd;

use anyhow::{Context, Result, ensure};
use nix::errno::Errno;
use nix::net::if_::if_nametoindex;
use nix::sys::socket::{
    AddressFamily, MsgFlags, NetlinkAddr, SockFlag, SockProtocol, SockType, recv, sendto, socket,
};

/// The kernel's numbers of the message that takes an entry out of the table.
const RTM_DELNEIGH: u16 = 29;
const NLM_F_REQUEST: u16 = 0x1;
const NLM_F_ACK: u16 = 0x4;
const NDA_DST: u16 = 1;
const AF_INET: u8 = 2;

/// A neighbour that the kernel knows, or asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct ArpEntry {
    /// Its hardware address, once it has answered.
    pub(super) hardware: Option<String>,
    /// The device behind which it is.
    device: String,
}

/// The table, by address.
pub(super) type ArpTable = BTreeMap<Ipv4Addr, ArpEntry>;

/// Reads the table.
pub(super) fn neighbours() -> Result<ArpTable> {
    let path = "/proc/net/arp";
    let table = fs::read_to_string(path).with_context(|| format!("reading {path}"))?;
    Ok(parse(&table))
}

/// Reads its text: `10.1.0.1  0x1  0x2  52:54:00:00:00:01  *  eth0`; the second flag says that it has answered.
fn parse(table: &str) -> ArpTable {
    let entry = |line: &str| {
        let words: Vec<_> = line.split_whitespace().collect();
        let [address, _, flags, hardware, _, device] = words[..] else {
            return None;
        };
        let flags = u32::from_str_radix(flags.strip_prefix("0x")?, 16).ok()?;
        let hardware = (flags & 2 != 0).then(|| hardware.to_owned());
        let device = device.to_owned();
        Some((address.parse().ok()?, ArpEntry { hardware, device }))
    };
    table.lines().skip(1).filter_map(entry).collect()
}

impl ArpEntry {
    /// Has the kernel forget it, so that it is asked for anew; needs the right to configure the network.
    pub(super) fn forget(&self, address: Ipv4Addr) -> Result<()> {
        let index = if_nametoindex(self.device.as_str())?;
        let protocol = SockProtocol::NetlinkRoute;
        let kind = (
            AddressFamily::Netlink,
            SockType::Raw,
            SockFlag::SOCK_CLOEXEC,
        );
        let socket = socket(kind.0, kind.1, kind.2, protocol)?;
        let message = message(index, address);
        let kernel = NetlinkAddr::new(0, 0);
        sendto(socket.as_raw_fd(), &message, &kernel, MsgFlags::empty())?;
        // The answer is an error, and zero is none.
        let mut answer = [0; 256];
        let length = recv(socket.as_raw_fd(), &mut answer, MsgFlags::empty())?;
        ensure!(length >= 20, "the kernel's answer is too short");
        let code = i32::from_ne_bytes([answer[16], answer[17], answer[18], answer[19]]);
        match code {
            0 => Ok(()),
            code => Err(Errno::from_raw(-code)).context("taking it from the kernel's table"),
        }
    }
}

/// Writes the message: a header, which neighbour on which device, its address.
fn message(index: u32, address: Ipv4Addr) -> Vec<u8> {
    const LENGTH: u32 = 16 + 12 + 8;
    let mut message = Vec::new();
    message.extend(LENGTH.to_ne_bytes());
    message.extend(RTM_DELNEIGH.to_ne_bytes());
    message.extend((NLM_F_REQUEST | NLM_F_ACK).to_ne_bytes());
    message.extend([0; 8]); // sequence and port
    message.extend([AF_INET, 0, 0, 0]);
    message.extend(index.to_ne_bytes());
    message.extend([0; 4]); // state, flags, type
    message.extend(8_u16.to_ne_bytes());
    message.extend(NDA_DST.to_ne_bytes());
    message.extend(address.octets());
    message
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_of_neighbours_is_read() {
        let table = "IP address       HW type     Flags       HW address            Mask     Device\n\
                     10.1.0.1         0x1         0x2         52:54:00:00:00:01     *        eth0\n\
                     10.1.0.20        0x1         0x0         00:00:00:00:00:00     *        eth0\n\
                     10.1.0.21        0x1         0x6         52:54:00:00:00:02     *        eth1\n\
                     damaged line\n";
        let read = parse(table);
        let hardware = |last| {
            let found = read.get(&Ipv4Addr::new(10, 1, 0, last));
            found.map(|neighbour| neighbour.hardware.clone())
        };
        assert_eq!(hardware(1), Some(Some("52:54:00:00:00:01".to_owned())));
        assert_eq!(hardware(20), Some(None));
        assert_eq!(hardware(21), Some(Some("52:54:00:00:00:02".to_owned())));
        assert_eq!((hardware(22), read.len()), (None, 3));
    }

    #[test]
    fn the_message_has_the_length_that_it_says() {
        let message = message(7, Ipv4Addr::new(10, 1, 0, 5));
        assert_eq!(message.len(), 36);
        assert_eq!(message[..4], 36_u32.to_ne_bytes());
        assert_eq!(message[20..24], 7_u32.to_ne_bytes());
        assert_eq!(message[32..], [10, 1, 0, 5]);
    }
}
