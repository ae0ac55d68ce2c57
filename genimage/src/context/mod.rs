//! All that a template may use, in one struct.
//!
//! Made from definitions by the node's assets, read by templates under the names of the fields:
//! `<@ node.mac @>`. A field that may be absent is `Option` and left out where it is, so that templates must
//! ask with `<% if … %>`; a name that is no field is an error. Nothing here holds a secret but the crypted
//! password of root and the text that a node enrols with.
//! `docs/templates.md` lists the fields for those who write templates.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::repository::Repository;

mod example;
mod fields;

pub use fields::ContextFields;

/// All that a template may use.
#[derive(Debug, Clone, Serialize)]
pub struct TemplateContext {
    /// The node.
    pub node: NodeFacts,
    /// The osimage and the release.
    pub image: ImageFacts,
    /// The management node as the node reaches it.
    pub server: ServerFacts,
    /// What is installed, inside the installer.
    pub packages: Packages,
    /// What the installer installs from.
    pub source: InstallSource,
    /// The repositories that the installer finds there by itself, the one to install from first.
    pub tree: Vec<Repository>,
    /// Every other repository, which the installer has to be given: further discs of the tree, what follows
    /// the tree in `pkgdir`, and those of `otherpkgdir`.
    pub extras: Vec<Repository>,
    /// Where to.
    pub disk: Disk,
    /// How root gets in.
    pub root: RootAccess,
    /// Clock and language.
    pub locale: Locale,
    /// What the firewall lets in, `22/tcp` each.
    pub ports: Vec<String>,
    /// The kernel's command line.
    pub kernel: BootParameters,
    /// What makes the node run its postscripts; without it, none are run.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub firstboot: Option<Firstboot>,
    /// How the node enrols at the site; without it, it does not.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub enrolment: Option<EnrolmentFile>,
    /// The administrator's own values, from the osimage's `environvar`.
    pub environment: BTreeMap<String, String>,
}

/// The node. Its network is configured by DHCP, on the NIC that has the MAC.
#[derive(Debug, Clone, Serialize)]
pub struct NodeFacts {
    /// Its name: `host01`.
    pub name: String,
    /// Its name and domain: `host01.example.com`, or the name alone.
    pub hostname: String,
    /// The domain.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub domain: Option<String>,
    /// The hardware address of the NIC that it installs over, in lower case with colons.
    pub mac: String,
    /// The kernel's name of that NIC, where the definition says it: `eth0`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub nic: Option<String>,
    /// Its address.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ip: Option<String>,
    /// Bits of the network: `24`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub prefix: Option<u8>,
    /// The router of its network.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub gateway: Option<String>,
    /// Its DNS servers.
    pub nameservers: Vec<String>,
}

/// The osimage and its release.
#[derive(Debug, Clone, Serialize)]
pub struct ImageFacts {
    /// The osimage's name.
    pub name: String,
    /// The profile: `dockerhost`.
    pub profile: String,
    /// The release: `debian12.9.0`.
    pub osvers: String,
    /// The family of the release: `debian`, `rocky`, `sle`.
    pub family: String,
    /// The version: `12.9.0`.
    pub version: String,
    /// The first number of the version: 12. Words such as `testing` are newer than any number.
    pub major: u32,
    /// The second number of the version, 0 where there is none.
    pub minor: u32,
    /// The architecture as the kernel names it: `x86_64`.
    pub arch: String,
    /// The architecture as Debian names it: `amd64`.
    pub debarch: String,
    /// The codename of a Debian or Ubuntu release, read from the tree: `bookworm`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub codename: Option<String>,
}

/// What the installer installs from: the tree, or the first mirror of `pkgdir` where the tree has no packages.
#[derive(Debug, Clone, Serialize)]
pub struct InstallSource {
    /// Where it is: `http://10.1.0.1/install/debian12.9.0/x86_64`.
    pub uri: String,
    /// The first part of that: `http` or `https`.
    pub protocol: String,
    /// The second: `10.1.0.1`, with its port where it has one.
    pub host: String,
    /// The rest: `/install/debian12.9.0/x86_64`.
    pub path: String,
    /// Whether it is the tree, in which the installer itself lies.
    pub is_tree: bool,
}

