//! A veth pair (`VETH_INFO_PEER`, linux/veth.h) and the features of a device (linux/ethtool_netlink.h).

use nix::libc;

use crate::netlink::attribute::{MessageBuilder, NLA_F_NESTED};
use crate::netlink::uapi::{
    ETHTOOL_A_BITSET_BIT_NAME, ETHTOOL_A_BITSET_BITS, ETHTOOL_A_BITSET_BITS_BIT,
    ETHTOOL_A_FEATURES_HEADER, ETHTOOL_A_FEATURES_WANTED, ETHTOOL_A_HEADER_DEV_NAME,
    ETHTOOL_MSG_FEATURES_SET, VETH_INFO_PEER,
};

/// Makes both ends of a pair.
pub(crate) fn encode_veth(name: &str, peer: &str, mtu: u32) -> Vec<u8> {
    let end = |name: &str| {
        MessageBuilder::new(&[0; 16])
            .text(libc::IFLA_IFNAME, name)
            .number(libc::IFLA_MTU, mtu)
    };
    let data = MessageBuilder::default().attribute(VETH_INFO_PEER, &end(peer).into_bytes());
    let info = MessageBuilder::default()
        .text(libc::IFLA_INFO_KIND, "veth")
        .attribute(libc::IFLA_INFO_DATA, &data.into_bytes())
        .into_bytes();
    end(name).attribute(libc::IFLA_LINKINFO, &info).into_bytes()
}

/// Turns features of a device off.
pub(crate) fn encode_features_off(device: &str, features: &[&str]) -> Vec<u8> {
    let header = MessageBuilder::default().text(ETHTOOL_A_HEADER_DEV_NAME, device);
    let bits = features
        .iter()
        .fold(MessageBuilder::default(), |bits, name| {
            // without ETHTOOL_A_BITSET_BIT_VALUE it is to be off
            let bit = MessageBuilder::default().text(ETHTOOL_A_BITSET_BIT_NAME, name);
            bits.attribute(NLA_F_NESTED | ETHTOOL_A_BITSET_BITS_BIT, &bit.into_bytes())
        });
    let wanted = MessageBuilder::default()
        .attribute(NLA_F_NESTED | ETHTOOL_A_BITSET_BITS, &bits.into_bytes());
    MessageBuilder::new(&[ETHTOOL_MSG_FEATURES_SET, 1, 0, 0])
        .attribute(
            NLA_F_NESTED | ETHTOOL_A_FEATURES_HEADER,
            &header.into_bytes(),
        )
        .attribute(
            NLA_F_NESTED | ETHTOOL_A_FEATURES_WANTED,
            &wanted.into_bytes(),
        )
        .into_bytes()
}
