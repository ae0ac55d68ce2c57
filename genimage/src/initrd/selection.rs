//! Which modules of a kernel an initrd has. Pure.
//!
//! All Ethernet drivers and those of virtual machines, so that one initrd boots every machine, and what mounts the image.
//! Drivers of disks are the image's own: it is the root before state is mounted. ext4 is there for what is written to the root. Not there are drivers of wireless and USB
//! NICs, which nobody boots a docker host by: the osimage's `netdrivers` adds them.

use std::collections::BTreeSet;

use anyhow::{Result, bail};
use definitions::{ModuleIndex, RootFsType};

/// Directories whose modules are all taken.
const DIRECTORIES: [&str; 4] = [
    "kernel/drivers/net/ethernet/",
    "kernel/drivers/net/hyperv/",
    "kernel/drivers/net/phy/",
    "kernel/drivers/net/vmxnet3/",
];

/// Modules that are taken by name, where the kernel has them.
const NAMES: [&str; 14] = [
    // networks of virtual machines, and the buses that they are on
    "virtio_net",
    "virtio_pci",
    "virtio_mmio",
    "xen_netfront",
    "hv_vmbus",
    "pci_hyperv",
    // buses behind which NICs are
    "vmd",
    // what mounts the image
    "brd",
    "overlay",
    // what checks it when it is read
    "dm_verity",
    // what keeps, in memory, what is written to the root; the kernel asks for the last two by themselves
    "zram",
    "ext4",
    "lzo-rle",
    "crc32c_generic",
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
    let is_wanted = |path: &str| DIRECTORIES.iter().any(|within| path.starts_with(within));
    let by_directory = index.modules().filter(|(_, path)| is_wanted(path));
    let by_directory = by_directory.map(|(name, _)| name);
    let wanted = by_directory
        .chain(NAMES)
        .chain(RootFsType::ALL.map(RootFsType::name))
        .chain(hashes(index))
        .chain(names);
    Ok(index.closure(wanted).into_iter().collect())
}

/// Returns what computes the hashes of dm-verity: for every processor the fastest one is loaded, as the processor is a device.
fn hashes(index: &ModuleIndex) -> impl Iterator<Item = &str> {
    let of_processors = |name: &&str| {
        let path = index.path(name).unwrap_or_default();
        !path.starts_with("kernel/drivers/")
    };
    index
        .matching("crypto-sha256")
        .into_iter()
        .filter(of_processors)
}

/// Returns a driver's name as xCAT's tables have it too: `igb.ko`.
fn driver_name(name: &str) -> &str {
    name.strip_suffix(".ko").unwrap_or(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn networks_are_there_and_what_boots_nothing_is_not() {
        let dep = "kernel/drivers/net/ethernet/intel/e1000e/e1000e.ko.xz: kernel/drivers/ptp/ptp.ko.xz\n\
                   kernel/drivers/ptp/ptp.ko.xz:\n\
                   kernel/drivers/net/virtio_net.ko.xz:\n\
                   kernel/drivers/net/wireless/a.ko.xz:\n\
                   kernel/drivers/nvme/host/nvme.ko.xz:\n\
                   kernel/drivers/net/usb/r8152.ko.xz:\n\
                   kernel/drivers/block/brd.ko.xz:\n\
                   kernel/fs/squashfs/squashfs.ko.xz:\n\
                   kernel/drivers/block/zram/zram.ko.xz: kernel/mm/zsmalloc.ko.xz\n\
                   kernel/mm/zsmalloc.ko.xz:\n\
                   kernel/crypto/lzo-rle.ko.xz:\n";
        let index = ModuleIndex::parse(dep, "", "kernel/fs/overlayfs/overlay.ko\n");
        let drivers = ["r8152.ko".to_owned()];
        let selected = select(&index, RootFsType::Squashfs, &drivers, "6.1").unwrap();
        let selected: Vec<_> = selected.into_iter().collect();
        assert_eq!(
            selected,
            [
                "brd",
                "e1000e",
                "lzo_rle",
                "ptp",
                "r8152",
                "squashfs",
                "virtio_net",
                "zram",
                "zsmalloc"
            ]
        );
        let error = select(&index, RootFsType::Erofs, &[], "6.1").unwrap_err();
        assert!(
            error.to_string().contains("it has no erofs, neither"),
            "{error}"
        );
    }
}
