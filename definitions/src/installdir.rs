//! Every path under the install directory, in one place.

use std::path::{Path, PathBuf};

use crate::{Arch, Distro};

/// The directory on the management node that holds trees, assets and root images: `/install` unless
/// the site says otherwise. Pure: it names paths and touches none.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InstallDir(PathBuf);

impl InstallDir {
    /// xCAT's default, which Slipway keeps.
    pub const DEFAULT: &'static str = "/install";

    /// What genimage keeps with a tree that copycds published, below the tree: which initrd can install over a network.
    pub const INITRD_RECORD: &'static str = ".slipway/initrd.json";

    /// What slipway-trust keeps with a tree that copycds published, below the tree: the tree by links, with the site's
    /// signatures in the place of the medium's. It is no part of what was published.
    pub const SIGNED: &'static str = ".slipway/signed";

    /// Names the install directory.
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self(path.into())
    }

    /// Returns the directory itself.
    pub fn path(&self) -> &Path {
        &self.0
    }

    /// Returns the tree that `copycds` publishes: `<installdir>/<osvers>/<arch>`.
    pub fn tree(&self, distro: &Distro, arch: Arch) -> PathBuf {
        self.0.join(distro.as_str()).join(arch.name())
    }

    /// Returns where extra packages of a release are: `<installdir>/post/otherpkgs/<osvers>/<arch>`.
    pub fn otherpkgs(&self, distro: &Distro, arch: Arch) -> PathBuf {
        self.0
            .join("post/otherpkgs")
            .join(distro.as_str())
            .join(arch.name())
    }

    /// Returns where a diskless root image is built:
    /// `<installdir>/netboot/<osvers>/<arch>/<profile>`.
    pub fn rootimg(&self, distro: &Distro, arch: Arch, profile: &str) -> PathBuf {
        self.0
            .join("netboot")
            .join(distro.as_str())
            .join(arch.name())
            .join(profile)
    }

    /// Returns the assets of one node: `<installdir>/autoinst/<node>`.
    pub fn assets(&self, node: &str) -> PathBuf {
        self.autoinst().join(node)
    }

    /// Returns the assets of all nodes: `<installdir>/autoinst`.
    pub fn autoinst(&self) -> PathBuf {
        self.0.join("autoinst")
    }

    /// Returns where the programs are that nodes fetch and run: `<installdir>/postscripts`.
    pub fn postscripts(&self) -> PathBuf {
        self.0.join("postscripts")
    }

    /// Returns where an administrator's own templates and lists are: `<installdir>/custom`.
    pub fn custom(&self) -> PathBuf {
        self.0.join("custom")
    }
}

impl Default for InstallDir {
    fn default() -> Self {
        Self::new(Self::DEFAULT)
    }
}
