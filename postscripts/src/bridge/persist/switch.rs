//! A switch at boot: Open vSwitch keeps its own bridge and ports in its database, the backend makes the veth pair.
//!
//! The userspace datapath needs two things more, whatever the backend: the kernel drops what the NIC receives before
//! `ovs-vswitchd` has it (rules that a drop-in of its unit loads), and completes the checksums of what leaves the bridge (a `.link` file of
//! udev). Reference: systemd.unit(5), systemd.link(5), nft(8).

use std::path::Path;

use anyhow::{Context, Result, bail};

use super::backend::Backend;
use super::model::DesiredBridge;
use super::netplan::Renderer;
use crate::bridge::net::{Datapath, SwitchWiring, rules_file};
use crate::files::{Access, FileChange};
use crate::owner::HostProgram;

/// The unit of the process that forwards.
const UNIT: &str = "/etc/systemd/system/ovs-vswitchd.service.d";
const LINKS: &str = "/etc/systemd/network";

/// The switch of one bridge, and its veth pair.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct SwitchConfig {
    pub(super) wiring: SwitchWiring,
    /// The largest packet of the pair.
    pub(super) mtu: u32,
    /// Whether the switch is made by this run: then it is nobody's to configure.
    pub(super) is_new: bool,
}

impl SwitchConfig {
    pub(super) fn bridge_end(&self) -> &str {
        self.wiring.bridge_end.as_str()
    }

    pub(super) fn switch_end(&self) -> &str {
        self.wiring.switch_end.as_str()
    }
}

/// Checks that a backend can make a veth pair.
pub(super) fn check(backend: &Backend, desired: &DesiredBridge) -> Result<()> {
    let networkd = Renderer::Networkd;
    match (&desired.switch, backend) {
        (None, _) | (_, Backend::Ifupdown | Backend::Networkd { .. }) => Ok(()),
        (_, Backend::Netplan { renderer }) if *renderer == networkd => Ok(()),
        (Some(switch), _) => bail!(
            "{} configures {}, and Slipway writes no veth pair for it, which connects {} to {}: configure {} by \
             systemd-networkd, by netplan with networkd, or by ifupdown first",
            backend.name(),
            desired.nic,
            desired.bridge,
            switch.wiring.switch,
            desired.nic
        ),
    }
}

/// The files of the userspace datapath that are not as they shall be.
pub(super) fn changes(root: &Path, desired: &DesiredBridge) -> Result<Vec<FileChange>> {
    let userspace = |switch: &&SwitchConfig| switch.wiring.datapath == Datapath::Netdev;
    let Some(switch) = desired.switch.as_ref().filter(userspace) else {
        return Ok(Vec::new());
    };
    let nft = HostProgram::find(root, "nft").context(
        "finding nft, which keeps the kernel from receiving beside the userspace datapath at boot: install nftables first",
    )?;
    let (nic, bridge, end) = (&desired.nic, &desired.bridge, switch.bridge_end());
    let switch_name = &switch.wiring.switch;
    let rules = rules_file(bridge);
    let drop = format!(
        "# {nic} is a port of {switch_name}, whose userspace datapath receives for {bridge}: the kernel must not beside it.\n\
         table netdev slipway-{bridge} {{\n\
         \tchain {nic} {{\n\
         \t\ttype filter hook ingress device \"{nic}\" priority -500; policy drop;\n\
         \t}}\n\
         }}\n"
    );
    let unit = format!(
        "# {switch_name} has the userspace datapath, for {bridge}.\n\
         [Service]\nExecStartPre=-{} -f {rules}\n",
        nft.path.display()
    );
    let link = format!(
        "# A userspace datapath passes packets on as they are: their checksums have to be complete.\n\
         [Match]\nOriginalName={end}\n\n[Link]\nTransmitChecksumOffload=no\n"
    );
    let files = [
        (rules, drop),
        (format!("{UNIT}/slipway-{bridge}.conf"), unit),
        (format!("{LINKS}/10-{end}.link"), link),
    ];
    let mut changes = Vec::new();
    for (path, text) in files {
        let change = FileChange::write(path, text, Access::Mode(0o644));
        if change.is_due(root)? {
            changes.push(change);
        }
    }
    Ok(changes)
}
