//! What a root image is built of: an osimage's lists, repositories, keys, scripts and files, read once.
//!
//! An osimage's definition and the site's own files come in; everything that decides what is in the image goes out, with
//! a digest of each part, or every problem that there is. Two builds of equal parts make the same image.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use definitions::{
    Distro, InstallDir, OsImage, PackageOrigin, ProvMethod, RepositoryFormat, hex, read_bounded,
};
use sha2::{Digest, Sha256};

use super::build::memory;
use super::container::{ContainerImage, ContainerSource};
use super::exlist::ExcludeList;
use super::keys::Keys;
use super::plan::{BuildPlan, PackageSource, Script, Transaction};
use super::record::RootImageDir;
use super::repositories::{epoch, image_sources, index_digest};
use super::synclist::SyncList;
use crate::image::{self, ImageBasics};
use crate::library::{Library, SearchTarget};
use crate::pkglist::{ListItem, PackageTransaction, PkgList};
use crate::problem::{Problem, ProblemCollector};
use crate::repository::{Repository, codename, format_of};
use crate::scripts::foreign_text;

/// The profile of the lists of what every root image has beside its own profile's: a kernel, an init.
const EVERY_ROOT: &str = "netboot";

/// What is counted up when the same parts make another image.
const VERSION: &str = "1";

/// The most bytes of a script.
const MAX_SCRIPT: u64 = 16 << 20;

/// Everything that decides what is in a root image.
#[derive(Debug)]
pub(crate) struct RootSpec {
    pub(crate) definition: OsImage,
    pub(crate) repositories: Vec<Repository>,
    /// How many of them are those of `pkgdir`.
    pub(crate) own: usize,
    pub(crate) packages: PkgList,
    pub(crate) others: PkgList,
    pub(crate) notes: Vec<Problem>,
    pub(super) directory: RootImageDir,
    pub(super) installdir: InstallDir,
    /// The container image that packages are installed into.
    pub(super) base: Option<ContainerImage>,
    pub(super) exclude: ExcludeList,
    pub(super) sync: SyncList,
    /// The files that tell the image's package manager where packages are, by their paths in it.
    pub(super) sources: Vec<(String, String)>,
    plan: BuildPlan,
    /// Every part by a name that a person knows, with its digest.
    pub(super) parts: BTreeMap<String, String>,
}

/// What the site has for every root image.
#[derive(Debug, Clone, Copy)]
pub(crate) struct SiteParts<'a> {
    pub(crate) installdir: &'a InstallDir,
    pub(crate) library: &'a Library,
    /// The address of the management node, which the image's sources name.
    pub(crate) master: Option<&'a str>,
    /// The directory of the site's own keyrings.
    pub(crate) keyrings: &'a Path,
    /// The key, armored, by which the site signs its trees.
    pub(crate) tree_key: Option<&'a str>,
}

impl RootSpec {
    /// Reads everything.
    ///
    /// # Errors
    /// Every problem that there is.
    pub(crate) fn load(
        definition: OsImage,
        site: SiteParts<'_>,
        from: Option<&ContainerSource>,
    ) -> Result<Self, Vec<Problem>> {
        let SiteParts {
            installdir,
            library,
            master,
            keyrings,
            tree_key,
        } = site;
        let basics = image::basics(&definition, ProvMethod::Netboot)?;
        basics.require_tree(&definition)?;
        let mut problems = Vec::new();
        let mut collector = ProblemCollector(&mut problems);
        let about = |error: &dyn std::fmt::Display| Problem::new(format!("{error:#}"));
        let directory = RootImageDir::of(&definition, installdir).map_err(|error| about(&error));
        let directory = collector.one(directory);
        let packages = collector.all(lists(library, &definition, &basics));
        let none = BTreeMap::new();
        let names = &definition.otherpkglist;
        let target = &basics.target;
        let others = PkgList::load(library, PackageOrigin::Others, names, target, &none);
        let others = collector.all(others).unwrap_or_default();
        let repositories = image::repositories(&definition, &basics, installdir, &others, tree_key);
        let (repositories, own) = collector.all(repositories).unwrap_or_default();
        let exclude = ExcludeList::load(definition.exlist.as_deref().map(Path::new));
        let (exclude, excluding) = collector.all(exclude).unwrap_or_default();
        let files: Vec<_> = definition.synclists.iter().map(PathBuf::from).collect();
        let sync = collector.all(SyncList::load(&files)).unwrap_or_default();
        let scripts = collector.all(scripts(&definition)).unwrap_or_default();
        let family = Keys {
            family: basics.family,
            own: keyrings,
        };
        let sources = collector.all(family.sources(&repositories));
        let (Some(directory), Some(packages), Some(sources)) = (directory, packages, sources)
        else {
            return Err(problems);
        };
        if !problems.is_empty() {
            return Err(problems);
        }
        let base = base(from, &basics, installdir).map_err(|error| vec![about(&error)])?;
        let plan = plan(&definition, &basics, sources, (&packages, &others), scripts);
        let mut notes: Vec<_> = packages
            .notes
            .iter()
            .chain(&others.notes)
            .cloned()
            .collect();
        notes.extend(excluding);
        notes.extend(sync.notes.iter().cloned());
        let mut spec = Self {
            sources: image_sources(&repositories, master, &mut notes),
            parts: BTreeMap::new(),
            definition,
            repositories,
            own,
            packages,
            others,
            notes,
            directory,
            installdir: installdir.clone(),
            base,
            exclude,
            sync,
            plan,
        };
        spec.parts = spec.digests();
        Ok(spec)
    }

