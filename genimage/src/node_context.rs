//! What templates see of one node: the osimage's part and the node's, put together.
//!
//! An osimage worked out, a node and the site come in; the node's [`TemplateContext`] and its list of scripts go
//! out, or every problem that the node has. Pure but for the programs' digests, which are read once.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr};
use std::path::Path;

use definitions::{
    EnrolmentOrder, EnrolmentToken, InstallDir, Node, Nodes, ProgramDigest, RepositoryFormat,
    Runlist, RunlistEntry, ScriptOrigin, Site,
};
use nix::unistd::Gid;

use crate::address_book::AddressBook;
use crate::cmdline;
use crate::context::{
    BootParameters, BootSigners, Disk, EnrolmentFile, Firstboot, InstallSource, Locale, RootAccess,
    ServerFacts, TemplateContext,
};
use crate::environment;
use crate::image::ResolvedImage;
use crate::installer::InstallerKind;
use crate::node_archive::NodeArchive;
use crate::pkglist::PkgList;
use crate::problem::{Problem, ProblemCollector};
use crate::repository::Repository;
use crate::scripts::{Programs, ScriptLists, sha256};
use crate::secrets;

/// The program that runs the scripts on the node.
const FIRSTBOOT: &str = "firstboot";

/// The disks below this size are not installed to unless one is named: a root file system with Docker on it.
const MIN_DISK_BYTES: u64 = 8 << 30;

/// The port of a docker host's engine, unless its script says another.
const DOCKER_PORT: u16 = 2376;

/// The site and all that is the same for each of its nodes.
#[derive(Debug)]
pub(crate) struct NodeRenderer<'a> {
    pub(crate) site: &'a Site,
    pub(crate) installdir: &'a InstallDir,
    pub(crate) nodes: &'a Nodes,
    pub(crate) addresses: &'a AddressBook,
    pub(crate) programs: &'a Programs,
    pub(crate) root: RootAccess,
    /// The group that files with root's password are given to; without one they are everybody's, which the site
    /// accepts.
    pub(crate) secrets: Option<Gid>,
    /// The certificate of the site's root, PEM, where the site has one.
    pub(crate) authority: Option<&'a str>,
    /// How nodes enrol, where they are to be armed.
    pub(crate) enrolment: Option<&'a SiteEnrolment>,
    /// Whether nodes boot what the site signed alone.
    pub(crate) signs: bool,
}

/// How a site's nodes enrol.
#[derive(Debug, Clone)]
pub(crate) struct SiteEnrolment {
    /// The certificate of the site's root, PEM.
    pub(crate) root: String,
    /// The address that slipwayd's certificate is for.
    pub(crate) name: IpAddr,
    /// The group that what a node enrols with is kept for: the web server's.
    pub(crate) group: Gid,
}

impl SiteEnrolment {
    /// Makes what a node enrols with; its token is put there when the node is armed.
    fn order(&self, node: &str, server: IpAddr) -> Result<EnrolmentFile, Problem> {
        let order = EnrolmentOrder {
            node: node.to_owned(),
            server: (server, EnrolmentOrder::PORT).into(),
            name: self.name,
            root: self.root.clone(),
            token: EnrolmentToken::placeholder(),
        };
        let text = serde_json::to_string(&order)
            .map_err(|error| Problem::new(format!("{node}: writing its enrolment: {error}")))?;
        Ok(EnrolmentFile {
            path: EnrolmentOrder::ON_NODE.to_owned(),
            text,
        })
    }
}

/// What one node's templates are rendered from.
#[derive(Debug)]
pub(crate) struct NodeContext {
    pub(crate) context: TemplateContext,
    /// The list of scripts as the node fetches it.
    pub(crate) runlist: String,
    /// What the program that runs them must be, where there are any.
    pub(crate) firstboot: Option<ProgramDigest>,
}

