//! What a node that boots a root image is given: words for its kernel, and a boot archive with its own files.
//!
//! A packed image's record, a node's context and its list of scripts come in; a command line and an archive go out, both
//! in the forms that the program `netboot` reads. Pure but for the record, which is read once for an osimage.

use std::fs;
use std::net::IpAddr;

use anyhow::{Context, Result};
use definitions::{
    AddressSource, FetchList, FetchedFile, ImageSource, InstallDir, NetbootAddress,
    NetbootParameters, Node, OsImage, OverlayDevice, ProgramDigest, RootFsType, Runlist,
    StateFsType, StateOnDisk, StatePaths, VeritySource,
};
use ipnetwork::IpNetwork;

use crate::boot_archive::BootArchive;
use crate::bootfiles::BootFiles;
use crate::context::{NodeFacts, TemplateContext};
use crate::problem::Problem;
use crate::rootimg::record::{FileRecord, ImageFormat, RootImageDir, RootImageRecord};
use crate::vouch::SiteKey;

/// What a system with a docker engine takes beside its root image, to come up and to run a small container.
const MEMORY_BESIDE_IMAGE: u64 = 768 << 20;

/// Seconds after which a kernel that cannot go on starts the machine again.
const PANIC: &str = "panic=60";

/// A packed root image.
#[derive(Debug)]
pub(crate) struct PackedImage {
    record: RootImageRecord,
    directory: RootImageDir,
    fs_type: RootFsType,
    /// The file systems for state that it has the program to make.
    makes: Vec<StateFsType>,
    /// What of it nodes keep.
    state_paths: Option<StatePaths>,
    /// What boots it, below [`PackedImage::served`].
    pub(crate) boot: BootFiles,
}

impl PackedImage {
    /// Reads what was packed of an osimage.
    ///
    /// # Errors
    /// When there is no image, one that the site's key did not sign, one without an initrd, or one in a form that nodes do not boot, with what to run.
    pub(crate) fn load(
        definition: &OsImage,
        installdir: &InstallDir,
        site: Option<&SiteKey>,
    ) -> Result<Self, Problem> {
        let name = &definition.name;
        let problem = |error: anyhow::Error| Problem::new(format!("{error:#}"));
        let directory = RootImageDir::of(definition, installdir).map_err(problem)?;
        let record = directory.load_vouched(site).map_err(problem)?.ok_or_else(|| {
            Problem::new(format!(
                "the osimage {name} has no packed root image in {}: genimage {name}, then packimage {name}",
                directory.path().display()
            ))
        })?;
        if record.osimage != *name {
            return Err(Problem::new(format!(
                "the root image in {} is that of the osimage {}: packimage {name}, or give one of them a rootimgdir of its \
                 own",
                directory.path().display(),
                record.osimage
            )));
        }
        let fs_type = fs_type(record.format).ok_or_else(|| {
            Problem::new(format!(
                "the root image of {name} is packed as {}, which an engine cannot run on in memory: packimage -m squashfs \
                 {name}",
                record.format
            ))
        })?;
        let Some(initrd) = &record.initrd else {
            return Err(Problem::new(format!(
                "the root image of {name} has no initrd: packimage {name}"
            )));
        };
        let boot = BootFiles {
            kernel: record.kernel.file.clone(),
            initrd: initrd.file.clone(),
            record: None,
        };
        let manifest = directory.file(&record.manifest);
        let manifest = fs::read(&manifest)
            .with_context(|| format!("reading {}", manifest.display()))
            .map_err(problem)?;
        Ok(Self {
            record,
            directory,
            fs_type,
            makes: makes(&String::from_utf8_lossy(&manifest)),
            state_paths: definition.statepaths.clone(),
            boot,
        })
    }

    /// Returns the path of the image's directory below the install directory, which is what the web server serves.
    pub(crate) fn served(&self) -> String {
        let file = self.directory.served(&self.record.image);
        file.rsplit_once('/')
            .map_or(String::new(), |(directory, _)| directory.to_owned())
    }

    /// Says how much memory its nodes need.
    pub(crate) fn memory_note(&self) -> Problem {
        let mib = |bytes: u64| bytes.div_ceil(1 << 20);
        let image = self.record.image.bytes;
        Problem::new(format!(
            "its root image is kept in {} MiB of each node's memory: a node needs {} MiB, and more for what its containers \
             use and write",
            mib(image),
            mib(image + MEMORY_BESIDE_IMAGE)
        ))
    }