    /// Returns what is done in the namespace.
    pub(super) fn plan(&self, space: u64, simulate: bool) -> BuildPlan {
        BuildPlan {
            space,
            simulate,
            ..self.plan.clone()
        }
    }

    /// Returns whose package manager installs it.
    pub(super) fn form(&self) -> RepositoryFormat {
        self.plan.format.into()
    }

    /// Returns the digest of all parts.
    pub(super) fn key(&self) -> String {
        let parts = self.parts.iter();
        let text: String = parts
            .map(|(name, digest)| format!("{name}={digest}\n"))
            .collect();
        sha256(text.as_bytes())
    }

    /// Returns the newest time that a file of the image has.
    pub(super) fn epoch(&self) -> u64 {
        u64::try_from(self.plan.epoch).unwrap_or(0)
    }

    /// Whether packages are fetched over a network.
    pub(super) fn is_remote(&self) -> bool {
        self.plan
            .sources
            .iter()
            .any(|source| source.directory().is_none())
    }

    fn digests(&self) -> BTreeMap<String, String> {
        let plan = &self.plan;
        let mut parts = BTreeMap::new();
        let mut add = |name: String, text: &str| {
            parts.insert(name, sha256(text.as_bytes()));
        };
        let settings = format!(
            "{VERSION} {:?} {} {} {:?} {:?} {:?}",
            plan.format, plan.arch, plan.release, plan.arguments, plan.environment, self.sources
        );
        add("settings".to_owned(), &settings);
        add("packages".to_owned(), &format!("{:?}", plan.transactions));
        add(
            "kernel".to_owned(),
            &format!("{:?}", self.definition.kernelver),
        );
        add("exlist".to_owned(), &format!("{:?}", self.exclude));
        for script in &plan.scripts {
            add(format!("postinstall {}", script.path), &script.base64);
        }
        for (source, repository) in plan.sources.iter().zip(&self.repositories) {
            let name = format!("repository {} {}", source.name, source.location);
            add(name, &format!("{source:?} {}", index_digest(repository)));
        }
        if let Some(image) = &self.base {
            parts.insert(
                "container image".to_owned(),
                image.digest.digits().to_owned(),
            );
        }
        for (name, digest) in self.sync.digests() {
            parts.insert(format!("synclist {name}"), digest);
        }
        parts
    }
}

/// Returns a SHA-256 as digits.
pub(super) fn sha256(bytes: &[u8]) -> String {
    hex(&Sha256::digest(bytes))
}

/// Finds the container image.
fn base(
    from: Option<&ContainerSource>,
    basics: &ImageBasics<'_>,
    installdir: &InstallDir,
) -> anyhow::Result<Option<ContainerImage>> {
    let Some(from) = from else { return Ok(None) };
    let image = ContainerImage::open(from, basics.target.arch, installdir.path(), memory()?)
        .with_context(|| format!("reading {from}"))?;
    Ok(Some(image))
}

/// Loads the lists of the tree's packages: those that the osimage names, or the list of every root and the profile's.
fn lists(
    library: &Library,
    definition: &OsImage,
    basics: &ImageBasics<'_>,
) -> Result<PkgList, Vec<Problem>> {
    let none = BTreeMap::new();
    let load = |target: &SearchTarget<'_>| {
        let names = &definition.pkglist;
        PkgList::load(library, PackageOrigin::Tree, names, target, &none)
    };
    if !definition.pkglist.is_empty() {
        return load(&basics.target);
    }
    let every = SearchTarget {
        profile: EVERY_ROOT,
        ..basics.target
    };
    let mut list = load(&every)?;
    let own = load(&basics.target)?;
    list.notes.extend(own.notes);
    for (at, transaction) in own.transactions.into_iter().enumerate() {
        match list.transactions.first_mut().filter(|_| at == 0) {
            Some(first) => join(first, transaction),
            None => list.transactions.push(transaction),
        }
    }
    Ok(list)
}

