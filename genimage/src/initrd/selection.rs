//! Which modules of a kernel an initrd has. Pure.
//!
//! All Ethernet drivers and those of virtual machines, so that one initrd boots every machine; what disks with state need;
//! and what mounts the image. Not those of wireless and USB NICs, which nobody boots a docker host by: the osimage's
//! `netdrivers` adds them.

use std::collections::BTreeSet;

use anyhow::{Result, bail};
use definitions::{ModuleIndex, RootFsType};

/// Directories whose modules are all taken.
const DIRECTORIES: [&str; 6] = [
    "kernel/drivers/net/ethernet/",
    "kernel/drivers/net/hyperv/",
    "kernel/drivers/net/phy/",
    "kernel/drivers/net/vmxnet3/",
    "kernel/drivers/nvme/host/",
    "kernel/drivers/virtio/",
];

/// Modules that are taken by name, where the kernel has them.
const NAMES: [&str; 29] = [
    // networks of virtual machines
    "virtio_net",
    "xen_netfront",
    // buses
    "hv_vmbus",
    "pci_hyperv",
    "vmd",
    // disks
    "virtio_blk",
    "virtio_scsi",
    "xen_blkfront",
    "hv_storvsc",
    "vmw_pvscsi",
    "sd_mod",
    "ahci",
    "ata_piix",
    "aacraid",
    "hpsa",
    "megaraid_sas",
    "mpi3mr",
    "mpt3sas",
    "smartpqi",
    "mmc_block",
    "sdhci_pci",
    // file systems that hold state, and what they ask the kernel for
    "ext4",
    "xfs",
    "crc32c_generic",
    "crc32c_intel",
    "crc32c_cryptoapi",
    "libcrc32c",
    // what mounts the image
    "brd",
    "overlay",
];

/// What is in the directories and boots nothing.
const UNUSED: [&str; 8] = [
    // NVMe over other networks than a bus
    "nvme_rdma",
    "nvme_fc",
    "nvme_tcp",
    // devices of a virtual machine that are not its network or disk
    "virtio_input",
    "virtio_balloon",
    "virtio_mem",
    "virtio_dma_buf",
    "virtio_vdpa",
];

/// Selects the modules of an initrd, with all that they need.
///
/// # Errors
/// When the kernel cannot mount an image of that kind, or lacks a driver that is asked for by name.
pub(super) fn select<'a>(
    index: &'a ModuleIndex,
    fs_type: RootFsType,
    drivers: &'a [String],
    release: &str,
) -> Result<BTreeSet<&'a str>> {
    let is_there = |name: &str| index.path(name).is_some() || index.is_builtin(name);
    let needed = ["brd", "overlay", fs_type.name()];
    let lacking: Vec<_> = needed.into_iter().filter(|name| !is_there(name)).collect();
    if !lacking.is_empty() {
        bail!(
            "the kernel {release} cannot boot a root image: it has no {}, neither built in nor as a module (on some \
             releases in a package of its own, such as linux-modules-extra or kernel-modules)",
            lacking.join(", no ")
        );
    }
    let names = drivers.iter().map(|name| driver_name(name));
    let unknown: Vec<_> = names.clone().filter(|name| !is_there(name)).collect();
    if !unknown.is_empty() {
        bail!(
            "the kernel {release} has no module {}, which the osimage's netdrivers name",
            unknown.join(", ")
        );
    }
    let by_directory = index.modules().filter(|(name, path)| {
        let within = DIRECTORIES
            .iter()
            .any(|directory| path.starts_with(directory));
        within && !UNUSED.contains(name)
    });
    let by_directory = by_directory.map(|(name, _)| name);
    let wanted = by_directory
        .chain(NAMES)
        .chain(RootFsType::ALL.map(RootFsType::name))
        .chain(names);
    Ok(index.closure(wanted).into_iter().collect())
}

/// Returns a driver's name as xCAT's tables have it too: `igb.ko`.
fn driver_name(name: &str) -> &str {
    name.strip_suffix(".ko").unwrap_or(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn network_and_state_are_there_and_what_boots_nothing_is_not() {
        let dep = "kernel/drivers/net/ethernet/intel/e1000e/e1000e.ko.xz: kernel/drivers/ptp/ptp.ko.xz\n\
                   kernel/drivers/ptp/ptp.ko.xz:\n\
                   kernel/drivers/net/virtio_net.ko.xz:\n\
                   kernel/drivers/net/wireless/a.ko.xz:\n\
                   kernel/drivers/nvme/host/nvme.ko.xz: kernel/drivers/nvme/host/nvme-core.ko.xz\n\
                   kernel/drivers/nvme/host/nvme-core.ko.xz:\n\
                   kernel/drivers/nvme/host/nvme-tcp.ko.xz: kernel/drivers/nvme/host/nvme-core.ko.xz\n\
                   kernel/drivers/net/usb/r8152.ko.xz:\n\
                   kernel/drivers/block/brd.ko.xz:\n\
                   kernel/fs/squashfs/squashfs.ko.xz:\n";
        let index = ModuleIndex::parse(dep, "", "kernel/fs/overlayfs/overlay.ko\n");
        let drivers = ["r8152.ko".to_owned()];
        let selected = select(&index, RootFsType::Squashfs, &drivers, "6.1").unwrap();
        let selected: Vec<_> = selected.into_iter().collect();
        assert_eq!(
            selected,
            [
                "brd",
                "e1000e",
                "nvme",
                "nvme_core",
                "ptp",
                "r8152",
                "squashfs",
                "virtio_net"
            ]
        );
        let error = select(&index, RootFsType::Erofs, &[], "6.1").unwrap_err();
        assert!(
            error.to_string().contains("it has no erofs, neither"),
            "{error}"
        );
    }
}
