//! Osimages: which tree, packages, template and profile a node gets.

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

use crate::object::one_of;
use crate::schema::definition;
use crate::{Arch, Distro, Error, InstallDir};

/// How an osimage reaches a node.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ProvMethod {
    /// An installer writes it to disk.
    Install,
    /// A root image is booted over the network.
    Netboot,
    /// A root image with parts that persist.
    Statelite,
    /// A clone of another machine's disk.
    Sysclone,
    /// A kernel and an initrd of the user's own.
    Boottarget,
    /// Two systems beside each other.
    Dualboot,
}

impl ProvMethod {
    /// Every method.
    pub const ALL: [Self; 6] = [
        Self::Install,
        Self::Netboot,
        Self::Statelite,
        Self::Sysclone,
        Self::Boottarget,
        Self::Dualboot,
    ];

    /// Returns the name that osimages carry: `install`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Install => "install",
            Self::Netboot => "netboot",
            Self::Statelite => "statelite",
            Self::Sysclone => "sysclone",
            Self::Boottarget => "boottarget",
            Self::Dualboot => "dualboot",
        }
    }
}

impl fmt::Display for ProvMethod {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

impl FromStr for ProvMethod {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        Self::ALL
            .into_iter()
            .find(|method| method.name() == text)
            .ok_or_else(|| {
                let known = one_of(Self::ALL.map(Self::name));
                Error::invalid("a provisioning method", text, known)
            })
    }
}

definition! {
    /// What a node gets installed: `<osvers>-<arch>-<provmethod>-<profile>` by custom.
    pub struct OsImage: OsImage {
        /// The kind of system: `linux`.
        imagetype: Option<String>,
        /// How it reaches a node: `install`, `netboot`, …
        provmethod: Option<crate::ProvMethod>,
        /// What the node is for: `compute`, `dockerhost`.
        profile: Option<String>,
        /// The system's name: `Linux`.
        osname: Option<String>,
        /// The release: `ubuntu24.04.3`.
        osvers: Option<Distro>,
        /// The architecture: `x86_64`.
        osarch: Option<Arch>,
        /// The imported release, `<osvers>-<arch>`.
        osdistroname: Option<String>,
        /// The updates that belong to the release.
        osupdatename: Option<String>,
        /// The installer template.
        template: Option<String>,
        /// The tree, and further repositories after it; with `[trusted=yes]` before it nodes check no signature of the tree.
        pkgdir: Vec<String>,
        /// Files that list packages of the tree.
        pkglist: Vec<String>,
        /// Where other packages come from: a directory, or repositories such as `https://… suite component`.
        otherpkgdir: Vec<String>,
        /// Files that list other packages.
        otherpkglist: Vec<String>,
        /// The file that lists what a root image leaves out.
        exlist: Option<String>,
        /// Programs that finish a root image.
        postinstall: Vec<String>,
        /// Directories that nodes without an installed disk keep where they have a `statelabel`: `/var/log,/srv/data`.
        statepaths: Option<crate::StatePaths>,
        /// Where the root image is built.
        rootimgdir: Option<String>,
        /// The file mode of the root image's files: `755`.
        permission: Option<String>,
        /// The kind of root filesystem: `nfs` or `ramdisk`.
        rootfstype: Option<String>,
        /// Mount options of a root filesystem on NFS.
        nfsrootopts: Option<String>,
        /// Where another kernel's packages are.
        kerneldir: Option<String>,
        /// The kernel of a root image.
        kernelver: Option<String>,
        /// The kernel package's version.
        krpmver: Option<String>,
        /// Network drivers that the initrd needs.
        netdrivers: Vec<String>,
        /// The NIC that a root image is built to boot from.
        nodebootif: Option<String>,
        /// Further NICs that a root image configures.
        otherifce: Vec<String>,
        /// Driver updates: `dud:path`, `rpm:path`.
        driverupdatesrc: Vec<String>,
        /// More for the kernel's command line; `R::` marks what the installed system keeps.
        addkcmdline: Option<String>,
        /// How the disk is partitioned: a path, `s:path` for a program, `d:path` for a list of disks.
        partitionfile: Vec<String>,
        /// Files that list what is synchronised to nodes.
        synclists: Vec<String>,
        /// Scripts that run on the node inside the installer.
        postscripts: Vec<String>,
        /// Scripts that run on the node after its first boot.
        postbootscripts: Vec<String>,
        /// Environment of the scripts, `NAME=value` each.
        environvar: Vec<String>,
        /// Memory reserved for a crash kernel: `256M`.
        crashkernelsize: Option<String>,
        /// Where a crash dump goes.
        dump: Option<String>,
        /// What the server does: `mgtnode`, `servicenode`.
        serverrole: Option<String>,
        /// Kit components in the image.
        kitcomponents: Vec<String>,
        /// The directory of configuration file management.
        cfmdir: Option<String>,
        /// Whether tools may delete the image.
        isdeletable: Option<String>,
        /// Groups of images that this one is in.
        groups: Vec<String>,
        /// What the image is, in words.
        description: Option<String>,
        /// A remark of the user.
        comments: Option<String>,
        /// The kernel, initrd and command line of a boot target.
        boottarget: Option<String>,
    }
}

impl OsImage {
    /// Describes what a tree installs, as an import does: `<osvers>-<arch>-<provmethod>-<profile>`.
    ///
    /// Template and package lists are left open; they are looked up by release and profile.
    pub fn of_tree(
        distro: &Distro,
        arch: Arch,
        method: ProvMethod,
        profile: &str,
        installdir: &InstallDir,
    ) -> Self {
        let text = |path: PathBuf| path.to_string_lossy().into_owned();
        let diskless = matches!(method, ProvMethod::Netboot | ProvMethod::Statelite);
        Self {
            name: format!("{distro}-{arch}-{method}-{profile}"),
            imagetype: Some("linux".to_owned()),
            provmethod: Some(method),
            profile: Some(profile.to_owned()),
            osname: Some("Linux".to_owned()),
            osvers: Some(distro.clone()),
            osarch: Some(arch),
            osdistroname: Some(format!("{distro}-{arch}")),
            pkgdir: vec![text(installdir.tree(distro, arch))],
            otherpkgdir: vec![text(installdir.otherpkgs(distro, arch))],
            rootimgdir: diskless.then(|| text(installdir.rootimg(distro, arch, profile))),
            ..Self::default()
        }
    }

    /// Reads release and architecture from a name that follows the custom.
    pub fn release_of(name: &str) -> Option<(Distro, Arch)> {
        // A release may hold a '-' itself: centos-stream9-x86_64-install-compute.
        name.match_indices('-').find_map(|(at, _)| {
            let arch = name[at + 1..].split('-').next()?;
            Some((name[..at].parse().ok()?, arch.parse().ok()?))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn release_and_architecture_are_read_from_the_name() {
        for (name, expected) in [
            (
                "rocky9.4-x86_64-install-compute",
                Some(("rocky9.4", "x86_64")),
            ),
            (
                "centos-stream9-aarch64-netboot-compute",
                Some(("centos-stream9", "aarch64")),
            ),
            (
                "ub14.04.03-x86_64-dockerhost",
                Some(("ub14.04.03", "x86_64")),
            ),
            ("mine", None),
        ] {
            let read = OsImage::release_of(name);
            let read = read.map(|(distro, arch)| (distro.to_string(), arch.to_string()));
            let expected = expected.map(|(distro, arch)| (distro.to_owned(), arch.to_owned()));
            assert_eq!(read, expected);
        }
    }
}
