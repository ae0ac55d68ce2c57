//! Which installer a medium boots, and whether it holds anything to install at all, by the names of
//! its files.

use std::collections::BTreeSet;

use definitions::Distro;

use super::evidence::Evidence;
use super::identity::MediumInstaller;

/// Returns whether any of these names is a package.
pub(super) fn holds_packages(names: &[String]) -> bool {
    let endings = [".rpm", ".deb", ".udeb"];
    names
        .iter()
        .any(|name| endings.iter().any(|ending| name.ends_with(ending)))
}

/// Returns whether there is the index of a repository of packages: RPM's, Debian's or one of SUSE's.
pub(super) fn holds_index(names: &[String]) -> bool {
    names.iter().any(|name| {
        let name = name.as_str();
        let below = |dir: &str| name.starts_with(&format!("{dir}/"));
        name == "repodata/repomd.xml"
            || name.ends_with("/repodata/repomd.xml")
            || below("dists") && name.ends_with("/Release")
            || below("suse/setup/descr")
            || below("RedHat/base")
    })
}

/// Names of kernels as boot loaders of media have them, without a version.
const KERNELS: &[&str] = &["vmlinuz", "vmlinux", "linux", "kernel.img", "vmlinuz.efi"];

/// Names of what they boot into.
const RAMDISKS: &[&str] = &[
    "initrd",
    "initrd.img",
    "initrd.gz",
    "initrd.lz",
    "initrd.xz",
    "ramdisk.image.gz",
];

/// Returns whether a kernel and its first root file system are in one directory, as on everything that boots.
pub(super) fn holds_boot(names: &[String]) -> bool {
    let dirs = |files: &[&str]| -> BTreeSet<&str> {
        let parts = names.iter().filter_map(|name| name.rsplit_once('/'));
        let found = parts.filter(|(_, file)| files.contains(file));
        found.map(|(dir, _)| dir).collect()
    };
    !dirs(KERNELS).is_disjoint(&dirs(RAMDISKS))
}

/// Tells the installer from the files that it needs; the first row that fits.
pub(super) fn of(evidence: &Evidence, distro: &Distro) -> Option<MediumInstaller> {
    let names = &evidence.names;
    let has = |path: &str| {
        names.iter().any(|name| {
            name.strip_prefix(path)
                .is_some_and(|rest| rest.is_empty() || rest.starts_with('/') || path.ends_with('/'))
        })
    };
    let any = |test: fn(&str) -> bool| names.iter().any(|name| test(name));
    let sixteen = distro.major().parse::<u32>().is_ok_and(|major| major >= 16);
    let suse = matches!(distro.family(), "sles" | "leap");
    let debian = matches!(distro.family(), "debian" | "ubuntu");
    let rows = [
        (
            has("casper/install-sources.yaml") || has("casper/installer.squashfs"),
            MediumInstaller::Subiquity,
        ),
        (
            has("install/vmlinuz") || has("install/netboot") || any(in_install_dir),
            MediumInstaller::DebianInstaller,
        ),
        (any(server_layer), MediumInstaller::Subiquity),
        (has("casper"), MediumInstaller::Casper),
        (
            has("live/vmlinuz") || any(live_layer),
            MediumInstaller::DebianLive,
        ),
        (any(self_install), MediumInstaller::SelfInstall),
        (suse && sixteen && has("LiveOS"), MediumInstaller::Agama),
        (any(yast), MediumInstaller::Yast),
        (
            (has("images/pxeboot") || has("images/install.img") || has("ppc") || has("isolinux"))
                && (has(".treeinfo") || has(".discinfo") || has("repodata") || has("Packages")),
            MediumInstaller::Anaconda,
        ),
        // a boot.iso whose files say nothing of the release; a live image has these directories too
        (
            has("images/install.img")
                || !debian && !has("LiveOS") && (has("images/pxeboot") || has("isolinux/vmlinuz")),
            MediumInstaller::Anaconda,
        ),
        (has("LiveOS"), MediumInstaller::LiveOs),
    ];
    rows.into_iter()
        .find(|(fits, _)| *fits)
        .map(|(_, installer)| installer)
}

/// `install.amd/vmlinuz`, `install.a64/…`: debian-installer, one directory an architecture.
fn in_install_dir(name: &str) -> bool {
    let kernel = ["/vmlinuz", "/vmlinux", "/initrd.gz"];
    name.starts_with("install.") && kernel.iter().any(|file| name.ends_with(file))
}

/// The server's installer layer, under the name it had from 18.04 to 20.04.
fn server_layer(name: &str) -> bool {
    name.starts_with("casper/") && name.contains("installer") && name.ends_with(".squashfs")
}

fn live_layer(name: &str) -> bool {
    name.starts_with("live/") && name.ends_with(".squashfs")
}

fn self_install(name: &str) -> bool {
    let raw = [".raw.squashfs", ".raw.xz", ".raw.gz"];
    !name.contains('/') && raw.iter().any(|ending| name.ends_with(ending))
}

/// `boot/<arch>/loader/linux`, or `boot/<arch>/{linux,root}` where there is no loader directory.
fn yast(name: &str) -> bool {
    let mut parts = name.split('/');
    parts.next() == Some("boot")
        && parts.next().is_some()
        && matches!(parts.next(), Some("loader" | "linux" | "root"))
}