impl NodeRenderer<'_> {
    /// Makes the context of a node; `shared` is the osimage's part of the environment.
    ///
    /// # Errors
    /// Every problem that the node has.
    pub(crate) fn context(
        &self,
        node: &Node,
        image: &ResolvedImage,
        shared: &BTreeMap<String, String>,
    ) -> Result<NodeContext, Vec<Problem>> {
        let mut problems = Vec::new();
        let mut collector = ProblemCollector(&mut problems);
        let address = collector
            .one(self.addresses.server(node, self.site))
            .unwrap_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED));
        let facts = collector.all(self.addresses.facts(node, self.site, address));
        collector.one(check_reach(node, image.installer, address));
        collector.one(check_architecture(node, image));
        let kernel = collector.one(kernel(node, image));
        collector.one(self.root.check(&node.name, &image.distro));
        let lists = collector.all(ScriptLists::of(&image.definition, self.nodes, &node.name));
        let lists = lists.map(|lists| self.with_enrolment(lists));
        let enrolment = self
            .enrolment
            .and_then(|site| collector.one(site.order(&node.name, address)));
        let programs = lists
            .as_ref()
            .and_then(|lists| collector.all(lists.programs(&node.name, self.programs)));
        let firstboot = collector.one(self.firstboot(node, lists.as_ref()));
        let (Some(facts), Some(lists), Some(programs), Some(mut kernel), Some(firstboot)) =
            (facts, lists, programs, kernel, firstboot)
        else {
            return Err(problems);
        };
        problems.extend(secrets::arguments(
            self.site,
            &node.name,
            lists.entries(),
            &kernel.install,
        ));
        if !problems.is_empty() {
            return Err(problems);
        }
        let server = self.server(address, node, image);
        kernel.signers = self
            .signs
            .then(|| BootSigners::new(&image.definition.name, &node.name));
        if let Some(packed) = &image.packed {
            let words = packed.words(node, &facts, &server.url);
            kernel
                .install
                .splice(0..0, words.map_err(|problem| vec![problem])?);
        }
        let all = as_seen_by_node(&image.repositories, self.installdir, &server);
        let (source, tree, extras) = split_repositories(all, &server);
        let mut context = TemplateContext {
            node: facts,
            image: image.facts.clone(),
            packages: PkgList::packages(&[&image.packages, &image.others], &image.facts),
            source,
            tree,
            extras,
            disk: disk(node, image),
            root: self.root.clone(),
            locale: self.locale(),
            ports: ports(&lists),
            kernel,
            firstboot: None,
            enrolment,
            environment: parse_environment(&image.definition.environvar),
            server,
        };
        let mut environment = shared.clone();
        environment::of_node(node, &image.definition, &context, address, &mut environment);
        if image.packed.is_some() {
            environment.insert("NODESETSTATE".to_owned(), "netboot".to_owned());
        }
        let in_installer = !lists.postscripts.is_empty();
        let runlist = Runlist {
            node: node.name.clone(),
            osimage: image.definition.name.clone(),
            source: format!("{}/postscripts", context.server.url),
            environment,
            postscripts: lists.postscripts,
            postbootscripts: lists.postbootscripts,
            programs,
        };
        let text = published(&runlist).map_err(|problem| vec![problem])?;
        context.firstboot = firstboot.as_ref().map(|program| Firstboot {
            url: format!("{}/{FIRSTBOOT}", runlist.source),
            sha256: program.sha256.clone(),
            path: Runlist::FIRSTBOOT.to_owned(),
            list_url: format!("{}/{}", context.server.assets, Runlist::FILE),
            list_sha256: sha256(text.as_bytes()),
            list_path: Runlist::ON_NODE.to_owned(),
            in_installer,
        });
        Ok(NodeContext {
            context,
            runlist: text,
            firstboot,
        })
    }

    /// Returns the program that runs a node's scripts, if it has any.
    fn firstboot(
        &self,
        node: &Node,
        lists: Option<&ScriptLists>,
    ) -> Result<Option<ProgramDigest>, Problem> {
        if lists.is_none_or(|lists| lists.entries().next().is_none()) {
            return Ok(None);
        }
        let program = self.programs.program(FIRSTBOOT);
        program.map(Some).map_err(|reason| {
            Problem::new(format!(
                "{}: it has scripts to run, and {reason}, which runs them: `make install` or the package puts it there",
                node.name
            ))
        })
    }

    /// Has a node that is to be armed enrol before it runs anything else.
    fn with_enrolment(&self, mut lists: ScriptLists) -> ScriptLists {
        let enrols = |entry: &RunlistEntry| entry.line.program() == EnrolmentOrder::PROGRAM;
        if self.enrolment.is_some()
            && !lists.entries().any(enrols)
            && let Ok(line) = EnrolmentOrder::PROGRAM.parse()
        {
            let origin = ScriptOrigin::Site;
            lists
                .postbootscripts
                .insert(0, RunlistEntry { origin, line });
        }
        lists
    }

    /// Returns what a node's boot archive is made from.
    pub(crate) fn archive<'b>(&'b self, image: &'b ResolvedImage) -> NodeArchive<'b> {
        let first = image.repositories.first();
        NodeArchive {
            installer: image.installer,
            root: self.authority,
            key: first.and_then(|source| source.index_key.as_deref().or(source.key.as_deref())),
        }
    }

    /// Says how a node reaches the management node.
    fn server(&self, address: IpAddr, node: &Node, image: &ResolvedImage) -> ServerFacts {
        let bare = match address {
            IpAddr::V4(address) => address.to_string(),
            IpAddr::V6(address) => format!("[{address}]"),
        };
        let host = match self.site.httpport {
            None | Some(80) => bare,
            Some(port) => format!("{bare}:{port}"),
        };
        let url = format!("http://{host}/install");
        let tree = &image.tree;
        ServerFacts {
            address: address.to_string(),
            assets: format!("{url}/autoinst/{}", node.name),
            tree: format!("{url}/{tree}"),
            tree_path: format!("/install/{tree}"),
            tree_directory: self.installdir.path().join(tree).display().to_string(),
            mirror: self.site.ubuntu_apt_mirror.clone(),
            timeservers: timeservers(self.site, address),
            dhcp: if address.is_ipv6() { "dhcp6" } else { "dhcp" },
            host,
            url,
        }
    }

    fn locale(&self) -> Locale {
        Locale {
            language: "en_US.UTF-8".to_owned(),
            keyboard: "us".to_owned(),
            timezone: self
                .site
                .timezone
                .clone()
                .unwrap_or_else(|| "Etc/UTC".to_owned()),
        }
    }
}

