//! Which installer a medium boots, and whether it holds anything to install at all, by the names of
//! its files.

use definitions::Distro;

use super::evidence::Evidence;
use super::identity::MediumInstaller;
use super::package_names::is_package;

/// Returns whether any of these names is a package.
pub(super) fn holds_packages(names: &[String]) -> bool {
    names.iter().any(|name| is_package(name))
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

/// Where debian-installer, its small netboot image, casper and live-boot are, as patterns of [`is_at`].
const DEBIAN: &[&str] = &[
    "initrd.gz",
    "install*/vmlinuz",
    "install*/vmlinux",
    "install*/*/vmlinuz",
    "install*/*/vmlinux",
    "install*/*/*/*/linux",
    "casper/vmlinuz*",
    "casper/install-sources.yaml",
    "casper/*.squashfs",
    "live/vmlinuz*",
    "live/*.squashfs",
];

/// Where Anaconda is, in all its ages and on all its machines, and its live and OSTree media.
const RED_HAT: &[&str] = &[
    "images/pxeboot/vmlinuz*",
    "images/kernel.img",
    "images/install.img",
    "images/stage2.img",
    "isolinux/vmlinuz*",
    "ppc/*/vmlinuz*",
    "boot/*/loader/linux",
    "LiveOS/squashfs.img",
    "ostree/repo/config",
];

/// Where YaST and Agama are, and the disk images of the Micro systems.
const SUSE: &[&str] = &[
    "boot/*/loader/linux",
    "boot/*/linux",
    "boot/*/root",
    "boot/s390x/vmrdr.ikr",
    "suseboot/linux*",
    "LiveOS/squashfs.img",
    "*.raw.squashfs",
    "*.raw.xz",
    "*.raw.gz",
];

/// Returns whether an installer of the release's family is where that family has it. A family that only a user's
/// rules know may have any of these.
pub(super) fn is_in_place(names: &[String], distro: &Distro) -> bool {
    let places: &[&[&str]] = match distro.family() {
        "debian" | "ubuntu" => &[DEBIAN],
        "sles" | "sled" | "sle" | "slemicro" | "slmicro" | "leapmicro" | "leap" | "opensuse"
        | "opensuse-microos" => &[SUSE],
        "rhels" | "centos" | "centos-stream" | "rocky" | "alma" | "alma-kitten" | "ol"
        | "fedora" | "SL" | "cloudlinux" | "anolis" | "openeuler" => &[RED_HAT],
        _ => &[DEBIAN, RED_HAT, SUSE],
    };
    let mut patterns = places.iter().flat_map(|patterns| *patterns);
    patterns.any(|pattern| names.iter().any(|name| is_at(name, pattern)))
}

/// Returns whether a path is where a pattern says, part by part and in any case: `*` is any text in a part.
fn is_at(path: &str, pattern: &str) -> bool {
    let matches = |part: &str, pattern: &str| match pattern.split_once('*') {
        Some((start, end)) => {
            part.len() >= start.len() + end.len() && part.starts_with(start) && part.ends_with(end)
        }
        None => part == pattern,
    };
    let (path, pattern) = (path.to_ascii_lowercase(), pattern.to_ascii_lowercase());
    path.split('/').count() == pattern.split('/').count()
        && path
            .split('/')
            .zip(pattern.split('/'))
            .all(|(part, pattern)| matches(part, pattern))
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