    /// Returns the words by which a node boots the image; `served` is where the install directory is.
    ///
    /// # Errors
    /// When the node has an address that no network of the site has.
    pub(crate) fn words(
        &self,
        node: &Node,
        facts: &NodeFacts,
        served: &str,
    ) -> Result<Vec<String>, Problem> {
        let url = |file: &FileRecord| format!("{served}/{}", self.directory.served(file));
        let verity = self.record.verity.as_ref().map(|verity| VeritySource {
            url: url(&verity.tree),
            bytes: verity.tree.bytes,
            sha256: verity.tree.sha256.clone(),
            root_hash: verity.root_hash.clone(),
            salt: verity.salt.clone(),
        });
        let image = ImageSource {
            url: url(&self.record.image),
            fs_type: self.fs_type,
            bytes: self.record.image.bytes,
            sha256: self.record.image.sha256.clone(),
            verity,
        };
        let wrong = |error: definitions::Error| Problem::new(format!("{}: {error}", node.name));
        let state = StateOnDisk::new(
            node.statelabel.clone(),
            node.statedisk.clone(),
            node.statefs,
            node.statefallback,
        )
        .map_err(wrong)?;
        let made = state.as_ref().and_then(|state| state.made.as_ref());
        if let Some((_, fs_type)) = made {
            self.require_program(node, "its state is to be made", *fs_type)?;
        }
        let overlay = node.overlay.unwrap_or_default();
        if overlay == OverlayDevice::Zram {
            let what = "what is written to its root is to be kept in zram";
            self.require_program(node, what, StateFsType::Ext4)?;
        }
        let state_paths = state.as_ref().and_then(|_| self.state_paths.clone());
        let parameters = NetbootParameters {
            mac: facts.mac.parse().map_err(wrong)?,
            address: address(node, facts)?,
            image,
            state,
            state_paths,
            state_memory: node.statememory.clone(),
            overlay,
            overlay_memory: node.overlaymemory.clone(),
        };
        let words = parameters.to_string();
        Ok(words.split(' ').chain([PANIC]).map(str::to_owned).collect())
    }

    /// Refuses a node that is to have a file system which the root image cannot make.
    fn require_program(
        &self,
        node: &Node,
        what: &str,
        fs_type: StateFsType,
    ) -> Result<(), Problem> {
        if self.makes.contains(&fs_type) {
            return Ok(());
        }
        Err(Problem::new(format!(
            "{}: {what} as {fs_type}, and the root image has no mkfs.{fs_type}: add {} to the pkglist of {}, then genimage \
             and packimage",
            node.name,
            fs_type.package(),
            self.record.osimage
        )))
    }
}

/// Finds the programs that make file systems for state in the list of an image's files; `mkfs.ext4` is a link of Debian's.
fn makes(manifest: &str) -> Vec<StateFsType> {
    let has = |name: &str| manifest.lines().any(|line| line.ends_with(name));
    let mut makes = Vec::new();
    if has("/mkfs.ext4") || has("/mke2fs") {
        makes.push(StateFsType::Ext4);
    }
    if has("/mkfs.xfs") {
        makes.push(StateFsType::Xfs);
    }
    makes
}

fn fs_type(format: ImageFormat) -> Option<RootFsType> {
    match format {
        ImageFormat::Squashfs => Some(RootFsType::Squashfs),
        ImageFormat::Erofs => Some(RootFsType::Erofs),
        ImageFormat::Cpio | ImageFormat::Tar => None,
    }
}

/// Returns the address that a node fetches its image with: that of its definition, or what it is given by DHCP.
fn address(node: &Node, facts: &NodeFacts) -> Result<AddressSource, Problem> {
    let name = &node.name;
    let Some(ip) = node.address() else {
        return Ok(AddressSource::Dhcp);
    };
    let Some(prefix) = facts.prefix else {
        return Err(Problem::new(format!(
            "{name}: its address {ip} is in no network of the site, and it fetches its root image with no other: correct \
             its ip, or define a network with net and mask"
        )));
    };
    let wrong = |error: &dyn std::fmt::Display| Problem::new(format!("{name}: {error}"));
    let gateway = facts.gateway.as_deref().map(str::parse::<IpAddr>);
    let gateway = gateway.transpose().map_err(|_| {
        let gateway = facts.gateway.as_deref().unwrap_or_default();
        Problem::new(format!(
            "{name}: the gateway '{gateway}' of its network is not an address, and no name is looked up while it boots"
        ))
    })?;
    let network = IpNetwork::new(ip, prefix).map_err(|error| wrong(&error))?;
    let address = NetbootAddress::new(network, gateway).map_err(|error| wrong(&error))?;
    Ok(AddressSource::Static(address))
}

