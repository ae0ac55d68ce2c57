//! Everything about an osimage that is the same for all of its nodes, worked out once.
//!
//! An osimage's definition, the site and the library come in; lists parsed, templates compiled, the
//! installer found and the repositories read go out, or every problem that the osimage has.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use definitions::{Definition, Distro, InstallDir, OsImage, PackageOrigin, ProvMethod};

use crate::bootfiles::BootFiles;
use crate::check::says_nothing;
use crate::context;
use crate::installer::{DistroFamily, InstallerKind};
use crate::library::{self, Asset, AssetKind, AssetOrigin, Library, SearchTarget};
use crate::netboot::PackedImage;
use crate::pkglist::PkgList;
use crate::problem::{Problem, ProblemCollector};
use crate::repository::{OsimageRepositories, Repository, Served, codename, of_image};
use crate::template::{BUILT_IN, TemplateSource, Templates};
use crate::vouch::SiteKey;

/// What is known of an osimage.
#[derive(Debug)]
pub(crate) struct ResolvedImage {
    pub(crate) definition: OsImage,
    pub(crate) distro: Distro,
    pub(crate) family: DistroFamily,
    pub(crate) installer: InstallerKind,
    /// What templates see of it.
    pub(crate) facts: context::ImageFacts,
    /// The tree's path below the install directory: `debian12.9.0/x86_64`.
    pub(crate) tree: String,
    pub(crate) boot: BootFiles,
    /// The root image that its nodes boot, where nothing is installed.
    pub(crate) packed: Option<PackedImage>,
    /// The repositories of `pkgdir`, the tree's first, then those of `otherpkgdir`.
    pub(crate) repositories: Vec<Repository>,
    /// How many of them are those of `pkgdir`.
    pub(crate) own: usize,
    pub(crate) packages: PkgList,
    pub(crate) others: PkgList,
    pub(crate) templates: Templates,
    /// Which template makes which file.
    pub(crate) files: TemplateFiles,
    pub(crate) layout: Option<String>,
    /// What a person should know of the site's own files.
    pub(crate) notes: Vec<Problem>,
}

/// The files of a node, each with the name of the template that makes it.
pub(crate) type TemplateFiles = Vec<(&'static str, String)>;

/// What an osimage must say before anything else can be looked up.
pub(crate) struct ImageBasics<'a> {
    pub(crate) target: SearchTarget<'a>,
    pub(crate) family: DistroFamily,
    pub(crate) tree: PathBuf,
    /// Whether the definition says explicitly that the tree needs no signature.
    pub(crate) trusted: bool,
}

impl ResolvedImage {
    /// Works out an osimage.
    ///
    /// # Errors
    /// Every problem that it has.
    pub(crate) fn load(
        definition: OsImage,
        installdir: &InstallDir,
        library: &Library,
        site: Option<&SiteKey>,
    ) -> Result<Self, Vec<Problem>> {
        let method = definition.provmethod.unwrap_or(ProvMethod::Install);
        let mut basics = basics(&definition, method)?;
        if method == ProvMethod::Install {
            basics.require_tree(&definition)?;
        }
        let mut problems = Vec::new();
        let mut collector = ProblemCollector(&mut problems);
        let environment = BTreeMap::new();
        let list = |origin, names: &[String]| {
            PkgList::load(library, origin, names, &basics.target, &environment)
        };
        let packages = collector.all(list(PackageOrigin::Tree, &definition.pkglist));
        let others = collector.all(list(PackageOrigin::Others, &definition.otherpkglist));
        let none = PkgList::default();
        let repositories = repositories(
            &definition,
            &basics,
            installdir,
            others.as_ref().unwrap_or(&none),
            site.map(SiteKey::armoured),
        );
        let repositories = collector.all(repositories);
        if method == ProvMethod::Netboot {
            basics.target.installer = InstallerKind::Netboot; // whose lists are those of the release's installer
        }
        let booted = collector.one(booted(&definition, &basics, installdir, site));
        let templates = collector.all(templates(&definition, &basics, library));
        let layout = collector.one(layout(&definition));
        let (Some(booted), Some(packages), Some(others), Some((repositories, own))) =
            (booted, packages, others, repositories)
        else {
            return Err(problems);
        };
        let (Some((templates, files, mut notes)), Some(layout)) = (templates, layout) else {
            return Err(problems);
        };
        let (layout, note) = layout.unzip();
        notes.extend(note.flatten());
        notes.extend(packages.notes.iter().chain(&others.notes).cloned());
        let BootedFrom { tree, boot, packed } = booted;
        notes.extend(packed.as_ref().map(PackedImage::memory_note));
        Ok(Self {
            facts: basics.facts(&definition),
            distro: basics.target.distro.clone(),
            family: basics.family,
            installer: basics.target.installer,
            definition,
            tree,
            boot,
            packed,
            repositories,
            own,
            packages,
            others,
            templates,
            files,
            layout,
            notes,
        })
    }
}

