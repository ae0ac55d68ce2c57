//! Tells the neighbourhood where an address is now: gratuitous ARP (RFC 5227 §3) and unsolicited
//! neighbour advertisements (RFC 4861 §7.2.6), as frames on a packet socket.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::os::fd::AsRawFd;

use nix::ifaddrs::getifaddrs;
use nix::sys::socket::{AddressFamily, LinkAddr, MsgFlags, SockFlag, SockType, sendto, socket};

/// Announces every address on a device, once.
pub(crate) fn announce(device: &str, addresses: &[IpAddr]) -> io::Result<()> {
    let Some(link) = link_address(device)? else {
        return Err(io::Error::from_raw_os_error(nix::libc::ENODEV));
    };
    let mac = link.addr().unwrap_or_default();
    let kind = SockType::Raw;
    let socket = socket(AddressFamily::Packet, kind, SockFlag::SOCK_CLOEXEC, None)?;
    for ip in addresses {
        let frame = match ip {
            IpAddr::V4(ip) => gratuitous_arp(mac, *ip),
            IpAddr::V6(ip) => unsolicited_advertisement(mac, *ip),
        };
        sendto(socket.as_raw_fd(), &frame, &link, MsgFlags::empty())?;
    }
    Ok(())
}

fn link_address(device: &str) -> io::Result<Option<LinkAddr>> {
    let found = getifaddrs()?
        .filter(|interface| interface.interface_name == device)
        .find_map(|interface| interface.address?.as_link_addr().copied());
    Ok(found)
}

fn gratuitous_arp(mac: [u8; 6], ip: Ipv4Addr) -> Vec<u8> {
    let mut frame = ethernet([0xff; 6], mac, 0x0806);
    frame.extend([0, 1, 8, 0, 6, 4, 0, 1]); // Ethernet, IPv4, a request
    frame.extend(mac);
    frame.extend(ip.octets());
    frame.extend([0; 6]);
    frame.extend(ip.octets());
    frame
}

fn unsolicited_advertisement(mac: [u8; 6], ip: Ipv6Addr) -> Vec<u8> {
    let all_nodes = Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 1);
    let mut icmp = vec![136, 0, 0, 0, 0x20, 0, 0, 0]; // override; neither router nor solicited
    icmp.extend(ip.octets());
    icmp.extend([2, 1]); // the sender's link-layer address
    icmp.extend(mac);
    let sum = checksum(ip, all_nodes, &icmp);
    icmp[2..4].copy_from_slice(&sum.to_be_bytes());
    let mut frame = ethernet([0x33, 0x33, 0, 0, 0, 1], mac, 0x86dd);
    frame.extend([0x60, 0, 0, 0, 0, 32, 58, 255]);
    frame.extend(ip.octets());
    frame.extend(all_nodes.octets());
    frame.extend(icmp);
    frame
}

fn ethernet(to: [u8; 6], from: [u8; 6], kind: u16) -> Vec<u8> {
    [&to[..], &from[..], &kind.to_be_bytes()[..]].concat()
}

/// The checksum of an ICMPv6 message (RFC 4443 §2.3).
fn checksum(from: Ipv6Addr, to: Ipv6Addr, icmp: &[u8]) -> u16 {
    let length = [0, 0, 0, icmp.len() as u8, 0, 0, 0, 58];
    let sum: u32 = [&from.octets()[..], &to.octets()[..], &length[..], icmp]
        .concat()
        .chunks(2)
        .map(|pair| u32::from(pair[0]) << 8 | u32::from(pair.get(1).copied().unwrap_or(0)))
        .sum();
    let folded = (sum & 0xffff) + (sum >> 16);
    !((folded & 0xffff) as u16 + (folded >> 16) as u16)
}

#[cfg(test)]
mod tests {
    use super::*;

    const MAC: [u8; 6] = [0x52, 0x54, 0, 0x12, 0x34, 0x56];

    #[test]
    fn a_gratuitous_arp_asks_everybody_for_our_own_address() {
        let frame = gratuitous_arp(MAC, Ipv4Addr::new(10, 0, 0, 5));
        assert_eq!(frame.len(), 42);
        assert_eq!(frame[..6], [0xff; 6]);
        assert_eq!(
            frame[22..32],
            [0x52, 0x54, 0, 0x12, 0x34, 0x56, 10, 0, 0, 5]
        );
        assert_eq!(frame[38..], [10, 0, 0, 5]);
    }

    #[test]
    fn an_advertisement_carries_a_checksum_that_adds_up() {
        let ip: Ipv6Addr = "2001:db8::5".parse().unwrap();
        let frame = unsolicited_advertisement(MAC, ip);
        let all_nodes = "ff02::1".parse().unwrap();
        assert_eq!(checksum(ip, all_nodes, &frame[54..]), 0);
    }
}
