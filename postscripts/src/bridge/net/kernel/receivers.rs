//! Programs that receive by the NIC itself what will come in by the bridge: frames of a type, groups that they joined.
//!
//! Reference: net/packet/af_packet.c (`packet_seq_show`), net/ipv4/igmp.c (`igmp_mc_seq_show`), net/ipv6/mcast.c
//! (`igmp6_mc_seq_show`); net/core/net-procfs.c (`dev_mc_seq_show`); net/bridge/br_input.c (`br_handle_frame`: what is for the link alone passes the bridge by).

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use crate::bridge::net::{Mac, PortObstacle};

/// Ether types of which a port's own receivers get all, or that clients of DHCP and detection of conflicts ask for,
/// which are handed over or begin again: none, all, 802.2, IPv4, ARP, IPv6, LLDP, 802.1X.
const HARMLESS: [u16; 8] = [
    0x0000, 0x0003, 0x0004, 0x0800, 0x0806, 0x86dd, 0x88cc, 0x888e,
];
/// Link-layer groups of protocols that end at the port itself, whose programs receive its frames as before: those of
/// IEEE 802.1, of Cisco, Extreme and Nortel.
const OF_LINK: [&[u8]; 4] = [
    &[0x01, 0x80, 0xc2, 0, 0],
    &[0x01, 0, 0x0c],
    &[0x01, 0xe0, 0x52],
    &[0x01, 0, 0x81],
];
/// Groups of the kernel's own, and those of mDNS and LLMNR, whose programs join them on each link that comes.
const OWN_V4: [Ipv4Addr; 4] = [
    Ipv4Addr::new(224, 0, 0, 1),
    Ipv4Addr::new(224, 0, 0, 106),
    Ipv4Addr::new(224, 0, 0, 251),
    Ipv4Addr::new(224, 0, 0, 252),
];
const OWN_V6: [Ipv6Addr; 8] = [
    Ipv6Addr::new(0xff01, 0, 0, 0, 0, 0, 0, 1),
    Ipv6Addr::new(0xff01, 0, 0, 0, 0, 0, 0, 2),
    Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 1),
    Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 2),
    Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 0x6a),
    Ipv6Addr::new(0xff05, 0, 0, 0, 0, 0, 0, 2),
    Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 0xfb),
    Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 1, 3),
];

/// Finds them: the number of a device, and what is received there.
pub(super) fn receivers() -> Vec<(u32, PortObstacle)> {
    let read =
        |name: &str| std::fs::read_to_string(format!("/proc/net/{name}")).unwrap_or_default();
    let packets = read("packet");
    let frames =
        frames(&packets).map(|(device, ether_type)| (device, PortObstacle::Frames { ether_type }));
    let group = |(device, group): (u32, IpAddr)| (device, PortObstacle::Group { group });
    let groups_v4 = groups_v4(&read("igmp")).into_iter();
    let groups_v4 = groups_v4.map(|(device, group)| (device, IpAddr::from(group)));
    let groups_v6 = groups_v6(&read("igmp6")).into_iter();
    let groups_v6 = groups_v6.map(|(device, group)| (device, IpAddr::from(group)));
    let groups = groups_v4.chain(groups_v6).map(group);
    let multicast = multicast(&read("dev_mcast"));
    frames.chain(groups).chain(multicast).collect()
}

/// Link-layer groups that somebody gave a device himself (`ip maddr`), those of its users apart: `Index Device Count
/// Static Address`. A bridge has its own, and asks nobody for the port's.
fn multicast(text: &str) -> Vec<(u32, PortObstacle)> {
    let read = |line: &str| {
        let [index, _, _, is_static, digits] = line.split_whitespace().collect::<Vec<_>>()[..]
        else {
            return None;
        };
        let bytes = u64::from_str_radix(digits, 16).ok()?.to_be_bytes();
        let mac = Mac(<[u8; 6]>::try_from(bytes.get(2..)?).ok()?);
        let is_of_link = OF_LINK.iter().any(|start| mac.0.starts_with(start));
        let what = format!("the link-layer multicast address {mac}");
        let counts = is_static != "0" && digits.len() == 12 && !is_of_link;
        counts.then_some((index.parse().ok()?, PortObstacle::Bound { what }))
    };
    text.lines().filter_map(read).collect()
}

