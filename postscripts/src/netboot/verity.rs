//! The root image through dm-verity: what the kernel reads of it is checked against its hash tree, and a block that is
//! another than when it was packed is an I/O error.
//!
//! Image and tree are on one device, the tree after the image. Its root hash is in the record that the site signed, and
//! comes with the digest of the image.
//! Reference: Documentation/admin-guide/device-mapper/verity.rst, "Construction Parameters".

use std::path::PathBuf;

use anyhow::{Context, Result, ensure};
use definitions::{ImageSource, VeritySource};

use super::console::Console;
use super::device_mapper::{DeviceMapper, Target};
use super::drivers::Drivers;
use super::ram_disk::RamDisk;

/// The kernel's module, and the type of its target.
const MODULE: &str = "dm_verity";
const TARGET: &str = "verity";
/// What the device is named by, below /sys/block/dm-0/dm.
const NAME: &str = "rootimg";

/// Returns the hash tree of an image, where there is one and the kernel can use it; prints which it is.
pub(super) fn usable<'a>(
    image: &'a ImageSource,
    drivers: &Drivers,
    console: &Console,
) -> Option<&'a VeritySource> {
    let (tree, said) = choose(image, drivers.has(MODULE));
    console.say(said);
    tree
}

fn choose(image: &ImageSource, is_supported: bool) -> (Option<&VeritySource>, &'static str) {
    match &image.verity {
        Some(tree) if is_supported => (
            Some(tree),
            "the root image is used with dm-verity: each block is checked when it is read",
        ),
        Some(_) => (
            None,
            "the root image is used without dm-verity, which its kernel does not have",
        ),
        None => (
            None,
            "the root image is used without dm-verity: it was packed without a hash tree",
        ),
    }
}

/// Makes the device that checks what is read of an image; returns its path.
///
/// # Errors
/// When the sizes do not fit together, or the kernel refuses it.
pub(super) fn create(
    image: &ImageSource,
    tree: &VeritySource,
    drivers: &Drivers,
) -> Result<PathBuf> {
    let checking = "having the kernel check the root image (dm-verity)";
    let target = target(image.bytes, tree).context(checking)?;
    drivers.insert(MODULE, "").context(checking)?;
    let mapper = DeviceMapper::open().context(checking)?;
    mapper.create_read_only(NAME, &target).context(checking)
}

/// Describes the device. The tree begins with a block of its superblock, which the kernel does not read.
fn target(bytes: u64, tree: &VeritySource) -> Result<Target> {
    let block = VeritySource::BLOCK;
    ensure!(
        bytes.is_multiple_of(block),
        "the image has {bytes} bytes, which is no multiple of {block}"
    );
    let blocks = bytes / block;
    let (device, root_hash, salt) = (RamDisk::PATH, &tree.root_hash, &tree.salt);
    Ok(Target {
        bytes,
        kind: TARGET,
        parameters: format!(
            "1 {device} {device} {block} {block} {blocks} {} sha256 {root_hash} {salt}",
            blocks + 1
        ),
    })
}

#[cfg(test)]
mod tests {
    use definitions::RootFsType;

    use super::*;

    fn image(verity: Option<VeritySource>) -> ImageSource {
        ImageSource {
            url: "http://10.1.0.1/install/a.squashfs".to_owned(),
            fs_type: RootFsType::Squashfs,
            bytes: 8192,
            sha256: "ab".repeat(32),
            verity,
        }
    }

    fn tree() -> VeritySource {
        VeritySource {
            url: "http://10.1.0.1/install/a.verity".to_owned(),
            bytes: 8192,
            sha256: "cd".repeat(32),
            root_hash: "e".repeat(64),
            salt: "f".repeat(64),
        }
    }

    #[test]
    fn a_tree_is_used_where_the_image_has_one_and_the_kernel_can() {
        for (verity, is_supported, is_used, said) in [
            (Some(tree()), true, true, "with dm-verity: "),
            (Some(tree()), false, false, "which its kernel does not have"),
            (None, true, false, "packed without a hash tree"),
        ] {
            let image = image(verity);
            let (tree, line) = choose(&image, is_supported);
            assert_eq!(tree.is_some(), is_used);
            assert!(line.contains(said), "{line}");
        }
    }

    #[test]
    fn the_tree_begins_after_the_image_and_a_superblock() {
        let target = target(8192, &tree()).unwrap();
        let (root_hash, salt) = ("e".repeat(64), "f".repeat(64));
        assert_eq!(
            target.parameters,
            format!("1 /dev/ram0 /dev/ram0 4096 4096 2 3 sha256 {root_hash} {salt}")
        );
        let refused = super::target(8193, &tree()).unwrap_err();
        assert_eq!(
            refused.to_string(),
            "the image has 8193 bytes, which is no multiple of 4096"
        );
    }
}
