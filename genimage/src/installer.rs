//! Which installer a release has, and with it which family of templates and lists.

use std::path::Path;

use definitions::Distro;

use crate::problem::Problem;

/// The program that installs a node, named by the file that it reads.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum InstallerKind {
    /// debian-installer: Debian, and Ubuntu before its live installer.
    Preseed,
    /// Subiquity: Ubuntu since 20.04.
    Autoinstall,
    /// Anaconda: the RHEL family and Fedora.
    Kickstart,
    /// YaST: SLE 12 and 15, Leap 15.
    Autoyast,
    /// Agama: SLE and Leap since 16.
    Agama,
    /// None: the node boots a root image.
    Netboot,
}

impl InstallerKind {
    /// Every installer that writes to a disk.
    pub const ALL: [Self; 5] = [
        Self::Preseed,
        Self::Autoinstall,
        Self::Kickstart,
        Self::Autoyast,
        Self::Agama,
    ];

    /// Returns the ending of its templates: `compute.preseed`.
    pub fn ending(self) -> &'static str {
        match self {
            Self::Preseed => "preseed",
            Self::Autoinstall => "autoinstall",
            Self::Kickstart => "ks",
            Self::Autoyast => "autoyast",
            Self::Agama => "agama",
            Self::Netboot => "netboot",
        }
    }

    /// Returns where the installer takes its main file from in the boot archive; one that runs from a file system of the
    /// medium has left the initrd when it looks for its file, and fetches it.
    pub fn archive_path(self) -> Option<&'static str> {
        match self {
            Self::Preseed | Self::Kickstart | Self::Autoyast => Some(self.files()[0].name),
            Self::Autoinstall | Self::Agama | Self::Netboot => None,
        }
    }

    /// Says what the installer runs or believes though nothing vouches for it, whatever it was booted by.
    pub fn unchecked(self) -> Option<&'static str> {
        match self {
            Self::Preseed | Self::Autoyast | Self::Netboot => None,
            Self::Autoinstall | Self::Agama => Some(
                "its installer has left its initrd when it looks for its file, and fetches it by plain HTTP",
            ),
            Self::Kickstart => Some(
                "its installer fetches its second part by plain HTTP, and verifies no signature, of that nor of packages",
            ),
        }
    }

    /// Returns what a node of this installer is given: its main file first, the boot script last.
    pub fn files(self) -> &'static [InstallerFile] {
        match self {
            Self::Preseed => {
                const {
                    &[
                        InstallerFile::main("preseed.cfg", "preseed"),
                        InstallerFile::beside("boot.ipxe", "preseed.ipxe"),
                    ]
                }
            }
            Self::Autoinstall => {
                const {
                    &[
                        InstallerFile::main("user-data", "autoinstall"),
                        InstallerFile::beside("meta-data", "meta-data"),
                        InstallerFile::beside("vendor-data", "vendor-data"),
                        InstallerFile::beside("boot.ipxe", "autoinstall.ipxe"),
                    ]
                }
            }
            Self::Kickstart => {
                const {
                    &[
                        InstallerFile::main("ks.cfg", "ks"),
                        InstallerFile::beside("boot.ipxe", "ks.ipxe"),
                    ]
                }
            }
            Self::Autoyast => {
                const {
                    &[
                        InstallerFile::main("autoinst.xml", "autoyast"),
                        InstallerFile::beside("boot.ipxe", "autoyast.ipxe"),
                    ]
                }
            }
            Self::Agama => {
                const {
                    &[
                        InstallerFile::main("agama.json", "agama"),
                        InstallerFile::beside("boot.ipxe", "agama.ipxe"),
                    ]
                }
            }
            Self::Netboot => const { &[InstallerFile::beside("boot.ipxe", "netboot.ipxe")] },
        }
    }

    /// Tells the installer of a release; the tree settles what the release alone does not.
    ///
    /// Ubuntu 20.04 came with both installers: a tree with `install/vmlinuz` has debian-installer.
    ///
    /// # Errors
    /// A release whose installer is not known.
    pub fn of(distro: &Distro, tree: &Path) -> Result<Self, Problem> {
        let major: u32 = distro.major().parse().unwrap_or(u32::MAX); // testing, rawhide: newer than any
        match DistroFamily::of(distro)? {
            DistroFamily::Debian => Ok(Self::Preseed),
            DistroFamily::Ubuntu if major < 20 || tree.join("install/vmlinuz").is_file() => {
                Ok(Self::Preseed)
            }
            DistroFamily::Ubuntu => Ok(Self::Autoinstall),
            DistroFamily::Rh | DistroFamily::Fedora => Ok(Self::Kickstart),
            DistroFamily::Suse if (12..=15).contains(&major) || major == 42 => Ok(Self::Autoyast),
            DistroFamily::Suse => Ok(Self::Agama),
        }
    }
}

/// A file that a node is given, and the template that it is made from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct InstallerFile {
    /// Its name among the node's assets: `preseed.cfg`.
    pub name: &'static str,
    /// The ending of its template: `preseed` of `compute.preseed`.
    pub ending: &'static str,
    /// Whether each profile has one; the others fall back to the family's `base`.
    pub main: bool,
}

impl InstallerFile {
    const fn main(name: &'static str, ending: &'static str) -> Self {
        Self {
            name,
            ending,
            main: true,
        }
    }

    const fn beside(name: &'static str, ending: &'static str) -> Self {
        Self {
            name,
            ending,
            main: false,
        }
    }
}

/// A family of releases that share templates and lists: a directory of the library.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum DistroFamily {
    /// Debian.
    Debian,
    /// Ubuntu.
    Ubuntu,
    /// RHEL and what is built from it.
    Rh,
    /// Fedora.
    Fedora,
    /// SLE and openSUSE.
    Suse,
}

impl DistroFamily {
    /// Every family.
    pub const ALL: [Self; 5] = [
        Self::Debian,
        Self::Ubuntu,
        Self::Rh,
        Self::Fedora,
        Self::Suse,
    ];

    /// Returns the directory's name: `debian`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Debian => "debian",
            Self::Ubuntu => "ubuntu",
            Self::Rh => "rh",
            Self::Fedora => "fedora",
            Self::Suse => "suse",
        }
    }

    /// Tells the family of a release.
    ///
    /// # Errors
    /// A release of no family that we have templates for.
    pub fn of(distro: &Distro) -> Result<Self, Problem> {
        match distro.family() {
            "debian" => Ok(Self::Debian),
            "ubuntu" => Ok(Self::Ubuntu),
            "fedora" => Ok(Self::Fedora),
            "rhels" | "rocky" | "alma" | "alma-kitten" | "centos" | "centos-stream" | "ol"
            | "SL" | "cloudlinux" => Ok(Self::Rh),
            "sle" | "sles" | "leap" | "opensuse" => Ok(Self::Suse),
            other => Err(Problem::new(format!(
                "no templates for '{other}', the family of {distro}: there are some for debian, ubuntu, fedora, rhels, rocky, alma, centos, ol, sle, leap"
            ))),
        }
    }
}