/// What a node boots: an installer from a tree, or a root image.
struct BootedFrom {
    /// The directory below the install directory.
    tree: String,
    boot: BootFiles,
    packed: Option<PackedImage>,
}

fn booted(
    definition: &OsImage,
    basics: &ImageBasics<'_>,
    installdir: &InstallDir,
    site: Option<&SiteKey>,
) -> Result<BootedFrom, Problem> {
    let target = &basics.target;
    if target.installer == InstallerKind::Netboot {
        let packed = PackedImage::load(definition, installdir, site)?;
        return Ok(BootedFrom {
            tree: packed.served(),
            boot: packed.boot.clone(),
            packed: Some(packed),
        });
    }
    let tree = served(&basics.tree, installdir)?;
    let boot = BootFiles::find(&basics.tree, basics.family, target.installer, target.arch)?;
    Ok(BootedFrom {
        tree,
        boot,
        packed: None,
    })
}

/// Says for whom an osimage's files are looked for.
///
/// # Errors
/// What it does not say, and a tree that is not there.
pub(crate) fn target(
    definition: &OsImage,
) -> Result<(SearchTarget<'_>, DistroFamily), Vec<Problem>> {
    let method = definition.provmethod.unwrap_or(ProvMethod::Install);
    let basics = basics(definition, method)?;
    if method == ProvMethod::Install {
        basics.require_tree(definition)?;
    }
    Ok((basics.target, basics.family))
}

/// Finds out what an osimage installs, if it does so by a method.
///
/// # Errors
/// What it does not say, another method, and a tree that is not there.
pub(crate) fn basics(
    definition: &OsImage,
    wanted: ProvMethod,
) -> Result<ImageBasics<'_>, Vec<Problem>> {
    let name = &definition.name;
    let missing = |attribute: &str, example: &str| {
        Problem::new(format!(
            "the osimage {name} has no {attribute}: chdef -t {} {name} {attribute}={example}",
            OsImage::KIND
        ))
    };
    let method = definition.provmethod.unwrap_or(ProvMethod::Install);
    if method != wanted || !matches!(method, ProvMethod::Install | ProvMethod::Netboot) {
        return Err(vec![Problem::new(format!(
            "the osimage {name} has provmethod={method}: only osimages that an installer writes to disk \
             (provmethod=install) can be rendered, and a root image is built of those with provmethod=netboot"
        ))]);
    }
    let mut problems = Vec::new();
    let mut collector = ProblemCollector(&mut problems);
    let distro = collector.one(
        definition
            .osvers
            .as_ref()
            .ok_or_else(|| missing("osvers", "debian12.9.0")),
    );
    let arch = collector.one(definition.osarch.ok_or_else(|| missing("osarch", "x86_64")));
    let profile = definition.profile.as_deref();
    let profile = collector.one(profile.ok_or_else(|| missing("profile", "compute")));
    let tree = definition.pkgdir.first();
    let tree = tree.ok_or_else(|| missing("pkgdir", "/install/debian12.9.0/x86_64"));
    let tree = collector.one(tree.and_then(|entry| tree_of(name, entry)));
    let (Some(distro), Some(arch), Some(profile), Some((tree, trusted))) =
        (distro, arch, profile, tree)
    else {
        return Err(problems);
    };
    let family = DistroFamily::of(distro).map_err(|problem| vec![problem])?;
    let installer = InstallerKind::of(distro, &tree).map_err(|problem| vec![problem])?;
    Ok(ImageBasics {
        target: SearchTarget {
            profile,
            distro,
            arch,
            installer,
        },
        family,
        tree,
        trusted,
    })
}

