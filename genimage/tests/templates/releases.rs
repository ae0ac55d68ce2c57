//! The releases that templates are rendered for, and what is known of a node of each.

use std::fs;
use std::path::Path;
use std::sync::LazyLock;

use definitions::{InstallDir, RepositoryFormat};
use genimage::context::{BootSigners, InstallSource, TemplateContext};
use genimage::installer::InstallerKind;
use genimage::repository::Repository;
use genimage::template::{RenderValues, TemplateSource, Templates};

use crate::needs::workspace;

/// The profiles that every family has.
pub(crate) const PROFILES: [&str; 2] = ["compute", "dockerhost"];

/// A public key of nobody.
pub(crate) const KEY: &str = "-----BEGIN PGP PUBLIC KEY BLOCK-----

mDMEawdbjhYJKwYBBAHaRw8BAQdAtY0mnmh6x3UpIHPPuO/W3nu6kkKK00Zjotg6
cUhl31u0D3Rlc3QgcmVwb3NpdG9yeYiQBBMWCAA4FiEEfpEzKI7S2sNaqwP5dbV1
+c5odq0FAmsHW44CGwMFCwkIBwIGFQoJCAsCBBYCAwECHgECF4AACgkQdbV1+c5o
dq15XgD/ZXTmfxO5NCdsYhU3LLhdHvlLiirGZmtYv9qjXT4u6KkBAK/438Jtm8j/
f5haXXvFbc3FuD6upuXNWLNjuO/dBpMA
=dhz6
-----END PGP PUBLIC KEY BLOCK-----
";

/// The releases whose trees the site signed, and nobody else for their nodes.
const SIGNED: [&str; 4] = ["ubuntu22.04.5", "rocky9.6", "leap15.6", "leap16.0"];

/// A release.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Release {
    /// What it is called: `debian13.1.0`.
    pub(crate) osvers: &'static str,
    /// The directory of its templates.
    pub(crate) directory: &'static str,
    /// Its installer.
    pub(crate) installer: InstallerKind,
    family: &'static str,
    version: &'static str,
    codename: Option<&'static str>,
    kernel: (&'static str, &'static str),
}

macro_rules! releases {
    ($($installer:ident $directory:literal $kernel:literal $initrd:literal: $($family:literal $version:literal $codename:expr;)+)+) => {
        &[$($(Release {
            osvers: concat!($family, $version),
            directory: $directory,
            installer: InstallerKind::$installer,
            family: $family,
            version: $version,
            codename: $codename,
            kernel: ($kernel, $initrd),
        },)+)+]
    };
}

/// Every release that is tried.
pub(crate) const RELEASES: &[Release] = releases! {
    Preseed "debian" "install.amd/vmlinuz" "install.amd/initrd.gz":
        "debian" "12.9.0" Some("bookworm");
        "debian" "13.1.0" Some("trixie");
    Preseed "ubuntu" "install/vmlinuz" "install/netboot/ubuntu-installer/amd64/initrd.gz":
        "ubuntu" "14.04.5" Some("trusty");
        "ubuntu" "18.04.6" Some("bionic");
    Autoinstall "ubuntu" "casper/vmlinuz" "casper/initrd":
        "ubuntu" "20.04.6" Some("focal");
        "ubuntu" "22.04.5" Some("jammy");
        "ubuntu" "24.04.3" Some("noble");
    Kickstart "rh" "images/pxeboot/vmlinuz" "images/pxeboot/initrd.img":
        "centos" "7.9" None;
        "rocky" "8.10" None;
        "rocky" "9.6" None;
        "rocky" "10.0" None;
    Kickstart "fedora" "images/pxeboot/vmlinuz" "images/pxeboot/initrd.img":
        "fedora" "38" None;
        "fedora" "39" None;
        "fedora" "40" None;
        "fedora" "41" None;
        "fedora" "42" None;
        "fedora" "43" None;
    Autoyast "suse" "boot/x86_64/loader/linux" "boot/x86_64/loader/initrd":
        "sles" "12.5" None;
        "sle" "15.7" None;
        "leap" "15.6" None;
    Agama "suse" "boot/x86_64/loader/linux" "boot/x86_64/loader/initrd":
        "sle" "16.0" None;
        "leap" "16.0" None;
        "leap" "16.1" None;
};