/// Sockets of root's that get the frames of one type from one device: `sk RefCnt Type Proto Iface R Rmem User Inode`.
fn frames(text: &str) -> impl Iterator<Item = (u32, u16)> {
    text.lines().filter_map(|line| {
        let [_, _, _, protocol, device, _, _, user, ..] =
            line.split_whitespace().collect::<Vec<_>>()[..]
        else {
            return None;
        };
        let ether_type = u16::from_str_radix(protocol, 16).ok()?;
        let device = device.parse().ok()?;
        (user == "0" && !HARMLESS.contains(&ether_type)).then_some((device, ether_type))
    })
}

/// A line of a device begins with its number, those of its groups with white space and the group.
fn groups_v4(text: &str) -> Vec<(u32, Ipv4Addr)> {
    let (mut device, mut found) = (0, Vec::new());
    for line in text.lines() {
        let Some(first) = line.split_whitespace().next() else {
            continue;
        };
        if !line.starts_with(char::is_whitespace) {
            device = first.parse().unwrap_or_default();
        } else if let Ok(bits) = u32::from_str_radix(first, 16) {
            // as it is in memory
            found.push((device, Ipv4Addr::from(bits.to_ne_bytes())));
        }
    }
    found.retain(|(_, group)| !OWN_V4.contains(group));
    found
}

/// `Index Device Group Users Flags Timer`.
fn groups_v6(text: &str) -> Vec<(u32, Ipv6Addr)> {
    let read = |line: &str| {
        let mut columns = line.split_whitespace();
        let device = columns.next()?.parse().ok()?;
        let group = u128::from_str_radix(columns.nth(1)?, 16).ok()?;
        Some((device, Ipv6Addr::from_bits(group)))
    };
    // ff02::1:ff00:0/104: neighbours ask there (RFC 4291, 2.7.1)
    let solicited = |group: &Ipv6Addr| group.to_bits() >> 24 == 0xff_0200_0000_0000_0000_0000_01ff;
    let all = text.lines().filter_map(read);
    all.filter(|(_, group)| !OWN_V6.contains(group) && !solicited(group))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_of_a_type_that_the_bridge_takes_are_found() {
        let text = "sk               RefCnt Type Proto  Iface R Rmem   User   Inode\n\
                    0000000000000000 3      3    8863   2     1 0      0      12\n\
                    0000000000000000 3      3    88f7   2     1 0      1000   13\n\
                    0000000000000000 3      3    0003   2     1 0      0      14\n\
                    0000000000000000 3      2    0806   2     1 0      0      15\n\
                    0000000000000000 3      3    88f7   0     1 0      0      16\n\
                    cut short\n";
        assert_eq!(frames(text).collect::<Vec<_>>(), [(2, 0x8863), (0, 0x88f7)]);
    }

    #[test]
    fn link_layer_groups_that_somebody_added_are_found() {
        let text = "2    eth0            1     0     333300000001\n\
                    2    eth0            1     1     01005e7f0001\n\
                    3    eth1            2     1     0180c200000e\n\
                    3    eth1            1     1     01000ccccccc\n\
                    4    ib0             1     1     00ffffffff12401bffff000000000000ffffffff\n\
                    cut short\n";
        let what = "the link-layer multicast address 01:00:5e:7f:00:01".to_owned();
        assert_eq!(multicast(text), [(2, PortObstacle::Bound { what })]);
    }

    #[test]
    fn groups_that_a_program_joined_are_found() {
        let text = "Idx\tDevice    : Count Querier\tGroup    Users Timer\tReporter\n\
                    1\tlo        :     1      V3\n\t\t\t\t010000E0     1 0:00000000\t\t0\n\
                    2\teth0      :     3      V3\n\t\t\t\tFB0000E0     1 0:00000000\t\t0\n\
                    \t\t\t\t120000E0     1 0:00000000\t\t1\n\t\t\t\t010000E0     1 0:00000000\t\t0\n";
        assert_eq!(groups_v4(text), [(2, Ipv4Addr::new(224, 0, 0, 18))]);
        let text = "2    eth0            ff0200000000000000000001ff000005     1 00000004 0\n\
                    2    eth0            ff020000000000000000000000000001     1 0000000C 0\n\
                    2    eth0            ff020000000000000000000000000012     1 00000004 0\n";
        assert_eq!(groups_v6(text), [(2, "ff02::12".parse().unwrap())]);
    }
}