/// Reads the first entry of `pkgdir`: the tree, or `[trusted=yes]` and the tree.
pub(crate) fn tree_of(name: &str, entry: &str) -> Result<(PathBuf, bool), Problem> {
    let (trusted, path) = match entry.strip_prefix("[trusted=yes]") {
        Some(path) => (true, path.trim_start()),
        None => (false, entry),
    };
    if path.starts_with('/') {
        return Ok((PathBuf::from(path), trusted));
    }
    Err(Problem::new(format!(
        "the osimage {name}: its pkgdir begins with '{entry}': expected the tree, such as \
         /install/debian12.9.0/x86_64, or '[trusted=yes] /install/…' where no signature of its is to be checked"
    )))
}

/// Finds the repositories: the tree's, then what else `pkgdir` names, then those of `otherpkgdir`.
pub(crate) fn repositories(
    definition: &OsImage,
    basics: &ImageBasics<'_>,
    installdir: &InstallDir,
    others: &PkgList,
    tree_key: Option<&str>,
) -> Result<(Vec<Repository>, usize), Vec<Problem>> {
    let served = Served {
        installdir,
        // Each node faces its own server; where a directory lies tells the rest.
        url: "http://server/install",
        distro: basics.target.distro,
        arch: basics.target.arch,
        tree_key,
    };
    let tree = (basics.tree.as_path(), basics.trusted);
    let directories = others.directories();
    let OsimageRepositories { mut tree, extra } = of_image(definition, tree, served, &directories)?;
    let own = tree.len();
    tree.extend(extra);
    Ok((tree, own))
}

impl ImageBasics<'_> {
    /// Refuses an osimage that needs its tree where there is none: a root image that is packed boots without.
    ///
    /// # Errors
    /// When the tree is not there.
    pub(crate) fn require_tree(&self, definition: &OsImage) -> Result<(), Vec<Problem>> {
        if self.tree.is_dir() {
            return Ok(());
        }
        Err(vec![Problem::new(format!(
            "the osimage {}: its tree {} is not there: import the medium with copycds, or correct pkgdir",
            definition.name,
            self.tree.display()
        ))])
    }

    /// Returns what templates see.
    fn facts(&self, definition: &OsImage) -> context::ImageFacts {
        let SearchTarget {
            distro,
            arch,
            profile,
            ..
        } = self.target;
        let mut numbers = distro.version().split('.').map(|part| part.parse().ok());
        context::ImageFacts {
            name: definition.name.clone(),
            profile: profile.to_owned(),
            osvers: distro.to_string(),
            family: distro.family().to_owned(),
            version: distro.version().to_owned(),
            major: numbers.next().flatten().unwrap_or(u32::MAX),
            minor: numbers.next().flatten().unwrap_or(0),
            arch: arch.to_string(),
            debarch: arch.debian_name().to_owned(),
            codename: codename(&self.tree),
        }
    }
}

/// Returns the tree's path below the install directory, which is what the web server serves.
fn served(tree: &Path, installdir: &InstallDir) -> Result<String, Problem> {
    let below_installdir = tree
        .strip_prefix(installdir.path())
        .ok()
        .and_then(Path::to_str);
    below_installdir.map(str::to_owned).ok_or_else(|| {
        Problem::new(format!(
            "the tree {} is not below {}, which is what nodes are served: import it there, or make \
             that directory the site's installdir",
            tree.display(),
            installdir.path().display()
        ))
    })
}