/// Refuses an installer that does not reach its server: casper configures the network and mounts over NFS with programs that
/// know IPv4 alone (ipconfig and nfsmount of klibc).
fn check_reach(node: &Node, installer: InstallerKind, server: IpAddr) -> Result<(), Problem> {
    if installer != InstallerKind::Autoinstall || server.is_ipv4() {
        return Ok(());
    }
    Err(Problem::new(format!(
        "{}: its server has the address {server}, and Ubuntu's live installer reaches none of IPv6: set the node's xcatmaster \
         to an address of IPv4",
        node.name
    )))
}

/// Returns the repositories as a node reaches them: what lies below the install directory is served.
fn as_seen_by_node(
    repositories: &[Repository],
    installdir: &InstallDir,
    server: &ServerFacts,
) -> Vec<Repository> {
    let as_seen_by_node = repositories.iter().map(|repository| {
        let mut repository = repository.clone();
        let served = repository
            .directory
            .as_deref()
            .and_then(|directory| Path::new(directory).strip_prefix(installdir.path()).ok());
        if let Some(below) = served {
            repository.uri = format!("{}/{}", server.url, below.display());
        }
        if repository.key.is_some() {
            repository.key_url = Some(format!("{}/{}", server.assets, key_file(&repository)));
        }
        repository
    });
    as_seen_by_node.collect()
}

/// Splits repositories into what the installer installs from, those that it finds there by itself, and those that it
/// has to be given.
///
/// Installers of rpm releases find all that the tree's own metadata names; apt takes one directory.
fn split_repositories(
    all: Vec<Repository>,
    server: &ServerFacts,
) -> (InstallSource, Vec<Repository>, Vec<Repository>) {
    let first = all.first().cloned().unwrap_or_default();
    let (tree, extras): (Vec<_>, Vec<_>) = all.into_iter().partition(|repository| {
        let by_itself =
            first.form != RepositoryFormat::Apt && first.is_tree() && repository.is_tree();
        by_itself || repository.name == first.name
    });
    let uri = match first.form {
        // Anaconda verifies no signature, and is given the tree itself.
        RepositoryFormat::Zypper if first.is_tree() && first.index_key.is_some() => {
            &format!("{}/{}", server.tree, InstallDir::SIGNED)
        }
        RepositoryFormat::Dnf | RepositoryFormat::Zypper if first.is_tree() => &server.tree,
        _ => &first.uri,
    };
    (InstallSource::new(uri, first.is_tree()), tree, extras)
}

/// Returns the name of the file that a repository's key has among a node's assets.
pub(crate) fn key_file(repository: &Repository) -> String {
    format!("{}.asc", repository.name)
}