/// How much is known of the node.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Extent {
    /// All but what takes another's place: the disk's name and layout.
    Full,
    /// Only what every node has.
    Minimal,
}

impl Release {
    /// Returns what is known of a node.
    pub(crate) fn context(&self, profile: &str, extent: Extent) -> TemplateContext {
        let mut context = TemplateContext::example();
        let numbers: Vec<u32> = self
            .version
            .split('.')
            .map(|n| n.parse().unwrap())
            .collect();
        context.image.name = format!("{}-x86_64-install-{profile}", self.osvers);
        context.image.profile = profile.to_owned();
        context.image.osvers = self.osvers.to_owned();
        context.image.family = self.family.to_owned();
        context.image.version = self.version.to_owned();
        context.image.major = numbers[0];
        context.image.minor = numbers.get(1).copied().unwrap_or_default();
        context.image.codename = self.codename.map(str::to_owned);
        context.server.tree_path = format!("/install/{}/x86_64", self.osvers);
        context
            .server
            .tree_directory
            .clone_from(&context.server.tree_path);
        context.server.tree = format!("http://10.1.0.1{}", context.server.tree_path);
        context.source = InstallSource::new(&context.server.tree, true);
        context.kernel.kernel = self.kernel.0.to_owned();
        context.kernel.initrds = vec![self.kernel.1.to_owned()];
        context.kernel.signers = Some(BootSigners::new(&context.image.name, &context.node.name));
        if self.installer.archive_path().is_none() {
            context.kernel.archive = None;
        }
        context.disk.device = None;
        context.disk.layout = None;
        self.repositories(&mut context);
        self.packages(&mut context);
        if extent == Extent::Minimal {
            minimise(&mut context);
        }
        context
    }
}

impl Release {
    fn repositories(&self, context: &mut TemplateContext) {
        let form = match self.installer {
            InstallerKind::Preseed | InstallerKind::Autoinstall | InstallerKind::Netboot => {
                RepositoryFormat::Apt
            }
            InstallerKind::Kickstart => RepositoryFormat::Dnf,
            InstallerKind::Autoyast | InstallerKind::Agama => RepositoryFormat::Zypper,
        };
        let apt = form == RepositoryFormat::Apt;
        let signed = SIGNED.contains(&self.osvers);
        let below = signed.then(|| format!("/{}", InstallDir::SIGNED));
        let below = below.unwrap_or_default();
        if signed {
            context.server.mirror = None;
        }
        if form != RepositoryFormat::Dnf {
            let uri = context.server.tree.clone() + &below;
            context.source = InstallSource::new(&uri, true);
        }
        let key = signed.then(|| KEY.to_owned());
        let tree = Repository {
            name: "tree".to_owned(),
            form,
            uri: context.server.tree.clone() + &below,
            directory: Some(context.server.tree_directory.clone() + &below),
            key: key.clone().filter(|_| apt),
            index_key: key.filter(|_| !apt),
            suite: self.codename.filter(|_| apt).map(str::to_owned),
            components: apt.then(|| "main".to_owned()).into_iter().collect(),
            trusted: apt && !signed,
            ..Repository::default()
        };
        let extra = Repository {
            name: "extra1".to_owned(),
            form,
            uri: "https://download.example.com/linux".to_owned(),
            suite: self.codename.filter(|_| apt).map(str::to_owned),
            components: apt.then(|| "stable".to_owned()).into_iter().collect(),
            key: Some(KEY.to_owned()),
            key_url: Some("http://10.1.0.1/install/autoinst/keys/extra1.asc".to_owned()),
            architectures: apt.then(|| "amd64".to_owned()).into_iter().collect(),
            ..Repository::default()
        };
        let module = Repository {
            name: "tree-Module-Basesystem".to_owned(),
            uri: format!("{}/Module-Basesystem", tree.uri),
            ..tree.clone()
        };
        context.tree = match self.osvers {
            "sle15.7" => vec![tree, module],
            _ => vec![tree],
        };
        context.extras = vec![extra];
    }

