//! What a run needs whichever nodes it is about: the site, its networks, its programs, and osimages.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::{Context as _, Result, anyhow};
use definitions::{
    Arch, Catalog, Definition, InstallDir, Network, Nodes, ObjectKind, OsImage, Site,
};

use nix::unistd::Gid;

use crate::assets::Shelf;
use crate::brief::Desk;
use crate::check;
use crate::context::Root;
use crate::environment;
use crate::image::Image;
use crate::library::Library;
use crate::machine::Surroundings;
use crate::problem::Problem;
use crate::published;
use crate::report::OfImage;
use crate::repository;
use crate::root;
use crate::scripts::Programs;
use crate::shipped;
use crate::timezone;

/// The site and all that is read of it once.
#[derive(Debug)]
pub(crate) struct Workshop {
    site: Site,
    installdir: InstallDir,
    surroundings: Surroundings,
    programs: Programs,
    library: Library,
    root: Root,
    /// The group that files with a secret are given to, unless the site accepts that everybody reads them.
    secrets: Option<Gid>,
    indices: check::packages::Shelf,
    /// What a person should know of the site.
    notes: Vec<Problem>,
}

/// An osimage, ready for its nodes.
#[derive(Debug)]
pub(crate) struct Ready {
    pub(crate) image: Image,
    /// What the environment of scripts says of the osimage and the site.
    pub(crate) environment: BTreeMap<String, String>,
}

impl Workshop {
    /// Reads the site.
    ///
    /// # Errors
    /// When the definitions cannot be read, or what they say of the site is wrong.
    pub(crate) fn open(catalog: &Catalog, nodes: &Nodes) -> Result<Self> {
        let site = catalog.site()?;
        let networks = catalog.objects(ObjectKind::Network)?;
        let networks = networks
            .iter()
            .map(Network::from_object)
            .collect::<Result<Vec<_>, _>>()?;
        let installdir = site.install_dir();
        let web_server = published::web_server().context("looking for the web server's group")?;
        let zone = site.timezone.as_deref();
        let zone = zone.map(|zone| timezone::check(Path::new(timezone::DATABASE), zone));
        let note = zone.transpose().map_err(|problem| joined(vec![problem]))?;
        Ok(Self {
            notes: note.flatten().into_iter().collect(),
            surroundings: Surroundings::new(nodes, networks).map_err(joined)?,
            programs: Programs::new(installdir.postscripts(), shipped::home()),
            library: Library::new(installdir.custom()),
            root: root::access(&site, web_server).map_err(joined)?,
            secrets: web_server.filter(|_| !published::accepts_secrets(&site)),
            indices: check::packages::Shelf::default(),
            installdir,
            site,
        })
    }

    /// Brings the programs that nodes fetch up to date, and names those that were not.
    ///
    /// # Errors
    /// When one cannot be read or written.
    pub(crate) fn programs(&self, dry_run: bool) -> Result<Vec<String>> {
        match shipped::home() {
            Some(home) => shipped::ensure(&home, &self.installdir.postscripts(), dry_run),
            None => Ok(Vec::new()),
        }
    }

    /// Works out an osimage, and checks what is the same for all of its nodes.
    ///
    /// # Errors
    /// When there is no such osimage, or definitions cannot be read.
    pub(crate) fn prepare(
        &self,
        catalog: &Catalog,
        name: &str,
    ) -> Result<(Option<Ready>, OfImage)> {
        let definition: OsImage = catalog.load(name)?;
        let mut said = OfImage::default();
        let image = match Image::load(definition, &self.installdir, &self.library) {
            Ok(image) => image,
            Err(problems) => {
                said.problems = problems;
                return Ok((None, said));
            }
        };
        said.notes
            .extend(self.notes.iter().chain(&image.notes).cloned());
        let environment = environment::shared(&image, &self.site, self.surroundings.networks());
        let environment = environment.unwrap_or_else(|problems| {
            said.problems.extend(problems);
            BTreeMap::new()
        });
        // A package of the other repositories may have what it needs in the tree; the tree's list may not
        // reach beyond it.
        let platform = check::packages::Platform {
            distro: &image.distro,
            arch: image.definition.osarch.unwrap_or(Arch::X86_64),
        };
        let tree = &image.repositories[..image.own];
        let mut found = check::packages::packages(&image.packages, tree, platform, &self.indices);
        found.append(check::packages::packages(
            &image.others,
            &image.repositories,
            platform,
            &self.indices,
        ));
        said.problems.extend(found.problems);
        said.notes.extend(found.notes);
        said.notes
            .extend(tree.iter().filter_map(repository::unsigned));
        if self.root.password.is_some() && self.secrets.is_some() {
            said.notes.push(published::password_note());
        }
        if self.root.password.is_none() && self.root.keys.is_empty() {
            said.notes.push(Problem::new(
                "nobody can log in to its nodes: root's password is locked and no key lets it in; set the site's \
                 authorizedkeys (a file of public keys) or rootpassword (crypted)",
            ));
        }
        let ready = said
            .problems
            .is_empty()
            .then_some(Ready { image, environment });
        Ok((ready, said))
    }

    /// Returns what briefs nodes.
    pub(crate) fn desk<'a>(&'a self, nodes: &'a Nodes) -> Desk<'a> {
        Desk {
            site: &self.site,
            installdir: &self.installdir,
            nodes,
            surroundings: &self.surroundings,
            programs: &self.programs,
            root: self.root.clone(),
            secrets: self.secrets,
        }
    }

    /// Returns the library of lists and templates.
    pub(crate) fn library(&self) -> &Library {
        &self.library
    }

    /// Returns where nodes' assets stand.
    pub(crate) fn shelf(&self) -> Shelf {
        Shelf::new(self.installdir.autoinst())
    }
}

/// Joins problems to one error, a line each.
fn joined(problems: Vec<Problem>) -> anyhow::Error {
    let lines: Vec<_> = problems.iter().map(ToString::to_string).collect();
    anyhow!("{}", lines.join("\n"))
}
