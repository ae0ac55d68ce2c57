//! The veth pair between a bridge and a switch: a `.netdev` file, and a `.network` file for each end.
//!
//! Open vSwitch is the master of the NIC and of one end, of which networkd knows nothing: it has to leave it alone
//! (`KeepMaster=`, systemd.network(5)).

use std::path::{Path, PathBuf};

use anyhow::Result;

use super::matching::{self, MatchedDevice};
use super::{ETC, Ini, dropin_dir, refuse_known};
use crate::bridge::persist::model::DesiredBridge;
use crate::bridge::persist::sources::Sources;
use crate::bridge::persist::switch::SwitchConfig;

pub(super) const KEEP_MASTER: &str = "KeepMaster=yes";
/// A port of the userspace datapath has neither an address nor a master, and `systemd-networkd-wait-online` would wait for one:
/// the bridge says whether the host is online.
pub(super) const REQUIRED: &str = "RequiredForOnline";

/// Whether an earlier run wrote it.
pub(in crate::bridge::persist) fn is_written(sources: &Sources, desired: &DesiredBridge) -> bool {
    let is_port = |path: PathBuf| {
        let ini = sources.text(&path).map(Ini::parse);
        ini.is_some_and(|ini| ini.value("Network", "Bridge") == Some(&desired.bridge))
    };
    let mut pair = desired.switch.iter();
    pair.any(|pair| matching::names(pair.bridge_end()).any(is_port))
}

/// The files that may be ours.
pub(super) fn files(desired: &DesiredBridge) -> impl Iterator<Item = PathBuf> + '_ {
    let pair = desired.switch.iter();
    pair.flat_map(|pair| {
        let ends = [pair.bridge_end(), pair.switch_end()];
        let switch = pair.is_new.then_some(pair.wiring.switch.as_str());
        let networks = ends.into_iter().chain(switch).flat_map(matching::names);
        networks.chain([netdev(pair)])
    })
}

fn netdev(pair: &SwitchConfig) -> PathBuf {
    Path::new(ETC).join(format!("10-{}.netdev", pair.bridge_end()))
}

/// Adds a drop-in to the file that netplan makes of a definition, which has no word for it: the switch keeps the NIC.
pub(in crate::bridge::persist) fn insert_dropin(
    after: &mut Sources,
    definition: &str,
    desired: &DesiredBridge,
) -> Result<()> {
    let file = Path::new(ETC).join(format!("10-netplan-{definition}.network"));
    let path = dropin_dir(&file).join("switch.conf");
    refuse_known(after, [path.clone()].into_iter(), desired)?;
    let text = format!(
        "# {} is a port of Open vSwitch, and {} has its addresses.\n\
         [Link]\n{REQUIRED}=no\n\n[Network]\n{KEEP_MASTER}\nLinkLocalAddressing=no\n",
        desired.nic, desired.bridge
    );
    after.insert(path, text);
    Ok(())
}

/// Adds the files, each `.network` file before whatever covers its end too.
pub(in crate::bridge::persist) fn insert(
    after: &mut Sources,
    desired: &DesiredBridge,
) -> Result<()> {
    let Some(pair) = &desired.switch else {
        return Ok(());
    };
    refuse_known(after, files(desired), desired)?;
    let (end, peer, mtu) = (pair.bridge_end(), pair.switch_end(), pair.mtu);
    let text = format!("[NetDev]\nName={end}\nKind=veth\nMTUBytes={mtu}\n\n[Peer]\nName={peer}\n");
    after.insert(netdev(pair), text);
    let master = format!("Bridge={}", desired.bridge);
    let not_awaited = format!("{REQUIRED}=no\n");
    for (device, awaited, master) in [
        (end, "", master.as_str()),
        (peer, &not_awaited, KEEP_MASTER),
    ] {
        let in_force = matching::in_force(after, &MatchedDevice::veth(device));
        let path = matching::name_before(device, in_force)?;
        // the other end has no MTU of its own in a .netdev file
        let text = format!(
            "[Match]\nName={device}\n\n[Link]\nMTUBytes={mtu}\n{awaited}\n[Network]\n{master}\nLinkLocalAddressing=no\n"
        );
        after.insert(path, text);
    }
    // nothing is to be sent or asked for by the switch's own port
    let switch = pair.wiring.switch.as_str();
    let covering = matching::in_force(after, &MatchedDevice::veth(switch));
    if let Some(covering) = covering.filter(|_| pair.is_new) {
        let path = matching::name_before(switch, Some(covering))?;
        after.insert(
            path,
            format!("[Match]\nName={switch}\n\n[Link]\nUnmanaged=yes\n"),
        );
    }
    Ok(())
}
