//! A router's advertisement (RFC 4861 §4.2) as a frame on a packet socket.

use std::net::Ipv6Addr;
use std::os::fd::AsRawFd;

use nix::ifaddrs::getifaddrs;
use nix::sys::socket::{AddressFamily, MsgFlags, SockFlag, SockType, sendto, socket};

/// Advertises 2001:db8:1::/64 and a default route by fe80::1 for so many seconds.
pub(crate) fn advertise(device: &str, lifetime: u32) {
    let link = getifaddrs()
        .unwrap()
        .filter(|interface| interface.interface_name == device)
        .find_map(|interface| interface.address?.as_link_addr().copied())
        .unwrap();
    let kind = SockType::Raw;
    let socket = socket(AddressFamily::Packet, kind, SockFlag::empty(), None).unwrap();
    let frame = frame(link.addr().unwrap(), lifetime);
    sendto(socket.as_raw_fd(), &frame, &link, MsgFlags::empty()).unwrap();
}

fn frame(mac: [u8; 6], lifetime: u32) -> Vec<u8> {
    let router: Ipv6Addr = "fe80::1".parse().unwrap();
    let all_nodes: Ipv6Addr = "ff02::1".parse().unwrap();
    let prefix: Ipv6Addr = "2001:db8:1::".parse().unwrap();
    let mut icmp = vec![134, 0, 0, 0, 64, 0];
    icmp.extend((lifetime as u16).to_be_bytes());
    icmp.extend([0; 8]);
    icmp.extend([3, 4, 64, 0xc0]); // a prefix, on the link and for addresses
    icmp.extend(lifetime.to_be_bytes());
    icmp.extend(lifetime.to_be_bytes());
    icmp.extend([0; 4]);
    icmp.extend(prefix.octets());
    icmp.extend([1, 1]);
    icmp.extend(mac);
    let mut pseudo = [router.octets(), all_nodes.octets()].concat();
    pseudo.extend([0, 0, 0, icmp.len() as u8, 0, 0, 0, 58]);
    pseudo.extend(&icmp);
    let words = pseudo
        .chunks(2)
        .map(|w| u32::from(w[0]) << 8 | u32::from(w[1]));
    let sum: u32 = words.sum();
    let sum = !(((sum & 0xffff) + (sum >> 16)) as u16);
    icmp[2..4].copy_from_slice(&sum.to_be_bytes());
    let mut frame = vec![0x33, 0x33, 0, 0, 0, 1];
    frame.extend(mac);
    frame.extend([0x86, 0xdd, 0x60, 0, 0, 0, 0, icmp.len() as u8, 58, 255]);
    frame.extend(router.octets());
    frame.extend(all_nodes.octets());
    frame.extend(icmp);
    frame
}
