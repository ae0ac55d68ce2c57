//! What a medium was recognised as, in the forms that people and programs read.

use std::fmt::Write;
use std::path::Path;

use definitions::{Arch, Distro};
use serde::{Deserialize, Serialize};

use super::finding::{DiscNumber, ReleaseFinding};
use super::reason::RejectionReason;
use super::rejection::Rejection;

/// What the user asked for on the command line.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RequestedRelease {
    /// `-n`: the name to give, whatever the medium calls itself.
    pub name: Option<Distro>,
    /// `-a`: the architecture, to settle what the medium leaves open.
    pub arch: Option<Arch>,
}

/// What a medium is, and what says so.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MediumIdentity {
    /// The release in xCAT's name, as precise as the medium says.
    pub distro: Distro,
    /// The architecture; absent when nothing on the medium says it and `-a` was not given.
    pub arch: Option<Arch>,
    /// The product in the distributor's words: `Rocky Linux`, `Ubuntu-Server`.
    pub product: String,
    /// The codename in lower case, where the release has one: `bookworm`.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub codename: Option<String>,
    /// The edition: `Server`, `Workstation`, `Silverblue`, `NETINST`.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub variant: Option<String>,
    /// What installs from it; absent when the medium's files are not known or hold no installer.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub installer: Option<MediumInstaller>,
    /// Which disc of a set it is, where it says.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub disc: Option<DiscNumber>,
    /// Everything that was found, in the order of the sources.
    pub evidence: Vec<ReleaseFinding>,
}

/// The program on a medium that installs from it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum MediumInstaller {
    /// debian-installer: preseed.
    DebianInstaller,
    /// Ubuntu's server and desktop installer since 18.04: autoinstall.
    Subiquity,
    /// An older Ubuntu live session with ubiquity.
    Casper,
    /// A Debian live session.
    DebianLive,
    /// Anaconda: kickstart.
    Anaconda,
    /// A live session of an RPM distribution.
    LiveOs,
    /// YaST: AutoYaST.
    Yast,
    /// Agama, since SUSE's 16.
    Agama,
    /// A raw disk image that writes itself to the disk.
    SelfInstall,
}

impl MediumIdentity {
    /// Returns the architecture for whoever cannot go on without.
    ///
    /// # Errors
    /// When the medium does not say it: the rejection says that `-a` would.
    pub fn require_arch(&self) -> Result<Arch, Rejection> {
        self.arch.ok_or_else(|| Rejection {
            reason: RejectionReason::ArchUnknown {
                distro: self.distro.clone(),
            },
            evidence: self.evidence.clone(),
            trees: Vec::new(),
        })
    }

    /// Renders what `copycds -i` prints: xCAT's lines, then the evidence, one finding a line.
    pub fn render(&self, medium: &Path) -> String {
        let mut text = format!("OS Image:{}\nDISTNAME:{}\n", medium.display(), self.distro);
        if let Some(arch) = self.arch {
            let _ = writeln!(text, "ARCH:{arch}");
        }
        if let Some(disc) = self.disc {
            let _ = writeln!(text, "DISCNO:{}", disc.number);
        }
        for finding in &self.evidence {
            let _ = writeln!(text, "  {finding}");
        }
        text
    }
}
