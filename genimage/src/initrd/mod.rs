//! The initrd of a root image: the program `netboot`, and the modules of the image's kernel that it needs.
//!
//! The program, the kernel's release and a way to read files of the root come in; a packed archive goes out, the same
//! bytes for the same files. Modules are unpacked here: the archive is packed as a whole, smaller than its parts would be,
//! and no kernel has to unpack them. Nothing is written here, and nothing of the management node is read.

mod firmware;
mod selection;

use std::collections::BTreeMap;
use std::io::{Read, Write};

use anyhow::{Context, Result, bail};
use definitions::{ModuleIndex, RootFsType};
use lzma_rust2::{CheckType, XzOptions, XzWriter};
use repodata::{Compression, Decompressor};

use crate::boot_archive::BootArchive;

/// Where the program finds its modules (`netboot`), without their paths in the root.
const MODULES: &str = "lib/modules";
/// Where the kernel looks for firmware.
const FIRMWARE: &str = "lib/firmware";
/// How hard it is tried: as xz(1) does it unless it is told otherwise.
const LEVEL: u32 = 6;
/// Bounds a module, unpacked.
const MAX_MODULE: u64 = 64 << 20;

/// Reads a file of the root by its path, `usr/lib/modules/…`; `None` where there is none.
pub type ReadFile<'a> = dyn Fn(&str) -> Result<Option<Vec<u8>>> + 'a;

/// What an initrd is made of.
#[derive(Debug, Clone, Copy)]
pub struct InitrdRequest<'a> {
    /// The program that is its init.
    pub program: &'a [u8],
    /// The release of the image's kernel: `6.12.9-amd64`.
    pub release: &'a str,
    /// The file system that the image is; the initrd mounts the others too, where the kernel has them.
    pub fs_type: RootFsType,
    /// Further modules: the osimage's `netdrivers`.
    pub drivers: &'a [String],
}

/// Makes an initrd.
///
/// # Errors
/// When the root has no modules of that release, its kernel lacks something without which the image cannot be mounted, or
/// the root has no driver of a name that was asked for.
pub fn render(request: InitrdRequest<'_>, read: &ReadFile<'_>) -> Result<Vec<u8>> {
    let release = request.release;
    let directory = format!("usr/lib/modules/{release}");
    let index = load_index(&directory, release, read)?;
    let modules = selection::select(&index, request.fs_type, request.drivers, release)?;
    let mut archive = BootArchive::new();
    archive.file("init", 0o755, request.program)?;
    // the kernel runs it for what it needs itself: a NIC's PHY, say
    archive.link("sbin/modprobe", "../init")?;
    archive.character_device("dev/console", 0o600, 5, 1)?;
    for mount_point in ["proc", "sys", "run"] {
        archive.directory(mount_point, 0o755)?;
    }
    let mut firmware = BTreeMap::new();
    for module in &modules {
        let path = index.path(module).unwrap_or_default();
        let bytes = load_module(&format!("{directory}/{path}"), read)?;
        for name in firmware::names(&bytes) {
            firmware.extend(load_firmware(&name, read)?);
        }
        archive.file(&format!("{MODULES}/{module}.ko"), 0o644, bytes)?;
    }
    for (path, bytes) in firmware {
        archive.file(&path, 0o644, bytes)?;
    }
    let kept = index.subset(&modules);
    for (name, text) in [
        ("modules.dep", kept.render_dep()),
        ("modules.alias", kept.render_alias()),
        ("modules.builtin", kept.render_builtin()),
        (ModuleIndex::RELEASE, format!("{release}\n")),
    ] {
        archive.file(&format!("{MODULES}/{name}"), 0o644, text)?;
    }
    pack(&archive.render())
}

fn load_index(directory: &str, release: &str, read: &ReadFile<'_>) -> Result<ModuleIndex> {
    let text = |name: &str| -> Result<String> {
        let path = format!("{directory}/{name}");
        let bytes = read(&path)?.with_context(|| {
            format!(
                "the root has no {path}: install the package of the kernel {release}, whose installation runs depmod"
            )
        })?;
        String::from_utf8(bytes).with_context(|| format!("reading {path}"))
    };
    let dep = text("modules.dep")?;
    Ok(ModuleIndex::parse(
        &dep,
        &text("modules.alias")?,
        &text("modules.builtin")?,
    ))
}