impl InstallSource {
    /// Splits a URI.
    pub fn new(uri: &str, is_tree: bool) -> Self {
        let (protocol, rest) = uri.split_once("://").unwrap_or(("http", uri));
        let (host, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
        Self {
            uri: uri.to_owned(),
            protocol: protocol.to_owned(),
            host: host.to_owned(),
            path: path.trim_end_matches('/').to_owned(),
            is_tree,
        }
    }
}

/// The management node.
#[derive(Debug, Clone, Serialize)]
pub struct ServerFacts {
    /// Its address.
    pub address: String,
    /// Address and port: `10.1.0.1` with port 80, else `10.1.0.1:8080`; one of IPv6 is in brackets.
    pub host: String,
    /// How dracut gets an address that reaches it: `dhcp`, or `dhcp6` where its own is of IPv6.
    pub dhcp: &'static str,
    /// Where the install directory is served: `http://10.1.0.1/install`.
    pub url: String,
    /// The node's assets there: `http://10.1.0.1/install/autoinst/host01`.
    pub assets: String,
    /// The tree there: `http://10.1.0.1/install/debian12.9.0/x86_64`.
    pub tree: String,
    /// The tree's path after the host: `/install/debian12.9.0/x86_64`.
    pub tree_path: String,
    /// The tree's directory on the management node, for what mounts it: `/install/debian12.9.0/x86_64`.
    pub tree_directory: String,
    /// The whole mirror that Ubuntu nodes install from, where the site has one: a live medium holds but
    /// a small part of its release.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mirror: Option<String>,
    /// The time servers of the nodes.
    pub timeservers: Vec<String>,
}

/// What is installed.
#[derive(Debug, Clone, Default, Serialize)]
pub struct Packages {
    /// Names, as the release's package manager takes them.
    pub install: Vec<String>,
    /// Groups and patterns, without the `@`; an environment begins with `^`.
    pub groups: Vec<String>,
    /// What is kept out.
    pub exclude: Vec<String>,
    /// Those of `install` that are of another architecture than the node, on Debian and Ubuntu: `libc6:i386`.
    pub foreign: Vec<String>,
    /// Their architectures, which dpkg has to know before: `i386`.
    pub architectures: Vec<String>,
}

/// Where the system is installed to.
#[derive(Debug, Clone, Default, Serialize)]
pub struct Disk {
    /// The disk that the definition names: `/dev/sda`, or a path below `/dev/disk/`. Where it names
    /// none, the smallest disk that is not removable and has at least `smallest` bytes is taken.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub device: Option<String>,
    /// The size below which a disk is not taken, in bytes.
    pub smallest: u64,
    /// A partition table in the installer's own language, from `partitionfile`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub layout: Option<String>,
}

/// How root gets in.
#[derive(Debug, Clone, Default, Serialize)]
pub struct RootAccess {
    /// The crypted password, as `crypt(5)` writes it; without one the password is locked.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub password: Option<String>,
    /// Public ssh keys, a line each.
    pub keys: Vec<String>,
}

/// Clock and language.
#[derive(Debug, Clone, Serialize)]
pub struct Locale {
    /// The language: `en_US.UTF-8`.
    pub language: String,
    /// The keyboard: `us`.
    pub keyboard: String,
    /// The time zone: `Europe/Berlin`, `Etc/UTC`.
    pub timezone: String,
}

/// The kernel's command line.
#[derive(Debug, Clone, Default, Serialize)]
pub struct BootParameters {
    /// The kernel in the tree: `install.amd/vmlinuz`.
    pub kernel: String,
    /// Its initrds.
    pub initrds: Vec<String>,
    /// The boot archive among the node's assets, which follows them: `boot.cpio.gz`. Installers that cannot take their
    /// file from it have none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub archive: Option<String>,
    /// Who signs these files, where the node's iPXE checks signatures.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub signers: Option<BootSigners>,
    /// More for the installer's command line.
    pub install: Vec<String>,
    /// More for the installed system's: what `addkcmdline` marks with `R::`.
    pub installed: Vec<String>,
    /// The serial console, `ttyS0,115200`, where the node has one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub console: Option<String>,
}

/// By which names the site signs what a node boots: a file of another node or osimage is not taken for its own.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct BootSigners {
    /// That of the kernel and the initrds: `osimage:debian12.9.0-x86_64-install-dockerhost`.
    pub osimage: String,
    /// That of the boot script and the boot archive: `node:host01`.
    pub node: String,
}

impl BootSigners {
    /// Names those of a node and its osimage.
    pub fn new(osimage: &str, node: &str) -> Self {
        Self {
            osimage: format!("osimage:{osimage}"),
            node: format!("node:{node}"),
        }
    }
}

/// What makes the node run its postscripts.
#[derive(Debug, Clone, Serialize)]
pub struct Firstboot {
    /// Where the program is fetched from.
    pub url: String,
    /// Its SHA-256.
    pub sha256: String,
    /// Where it goes on the node.
    pub path: String,
    /// Where the list is fetched from.
    pub list_url: String,
    /// The list's SHA-256.
    pub list_sha256: String,
    /// Where it goes on the node.
    pub list_path: String,
    /// Whether postscripts are to run inside the installer.
    pub in_installer: bool,
}

/// What a node enrols with.
#[derive(Debug, Clone, Serialize)]
pub struct EnrolmentFile {
    /// Where it goes on the node, for root alone.
    pub path: String,
    /// What is in it: JSON with the one-time secret.
    pub text: String,
}
