//! Which installer a release has, and with it which family of templates and lists.

use std::path::Path;

use definitions::Distro;

use crate::problem::Problem;

/// The program that installs a node, named by the file that it reads.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Installer {
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
}

impl Installer {
    /// Every installer.
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
        }
    }

    /// Returns what a node of this installer is given: its main file first, the boot script last.
    pub fn files(self) -> &'static [File] {
        match self {
            Self::Preseed => {
                const {
                    &[
                        File::main("preseed.cfg", "preseed"),
                        File::beside("boot.ipxe", "preseed.ipxe"),
                    ]
                }
            }
            Self::Autoinstall => {
                const {
                    &[
                        File::main("user-data", "autoinstall"),
                        File::beside("meta-data", "meta-data"),
                        File::beside("vendor-data", "vendor-data"),
                        File::beside("boot.ipxe", "autoinstall.ipxe"),
                    ]
                }
            }
            Self::Kickstart => {
                const {
                    &[
                        File::main("ks.cfg", "ks"),
                        File::beside("boot.ipxe", "ks.ipxe"),
                    ]
                }
            }
            Self::Autoyast => {
                const {
                    &[
                        File::main("autoinst.xml", "autoyast"),
                        File::beside("boot.ipxe", "autoyast.ipxe"),
                    ]
                }
            }
            Self::Agama => {
                const {
                    &[
                        File::main("agama.json", "agama"),
                        File::beside("boot.ipxe", "agama.ipxe"),
                    ]
                }
            }
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
        match Family::of(distro)? {
            Family::Debian => Ok(Self::Preseed),
            Family::Ubuntu if major < 20 || tree.join("install/vmlinuz").is_file() => {
                Ok(Self::Preseed)
            }
            Family::Ubuntu => Ok(Self::Autoinstall),
            Family::Rh | Family::Fedora => Ok(Self::Kickstart),
            Family::Suse if (12..=15).contains(&major) || major == 42 => Ok(Self::Autoyast),
            Family::Suse => Ok(Self::Agama),
        }
    }
}

/// A file that a node is given, and the template that it is made from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct File {
    /// Its name among the node's assets: `preseed.cfg`.
    pub name: &'static str,
    /// The ending of its template: `preseed` of `compute.preseed`.
    pub ending: &'static str,
    /// Whether each profile has one; the others fall back to the family's `base`.
    pub main: bool,
}

impl File {
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
pub enum Family {
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

impl Family {
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
