//! The site: settings that hold for everything.

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

use crate::schema::definition;
use crate::{Error, InstallDir};

definition! {
    /// The site's settings; the one object is named `clustersite`.
    pub struct Site: Site {
        /// The directory that holds trees, assets and root images: `/install` unless set.
        installdir: Option<String>,
        /// The management node as nodes reach it: a name or an address.
        master: Option<String>,
        /// The DNS domain of the nodes.
        domain: Option<String>,
        /// The DNS servers of the nodes.
        nameservers: Vec<String>,
        /// The DNS servers that ours ask.
        forwarders: Vec<IpAddr>,
        /// The time servers of the nodes.
        ntpservers: Vec<String>,
        /// The time zone of the nodes: `Europe/Berlin`.
        timezone: Option<String>,
        /// The port on which trees and assets are served.
        httpport: Option<u32>,
        /// The server's interfaces that answer DHCP.
        dhcpinterfaces: Vec<String>,
        /// The mirror that Ubuntu nodes install from when the tree lacks packages.
        ubuntu_apt_mirror: Option<String>,
        /// Refuses to import a medium that no template fits.
        osimagerequired: Option<String>,
        /// The architectures that may be imported.
        onlysupportarchs: Vec<String>,
        /// The crypted password of root on the nodes, as `mkpasswd` prints it; locked unless set.
        rootpassword: Option<crate::CryptedPassword>,
        /// The file of public ssh keys that let in root on the nodes.
        authorizedkeys: Option<String>,
        /// `1`: no password is ever given to root.
        secureroot: Option<String>,
        /// `1`: what looks like a secret of scripts may be in files that whoever reaches the web server can fetch, which nodeset refuses otherwise, and files with root's crypted password may be read by every local user.
        publishsecrets: Option<String>,
        /// The path of the directory that TFTP serves.
        tftpdir: Option<String>,
        /// The port on which xCAT's daemon listens.
        xcatdport: Option<u32>,
        /// The port on which xCAT's daemon receives reports of installations.
        xcatiport: Option<u32>,
        /// How root image files are shared: `1` lets service nodes mount the install directory.
        installloc: Option<String>,
        /// Whether nodes share the TFTP directory.
        sharedtftp: Option<String>,
        /// How much installers print while they run: `0`, `1` or `2`.
        xcatdebugmode: Option<String>,
        /// The clients, by the names of their certificates, that may change definitions by slipwayd's API: none unless set.
        apiwriters: Vec<String>,
        /// The networks whose machines see slipwayd's status page without a certificate, such as `10.1.0.0/16`: none unless set.
        statusnetworks: Vec<ipnetwork::IpNetwork>,
        /// The least level of what checks that which nodes boot: `1`, nothing does, or `2`, the site's iPXE does by signatures; nodeset accepts no node below it.
        bootlevel: Option<crate::BootLevel>,
        /// A remark of the user.
        comments: Option<String>,
    }
}

/// What checks that which a node boots from its network.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub enum BootLevel {
    /// Nothing does.
    #[default]
    Unchecked,
    /// The site's iPXE does, by the site's signatures.
    Signed,
}

impl fmt::Display for BootLevel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Unchecked => "1",
            Self::Signed => "2",
        })
    }
}

impl FromStr for BootLevel {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        match text {
            "1" => Ok(Self::Unchecked),
            "2" => Ok(Self::Signed),
            other => Err(Error::invalid("a boot level", other, "'1' or '2'")),
        }
    }
}

impl Site {
    /// The name of the one object.
    pub const NAME: &'static str = "clustersite";

    /// Returns the install directory.
    pub fn install_dir(&self) -> InstallDir {
        self.installdir
            .as_ref()
            .map_or_else(InstallDir::default, InstallDir::new)
    }
}