fn timeservers(site: &Site, server: IpAddr) -> Vec<String> {
    let resolve_server = |name: &String| match name.as_str() {
        "<xcatmaster>" => server.to_string(),
        other => other.to_owned(),
    };
    site.ntpservers.iter().map(resolve_server).collect()
}

/// Refuses an osimage for another kind of machine.
fn check_architecture(node: &Node, image: &ResolvedImage) -> Result<(), Problem> {
    match (node.arch, image.definition.osarch) {
        (Some(node_), Some(image_)) if node_ != image_ => Err(Problem::new(format!(
            "{}: it is {node_}, and the osimage {} is for {image_}",
            node.name, image.definition.name
        ))),
        _ => Ok(()),
    }
}

/// Writes the list of a node's scripts as the node fetches it.
fn published(runlist: &Runlist) -> Result<String, Problem> {
    let text = serde_json::to_string_pretty(runlist);
    let mut text = text
        .map_err(|error| Problem::new(format!("{}: writing its scripts: {error}", runlist.node)))?;
    text.push('\n');
    Ok(text)
}

/// Says where to install to.
fn disk(node: &Node, image: &ResolvedImage) -> Disk {
    Disk {
        device: node.disk.clone(),
        smallest: MIN_DISK_BYTES,
        layout: image.layout.clone(),
    }
}

/// Says what the firewall lets in: ssh, and a docker host's engine.
fn ports(lists: &ScriptLists) -> Vec<String> {
    let mut ports = vec![22];
    for entry in lists
        .entries()
        .filter(|entry| entry.line.program() == "setupdockerhost")
    {
        let mut words = entry.line.arguments().iter();
        let listen = words
            .by_ref()
            .find_map(|word| match word.strip_prefix("--listen") {
                Some("") => Some(None),
                Some(value) => Some(value.strip_prefix('=').map(str::to_owned)),
                None => None,
            });
        let listen = listen.and_then(|value| value.or_else(|| words.next().cloned()));
        let port = listen.and_then(|listen| listen.rsplit(':').next()?.parse().ok());
        ports.push(port.unwrap_or(DOCKER_PORT));
    }
    ports.sort_unstable();
    ports.dedup();
    ports.iter().map(|port| format!("{port}/tcp")).collect()
}

/// Makes the kernel's command line.
///
/// # Errors
/// A quote without its end, and what the shell that reads the boot loader's settings on the installed system
/// (`/etc/default/grub`) would not leave as it is.
fn kernel(node: &Node, image: &ResolvedImage) -> Result<BootParameters, Problem> {
    let problem = |why: String| Problem::new(format!("{}: its addkcmdline: {why}", node.name));
    let lines = [&image.definition.addkcmdline, &node.addkcmdline];
    let mut words = Vec::new();
    for line in lines.into_iter().flatten() {
        words.extend(cmdline::words(line).map_err(problem)?);
    }
    let (mut install, mut installed) = (Vec::new(), Vec::new());
    for word in words {
        let kept = word.strip_prefix("R::");
        if kept.is_some_and(|kept| kept.contains('"')) {
            return Err(problem(format!(
                "'{word}' has quotes, which the installed system's boot loader removes: leave 'R::' out, and set it \
                 there with a postscript"
            )));
        }
        let of_shell = kept.and_then(|kept| kept.chars().find(|c| "$`\\'".contains(*c)));
        if let Some(sign) = of_shell {
            return Err(problem(format!(
                "'{word}' has a {sign}, which the shell that reads the installed system's boot loader settings takes \
                 for its own: leave 'R::' out, and set it there with a postscript"
            )));
        }
        install.push(kept.unwrap_or(word).to_owned());
        installed.extend(kept.map(str::to_owned));
    }
    let speed = node.serialspeed.unwrap_or(115_200);
    Ok(BootParameters {
        kernel: image.boot.kernel.clone(),
        initrds: vec![image.boot.initrd.clone()],
        archive: NodeArchive::name(image.installer).map(str::to_owned),
        signers: None,
        install,
        installed,
        console: node.serialport.map(|port| format!("ttyS{port},{speed}")),
    })
}

/// Reads `NAME=value` pairs; malformed ones were refused with the osimage.
fn parse_environment(pairs: &[String]) -> BTreeMap<String, String> {
    let pairs = pairs.iter().filter_map(|pair| pair.split_once('='));
    pairs
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .collect()
}

#[cfg(test)]
mod tests;