/// Loads the partition table that an osimage brings, with what a person should know of its file.
fn layout(definition: &OsImage) -> Result<Option<(String, Option<Problem>)>, Problem> {
    let name = &definition.name;
    let file = match definition.partitionfile.as_slice() {
        [] => return Ok(None),
        [file] => file,
        _ => {
            return Err(Problem::new(format!(
                "the osimage {name}: partitionfile names several files: one is taken"
            )));
        }
    };
    if let Some((form, _)) = file.split_once(':').filter(|(form, _)| form.len() == 1) {
        return Err(Problem::new(format!(
            "the osimage {name}: partitionfile={file}: '{form}:' is a program or a list of disks of xCAT's: \
             give the path of a partition table in the installer's own language, override the block 'disk' of \
             the template, or set the node's disk"
        )));
    }
    let (text, note) = library::load(Path::new(file)).map_err(|problem| Problem {
        message: format!(
            "{}, as the partitionfile of the osimage {name}",
            problem.message
        ),
        ..problem
    })?;
    if says_nothing(&text) {
        return Err(Problem::new(format!(
            "{file}: holds no partition, as the partitionfile of the osimage {name}: write some, or unset it (chdef -t \
             osimage {name} partitionfile=)"
        )));
    }
    Ok(Some((text, note)))
}

/// Compiles the templates of an osimage, says which makes which file, and what a person should know of them.
fn templates(
    definition: &OsImage,
    basics: &ImageBasics<'_>,
    library: &Library,
) -> Result<(Templates, TemplateFiles, Vec<Problem>), Vec<Problem>> {
    let files = basics.target.installer.files();
    let main = files.iter().any(|file| file.main);
    let main = main.then(|| main_template(definition, basics, library));
    let main = main.transpose().map_err(|problem| vec![problem])?;
    let mut notes: Vec<_> = main.iter().filter_map(|asset| asset.note.clone()).collect();
    let mut sources: Vec<_> = library
        .embedded(AssetKind::Template)
        .map(|(name, text)| TemplateSource::built_in(below(name), text))
        .collect();
    for (name, asset) in library.custom(AssetKind::Template)? {
        notes.extend(asset.note.clone());
        sources.push(source(below(&name).to_owned(), asset));
    }
    let main_name = main.map_or(String::new(), |main| match main.origin {
        AssetOrigin::Embedded(name) => format!("{BUILT_IN}{}", below(name)),
        AssetOrigin::Custom(_) => {
            let name = main.origin.name();
            sources.push(source(name.clone(), main));
            name
        }
    });
    let family = basics.family.name();
    let known: BTreeSet<_> = sources.iter().map(|source| source.name.as_str()).collect();
    let beside = |ending: &str| {
        let is_there = |name: &String| {
            known.contains(name.as_str()) || known.contains(format!("{BUILT_IN}{name}").as_str())
        };
        let of_profile = format!("{family}/{}.{ending}", basics.target.profile);
        let of_family = format!("{family}/base.{ending}");
        let mut names = [of_profile, of_family].into_iter();
        // what is the same for all families is not in the directory of one
        names.find(is_there).unwrap_or_else(|| ending.to_owned())
    };
    let files: Vec<_> = files
        .iter()
        .map(|file| {
            let template = if file.main {
                main_name.clone()
            } else {
                beside(file.ending)
            };
            (file.name, template)
        })
        .collect();
    let wanted: Vec<_> = files.iter().map(|(_, name)| name.as_str()).collect();
    notes.sort();
    notes.dedup();
    let templates = Templates::compile(sources.iter().cloned(), &wanted)?;
    Ok((templates, files, notes))
}

/// Finds the template of an installer's main file.
fn main_template(
    definition: &OsImage,
    basics: &ImageBasics<'_>,
    library: &Library,
) -> Result<Asset, Problem> {
    match &definition.template {
        Some(name) => library.named(AssetKind::Template, basics.family, name),
        None => library
            .find(AssetKind::Template, &basics.target)
            .and_then(|found| found.ok_or_else(|| no_template(definition, basics))),
    }
}

fn no_template(definition: &OsImage, basics: &ImageBasics<'_>) -> Problem {
    let SearchTarget {
        profile,
        distro,
        installer,
        ..
    } = basics.target;
    Problem::new(format!(
        "the osimage {}: no template for the profile '{profile}' of {distro}: name one in the osimage's template, \
         or write templates/{}/{profile}.{} in the directory of your own files",
        definition.name,
        basics.family.name(),
        installer.ending()
    ))
}

fn source(name: String, asset: Asset) -> TemplateSource {
    TemplateSource {
        name,
        file: asset.origin.name().into(),
        text: asset.text,
    }
}

/// Leaves out the section of a template's name.
fn below(name: &str) -> &str {
    name.strip_prefix("templates/").unwrap_or(name)
}