    fn packages(&self, context: &mut TemplateContext) {
        let group = match self.installer {
            InstallerKind::Kickstart => "^minimal-environment",
            InstallerKind::Autoyast | InstallerKind::Agama => "base",
            InstallerKind::Preseed | InstallerKind::Autoinstall | InstallerKind::Netboot => {
                "standard"
            }
        };
        context.packages.groups = vec![group.to_owned()];
        let apt = matches!(
            self.installer,
            InstallerKind::Preseed | InstallerKind::Autoinstall
        );
        if !apt {
            let foreign = std::mem::take(&mut context.packages.foreign);
            let native = |name: &String| !foreign.contains(name);
            context.packages.install.retain(native);
            context.packages.architectures.clear();
        }
    }
}

/// Takes away all that a node need not have.
fn minimise(context: &mut TemplateContext) {
    context.node.hostname.clone_from(&context.node.name);
    context.node.domain = None;
    context.node.nic = None;
    context.node.ip = None;
    context.node.prefix = None;
    context.node.gateway = None;
    context.node.nameservers.clear();
    context.image.codename = None;
    context.enrolment = None;
    context.server.mirror = None;
    context.server.timeservers.clear();
    context.packages.install.clear();
    context.packages.groups.clear();
    context.packages.exclude.clear();
    context.packages.foreign.clear();
    context.packages.architectures.clear();
    context.extras.clear();
    context.root.password = None;
    context.root.keys.clear();
    context.ports.clear();
    context.kernel.install.clear();
    context.kernel.installed.clear();
    context.kernel.console = None;
    context.kernel.signers = None;
    context.firstboot = None;
    context.environment.clear();
}

/// A file that a node is given.
#[derive(Debug)]
pub(crate) struct Rendered {
    /// Its name: `preseed.cfg`.
    pub(crate) name: &'static str,
    /// What it says.
    pub(crate) text: String,
}

/// Renders all that a node is given.
pub(crate) fn render(release: &Release, profile: &str, context: &TemplateContext) -> Vec<Rendered> {
    let values = RenderValues::of(context).unwrap();
    let files = release.installer.files().iter();
    files
        .map(|file| {
            let name = template(release, profile, file.ending);
            Rendered {
                name: file.name,
                text: built_in()
                    .render(&name, &values)
                    .unwrap_or_else(|problem| panic!("{problem}")),
            }
        })
        .collect()
}

/// Returns the template that a profile has, or else its family.
pub(crate) fn template(release: &Release, profile: &str, ending: &str) -> String {
    let own = format!("{}/{profile}.{ending}", release.directory);
    if workspace("templates").join(&own).is_file() {
        own
    } else {
        format!("{}/base.{ending}", release.directory)
    }
}

/// Returns all templates that are built in, compiled.
pub(crate) fn built_in() -> &'static Templates {
    static TEMPLATES: LazyLock<Templates> = LazyLock::new(|| {
        let sources = sources();
        let names: Vec<_> = sources.iter().map(|source| source.name.clone()).collect();
        let wanted: Vec<_> = names.iter().map(String::as_str).collect();
        Templates::compile(sources, &wanted).unwrap_or_else(|problems| {
            let lines: Vec<_> = problems.iter().map(ToString::to_string).collect();
            panic!("{}", lines.join("\n"))
        })
    });
    &TEMPLATES
}

/// Reads all templates that are built in.
pub(crate) fn sources() -> Vec<TemplateSource> {
    let mut sources = Vec::new();
    read(&workspace("templates"), "", &mut sources);
    sources
}

fn read(directory: &Path, prefix: &str, sources: &mut Vec<TemplateSource>) {
    for entry in fs::read_dir(directory).unwrap() {
        let entry = entry.unwrap();
        let name = format!("{prefix}{}", entry.file_name().to_str().unwrap());
        if entry.path().is_dir() {
            read(&entry.path(), &format!("{name}/"), sources);
        } else {
            sources.push(TemplateSource::built_in(
                &name,
                fs::read_to_string(entry.path()).unwrap(),
            ));
        }
    }
}
