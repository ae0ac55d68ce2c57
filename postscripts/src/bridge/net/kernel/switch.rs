//! What a switch needs of the kernel: a veth pair, no offload where nobody completes checksums, and a NIC whose packets
//! reach no stack of ours when the userspace datapath has them.

use std::io;

use nix::libc;

use super::super::message;
use super::super::openvswitch;
use super::super::switch::OpenVSwitch;
use super::HostKernel;
use crate::netlink::Connection;
use crate::netlink::attribute::{MessageBuilder, NLA_F_NESTED};
use crate::netlink::netfilter::{BatchedChange, Netfilter, nftables};
use crate::netlink::uapi::{
    ETHTOOL_GENL_NAME, GENL_ID_CTRL, NFTA_CHAIN_HOOK, NFTA_CHAIN_NAME, NFTA_CHAIN_POLICY,
    NFTA_CHAIN_TABLE, NFTA_CHAIN_TYPE, NFTA_HOOK_DEV, NFTA_HOOK_HOOKNUM, NFTA_HOOK_PRIORITY,
    NFTA_TABLE_NAME, OVS_DATAPATH_FAMILY,
};
use crate::nftables::NftRuleset;

/// What a packet's sender leaves to the device: `ovs-vswitchd` passes packets on as they are, and nobody would complete
/// their checksums. Segmentation goes off with it (`netdev_fix_features`, net/core/dev.c).
const OFFLOADS: [&str; 2] = ["tx-checksum-ip-generic", "tx-checksum-sctp"];
/// The tables of ours, each named after its Linux bridge.
const TABLE: &str = "slipway-";
/// Before whatever else looks at packets there; packet sockets, and so `ovs-vswitchd`, get them earlier still
/// (`__netif_receive_skb_core`, net/core/dev.c).
const PRIORITY: i32 = -500;
const NETDEV: u8 = libc::NFPROTO_NETDEV as u8;

impl HostKernel {
    /// Has every further [`load`](Self::load) read Open vSwitch too.
    #[must_use]
    pub fn with_open_vswitch(self) -> Self {
        Self {
            reads_open_vswitch: true,
            ..self
        }
    }

    /// Reads Open vSwitch, if it is asked for.
    pub(super) fn open_vswitch(&self) -> io::Result<Option<OpenVSwitch>> {
        if !self.reads_open_vswitch {
            return Ok(None);
        }
        Ok(Some(OpenVSwitch {
            switches: openvswitch::load().map_err(in_words)?,
            has_kernel_datapath: family(OVS_DATAPATH_FAMILY)?.is_some(),
            dropping: dropping()?,
        }))
    }
}

/// An error of several parts as one.
pub(super) fn in_words(error: anyhow::Error) -> io::Error {
    io::Error::other(format!("{error:#}"))
}

/// The number of a family of generic netlink; asking has the kernel load its module.
fn family(name: &str) -> io::Result<Option<u16>> {
    let netlink = Connection::generic()?;
    let request = message::encode_family_request(name);
    let answers = netlink.ask(GENL_ID_CTRL, request).unwrap_or_default();
    Ok(answers.iter().find_map(|body| message::decode_family(body)))
}

/// Has the kernel complete what it sends by a device itself.
pub(super) fn stop_offload(device: &str) -> io::Result<()> {
    let family = family(ETHTOOL_GENL_NAME)?.ok_or_else(|| {
        io::Error::other(
            "this kernel lets nobody turn offload off by netlink (5.6 is the first that does)",
        )
    })?;
    let body = message::encode_features_off(device, &OFFLOADS);
    Connection::generic()?.ask(family, body).map(drop)
}

/// The NICs whose packets tables of ours drop, each with its Linux bridge.
fn dropping() -> io::Result<Vec<(String, String)>> {
    let Some(netfilter) = Netfilter::open()? else {
        return Ok(Vec::new());
    };
    let chains = NftRuleset::load(&netfilter, |_, _| false)?.chains;
    let ours = chains.into_iter().filter_map(|chain| {
        let bridge = chain.table.strip_prefix(TABLE)?;
        let hook = chain
            .hook
            .filter(|hook| hook.drops && chain.family == NETDEV)?;
        Some((hook.devices.first()?.clone(), bridge.to_owned()))
    });
    Ok(ours.collect())
}

/// Has the kernel drop what a NIC receives.
pub(super) fn start_dropping(nic: &str, bridge: &str) -> io::Result<()> {
    let table = format!("{TABLE}{bridge}");
    let hook = MessageBuilder::default()
        .attribute(NFTA_HOOK_HOOKNUM, &libc::NF_NETDEV_INGRESS.to_be_bytes())
        .attribute(NFTA_HOOK_PRIORITY, &PRIORITY.to_be_bytes())
        .text(NFTA_HOOK_DEV, nic);
    let chain = MessageBuilder::default()
        .text(NFTA_CHAIN_TABLE, &table)
        .text(NFTA_CHAIN_NAME, nic)
        .attribute(NLA_F_NESTED | NFTA_CHAIN_HOOK, &hook.into_bytes())
        .attribute(NFTA_CHAIN_POLICY, &(libc::NF_DROP as u32).to_be_bytes())
        .text(NFTA_CHAIN_TYPE, "filter");
    change([
        (libc::NFT_MSG_NEWTABLE, libc::NLM_F_CREATE, named(&table)),
        (libc::NFT_MSG_NEWCHAIN, libc::NLM_F_CREATE, chain),
    ])
}

/// Lets the kernel have what a NIC receives again.
pub(super) fn stop_dropping(bridge: &str) -> io::Result<()> {
    let table = named(&format!("{TABLE}{bridge}"));
    match change([(libc::NFT_MSG_DELTABLE, 0, table)]) {
        Err(error) if error.raw_os_error() == Some(libc::ENOENT) => Ok(()),
        result => result,
    }
}

fn named(table: &str) -> MessageBuilder {
    MessageBuilder::default().text(NFTA_TABLE_NAME, table)
}

fn change<const N: usize>(requests: [(i32, i32, MessageBuilder); N]) -> io::Result<()> {
    let netfilter = Netfilter::open()?.ok_or(io::ErrorKind::Unsupported)?;
    netfilter.change(&requests.map(|(message, flags, body)| BatchedChange {
        kind: nftables(message),
        flags: flags as u16,
        family: NETDEV,
        body: body.into_bytes(),
    }))
}