/// Makes two transactions one, so that what they need is worked out at once.
fn join(first: &mut PackageTransaction, other: PackageTransaction) {
    first.environment.extend(other.environment);
    first.install.extend(other.install);
    first.groups.extend(other.groups);
    first.exclude.extend(other.exclude);
    first.exclude_groups.extend(other.exclude_groups);
    first.remove_after.extend(other.remove_after);
}

/// Reads the scripts that finish the image: `path` each, without arguments, as xCAT takes them.
fn scripts(definition: &OsImage) -> Result<Vec<Script>, Vec<Problem>> {
    let mut problems = Vec::new();
    let mut scripts = Vec::new();
    for path in &definition.postinstall {
        let read = match read_bounded(Path::new(path), MAX_SCRIPT) {
            Ok(bytes) => foreign_text(&bytes).map_or(Ok(bytes), Err),
            Err(error) => Err(format!("cannot be read: {error}")),
        };
        match read {
            Ok(bytes) => scripts.push(Script {
                path: path.clone(),
                base64: STANDARD.encode(bytes),
            }),
            Err(why) => problems.push(Problem::new(format!("postinstall {path}: {why}"))),
        }
    }
    if problems.is_empty() {
        Ok(scripts)
    } else {
        Err(problems)
    }
}

fn plan(
    definition: &OsImage,
    basics: &ImageBasics<'_>,
    sources: Vec<PackageSource>,
    (packages, others): (&PkgList, &PkgList),
    scripts: Vec<Script>,
) -> BuildPlan {
    let form = format_of(basics.family);
    let SearchTarget {
        distro,
        arch,
        profile,
        ..
    } = basics.target;
    let release = match form {
        RepositoryFormat::Apt => codename(&basics.tree).unwrap_or_else(|| "stable".to_owned()),
        RepositoryFormat::Dnf => distro.major().to_owned(),
        RepositoryFormat::Zypper => distro.version().to_owned(),
    };
    let mut transactions: Vec<_> = packages.transactions.iter().map(transaction).collect();
    for (at, list) in others.transactions.iter().enumerate() {
        let further = transaction(list);
        match transactions.last_mut() {
            // One run of the package manager instead of two, where nothing demands two.
            Some(last) if at == 0 && last.can_be_joined() && further.can_be_joined() => {
                last.install.extend(further.install);
                last.groups.extend(further.groups);
            }
            _ => transactions.push(further),
        }
    }
    BuildPlan {
        format: form.into(),
        arch: match form {
            RepositoryFormat::Apt => arch.debian_name().to_owned(),
            RepositoryFormat::Dnf | RepositoryFormat::Zypper => arch.name().to_owned(),
        },
        release,
        sources,
        transactions,
        scripts,
        arguments: vec![
            "/".to_owned(),
            distro.to_string(),
            arch.to_string(),
            profile.to_owned(),
        ],
        environment: environment(definition),
        epoch: epoch(&basics.tree, &codename(&basics.tree).unwrap_or_default()),
        space: 0,
        simulate: false,
        base: None,
    }
}

fn transaction(list: &PackageTransaction) -> Transaction {
    let names = |items: &[ListItem]| items.iter().map(ListItem::wanted).collect();
    Transaction {
        environment: list.environment.clone(),
        install: names(&list.install),
        groups: names(&list.groups),
        exclude: names(&list.exclude),
        remove_after: names(&list.remove_after),
    }
}

/// The environment of xCAT's postinstall scripts; the root is `/` of the script.
fn environment(image: &OsImage) -> Vec<(String, String)> {
    let text = |value: Option<String>| value.unwrap_or_default();
    [
        ("IMG_ROOTIMGDIR", "/".to_owned()),
        ("IMG_ARCH", text(image.osarch.map(|arch| arch.to_string()))),
        ("IMG_NAME", image.name.clone()),
        (
            "IMG_OSVER",
            text(image.osvers.as_ref().map(Distro::to_string)),
        ),
        ("IMG_KERNELVERSION", text(image.kernelver.clone())),
        ("IMG_PROFILE", text(image.profile.clone())),
        ("IMG_PKGLIST", image.pkglist.join(",")),
        ("IMG_PKGDIR", image.pkgdir.join(",")),
        ("IMG_OTHERPKGLIST", image.otherpkglist.join(",")),
        ("IMG_OTHERPKGDIR", image.otherpkgdir.join(",")),
    ]
    .map(|(name, value)| (name.to_owned(), value))
    .into_iter()
    .chain(
        image
            .environvar
            .iter()
            .filter_map(|pair| pair.split_once('='))
            .map(|(name, value)| (name.to_owned(), value.to_owned())),
    )
    .collect()
}