/// Reads a module, unpacked.
fn load_module(path: &str, read: &ReadFile<'_>) -> Result<Vec<u8>> {
    let packed = read(path)?.with_context(|| {
        format!(
            "modules.dep names {path}, which is not in the root: is it in the osimage's exlist?"
        )
    })?;
    let unpacking = || format!("unpacking {path}");
    let compression = Compression::of(path);
    let mut bytes = Vec::new();
    Decompressor::new(compression, packed.as_slice())
        .with_context(unpacking)?
        .take(MAX_MODULE + 1)
        .read_to_end(&mut bytes)
        .with_context(unpacking)?;
    if bytes.len() as u64 > MAX_MODULE {
        bail!("{path} is larger than a module can be");
    }
    Ok(bytes)
}

/// Reads the firmware that a module may ask for, where the root has it; its path in the initrd, and its bytes.
fn load_firmware(name: &str, read: &ReadFile<'_>) -> Result<Option<(String, Vec<u8>)>> {
    for ending in ["", ".xz", ".zst"] {
        if let Some(bytes) = read(&format!("usr/{FIRMWARE}/{name}{ending}"))? {
            return Ok(Some((format!("{FIRMWARE}/{name}{ending}"), bytes)));
        }
    }
    Ok(None)
}

/// Packs an archive as small as every distribution's kernel unpacks it. It has no other check in its decoder than CRC32
/// (Documentation/staging/xz.rst). What follows begins at a multiple of four bytes, as a boot archive must.
fn pack(archive: &[u8]) -> Result<Vec<u8>> {
    let mut options = XzOptions::with_preset(LEVEL);
    options.set_check_sum_type(CheckType::Crc32);
    XzWriter::new(Vec::new(), options)
        .and_then(|mut packed| packed.write_all(archive).map(|()| packed))
        .and_then(XzWriter::finish)
        .context("packing the initrd")
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOME: &str = "usr/lib/modules/6.1.0-test";

    /// A root with a kernel that has what an image needs.
    fn root() -> BTreeMap<String, Vec<u8>> {
        let mut files = BTreeMap::new();
        let mut dep = String::new();
        for (path, content) in [
            ("kernel/drivers/block/brd.ko", &b"brd"[..]),
            ("kernel/fs/overlayfs/overlay.ko", b"overlay"),
            ("kernel/fs/squashfs/squashfs.ko.xz", b"squashfs"),
            ("kernel/fs/erofs/erofs.ko", b"erofs"),
            ("kernel/drivers/md/dm-mod.ko", b"dm-mod"),
            ("kernel/drivers/md/dm-verity.ko", b"dm-verity"),
            ("kernel/arch/x86/crypto/sha256-ssse3.ko", b"sha256"),
            ("kernel/drivers/crypto/padlock-sha.ko", b"padlock"),
            ("kernel/net/core/failover.ko", b"failover"),
            (
                "kernel/drivers/net/ethernet/intel/e1000.ko",
                b"\0firmware=e/1.bin\0",
            ),
            ("kernel/drivers/net/wireless/ath9k.ko", b"ath9k"),
            ("kernel/drivers/net/usb/r8152.ko", b"r8152"),
        ] {
            let needs = if path.contains("e1000") {
                " kernel/net/core/failover.ko"
            } else if path.contains("verity") {
                " kernel/drivers/md/dm-mod.ko"
            } else {
                ""
            };
            dep += &format!("{path}:{needs}\n");
            let bytes = if path.ends_with(".xz") {
                pack(content).unwrap()
            } else {
                content.to_vec()
            };
            files.insert(format!("{HOME}/{path}"), bytes);
        }
        for (name, text) in [
            ("modules.dep", dep.as_str()),
            (
                "modules.alias",
                "alias fs-overlay overlay\nalias pci:v8086* e1000\nalias usb:v0BDA* r8152\n\
                 alias crypto-sha256 sha256_ssse3\nalias cpu:type:x86,* sha256_ssse3\nalias crypto-sha256 padlock_sha\n",
            ),
            ("modules.builtin", "kernel/fs/ext4/ext4.ko\n"),
        ] {
            files.insert(format!("{HOME}/{name}"), text.into());
        }
        files.insert("usr/lib/firmware/e/1.bin.xz".to_owned(), b"fw".to_vec());
        files
    }

    fn request(drivers: &[String]) -> InitrdRequest<'_> {
        InitrdRequest {
            program: b"program",
            release: "6.1.0-test",
            fs_type: RootFsType::Squashfs,
            drivers,
        }
    }

    fn initrd(root: &BTreeMap<String, Vec<u8>>, drivers: &[&str]) -> Result<String, String> {
        let drivers: Vec<_> = drivers.iter().map(|name| (*name).to_owned()).collect();
        let read = |path: &str| Ok(root.get(path).cloned());
        let packed = render(request(&drivers), &read).map_err(|error| format!("{error:#}"))?;
        let mut archive = Vec::new();
        assert_eq!(packed.len() % 4, 0);
        let mut unpack = Decompressor::new(Compression::Xz, packed.as_slice()).unwrap();
        unpack.read_to_end(&mut archive).unwrap();
        Ok(String::from_utf8_lossy(&archive).into_owned())
    }

    #[test]
    fn an_initrd_has_the_program_and_the_modules_with_all_that_they_need() {
        let archive = initrd(&root(), &["r8152"]).unwrap();
        for part in [
            "init\0\0program",
            "sbin/modprobe\0../init",
            "lib/modules/squashfs.ko\0\0\0squashfs",
            "lib/modules/failover.ko",
            "lib/modules/erofs.ko",
            "lib/modules/dm_mod.ko",
            "dm_verity.ko: dm_mod.ko\n",
            "alias cpu:type:x86,* sha256_ssse3\n",
            "lib/modules/r8152.ko",
            "lib/firmware/e/1.bin.xz\0",
            "e1000.ko: failover.ko\n",
            "alias pci:v8086* e1000\n",
            "lib/modules/release\0\0\x006.1.0-test\n",
        ] {
            let found = archive.contains(part);
            assert!(
                found || archive.replace('\0', "").contains(&part.replace('\0', "")),
                "{part}"
            );
        }
        for part in ["ath9k", "kernel/drivers", "padlock"] {
            assert!(!archive.contains(part), "{part}");
        }
        assert_eq!(initrd(&root(), &["r8152"]).unwrap(), archive);
        assert!(!initrd(&root(), &[]).unwrap().contains("r8152"));
    }

    #[test]
    fn what_the_kernel_lacks_is_named() {
        let without = |path: &str, list: &str| {
            let mut files = root();
            files.remove(&format!("{HOME}/{path}"));
            let dep = files.get_mut(&format!("{HOME}/modules.dep"));
            if let Some(dep) = dep {
                *dep = String::from_utf8_lossy(dep).replace(list, "").into_bytes();
            }
            files
        };
        for (files, drivers, message) in [
            (
                without(
                    "kernel/fs/overlayfs/overlay.ko",
                    "kernel/fs/overlayfs/overlay.ko:\n",
                ),
                &[][..],
                "the kernel 6.1.0-test cannot boot a root image: it has no overlay, neither built in nor as a module \
                 (on some releases in a package of its own, such as linux-modules-extra or kernel-modules)",
            ),
            (
                without("kernel/fs/erofs/erofs.ko", ""),
                &["no-such", "tg3"],
                "the kernel 6.1.0-test has no module no-such, tg3, which the osimage's netdrivers name",
            ),
            (
                without("kernel/fs/overlayfs/overlay.ko", ""),
                &[],
                "modules.dep names usr/lib/modules/6.1.0-test/kernel/fs/overlayfs/overlay.ko, which is not in the root: is \
                 it in the osimage's exlist?",
            ),
            (
                without("modules.dep", ""),
                &[],
                "the root has no usr/lib/modules/6.1.0-test/modules.dep: install the package of the kernel 6.1.0-test, \
                 whose installation runs depmod",
            ),
        ] {
            assert_eq!(initrd(&files, drivers).unwrap_err(), message);
        }
    }
}