/// Makes the boot archive of a node: its files, and the list of what it fetches.
///
/// # Errors
/// When two of its files are to be in one place.
pub(crate) fn archive(
    context: &TemplateContext,
    runlist: &str,
    firstboot: Option<&ProgramDigest>,
) -> Result<BootArchive> {
    let mut archive = BootArchive::new();
    archive.directory("slipway", 0o700)?;
    let mut fetch = Vec::new();
    let mut put = |path: &str, mode: u32, text: &str| {
        let path = format!("{}/{}", FetchList::ROOT, path.trim_start_matches('/'));
        archive.file(&path, mode, text)
    };
    let node = &context.node;
    put("etc/hostname", 0o644, &format!("{}\n", node.name))?;
    put("etc/hosts", 0o644, &hosts(node))?;
    if !node.nameservers.is_empty() {
        put("etc/resolv.conf", 0o644, &resolver(node))?;
    }
    if !context.root.keys.is_empty() {
        let keys: String = context
            .root
            .keys
            .iter()
            .map(|key| format!("{key}\n"))
            .collect();
        put("root/.ssh/authorized_keys", 0o600, &keys)?;
    }
    if let Some(enrolment) = &context.enrolment {
        put(&enrolment.path, 0o600, &enrolment.text)?;
    }
    if let (Some(unit), Some(program)) = (&context.firstboot, firstboot) {
        put(Runlist::ON_NODE, 0o600, runlist)?;
        fetch.push(FetchedFile {
            url: unit.url.clone(),
            bytes: program.size,
            sha256: program.sha256.clone(),
            path: unit.path.clone(),
            mode: 0o755,
        });
    }
    if !context.root.keys.is_empty() {
        archive.directory(&format!("{}/root/.ssh", FetchList::ROOT), 0o700)?;
    }
    let zone = format!("../usr/share/zoneinfo/{}", context.locale.timezone);
    archive.link(&format!("{}/etc/localtime", FetchList::ROOT), &zone)?;
    let list = serde_json::to_string_pretty(&FetchList { fetch })
        .context("writing the list of what the node fetches")?;
    archive.file(FetchList::LIST, 0o600, list)?;
    Ok(archive)
}

fn hosts(node: &NodeFacts) -> String {
    let mut text = "127.0.0.1 localhost\n::1 localhost ip6-localhost ip6-loopback\n".to_owned();
    if let Some(ip) = &node.ip {
        let names = if node.hostname == node.name {
            node.name.clone()
        } else {
            format!("{} {}", node.hostname, node.name)
        };
        text += &format!("{ip} {names}\n");
    }
    text
}

/// Writes resolv.conf(5), which has three servers at most.
fn resolver(node: &NodeFacts) -> String {
    let search = node
        .domain
        .iter()
        .map(|domain| format!("search {domain}\n"));
    let servers = node.nameservers.iter().take(3);
    let servers = servers.map(|server| format!("nameserver {server}\n"));
    search.chain(servers).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn facts() -> NodeFacts {
        let mut facts = TemplateContext::example().node;
        facts.name = "host01".to_owned();
        facts.hostname = "host01.cluster".to_owned();
        facts.ip = Some("10.1.0.5".to_owned());
        facts.prefix = Some(24);
        facts.gateway = Some("10.1.0.1".to_owned());
        facts
    }

    #[test]
    fn a_node_s_files_are_below_the_root_of_its_archive() {
        let mut context = TemplateContext::example();
        context.node = facts();
        context.node.nameservers = vec!["10.1.0.1".to_owned()];
        context.node.domain = Some("cluster".to_owned());
        let program = ProgramDigest {
            sha256: "ab".repeat(32),
            size: 7,
        };
        let archive = archive(&context, "{}\n", Some(&program)).unwrap();
        let text = String::from_utf8_lossy(&archive.render()).replace('\0', "");
        for part in [
            "slipway/root/etc/hostnamehost01\n",
            "10.1.0.5 host01.cluster host01\n",
            "slipway/root/etc/resolv.confsearch cluster\nnameserver 10.1.0.1\n",
            "slipway/root/var/lib/slipway/postscripts.json{}\n",
            "slipway/root/root/.ssh/authorized_keys",
            "slipway/root/etc/localtime../usr/share/zoneinfo/",
            "\"path\": \"/opt/slipway/bin/firstboot\"",
        ] {
            assert!(text.contains(part), "{part}: {text}");
        }
    }

    #[test]
    fn a_node_fetches_with_its_address_or_asks_for_one() {
        let mut node = Node {
            name: "host01".to_owned(),
            ..Node::default()
        };
        assert_eq!(address(&node, &facts()).unwrap(), AddressSource::Dhcp);
        node.ip = "10.1.0.5".parse().ok();
        let nowhere = NodeFacts {
            prefix: None,
            ..facts()
        };
        assert_eq!(
            address(&node, &nowhere).unwrap_err().message,
            "host01: its address 10.1.0.5 is in no network of the site, and it fetches its root image with no other: \
             correct its ip, or define a network with net and mask"
        );
        assert_eq!(
            address(&node, &facts()).unwrap().to_string(),
            "10.1.0.5/24@10.1.0.1"
        );
        let other = NodeFacts {
            gateway: Some("router".to_owned()),
            ..facts()
        };
        assert_eq!(
            address(&node, &other).unwrap_err().message,
            "host01: the gateway 'router' of its network is not an address, and no name is looked up while it boots"
        );
    }
}
